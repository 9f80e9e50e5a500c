/*
 * The pull that does not fetch layers. Of each layer that is missing, several at once:
 *
 *	choose    what binds a table of contents to the manifest?      lazy_toc.c
 *	get       footer and table by ranges, into the blob's ingest   one or two requests
 *	build     index, seek table                                    snapshot/lazy_build.h
 *	publish   lazy/<hex>/, then the row of driver "lazy"
 *
 * Which then counts as a layer for a lazy pull, for mounts and containers; whatever wants all bytes
 * takes it for missing. What cannot be lazy is pulled whole by pull_layers.c, and it is said why.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/crew.h"
#include "base/file.h"
#include "base/limits.h"
#include "image/lazy.h"
#include "image/lazy_early_priv.h"
#include "image/lazy_profile_priv.h"
#include "image/lazy_source_priv.h"
#include "image/lazy_toc_priv.h"
#include "snapshot/lazy_client.h"
#include "snapshot/lazy_engine.h"
#include "store/draft.h"
#include "store/lazy.h"

#define LAZIES_AT_ONCE 6
/* Tables whose inflated size may pass this are worked on one at a time: a pull has 64 MiB. */
#define WEIGHT_MAX ((uint64_t)8 << 20)

/* One planned layer. */
struct job {
	struct work *work;
	ol_pull_layer *layer;
	const ol_descriptor *ztoc; /* or NULL */
	unsigned index;
	enum { PENDING, LAZY, THERE, WHOLE, SMALL, UNBOUND } outcome;
	bool harmful;  /* what the table says is wrong */
	char why[256]; /* WHOLE, SMALL, UNBOUND: why it cannot be lazy */
};

struct work {
	ol_pull_state *pull;
	struct job *jobs; /* owned; as the planned layers */
	size_t count;
	ol_lazy_external external;
	ol_lazy_profiles profiles;
	pthread_mutex_t heavy; /* held for work that takes much memory */
};

bool ol_layer_is_lazy(ol_store *store, const ol_digest *diff_id)
{
	ol_autofd int fd = -1;
	ol_layer_info info;

	return ol_layer_get(store, diff_id, false, &info, NULL) == OL_OK &&
	       strcmp(info.driver, OL_LAZY_DRIVER) == 0 &&
	       ol_lazy_open(store, diff_id, &fd, NULL) == OL_OK;
}

static void tell(const struct job *job, ol_layer_state state)
{
	ol_tell(&job->work->pull->incoming.session->options.listener,
		&(ol_event){ .kind = OL_EVENT_LAYER,
			.state = state,
			.digest = job->layer->blob->digest,
			.done = job->layer->present,
			.total = job->layer->blob->size,
			.layer = job->index,
			.layers = (unsigned)job->work->count });
}

static bool is_there(void *ctx)
{
	const struct job *job = ctx;
	ol_store *store = job->work->pull->incoming.session->store;

	return ol_layer_is_lazy(store, &job->layer->diff_id) ||
	       ol_layer_is_usable(store, &job->layer->diff_id, NULL);
}

/* An option, or what the environment says in its place: the worker's may be another's. */
static char *said(const char *option, const char *variable)
{
	const char *text = option ? option : getenv(variable);

	return text && *text ? ol_strdup(text) : NULL;
}

static int write_source(const struct job *job, int dir_fd, ol_error *err)
{
	const ol_pull_state *pull = job->work->pull;
	const ol_session_options *o = &pull->incoming.session->options;
	const ol_lazy_options *lazy = pull->options->lazy;
	ol_lazy_source source = {
		.ref = pull->ref,
		.manifest = job->layer->manifest,
		.blob = job->layer->blob->digest,
		.blob_size = job->layer->blob->size,
		.media_type = ol_strdup(job->layer->blob->media_type),
		.plain_http = o->plain_http,
		.http_first = ol_registry_found_http(pull->registry),
		.skip_tls_verify = o->skip_tls_verify,
		.cert_dir = ol_strdup(o->cert_dir),
		.authfile = said(o->authfile, "REGISTRY_AUTH_FILE"),
		.hosts_dir = said(o->hosts_dir, "ORLOP_HOSTS_DIR"),
		.registries_conf = said(o->registries_conf, "CONTAINERS_REGISTRIES_CONF"),
		.creds = ol_strdup(o->creds),
		.retries = o->retries,
		.no_fill = lazy->no_fill,
		.rate_bytes = lazy->rate_bytes,
		.timeout_ms = lazy->timeout_ms,
		.engine = ol_strdup(lazy->engine),
	};
	int rc = ol_lazy_source_write(
		pull->incoming.session->store, dir_fd, &job->layer->diff_id, &source, err);

	ol_lazy_source_done(&source);
	return rc;
}

