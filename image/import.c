/*
 * A root file system becomes an image of one layer:
 *
 *	take      the tar as it comes, into the store. gzip and zstd are kept so; for xz and bzip2
 *	          layers have no media type, so they are unwrapped
 *	describe  config (--change) and manifest: they follow from layer, options and time
 *	keep      chains, then all of it on disk, then the name
 *
 * Its bytes exist nowhere else: the image is marked as imported.
 */
#include "image/import.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/archive_reader_priv.h"
#include "image/change_priv.h"
#include "image/incoming_priv.h"
#include "image/input_priv.h"
#include "image/layer_take_priv.h"
#include "store/blob.h"
#include "store/gc.h"

#define HEAD_BYTES 6

struct importing {
	ol_incoming incoming;
	const ol_import_options *options; /* lent */
	ol_layer_taken layer;
	uint64_t size; /* of the input; 0: not known */
};

/* ------------------------------------------------------------------------- the layer -- */

/* A reader whose first bytes were looked at. */
struct peeked {
	ol_reader reader;
	ol_reader *from; /* lent */
	unsigned char head[HEAD_BYTES];
	size_t at, size; /* of head */
};

static int peeked_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct peeked *self = (struct peeked *)reader;
	size_t left = self->size - self->at;

	if (left == 0)
		return ol_reader_read(self->from, data, size, got, err);
	*got = size < left ? size : left;
	memcpy(data, self->head + self->at, *got);
	self->at += *got;
	return OL_OK;
}

static void peeked_close(ol_reader *reader)
{
	(void)reader;
}

static int peek(struct peeked *self, ol_error *err)
{
	size_t got = 1;
	int rc = OL_OK;

	while (rc == OL_OK && got > 0 && self->size < HEAD_BYTES) {
		rc = ol_reader_read(
			self->from, self->head + self->size, HEAD_BYTES - self->size, &got, err);
		self->size += rc == OL_OK ? got : 0;
	}
	if (rc == OL_OK && self->size == 0)
		return ol_fail(err, OL_ECORRUPT, "there is nothing in it");
	return rc;
}

/* No media type of a layer says these. */
static bool is_foreign(const struct peeked *self)
{
	static const unsigned char xz[] = { 0xfd, '7', 'z', 'X', 'Z', 0 };

	return (self->size >= sizeof xz && memcmp(self->head, xz, sizeof xz) == 0) ||
	       (self->size >= 3 && memcmp(self->head, "BZh", 3) == 0);
}

static void on_bytes(void *ctx, uint64_t bytes)
{
	const struct importing *import = ctx;

	ol_tell(&import->incoming.session->options.listener,
		&(ol_event){ .kind = OL_EVENT_PROGRESS,
			.text = "Importing",
			.done = bytes,
			.total = import->size > bytes ? import->size : 0 });
}

static int take_layer(struct importing *import, int fd, ol_error *err)
{
	static const ol_reader_ops ops = { peeked_read, peeked_close };
	ol_auto(ol_reader_close) ol_reader *input =
		ol_input_reader(fd, import->incoming.session->options.cancel);
	ol_auto(ol_reader_close) ol_reader *unwrapped = NULL;
	struct peeked peeked = { .reader = { &ops }, .from = input };
	const ol_layer_take_options options = { .progress = on_bytes, .ctx = import };
	int rc = peek(&peeked, err);

	if (rc == OL_OK && is_foreign(&peeked)) {
		import->size = 0; /* what is counted is the tar */
		rc = ol_unwrap(&peeked.reader, &unwrapped, err);
	}
	if (rc == OL_OK)
		rc = ol_layer_take(&import->incoming, unwrapped ? unwrapped : &peeked.reader,
			&options, &import->layer, err);
	ol_tell(&import->incoming.session->options.listener,
		&(ol_event){
			.kind = OL_EVENT_PROGRESS, .text = "Importing", .done = 1, .total = 1 });
	return rc;
}

