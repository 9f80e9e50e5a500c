/*
 * Sources are asked in order until one knows the host:
 *
 *	--creds
 *	--authfile, else REGISTRY_AUTH_FILE
 *	DOCKER_AUTH_CONFIG
 *	$DOCKER_CONFIG/config.json
 *	$XDG_RUNTIME_DIR/containers/auth.json
 *	$XDG_CONFIG_HOME/containers/auth.json
 *
 * A file the user has named must be there and be right; one that is only looked for may be missing,
 * and if it cannot be read that is a warning: a public image needs none of it.
 */
#include "fetch/credentials.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/userns.h"
#include "fetch/credential_helper.h"
#include "fetch/docker_config.h"
#include "fetch/token.h"

void ol_credentials_done(ol_credentials *credentials)
{
	ol_secret_free(credentials->user);
	ol_secret_free(credentials->password);
	ol_secret_free(credentials->identity_token);
	ol_secret_free(credentials->registry_token);
	free(credentials->source);
	*credentials = (ol_credentials){ 0 };
}

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Owned by the caller; NULL where the environment does not say. */
static char *docker_file(void)
{
	if (env("DOCKER_CONFIG"))
		return ol_text("%s/config.json", env("DOCKER_CONFIG"));
	return env("HOME") ? ol_text("%s/.docker/config.json", env("HOME")) : NULL;
}

static char *runtime_file(void)
{
	if (env("XDG_RUNTIME_DIR"))
		return ol_text("%s/containers/auth.json", env("XDG_RUNTIME_DIR"));
	return ol_text("/run/containers/%u/auth.json", (unsigned)ol_userns_owner());
}

static char *config_file(void)
{
	if (env("XDG_CONFIG_HOME"))
		return ol_text("%s/containers/auth.json", env("XDG_CONFIG_HOME"));
	return env("HOME") ? ol_text("%s/.config/containers/auth.json", env("HOME")) : NULL;
}

static const char *chosen_file(const ol_credential_options *options)
{
	return options->authfile ? options->authfile : env("REGISTRY_AUTH_FILE");
}

static void wipe(ol_buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	ol_buf_done(buf);
}

static int load_file(const char *path, ol_docker_config *out, ol_error *err)
{
	__attribute__((cleanup(wipe))) ol_buf text = OL_BUF(OL_CONFIG_FILE_BYTES_MAX);
	int rc = ol_file_read(AT_FDCWD, path, false, &text, err);

	if (rc < 0)
		return rc;
	/* podman makes empty files; they say nothing. */
	rc = ol_docker_config_parse(text.size ? ol_buf_view(&text) : ol_view_of("{}"), out, err);
	return rc < 0 ? ol_wrap(err, rc, "%s", path) : OL_OK;
}

/* What is looked for, and what was found. */
struct search {
	const ol_credential_options *options;
	const char *host, *path;
	ol_credentials found; /* owned */
	bool done;
};

/* A helper that fails is a warning: there may be other sources, and the image may be public. */
static void ask_helper(struct search *search, const char *suffix, const char *server)
{
	ol_error err = { 0 };

	if (ol_credential_helper_get(suffix, server, &search->found, &search->done, &err) < 0)
		ol_tell_text(search->options->listener, OL_EVENT_WARNING,
			"%s: going on without its credentials", err.text);
	if (search->done)
		search->found.source = ol_text("docker-credential-%s", suffix);
}

static void ask_helpers(struct search *search, const ol_docker_config *config)
{
	const char *suffix;

	for (unsigned i = 0; !search->done; i++) {
		ol_autofree char *server = NULL;

		if (!ol_docker_config_helper(config, search->host, i, &suffix, &server))
			return;
		ask_helper(search, suffix, server);
	}
}

static int find_in(
	struct search *search, const ol_docker_config *config, const char *source, ol_error *err)
{
	int rc;

	ask_helpers(search, config);
	if (search->done)
		return OL_OK;
	rc = ol_docker_config_find(
		config, search->host, search->path, &search->found, &search->done, err);
	if (rc < 0)
		return ol_wrap(err, rc, "%s", source);
	if (search->done)
		search->found.source = ol_strdup(source);
	return OL_OK;
}