/* What belongs beside the index lies in a folder of its own before it is given to the store. */
static int put_beside(const struct job *job, int dir_fd, ol_error *err)
{
	static const char *const names[] = { OL_LAZY_SEEK, OL_LAZY_WINDOW };
	ol_autofd int lazy_fd = -1;
	int rc = ol_mkdirs(dir_fd, "lazy", 0700, err);

	if (rc == OL_OK)
		rc = ol_dir_open(dir_fd, "lazy", &lazy_fd, err);
	for (size_t i = 0; rc == OL_OK && i < sizeof names / sizeof *names; i++)
		if (renameat(dir_fd, names[i], lazy_fd, names[i]) < 0 && errno != ENOENT)
			rc = ol_fail_sys(err, "move %s", names[i]);
	if (rc == OL_OK)
		rc = write_source(job, lazy_fd, err);
	return rc < 0 ? rc
		      : ol_lazy_put(job->work->pull->incoming.session->store, &job->layer->diff_id,
				lazy_fd, err);
}

static int put_layer(const struct job *job, int dir_fd, const ol_lazy_built *built, ol_error *err)
{
	const ol_pull_state *pull = job->work->pull;
	const ol_ref_string origin = ol_ref_name(&pull->ref);
	ol_layer_info info = {
		.key = job->layer->diff_id,
		.diff_id = job->layer->diff_id,
		.driver = OL_LAZY_DRIVER,
		.leans = built->built.leans,
		.tar_bytes = built->tar_bytes,
		.disk_bytes = built->built.disk_bytes,
		.entries = built->built.entries,
		.blob = job->layer->blob->digest,
		.blob_size = job->layer->blob->size,
		.index_digest = built->built.index_digest,
	};

	(void)snprintf(info.media_type, sizeof info.media_type, "%s", job->layer->blob->media_type);
	(void)snprintf(info.origin, sizeof info.origin, "%s", origin.text);
	return ol_layer_put(pull->incoming.session->store, &info, dir_fd, "index.erofs", err);
}

static int build(const struct job *job, const ol_lazy_toc *toc, ol_error *err)
{
	ol_session *session = job->work->pull->incoming.session;
	ol_auto(ol_draft_close) ol_draft *draft = NULL;
	ol_lazy_built built = { 0 };
	ol_lazy_build_options options = {
		.blob = job->layer->blob->digest,
		.diff_id = job->layer->diff_id,
		.blob_size = job->layer->blob->size,
	};
	int rc = ol_draft_open(session->store, &draft, err);

	if (rc < 0)
		return rc;
	options.builder = ol_session_builder(session, ol_draft_dir_fd(draft));
	rc = ol_lazy_build(&options, toc, &built, err);
	if (rc == OL_OK)
		rc = put_beside(job, ol_draft_dir_fd(draft), err);
	return rc < 0 ? rc : put_layer(job, ol_draft_dir_fd(draft), &built, err);
}

static int make(struct job *job, const ol_toc_ask *ask, const ol_toc_choice *choice, ol_error *err)
{
	const bool heavy = ol_toc_weight(ask, choice) > WEIGHT_MAX;
	const ol_lazy_blob_wait wait = { .index = job->index, .done = is_there, .ctx = job };
	ol_lazy_blob blob;
	ol_toc_got got = { 0 };
	int rc;

	ol_lazy_early_wait(job->work->pull->early, &job->layer->blob->digest);
	rc = ol_lazy_blob_open(&blob, job->work->pull, job->layer->blob, &wait, err);

	if (rc < 0)
		return rc;
	if (heavy)
		pthread_mutex_lock(&job->work->heavy);
	rc = ol_toc_get(ask, choice, &blob, &got, err);
	if (rc == OL_OK)
		rc = build(job, &got.toc, err);
	ol_toc_got_done(&got);
	if (heavy)
		pthread_mutex_unlock(&job->work->heavy);
	job->layer->present = ol_ingest_present(blob.ingest);
	ol_lazy_blob_close(&blob);
	return rc;
}

static int lease_layer(const struct job *job, ol_error *err)
{
	ol_lease *lease = job->work->pull->incoming.lease;
	int rc = ol_lease_add(lease, &job->layer->diff_id, err);

	return rc < 0 ? rc : ol_lease_add(lease, &job->layer->blob->digest, err);
}

/* Reasons to pull a layer whole; all else ends the pull. */
static bool is_reason(int rc)
{
	return rc == OL_ENOTFOUND || rc == OL_EUNSUPPORTED || rc == OL_ECORRUPT || rc == OL_ELIMIT;
}

