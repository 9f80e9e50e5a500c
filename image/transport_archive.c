/*
 * Files and folders that images are written to, and archives on their way through the store.
 *
 *	oci:DIR[:NAME]           blobs one by one, index.json at the end: what was there stays
 *	oci-archive:FILE[:NAME]  the same as a tar, which appears whole
 *	docker-archive:FILE      save and load
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/archive_writer_priv.h"
#include "image/blob_path_priv.h"
#include "image/load.h"
#include "image/save.h"
#include "image/transport_priv.h"
#include "store/name.h"

#define NAME_KEY "org.opencontainers.image.ref.name"
/* Of a layout that is added to. */
#define LISTING_BYTES_MAX ((size_t)64 << 20)

struct archive {
	ol_destination destination;
	ol_archive_writer *writer; /* owned */
	char *path, *name;         /* owned; name "" where it has none */
	bool is_dir;
	ol_resolved root;
};

static const char *get_domain(ol_destination *destination)
{
	(void)destination;
	return "";
}

static int put_blob(
	ol_destination *destination, const ol_shipment *shipment, ol_arrival *out, ol_error *err)
{
	struct archive *archive = (struct archive *)destination;
	ol_blob_path path = ol_blob_path_of(&shipment->blob->digest);
	ol_cargo *cargo = NULL;
	ol_reader *reader;
	int rc;

	*out = OL_ARRIVED_BEFORE;
	if (ol_archive_writer_has(archive->writer, path.text))
		return OL_OK;
	rc = shipment->open(shipment->ctx, &cargo, err);
	if (rc < 0)
		return rc;
	reader = ol_cargo_reader(cargo, shipment->blob->size);
	rc = ol_archive_writer_add(archive->writer, path.text, shipment->blob->size, reader, err);
	ol_reader_close(reader);
	if (rc == OL_OK) {
		*out = OL_ARRIVED_SENT;
		shipment->progress(shipment->ctx, shipment->blob->size);
	}
	return rc;
}

static int put_document(
	ol_destination *destination, const ol_resolved *is, ol_view bytes, bool root, ol_error *err)
{
	struct archive *archive = (struct archive *)destination;
	ol_blob_path path = ol_blob_path_of(&is->digest);

	if (root)
		archive->root = *is;
	if (ol_archive_writer_has(archive->writer, path.text))
		return OL_OK;
	return ol_archive_writer_add_bytes(archive->writer, path.text, bytes, err);
}

/* index.json of the layout that is added to; nothing where there is none. */
static int read_existing(const struct archive *archive, ol_json **out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(LISTING_BYTES_MAX);
	ol_autofree char *file = ol_text("%s/index.json", archive->path);
	int rc = archive->is_dir ? ol_file_read(AT_FDCWD, file, true, &bytes, err) : OL_ENOTFOUND;

	if (rc == OL_ENOTFOUND)
		return OL_OK;
	if (rc == OL_OK)
		rc = ol_json_parse(ol_buf_view(&bytes), out, err);
	return rc < 0 ? ol_wrap(err, rc, "%.200s", file) : OL_OK;
}

static ol_json *entry_json(const struct archive *archive)
{
	ol_json *entry = ol_descriptor_json(
		archive->root.media_type, &archive->root.digest, archive->root.size);

	if (*archive->name) {
		ol_json *annotations = ol_json_object();

		ol_json_set_text(annotations, NAME_KEY, archive->name);
		ol_json_set(entry, "annotations", annotations);
	}
	return entry;
}

/* A name means one image; one without a name is listed once. */
static bool is_replaced(const struct archive *archive, const ol_json *entry)
{
	const char *name = ol_json_text(ol_json_get(ol_json_get(entry, "annotations"), NAME_KEY));
	const char *digest = ol_json_text(ol_json_get(entry, "digest"));

	if (*archive->name)
		return name && strcmp(name, archive->name) == 0;
	return !name && digest && strcmp(digest, ol_digest_format(&archive->root.digest).text) == 0;
}

static int write_index(struct archive *archive, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *existing = NULL;
	ol_auto(ol_json_free) ol_json *index = ol_json_object();
	ol_auto_str ol_str text = OL_STR(LISTING_BYTES_MAX);
	ol_json *manifests = ol_json_array();
	const ol_json *before;
	int rc = read_existing(archive, &existing, err);

	before = ol_json_get(existing, "manifests");
	for (size_t i = 0; i < ol_json_count(before); i++)
		if (!is_replaced(archive, ol_json_at(before, i)))
			ol_json_push(manifests, ol_json_copy(ol_json_at(before, i)));
	ol_json_push(manifests, entry_json(archive));
	ol_json_set_int(index, "schemaVersion", 2);
	ol_json_set_text(index, "mediaType", OL_MEDIA_OCI_INDEX);
	ol_json_set(index, "manifests", manifests);
	if (rc == OL_OK)
		rc = ol_json_format(index, OL_JSON_COMPACT, &text, err);
	if (rc == OL_OK)
		rc = ol_archive_writer_add_bytes(archive->writer, "oci-layout",
			ol_view_of("{\"imageLayoutVersion\":\"1.0.0\"}"), err);
	return rc < 0 ? rc
		      : ol_archive_writer_add_bytes(
				archive->writer, "index.json", ol_buf_view(&text), err);
}