/* --------------------------------------------------------------------- the documents -- */

/* Now, or where builds are to be the same each time, SOURCE_DATE_EPOCH
 * (reproducible-builds.org). */
static int created_now(ol_time_text *out, ol_error *err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct timespec now = { .tv_sec = ol_unix_now() };

	if (epoch && *epoch) {
		size_t size = strlen(epoch);
		long long value = size <= 12 && strspn(epoch, "0123456789") == size
					  ? strtoll(epoch, NULL, 10)
					  : -1;

		if (value < 0 || value > OL_TIME_MAX)
			return ol_fail(err, OL_EINVAL,
				"SOURCE_DATE_EPOCH is \"%.40s\", not seconds since 1970", epoch);
		now.tv_sec = (time_t)value;
	}
	*out = ol_time_format(&now);
	return OL_OK;
}

static ol_platform platform_of(const ol_import_options *options)
{
	ol_platform platform = options->platform ? *options->platform : ol_platform_host();

	/* What this machine's processor has more is not what the files need. */
	if (!options->platform && strcmp(platform.architecture, "amd64") == 0)
		platform.variant[0] = '\0';
	return platform;
}

static ol_json *history_json(const ol_import_options *options, const char *created)
{
	ol_autofree char *ours = ol_text(
		"Imported from %s", ol_input_is_stdin(options->input) ? "-" : options->input);
	ol_json *entry = ol_json_object(), *list = ol_json_array();

	ol_json_set_text(entry, "created", created);
	ol_json_set_text(entry, "comment", options->message ? options->message : ours);
	ol_json_push(list, entry);
	return list;
}

static int make_config(const struct importing *import, ol_json **out, ol_error *err)
{
	const ol_import_options *options = import->options;
	const ol_platform platform = platform_of(options);
	ol_auto(ol_json_free) ol_json *json = ol_json_object();
	ol_json *rootfs = ol_json_object(), *diff_ids = ol_json_array();
	ol_time_text created;
	int rc = created_now(&created, err);

	ol_json_push(diff_ids, ol_json_string(ol_digest_format(&import->layer.diff_id).text));
	ol_json_set_text(rootfs, "type", "layers");
	ol_json_set(rootfs, "diff_ids", diff_ids);
	ol_json_set(json, "rootfs", rootfs);
	if (rc < 0)
		return rc;
	ol_json_set_text(json, "created", created.text);
	ol_json_set_text(json, "os", platform.os);
	ol_json_set_text(json, "architecture", platform.architecture);
	if (*platform.variant)
		ol_json_set_text(json, "variant", platform.variant);
	ol_json_set(json, "config", ol_json_object());
	ol_json_set(json, "history", history_json(options, created.text));
	for (const char *const *c = options->changes; c && *c; c++) {
		rc = ol_change_apply(json, *c, err);
		if (rc < 0)
			return ol_wrap(err, rc, "--change \"%.100s\"", *c);
	}
	*out = ol_steal(&json);
	return OL_OK;
}

static ol_json *make_manifest(const struct importing *import, const ol_resolved *config)
{
	const ol_layer_taken *layer = &import->layer;
	ol_json *json = ol_json_object(), *layers = ol_json_array();

	ol_json_push(layers, ol_descriptor_json(ol_media_oci_layer(layer->compression),
				     &layer->blob, layer->blob_size));
	ol_json_set_int(json, "schemaVersion", 2);
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_MANIFEST);
	ol_json_set(json, "config",
		ol_descriptor_json(config->media_type, &config->digest, config->size));
	ol_json_set(json, "layers", layers);
	return json;
}

static int get_config(void *ctx, const ol_descriptor *descriptor, ol_config **out, ol_error *err)
{
	const struct importing *import = ctx;

	return ol_config_load(import->incoming.session->store, &descriptor->digest, out, err);
}