/* Outcomes but WHOLE, SMALL and UNBOUND come with OL_OK. */
static int try_lazy(struct job *job, ol_error *err)
{
	ol_store *store = job->work->pull->incoming.session->store;
	const ol_toc_ask ask = { job->work->pull, job->layer->blob, job->layer->diff_id, job->ztoc,
		&job->work->external };
	ol_toc_choice choice;
	int rc;

	if (ol_layer_is_usable(store, &job->layer->diff_id, NULL)) {
		job->outcome = THERE;
		return OL_OK;
	}
	if (ol_layer_is_lazy(store, &job->layer->diff_id)) {
		job->outcome = LAZY;
		return OL_OK;
	}
	if (job->layer->blob->size <= OL_LAZY_BLOB_BYTES_MIN) {
		job->outcome = SMALL;
		return ol_fail(err, OL_EUNSUPPORTED,
			"it is not larger than its table of contents is worth");
	}
	rc = ol_toc_choose(&ask, &choice, err);
	job->outcome = rc == OL_ENOTFOUND ? UNBOUND : WHOLE;
	if (rc == OL_OK)
		rc = make(job, &ask, &choice, err);
	if (rc == OL_EEXISTS) /* by another process */
		job->outcome = ol_layer_is_lazy(store, &job->layer->diff_id) ? LAZY : THERE;
	else if (rc == OL_OK)
		job->outcome = LAZY;
	return rc == OL_EEXISTS ? OL_OK : rc;
}

static int take(struct job *job, ol_error *err)
{
	ol_error why = { 0 };
	int rc = lease_layer(job, &why);

	if (rc == OL_OK)
		rc = try_lazy(job, &why);
	if (rc == OL_OK)
		return OL_OK;
	if (!is_reason(rc) || job->outcome == PENDING) {
		if (err)
			*err = why;
		return rc;
	}
	job->harmful = rc == OL_ECORRUPT || rc == OL_ELIMIT;
	(void)snprintf(job->why, sizeof job->why, "%.*s", (int)sizeof job->why - 1, why.text);
	return OL_OK;
}

/* What is known of the start is fetched while other layers are still built. */
static void prefetch(struct work *work)
{
	if (work->pull->options->lazy->no_fill)
		return;
	ol_lazy_profiles_wait(&work->profiles);
	(void)ol_lazy_wake(work->pull->incoming.session->store);
}

static int work_off(void *ctx, size_t number, ol_error *err)
{
	struct work *work = ctx;
	struct job *job = &work->jobs[number];
	int rc = ol_cancel_check(work->pull->incoming.session->options.cancel, err);

	if (rc == OL_OK)
		rc = take(job, err);
	if (rc < 0)
		return ol_wrap(
			err, rc, "layer %s", ol_digest_format(&job->layer->blob->digest).text);
	job->layer->lazy = job->outcome == LAZY;
	if (!job->layer->lazy)
		return OL_OK;
	tell(job, OL_LAYER_LAZY);
	prefetch(work);
	return OL_OK;
}

/* One line for all where none can be lazy, and no more is to be said of each; else one for each. */
static void say_why(const struct work *work)
{
	const ol_listener *listener = &work->pull->incoming.session->options.listener;
	size_t small = 0, unbound = 0, there = 0;

	for (size_t i = 0; i < work->count; i++) {
		small += work->jobs[i].outcome == SMALL;
		unbound += work->jobs[i].outcome == UNBOUND;
		there += work->jobs[i].outcome == THERE;
	}
	if (small + unbound > 0 && small + unbound + there == work->count) {
		ol_tell_text(listener, OL_EVENT_NOTE, "%.255s cannot be lazy: %s",
			work->pull->options->ref,
			unbound ? "none of its layers has a table of contents bound to its "
				  "manifest; `orlop index create` makes one"
				: "its layers are not larger than a table of contents is worth");
		return;
	}
	for (size_t i = 0; i < work->count; i++) {
		const struct job *job = &work->jobs[i];

		if (*job->why)
			ol_tell_text(listener, job->harmful ? OL_EVENT_WARNING : OL_EVENT_NOTE,
				"layer %s is pulled whole: %s",
				ol_digest_short(&job->layer->blob->digest).text, job->why);
	}
}

/* Whether some layer needs to know of the image's SOCI index: it costs a request. */
static bool wants_soci(const struct work *work, const ol_incoming_image *image)
{
	ol_store *store = work->pull->incoming.session->store;

	for (size_t i = 0; i < work->count; i++) {
		const ol_pull_layer *layer = work->jobs[i].layer;
		const ol_toc_ask ask = { work->pull, layer->blob, layer->diff_id, NULL, NULL };
		ol_toc_choice choice;

		if (ol_digest_eq(&layer->manifest, &image->manifest) &&
			layer->blob->size > OL_LAZY_BLOB_BYTES_MIN && !is_there(&work->jobs[i]) &&
			!ol_layer_is_usable(store, &layer->diff_id, NULL) &&
			ol_toc_choose(&ask, &choice, NULL) == OL_ENOTFOUND)
			return true;
	}
	return false;
}