static int finish(ol_destination *destination, ol_error *err)
{
	struct archive *archive = (struct archive *)destination;
	int rc = write_index(archive, err);

	return rc < 0 ? rc : ol_archive_writer_finish(archive->writer, err);
}

static void close_archive(ol_destination *destination)
{
	struct archive *archive = (struct archive *)destination;

	ol_archive_writer_free(archive->writer);
	free(archive->path);
	free(archive->name);
	free(archive);
}

/* A layout's folder is made with those above it, as skopeo does. */
static int make_parents(const char *path, ol_error *err)
{
	ol_autofree char *parent = ol_strdup(path);
	char *slash;

	for (size_t size = strlen(parent); size > 1 && parent[size - 1] == '/'; size--)
		parent[size - 1] = '\0';
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return OL_OK;
	*slash = '\0';
	return ol_mkdirs(AT_FDCWD, parent, 0755, err);
}

static int open_archive(
	ol_copy *copy, const ol_place *place, bool is_dir, ol_destination **out, ol_error *err)
{
	/* An archive is written front to back. */
	static const ol_destination_ops ops = { .streams = 1,
		.domain = get_domain,
		.blob = put_blob,
		.document = put_document,
		.finish = finish,
		.close = close_archive };
	struct archive *archive = ol_alloc(sizeof *archive);
	int rc = is_dir ? make_parents(place->path, err) : OL_OK;

	archive->destination = (ol_destination){ &ops, copy };
	archive->path = ol_strdup(place->path);
	archive->name = ol_strdup(place->name);
	archive->is_dir = is_dir;
	if (rc == OL_OK)
		rc = is_dir ? ol_archive_writer_dir(place->path, &archive->writer, err)
			    : ol_archive_writer_tar(place->path, &archive->writer, err);
	if (rc < 0) {
		close_archive(&archive->destination);
		return rc;
	}
	*out = &archive->destination;
	return OL_OK;
}

int ol_layout_destination(ol_copy *copy, const ol_place *place, ol_destination **out, ol_error *err)
{
	return open_archive(copy, place, true, out, err);
}

int ol_archive_destination(
	ol_copy *copy, const ol_place *place, ol_destination **out, ol_error *err)
{
	return open_archive(copy, place, false, out, err);
}

/* --- through the store --- */

struct found {
	ol_digest root;
	size_t count;
};

static void on_loaded(void *ctx, const ol_loaded *loaded)
{
	struct found *found = ctx;

	if (found->count > 0 && ol_digest_eq(&found->root, &loaded->root))
		return;
	found->root = loaded->root;
	found->count++;
}

int ol_archive_take_in(ol_copy *copy, const ol_place *place, ol_digest *root, ol_error *err)
{
	const ol_platform *platform = copy->options->platform;
	struct found found = { 0 };
	ol_lease *lease = NULL;
	const ol_load_options options = { .input = place->path,
		.platforms = platform,
		.platform_count = platform ? 1 : 0,
		.select = *place->name ? place->name : NULL,
		.nameless = true,
		.lease = &lease };
	int rc = ol_load(copy->session, &options, on_loaded, &found, err);

	if (rc < 0)
		return rc;
	ol_lease_end(copy->lease);
	copy->lease = lease;
	if (found.count != 1) {
		ol_fail(err, OL_EINVAL, "%.200s has %zu images", place->path, found.count);
		return ol_hint(err, OL_EINVAL, "name one behind a colon");
	}
	*root = found.root;
	return OL_OK;
}

int ol_archive_give_out(ol_copy *copy, const ol_place *place, const char *image, ol_error *err)
{
	const ol_platform *platform = copy->options->platform;
	ol_ref_string name = { "" };
	ol_ref ref;
	int rc = OL_OK;

	if (*place->name) {
		rc = ol_ref_parse(place->name, &ref, err);
		if (rc < 0)
			return rc;
		name = ol_ref_format(&ref);
	}
	return ol_save(copy->session,
		&(ol_save_options){ .images = &image,
			.image_count = 1,
			.platforms = platform,
			.platform_count = platform ? 1 : 0,
			.format = OL_ARCHIVE_DOCKER,
			.name = name.text,
			.output = place->path },
		err);
}
