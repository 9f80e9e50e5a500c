/*
 * A SOCI index of an image, as a story:
 *
 *	subject  which manifest, and where its layers are         index_subject.c
 *	layers   each read once, several at a time ─▶ ztocs       here
 *	keep     the index document, and that all of it stays     index_keep.c
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crew.h"
#include "base/hashed_file.h"
#include "image/index_priv.h"
#include "snapshot/ztoc_make.h"
#include "store/attached.h"
#include "store/draft.h"

#define THREADS_MAX       4 /* the slowest stage is inflating */
#define PROGRESS_EVERY_MS 50
#define SMALL             "it is small"
#define TWICE             "it is there twice"

struct work {
	ol_session *session;
	const ol_index_options *options;
	const ol_index_subject *subject;
	ol_indexed *out;
	ol_lease *lease;
	ol_draft *draft;
	ol_cancel *stop; /* owned: the first failure fires it */
};

struct job {
	struct work *work;
	const ol_descriptor *blob;
	ol_index_layer *layer;
	size_t number;
	uint64_t told_ms;
};

static void tell(const struct job *job, ol_layer_state state, uint64_t done)
{
	ol_tell(&job->work->session->options.listener,
		&(ol_event){ .kind = OL_EVENT_LAYER,
			.state = state,
			.digest = job->blob->digest,
			.done = done,
			.total = job->blob->size,
			.layer = (unsigned)job->number,
			.layers = (unsigned)job->work->out->layer_count });
}

static void on_progress(void *ctx, uint64_t bytes)
{
	struct job *job = ctx;
	const uint64_t now = ol_now_ms();

	if (ol_cancel_fired(job->work->session->options.cancel))
		ol_cancel_fire(job->work->stop);
	if (now - job->told_ms < PROGRESS_EVERY_MS)
		return;
	job->told_ms = now;
	tell(job, OL_LAYER_FETCHING, bytes);
}

static int make_into(struct job *job, ol_reader *reader, ol_hashed_file *file, ol_error *err)
{
	const struct work *work = job->work;
	const ol_ztoc_make_options options = {
		.compression = job->blob->media.compression,
		.blob = job->blob->digest,
		.diff_id = work->subject->config->diff_ids[job->number],
		.blob_size = job->blob->size,
		.span_bytes =
			work->options->span_bytes ? work->options->span_bytes : OL_INDEX_SPAN_BYTES,
		.tool = OL_INDEX_TOOL,
		.temp_fd = ol_draft_dir_fd(work->draft),
		.cancel = work->stop,
		.progress = on_progress,
		.ctx = job,
	};

	return ol_ztoc_make(reader, &options, &file->sink, err);
}

static int make_file(struct job *job, const char *name, ol_hashed_file *file, ol_error *err)
{
	struct work *work = job->work;
	ol_reader *reader = NULL;
	ol_ref ref = { 0 };
	int rc = ol_index_layer_open(work->session, work->subject, job->number, &ref, &reader, err);

	if (rc < 0)
		return rc;
	rc = ol_hashed_file_open(ol_draft_dir_fd(work->draft), name, file, err);
	if (rc == OL_OK)
		rc = make_into(job, reader, file, err);
	ol_reader_close(reader);
	return rc;
}

static int keep_file(struct job *job, const char *name, ol_hashed_file *file, ol_error *err)
{
	struct work *work = job->work;
	int rc;

	job->layer->ztoc = ol_hashed_file_digest(file);
	job->layer->ztoc_size = file->size;
	rc = ol_lease_add(work->lease, &job->layer->ztoc, err);
	if (rc == OL_OK)
		rc = ol_blob_adopt(work->session->store, &job->layer->ztoc, file->size,
			ol_draft_dir_fd(work->draft), name, err);
	return rc;
}

static int make_ztoc(struct job *job, ol_error *err)
{
	ol_hashed_file file = { .hasher = NULL };
	char name[32];
	int rc;

	(void)snprintf(name, sizeof name, "ztoc-%zu", job->number);
	rc = make_file(job, name, &file, err);
	if (rc == OL_OK)
		rc = keep_file(job, name, &file, err);
	ol_hashed_file_done(&file);
	return rc;
}

/* Why this layer is not even looked at; NULL: it is. */
static const char *skip(const struct job *job)
{
	const ol_descriptor *blob = job->blob;

	if (blob->size < job->work->options->min_layer_bytes)
		return SMALL;
	if (blob->media.kind != OL_MEDIA_LAYER || blob->media.encrypted)
		return "its media type is not one of a layer's that can be read";
	if (blob->media.compression == OL_COMPRESSION_ZSTD)
		return "it is compressed with zstd";
	for (size_t i = 0; i < job->number; i++)
		if (ol_digest_eq(&job->work->subject->document->layers[i].digest, &blob->digest))
			return TWICE;
	return NULL;
}

/* A ztoc that was made before, here or while the layer was pulled. */
static bool reuse(struct job *job)
{
	const struct work *work = job->work;
	ol_blob_info info;
	ol_digest ztoc;

	if (!work->subject->in_store || work->options->span_bytes ||
		ol_attached(work->session->store, &work->subject->config->diff_ids[job->number],
			ol_ztoc_kind_of(&job->blob->digest).text, &ztoc, NULL) < 0 ||
		ol_lease_add(work->lease, &ztoc, NULL) < 0 ||
		!ol_blob_exists(work->session->store, &ztoc) ||
		ol_blob_stat(work->session->store, &ztoc, &info, NULL) < 0)
		return false;
	job->layer->ztoc = ztoc;
	job->layer->ztoc_size = info.size;
	job->layer->existed = true;
	return true;
}

