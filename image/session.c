#include "image/session.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/userns.h"
#include "image/lazy.h"
#include "image/pull.h"
#include "image/rootless_priv.h"
#include "image/session_priv.h"

/* $variable/orlop, else $HOME/otherwise/orlop. NULL where neither is set. */
static char *home_path(const char *variable, const char *otherwise)
{
	const char *base = getenv(variable), *home = getenv("HOME");

	if (base && base[0] == '/')
		return ol_text("%s/orlop", base);
	return home && home[0] == '/' ? ol_text("%s/%s/orlop", home, otherwise) : NULL;
}

static char *default_root(void)
{
	const char *set = getenv("ORLOP_ROOT");

	if (set && *set)
		return ol_strdup(set);
	return ol_userns_is_root() ? ol_strdup("/var/lib/orlop")
				   : home_path("XDG_DATA_HOME", ".local/share");
}

/* *shared: it lies where others could have made it before. */
static char *default_run_root(bool *shared)
{
	const char *set = getenv("ORLOP_RUN"), *runtime = getenv("XDG_RUNTIME_DIR");

	if (set && *set)
		return ol_strdup(set);
	if (ol_userns_is_root())
		return ol_strdup("/run/orlop");
	if (runtime && runtime[0] == '/')
		return ol_text("%s/orlop", runtime);
	*shared = true;
	return ol_text("/tmp/orlop-%u", ol_userns_owner());
}

int ol_session_open(const ol_session_options *options, ol_session **out, ol_error *err)
{
	ol_auto(ol_session_close) ol_session *session = ol_alloc(sizeof *session);
	ol_autofree char *root = options->root ? ol_strdup(options->root) : default_root();
	bool shared = false;
	ol_autofree char *run_root =
		options->run_root ? ol_strdup(options->run_root) : default_run_root(&shared);
	int rc = shared ? ol_rootless_own(run_root, err) : OL_OK;

	session->lazy_fd = -1;
	if (!root) {
		ol_fail(err, OL_EINVAL,
			"no place for the store: neither XDG_DATA_HOME nor HOME is set");
		return ol_hint(err, OL_EINVAL, "name one with --root or ORLOP_ROOT");
	}
	if (rc < 0)
		return rc;
	session->options = *options;
	session->run_root = ol_strdup(run_root);
	rc = ol_store_open(
		&(ol_store_options){
			.root = root, .run_root = run_root, .mender = options->mender },
		&session->store, err);
	if (rc == OL_OK)
		rc = ol_rootless_begin(session, err);
	if (rc < 0)
		return rc;
	*out = ol_steal(&session);
	return OL_OK;
}

void ol_session_close(ol_session *session)
{
	if (!session)
		return;
	ol_lazy_let_go(session);
	ol_registry_free(session->registry);
	ol_store_close(session->store);
	free(session->run_root);
	free(session);
}

void ol_session_warn(ol_session *session)
{
	const uint64_t count = session ? ol_store_passed_over(session->store) : 0;

	if (count)
		ol_tell_text(&session->options.listener, OL_EVENT_WARNING,
			"damaged rows of the database were left out; run `orlop check --repair`");
}

ol_store *ol_session_store(ol_session *session)
{
	return session->store;
}

int ol_session_registry(ol_session *session, ol_registry **out, ol_error *err)
{
	const ol_session_options *o = &session->options;
	const ol_registry_options options = {
		.plain_http = o->plain_http,
		.skip_tls_verify = o->skip_tls_verify,
		.cert_dir = o->cert_dir,
		.creds = o->creds,
		.authfile = o->authfile,
		.hosts_dir = o->hosts_dir,
		.registries_conf = o->registries_conf,
		.retries = o->retries,
		.never_retry = o->retries == 0,
		.cancel = o->cancel,
		.listener = &o->listener,
	};
	int rc = OL_OK;

	if (!session->registry)
		rc = ol_registry_new(&options, &session->registry, err);
	if (rc == OL_OK)
		*out = session->registry;
	return rc;
}

int ol_session_names(ol_session *session, const char *text, ol_name_choices *out, ol_error *err)
{
	const ol_registries_conf *conf = NULL;
	ol_registry *registry = NULL;
	ol_ref ref;
	int rc = ol_ref_parse(text, &ref, err);

	if (rc == OL_OK)
		rc = ol_session_registry(session, &registry, err);
	if (rc == OL_OK)
		rc = ol_registry_conf(registry, &conf, err);
	return rc < 0 ? rc : ol_name_resolve(conf, text, session->options.search_names, out, err);
}