/* Each image's index, where one is wanted; found: one for each image. */
static int find_soci(struct work *work, ol_soci_found *found, ol_error *err)
{
	ol_incoming *incoming = &work->pull->incoming;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < incoming->count; i++) {
		if (!wants_soci(work, &incoming->images[i]))
			continue;
		rc = ol_lazy_soci_find(work->pull, &incoming->images[i], &found[i], err);
		for (size_t k = 0; rc == OL_OK && k < work->count; k++)
			if (ol_digest_eq(
				    &work->jobs[k].layer->manifest, &incoming->images[i].manifest))
				work->jobs[k].ztoc = ol_soci_found_ztoc(
					&found[i], &work->jobs[k].layer->blob->digest);
	}
	return rc;
}

/* Why nothing can be lazy here; "" when it can. */
static int look_at_engine(ol_pull_state *pull, char why[256], ol_error *err)
{
	ol_session *session = pull->incoming.session;
	const char *want = pull->options->lazy->engine;
	const ol_lazy_engine *engine;
	char reason[256], held[16];
	ol_error refusal = { 0 };
	int rc;

	why[0] = '\0';
	if (strcmp(pull->driver->name, "erofs") != 0) {
		(void)snprintf(why, 256, "it takes the driver erofs, and here %s is used (%.150s)",
			pull->driver->name, session->driver_why);
		return OL_OK;
	}
	if (ol_lazy_engine_of(session->store, held, NULL) == OL_OK) {
		if (want && strcmp(want, held) != 0)
			ol_tell_text(&session->options.listener, OL_EVENT_WARNING,
				"the engine %s is in use: %.32s counts when no lazy layer is "
				"mounted any more",
				held, want);
		return OL_OK;
	}
	rc = ol_lazy_engine_choose(
		ol_store_root_fd(session->store), want, &engine, reason, &refusal);
	if (rc == OL_EUNSUPPORTED) {
		(void)snprintf(why, 256, "%.255s", refusal.text);
		return OL_OK;
	}
	if (rc < 0 && err)
		*err = refusal;
	return rc;
}

/* Whether a holder will be wanted: most likely. */
static bool may_be_lazy(const ol_pull_state *pull)
{
	ol_toc_binding binding;

	for (size_t i = 0; i < pull->layer_count; i++)
		if (pull->layers[i].blob->size > OL_LAZY_BLOB_BYTES_MIN &&
			ol_toc_binding_of(pull->layers[i].blob, &binding, NULL) == OL_OK)
			return true;
	return false;
}

static void *start_holder(void *arg)
{
	const ol_pull_state *pull = arg;

	ol_lazy_start_early(pull->incoming.session, pull->options->lazy->engine);
	return NULL;
}

int ol_pull_lazy(ol_pull_state *pull, ol_error *err)
{
	const size_t images = pull->incoming.count;
	ol_autofree struct job *jobs = ol_alloc_array(pull->layer_count + 1, sizeof *jobs);
	ol_autofree ol_soci_found *found = ol_alloc_array(images + 1, sizeof *found);
	struct work work = { .pull = pull, .jobs = jobs, .count = pull->layer_count };
	pthread_t holder;
	bool starts;
	char why[256];
	int rc = look_at_engine(pull, why, err);

	if (rc < 0)
		return rc;
	if (*why) {
		ol_tell_text(&pull->incoming.session->options.listener, OL_EVENT_NOTE,
			"%.255s is pulled whole: %s", pull->options->ref, why);
		return OL_OK;
	}
	for (size_t i = 0; i < work.count; i++) {
		jobs[i] = (struct job){
			.work = &work, .layer = &pull->layers[i], .index = (unsigned)i
		};
		tell(&jobs[i], OL_LAYER_WAITING);
	}
	pthread_mutex_init(&work.heavy, NULL);
	ol_lazy_external_init(&work.external);
	starts = may_be_lazy(pull) && pthread_create(&holder, NULL, start_holder, pull) == 0;
	rc = find_soci(&work, found, err);
	if (rc == OL_OK) {
		ol_lazy_profiles_begin(&work.profiles, pull, found);
		rc = ol_crew_run(&(ol_crew){ .jobs = work.count,
					 .at_once = LAZIES_AT_ONCE,
					 .work = work_off,
					 .ctx = &work },
			err);
		ol_lazy_profiles_end(&work.profiles);
	}
	if (starts)
		(void)pthread_join(holder, NULL);
	if (rc == OL_OK)
		say_why(&work);
	ol_lazy_external_done(&work.external);
	pthread_mutex_destroy(&work.heavy);
	for (size_t i = 0; i < images; i++)
		ol_soci_found_done(&found[i]);
	return rc;
}