static int describe(struct importing *import, ol_digest *config, ol_error *err)
{
	ol_resolved *resolved = &import->incoming.resolved;
	ol_resolved made = { 0 };
	ol_document *document = NULL;
	ol_json *json = NULL;
	int rc = make_config(import, &json, err);

	if (rc == OL_OK)
		rc = ol_incoming_put(
			&import->incoming, json, OL_MEDIA_OCI_CONFIG, true, &made, err);
	if (rc == OL_OK)
		rc = ol_incoming_put(&import->incoming, make_manifest(import, &made),
			OL_MEDIA_OCI_MANIFEST, true, resolved, err);
	if (rc < 0)
		return rc;
	*config = made.digest;
	rc = ol_document_load(
		import->incoming.session->store, &resolved->digest, NULL, &document, err);
	return rc < 0 ? rc
		      : ol_incoming_add(&import->incoming, &resolved->digest, document, NULL,
				&(ol_incoming_source){ get_config, import }, err);
}

/* ------------------------------------------------------------------------- the story -- */

/* What a mistake in the options would only show once the whole tar was read. */
static int check_options(const struct importing *import, ol_ref *ref, ol_error *err)
{
	const ol_import_options *options = import->options;
	ol_json *json = NULL;
	int rc = OL_OK;

	if (options->name)
		rc = ol_ref_parse(options->name, ref, err);
	if (rc == OL_OK && options->name && ol_digest_is_set(&ref->digest))
		rc = ol_fail(err, OL_EINVAL, "cannot import digest reference");
	if (rc == OL_OK)
		rc = make_config(import, &json, err);
	ol_json_free(json);
	return rc;
}

static int open_input(struct importing *import, int *out, ol_error *err)
{
	const char *input = import->options->input;
	struct stat st;
	int rc = ol_input_open(input, out, &st, err);

	if (rc < 0)
		return rc;
	if (S_ISDIR(st.st_mode)) {
		ol_fail(err, OL_EINVAL, "is a folder, not a tar");
		return ol_hint(err, OL_EINVAL, "tar -C %.80s -c . | orlop import -", input);
	}
	import->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	return OL_OK;
}

static int run(struct importing *import, int fd, ol_digest *config, ol_error *err)
{
	const ol_session *session = import->incoming.session;
	ol_keep_as as = {
		.name = "", .repo = "", .imported = true, .pinned = import->options->pin
	};
	ol_ref ref = { 0 };
	ol_ref_string name;
	int rc = check_options(import, &ref, err);

	if (rc == OL_OK)
		rc = take_layer(import, fd, err);
	if (rc == OL_OK)
		rc = describe(import, config, err);
	if (rc == OL_OK)
		rc = ol_incoming_chains(&import->incoming, err);
	/* On disk before it has a name, and the name too before success is told. */
	if (rc == OL_OK)
		rc = ol_store_sync(session->store, session->options.cancel, err);
	if (rc < 0)
		return rc;
	if (import->options->name) {
		name = ol_ref_format(&ref);
		as.name = name.text;
	}
	rc = ol_incoming_keep(&import->incoming, &as, err);
	return rc < 0 ? rc : ol_store_sync(session->store, session->options.cancel, err);
}

int ol_import(
	ol_session *session, const ol_import_options *options, ol_digest *config, ol_error *err)
{
	struct importing import = { .incoming = { .session = session }, .options = options };
	ol_autofd int fd = -1;
	int rc = open_input(&import, &fd, err);

	if (rc == OL_OK)
		rc = ol_lease_begin(session->store, "import", &import.incoming.lease, err);
	if (rc == OL_OK)
		rc = run(&import, fd, config, err);
	ol_incoming_done(&import.incoming);
	/* What came in and is part of no image is not left to take up the disk. */
	if (rc < 0 && ol_digest_is_set(&import.layer.diff_id))
		(void)ol_gc(session->store, NULL, &(ol_gc_result){ 0 }, NULL);
	return rc < 0 ? ol_wrap(err, rc, "cannot import %.255s", ol_input_name(options->input))
		      : OL_OK;
}