int ol_session_need_driver(ol_session *session, const ol_driver **out, ol_error *err)
{
	const char *want =
		session->options.driver ? session->options.driver : getenv("ORLOP_DRIVER");
	int rc = OL_OK;

	if (!session->driver)
		rc = ol_driver_choose(session->store, want && *want ? want : NULL, &session->driver,
			session->driver_why, err);
	if (rc == OL_OK)
		*out = session->driver;
	return rc;
}

ol_builder_options ol_session_builder(ol_session *session, int dir_fd)
{
	return (ol_builder_options){
		.dir_fd = dir_fd, .userxattr = session->rootless, .lacks = &session->lacks
	};
}

const char *ol_session_driver(ol_session *session, const char **why)
{
	const ol_driver *driver = NULL;
	ol_error err = { 0 };
	int rc = ol_session_need_driver(session, &driver, &err);

	if (rc < 0)
		(void)snprintf(session->driver_why, sizeof session->driver_why, "%.*s",
			(int)sizeof session->driver_why - 1, err.text);
	if (why)
		*why = session->driver_why;
	return rc == OL_OK && driver ? driver->name : NULL;
}

static int detach(void *ctx)
{
	(void)ctx;
	return setsid() < 0 ? OL_ESYSTEM : OL_OK;
}

int ol_session_sync_behind(ol_session *session, ol_error *err)
{
	const char *argv[] = { session->options.program, "--root", ol_store_root(session->store),
		"--run-root", session->run_root, "sync", NULL };
	pid_t pid;

	if (!session->options.program)
		return OL_OK;
	/* A new program, not a fork of this one: neither SQLite nor threads survive a bare fork. */
	return ol_child_start(&(ol_child_options){ .argv = argv,
				      .stdin_fd = -1,
				      .stdout_fd = -1,
				      .stderr_fd = -1,
				      .prepare = detach },
		&pid, err);
}

int ol_document_load(ol_store *store, const ol_digest *digest, const char *media_type,
	ol_document **out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	int rc = ol_blob_read(store, digest, OL_MANIFEST_BYTES_MAX, &bytes, err);

	if (rc < 0)
		return rc;
	rc = ol_document_parse(
		ol_buf_view(&bytes), media_type && *media_type ? media_type : NULL, out, err);
	return rc < 0 ? ol_wrap(err, rc, "manifest %s", ol_digest_format(digest).text) : OL_OK;
}

int ol_config_load(ol_store *store, const ol_digest *digest, ol_config **out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_CONFIG_BYTES_MAX);
	int rc = ol_blob_read(store, digest, OL_CONFIG_BYTES_MAX, &bytes, err);

	if (rc < 0)
		return rc;
	rc = ol_config_parse(ol_buf_view(&bytes), out, err);
	return rc < 0 ? ol_wrap(err, rc, "config %s", ol_digest_format(digest).text) : OL_OK;
}

int ol_platform_wanted(const ol_platform *asked, ol_platform *out, ol_error *err)
{
	const char *set = getenv("DOCKER_DEFAULT_PLATFORM");

	if (asked) {
		*out = *asked;
		return OL_OK;
	}
	if (set && *set) {
		int rc = ol_platform_parse(set, out, err);

		return rc < 0 ? ol_wrap(err, rc, "DOCKER_DEFAULT_PLATFORM") : OL_OK;
	}
	*out = ol_platform_host();
	return OL_OK;
}

void ol_layer_stack_done(ol_layer_stack *stack)
{
	free(stack->layers);
	*stack = (ol_layer_stack){ 0 };
}

int ol_layer_stack_load(
	ol_store *store, const ol_config *config, ol_layer_stack *out, ol_error *err)
{
	ol_layer_stack stack = { .layers = ol_alloc_array(
					 config->diff_id_count, sizeof(ol_layer_info)) };
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < config->diff_id_count; i++) {
		ol_layer_info *layer = &stack.layers[stack.count++];

		rc = ol_layer_get(store, &config->diff_ids[i], false, layer, err);
		if (rc == OL_OK && layer->leans) {
			ol_digest chain = ol_chain_id(config->diff_ids, i + 1);

			rc = ol_layer_get(store, &chain, true, layer, err);
		}
		if (rc < 0)
			(void)ol_wrap(err, rc, "layer %zu of %zu", i + 1, config->diff_id_count);
	}
	if (rc < 0) {
		ol_layer_stack_done(&stack);
		return rc;
	}
	*out = stack;
	return OL_OK;
}