static void pass_over(struct job *job, const char *why)
{
	(void)snprintf(job->layer->why, sizeof job->layer->why, "%s", why);
}

static int index_layer(struct job *job, ol_error *err)
{
	const char *why = skip(job);
	ol_error refusal = { 0 };
	int rc;

	if (why) {
		pass_over(job, why);
		return OL_OK;
	}
	if (reuse(job)) {
		tell(job, OL_LAYER_EXISTS, job->blob->size);
		return OL_OK;
	}
	tell(job, OL_LAYER_FETCHING, 0);
	rc = make_ztoc(job, &refusal);
	if (rc < 0 && rc != OL_EUNSUPPORTED) {
		*err = refusal;
		tell(job, OL_LAYER_FAILED, 0);
		return ol_wrap(err, rc, "layer %s", ol_digest_short(&job->blob->digest).text);
	}
	if (rc == OL_EUNSUPPORTED)
		pass_over(job, refusal.text);
	tell(job, OL_LAYER_COMPLETE, job->blob->size);
	return OL_OK;
}

static int work_off(void *ctx, size_t number, ol_error *err)
{
	struct work *work = ctx;
	struct job job = { .work = work,
		.blob = &work->subject->document->layers[number],
		.layer = &work->out->layers[number],
		.number = number };

	return index_layer(&job, err);
}

static int index_layers(struct work *work, ol_error *err)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);
	const ol_crew crew = { .jobs = work->out->layer_count,
		.at_once = processors < 1             ? 1
			   : processors > THREADS_MAX ? THREADS_MAX
						      : (size_t)processors,
		.work = work_off,
		.ctx = work,
		.stop = work->stop };

	return ol_crew_run(&crew, err);
}

static void fill_layers(const ol_index_subject *subject, ol_indexed *out)
{
	out->manifest = subject->manifest;
	out->platform = subject->config->platform;
	out->in_store = subject->in_store;
	out->layer_count = subject->document->layer_count;
	out->layers = ol_alloc_array(out->layer_count + 1, sizeof *out->layers);
	for (size_t i = 0; i < out->layer_count; i++) {
		out->layers[i].layer = subject->document->layers[i].digest;
		out->layers[i].layer_size = subject->document->layers[i].size;
		out->layers[i].media_type = subject->document->layers[i].media_type;
	}
}

/* Why a layer has none is said aloud, but that small ones have none is as it should be. */
static void tell_passed_over(ol_session *session, const ol_indexed *indexed)
{
	size_t small = 0;

	for (size_t i = 0; i < indexed->layer_count; i++) {
		const ol_index_layer *layer = &indexed->layers[i];

		if (strcmp(layer->why, SMALL) == 0)
			small++;
		else if (*layer->why && strcmp(layer->why, TWICE) != 0)
			ol_tell_text(&session->options.listener, OL_EVENT_NOTE,
				"layer %s has no index: %s", ol_digest_short(&layer->layer).text,
				layer->why);
	}
	if (small)
		ol_tell_text(&session->options.listener, OL_EVENT_NOTE,
			"%zu small layer%s without an index: they are pulled whole", small,
			small == 1 ? "" : "s");
}

static int check_any(ol_session *session, const ol_indexed *indexed, ol_error *err)
{
	tell_passed_over(session, indexed);
	for (size_t i = 0; i < indexed->layer_count; i++)
		if (ol_digest_is_set(&indexed->layers[i].ztoc))
			return OL_OK;
	ol_fail(err, OL_EUNSUPPORTED, "no layer of it can be indexed, or is large enough");
	return ol_hint(err, OL_EUNSUPPORTED,
		"--min-layer-size says how large; zstd layers can be "
		"lazy by `orlop convert --zstd-chunked`");
}

static int create(ol_session *session, const ol_index_options *options,
	const ol_index_subject *subject, ol_indexed *out, ol_error *err)
{
	ol_auto(ol_draft_close) ol_draft *draft = NULL;
	ol_auto(ol_lease_end) ol_lease *lease = NULL;
	ol_auto(ol_cancel_free) ol_cancel *stop = ol_cancel_new();
	struct work work = {
		.session = session, .options = options, .subject = subject, .out = out, .stop = stop
	};
	int rc = ol_draft_open(session->store, &draft, err);

	if (rc == OL_OK)
		rc = ol_lease_begin(session->store, "index create", &lease, err);
	if (rc < 0)
		return rc;
	work.draft = draft;
	work.lease = lease;
	rc = index_layers(&work, err);
	if (rc == OL_OK)
		rc = check_any(session, out, err);
	return rc < 0 ? rc : ol_index_keep(session, subject, options, out, lease, err);
}

void ol_indexed_done(ol_indexed *indexed)
{
	free(indexed->layers);
	ol_document_free(indexed->document);
	*indexed = (ol_indexed){ 0 };
}

int ol_index_create(
	ol_session *session, const ol_index_options *options, ol_indexed *out, ol_error *err)
{
	ol_index_subject subject = { 0 };
	ol_indexed indexed = { 0 };
	int rc = ol_index_subject_find(session, options->ref, options->platform, &subject, err);

	if (rc == OL_OK) {
		ol_tell(&session->options.listener, &(ol_event){ .kind = OL_EVENT_RESOLVED,
							    .digest = subject.manifest,
							    .text = options->ref });
		fill_layers(&subject, &indexed);
		rc = create(session, options, &subject, &indexed, err);
		indexed.document = ol_steal(&subject.document);
	}
	ol_index_subject_done(&subject);
	if (rc < 0) {
		ol_indexed_done(&indexed);
		return ol_wrap(err, rc, "cannot index %.255s", options->ref);
	}
	*out = indexed;
	return OL_OK;
}