/* A file that was only looked for, not wanted by name, never fails. */
static int find_in_file(struct search *search, const char *file, bool wanted, ol_error *err)
{
	ol_docker_config config = { 0 };
	ol_error why = { 0 };
	int rc;

	if (!file)
		return OL_OK;
	rc = load_file(file, &config, &why);
	if (rc == OL_OK)
		rc = find_in(search, &config, file, &why);
	ol_docker_config_done(&config);
	if (rc == OL_OK || (rc == OL_ENOTFOUND && !wanted))
		return OL_OK;
	if (wanted) {
		if (err)
			*err = why;
		return rc;
	}
	ol_tell_text(
		search->options->listener, OL_EVENT_WARNING, "%s: going on without it", why.text);
	return OL_OK;
}

static int find_in_env(struct search *search, ol_error *err)
{
	const char *text = env("DOCKER_AUTH_CONFIG");
	ol_docker_config config = { 0 };
	int rc;

	if (!text)
		return OL_OK;
	if (strlen(text) > OL_CONFIG_FILE_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "DOCKER_AUTH_CONFIG is too large");
	rc = ol_docker_config_parse(ol_view_of(text), &config, err);
	if (rc < 0)
		return ol_wrap(err, rc, "DOCKER_AUTH_CONFIG");
	rc = find_in(search, &config, "DOCKER_AUTH_CONFIG", err);
	ol_docker_config_done(&config);
	return rc;
}

static void from_creds(const char *creds, ol_credentials *out)
{
	const char *colon = strchr(creds, ':');

	out->user = colon ? ol_strndup(creds, (size_t)(colon - creds)) : ol_strdup(creds);
	out->password = ol_strdup(colon ? colon + 1 : "");
	out->source = ol_strdup("--creds");
}

/* All files, as they stand above. */
static int find_in_files(struct search *search, ol_error *err)
{
	ol_autofree char *docker = docker_file();
	ol_autofree char *runtime = runtime_file();
	ol_autofree char *config = config_file();
	const char *const looked_for[] = { docker, runtime, config };
	int rc = find_in_file(search, chosen_file(search->options), true, err);

	if (rc == OL_OK && !search->done)
		rc = find_in_env(search, err);
	for (size_t i = 0; i < 3 && rc == OL_OK && !search->done; i++)
		rc = find_in_file(search, looked_for[i], false, err);
	return rc;
}

int ol_credentials_find(const ol_credential_options *options, const char *host, const char *path,
	ol_credentials *out, ol_error *err)
{
	static const char *const files_alone[] = { "containers-auth.json", NULL };
	struct search search = { .options = options, .host = host, .path = path };
	int rc = OL_OK;

	if (options->creds) {
		from_creds(options->creds, out);
		return OL_OK;
	}
	for (const char *const *helper = options->helpers ? options->helpers : files_alone;
		rc == OL_OK && !search.done && *helper; helper++) {
		if (strcmp(*helper, files_alone[0]) == 0)
			rc = find_in_files(&search, err);
		else
			ask_helper(&search, *helper, host);
	}
	if (rc < 0) {
		ol_credentials_done(&search.found);
		return rc;
	}
	*out = search.found;
	return OL_OK;
}

/* The file that login and logout work on, with its links followed: people keep it elsewhere and
 * link to it. */
static int own_file(const ol_credential_options *options, char **out, ol_error *err)
{
	const char *chosen = chosen_file(options);
	ol_autofree char *file = chosen ? ol_strdup(chosen) : docker_file();
	ol_autofree char *real = file ? realpath(file, NULL) : NULL;

	if (!file)
		return ol_fail(err, OL_EINVAL,
			"neither HOME nor DOCKER_CONFIG says where credentials are kept");
	*out = real ? ol_steal(&real) : ol_steal(&file);
	return OL_OK;
}

struct edit {
	char *file; /* owned */
	int dir_fd; /* owned; locked, so that two logins do not lose one */
	const char *name;
	ol_docker_config config;
};

static void edit_end(struct edit *edit)
{
	ol_docker_config_done(&edit->config);
	if (edit->dir_fd >= 0)
		(void)close(edit->dir_fd);
	free(edit->file);
}

/* A missing file begins as an empty one. */
static int edit_begin(const ol_credential_options *options, struct edit *edit, ol_error *err)
{
	ol_autofree char *dir = NULL;
	const char *slash;
	int rc = own_file(options, &edit->file, err);

	edit->dir_fd = -1;
	if (rc < 0 || !edit->file)
		return rc;
	slash = strrchr(edit->file, '/');
	edit->name = slash ? slash + 1 : edit->file;
	dir = slash ? ol_strndup(edit->file, slash == edit->file ? 1 : (size_t)(slash - edit->file))
		    : ol_strdup(".");
	rc = ol_mkdirs(AT_FDCWD, dir, 0700, err);
	if (rc == OL_OK)
		rc = ol_dir_open(AT_FDCWD, dir, &edit->dir_fd, err);
	if (rc == OL_OK)
		rc = ol_flock(edit->dir_fd, true, true, err);
	if (rc == OL_OK) {
		rc = load_file(edit->file, &edit->config, err);
		if (rc == OL_ENOTFOUND)
			rc = ol_docker_config_parse(ol_view_of("{}"), &edit->config, err);
	}
	return rc;
}

static int edit_write(struct edit *edit, ol_error *err)
{
	__attribute__((cleanup(wipe))) ol_str text = OL_STR(OL_CONFIG_FILE_BYTES_MAX);
	int rc = ol_json_format(edit->config.root, OL_JSON_PRETTY, &text, err);

	if (rc < 0)
		return rc;
	(void)ol_str_addc(&text, '\n');
	rc = ol_str_error(&text, err);
	if (rc < 0)
		return rc;
	return ol_publish(edit->dir_fd, edit->name, ol_buf_view(&text), 0600,
		OL_PUBLISH_REPLACE | OL_PUBLISH_SYNC, err);
}

int ol_credentials_store(const ol_credential_options *options, const char *host, const char *user,
	const char *password, char **where, ol_error *err)
{
	struct edit edit = { 0 };
	ol_autofree char *server = NULL;
	const char *suffix = NULL;
	bool helped;
	int rc = edit_begin(options, &edit, err);

	if (rc < 0) {
		edit_end(&edit);
		return rc;
	}
	helped = ol_docker_config_helper(&edit.config, host, 0, &suffix, &server);
	if (helped)
		rc = ol_credential_helper_store(suffix, server, user, password, err);
	if (rc == OL_OK) {
		ol_docker_config_set(
			&edit.config, host, helped ? NULL : user, helped ? NULL : password);
		rc = edit_write(&edit, err);
	}
	if (rc == OL_OK)
		*where = helped ? ol_text("docker-credential-%s", suffix) : ol_strdup(edit.file);
	edit_end(&edit);
	return rc;
}

/* What the helper holds for host goes; *any says whether it held something. */
static int erase_helped(
	const struct edit *edit, const char *host, bool *any, char **where, ol_error *err)
{
	ol_autofree char *server = NULL;
	ol_credentials held = { 0 };
	const char *suffix;
	bool found = false;
	int rc;

	if (!ol_docker_config_helper(&edit->config, host, 0, &suffix, &server))
		return OL_OK;
	rc = ol_credential_helper_get(suffix, server, &held, &found, err);
	ol_credentials_done(&held);
	if (rc < 0 || !found)
		return rc;
	rc = ol_credential_helper_erase(suffix, server, err);
	if (rc < 0)
		return rc;
	*any = true;
	*where = ol_text("docker-credential-%s", suffix);
	return OL_OK;
}

int ol_credentials_erase(
	const ol_credential_options *options, const char *host, char **where, ol_error *err)
{
	struct edit edit = { 0 };
	ol_autofree char *place = NULL;
	ol_autofree char *file = NULL;
	bool helped = false, listed = false;
	int rc = own_file(options, &file, err);

	if (file && access(file, F_OK) < 0)
		return ol_fail(err, OL_ENOTFOUND, "not logged in to %s",
			host); /* and nothing is made for that */
	edit.dir_fd = -1;
	if (rc == OL_OK)
		rc = edit_begin(options, &edit, err);
	if (rc == OL_OK)
		rc = erase_helped(&edit, host, &helped, &place, err);
	if (rc == OL_OK) {
		listed = ol_docker_config_remove(&edit.config, host);
		if (listed)
			rc = edit_write(&edit, err);
	}
	if (rc == OL_OK && !helped && !listed)
		rc = ol_fail(err, OL_ENOTFOUND, "not logged in to %s", host);
	if (rc == OL_OK)
		*where = place ? ol_steal(&place) : ol_strdup(edit.file);
	edit_end(&edit);
	return rc;
}
