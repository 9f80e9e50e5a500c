/*
 * oci:DIR[:NAME], read where it lies: image-spec image-layout.md. NAME is what index.json's entries
 * are annotated with, or a digest of one; without it there must be one image only. And
 * oci-archive:FILE[:NAME], a layout in a tar.
 */
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/archive_name_priv.h"
#include "image/archive_reader_priv.h"
#include "image/blob_path_priv.h"
#include "image/transport_priv.h"
#include "store/draft.h"

#define NAME_KEY     "org.opencontainers.image.ref.name"
#define SPREAD_BYTES ((size_t)256 << 10)

struct layout {
	ol_origin origin;
	int dir_fd;         /* owned */
	char *path, *name;  /* owned; name "" where none was asked for */
	ol_document *index; /* owned: index.json */
	ol_draft *draft;    /* owned: where an archive was taken apart; or NULL */
};

static bool is_called(const ol_descriptor *entry, const char *name)
{
	const char *called = ol_descriptor_annotation(entry, NAME_KEY);
	const char *full = ol_descriptor_annotation(entry, "io.containerd.image.name");

	return !*name || (called && strcmp(called, name) == 0) ||
	       (full && strcmp(full, name) == 0) ||
	       strcmp(ol_digest_format(&entry->digest).text, name) == 0;
}

/* What there is to choose from, in words. */
static int choose_by_name(const struct layout *layout, const char *why, ol_error *err)
{
	ol_auto_str ol_str names = OL_STR(160);

	for (size_t i = 0; i < layout->index->manifest_count; i++) {
		const char *name = ol_descriptor_annotation(&layout->index->manifests[i], NAME_KEY);

		if (name) {
			(void)ol_str_add(&names, names.size ? ", " : "");
			(void)ol_str_add_safe(&names, ol_view_of(name));
		}
	}
	ol_fail(err, OL_ENOTFOUND, "%.200s %s", layout->path, why);
	return names.size ? ol_hint(err, OL_ENOTFOUND, "it has %s", ol_str_text(&names))
			  : OL_ENOTFOUND;
}

static int resolve(ol_origin *origin, const ol_platform *platform, ol_resolved *out, ol_error *err)
{
	struct layout *layout = (struct layout *)origin;
	const ol_descriptor *found = NULL;

	for (size_t i = 0; i < layout->index->manifest_count; i++) {
		const ol_descriptor *entry = &layout->index->manifests[i];

		if (!ol_digest_is_set(&entry->digest) || !is_called(entry, layout->name))
			continue;
		if (found && !ol_digest_eq(&found->digest, &entry->digest))
			return choose_by_name(layout,
				*layout->name ? "has several images of that name"
					      : "has several images",
				err);
		found = entry;
	}
	if (!found)
		return choose_by_name(layout, "has no such image", err);
	*out = (ol_resolved){ .digest = found->digest, .size = found->size };
	(void)snprintf(out->media_type, sizeof out->media_type, "%s", found->media_type);
	return platform ? ol_origin_choose(origin, platform, out, err) : OL_OK;
}

static int get_document(ol_origin *origin, const ol_digest *digest, ol_buf *out, ol_error *err)
{
	struct layout *layout = (struct layout *)origin;
	ol_blob_path path = ol_blob_path_of(digest);
	ol_digest got;
	int rc = ol_file_read(layout->dir_fd, path.text, true, out, err);

	if (rc == OL_OK) {
		got = ol_digest_of(digest->algorithm, out->data, out->size);
		rc = ol_digest_check(digest, &got, err);
	}
	return rc < 0 ? ol_wrap(err, rc, "%s", ol_digest_format(digest).text) : OL_OK;
}

static int get_blob(ol_origin *origin, const ol_descriptor *blob, ol_cargo *out, ol_error *err)
{
	struct layout *layout = (struct layout *)origin;
	ol_blob_path path = ol_blob_path_of(&blob->digest);
	int fd = openat(layout->dir_fd, path.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return ol_fail_sys(err, "%.200s/%s", layout->path, path.text);
	return ol_cargo_of_file(fd, blob, out, err);
}

static bool get_home(ol_origin *origin, const ol_descriptor *blob, const char *domain,
	char path[OL_REFERENCE_NAME_MAX + 1])
{
	(void)origin;
	(void)blob;
	(void)domain;
	(void)path;
	return false;
}

static void close_layout(ol_origin *origin)
{
	struct layout *layout = (struct layout *)origin;

	if (layout->dir_fd >= 0)
		(void)close(layout->dir_fd);
	ol_draft_close(layout->draft);
	ol_document_free(layout->index);
	free(layout->path);
	free(layout->name);
	free(layout);
}

static int read_index(struct layout *layout, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	int rc = ol_file_read(layout->dir_fd, "index.json", true, &bytes, err);

	if (rc == OL_OK)
		rc = ol_document_parse(
			ol_buf_view(&bytes), OL_MEDIA_OCI_INDEX, &layout->index, err);
	if (rc == OL_OK && layout->index->kind != OL_DOCUMENT_INDEX)
		rc = ol_fail(err, OL_ECORRUPT, "index.json is no index");
	return rc < 0 ? ol_wrap(err, rc, "%.200s is no OCI layout", layout->path) : OL_OK;
}

static struct layout *new_layout(ol_copy *copy, const ol_place *place)
{
	static const ol_origin_ops ops = { .resolve = resolve,
		.document = get_document,
		.blob = get_blob,
		.home = get_home,
		.close = close_layout };
	struct layout *layout = ol_alloc(sizeof *layout);

	layout->origin = (ol_origin){ &ops, copy };
	layout->dir_fd = -1;
	layout->path = ol_strdup(place->path);
	layout->name = ol_strdup(place->name);
	return layout;
}

int ol_layout_origin(ol_copy *copy, const ol_place *place, ol_origin **out, ol_error *err)
{
	struct layout *layout = new_layout(copy, place);
	int rc = ol_dir_open(AT_FDCWD, layout->path, &layout->dir_fd, err);

	if (rc == OL_OK)
		rc = read_index(layout, err);
	if (rc < 0) {
		close_layout(&layout->origin);
		return rc;
	}
	*out = &layout->origin;
	return OL_OK;
}

/* --- an archive of one --- */

/* What a layout is made of; all else in the archive is passed over. */
static bool is_part(const char *path, uint64_t size)
{
	bool is_blob = false;
	ol_digest digest = ol_archive_path_digest(path, &is_blob);

	if (strcmp(path, "index.json") == 0)
		return size <= OL_MANIFEST_BYTES_MAX;
	return is_blob && ol_digest_is_set(&digest);
}

static int spread_member(
	ol_copy *copy, int dir_fd, const char *path, ol_reader *data, ol_error *err)
{
	ol_autofree char *buffer = ol_alloc(SPREAD_BYTES);
	ol_autofree char *parent = ol_strdup(path);
	char *slash = strrchr(parent, '/');
	ol_autofd int fd = -1;
	size_t got = 1;
	int rc = OL_OK;

	if (slash) {
		*slash = '\0';
		rc = ol_mkdirs(dir_fd, parent, 0700, err);
	}
	if (rc < 0)
		return rc;
	fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ol_fail_sys(err, "write %s", path);
	while (rc == OL_OK && got > 0) {
		rc = ol_copy_check(copy, err);
		if (rc == OL_OK)
			rc = ol_reader_read(data, buffer, SPREAD_BYTES, &got, err);
		if (rc == OL_OK)
			rc = ol_write_all(fd, buffer, got, err);
	}
	return rc;
}

/* Blobs may come in any order and before what names them, and an archive may be wrapped: so it is
 * taken apart once, in a folder of the store that goes again. */
static int spread(ol_copy *copy, const char *path, int dir_fd, ol_error *err)
{
	ol_auto(ol_archive_reader_close) ol_archive_reader *archive = NULL;
	ol_archive_member member;
	ol_archive_path name;
	ol_reader *reader;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int rc;

	if (fd < 0)
		return ol_fail_sys(err, "open");
	reader = ol_reader_of_fd(fd);
	rc = ol_archive_reader_open(reader, &archive, err);
	while (rc >= 0 && (rc = ol_archive_reader_next(archive, &member, err)) == 1) {
		if (member.type != OL_MEMBER_FILE)
			continue;
		rc = ol_archive_path_of(member.name, &name, err);
		if (rc == OL_OK && is_part(name.text, member.size))
			rc = spread_member(
				copy, dir_fd, name.text, ol_archive_reader_data(archive), err);
	}
	ol_archive_reader_close(ol_steal(&archive));
	ol_reader_close(reader);
	return rc;
}

int ol_archive_origin(ol_copy *copy, const ol_place *place, ol_origin **out, ol_error *err)
{
	struct layout *layout = new_layout(copy, place);
	int rc = ol_draft_open(copy->session->store, &layout->draft, err);

	if (rc == OL_OK)
		rc = spread(copy, place->path, ol_draft_dir_fd(layout->draft), err);
	if (rc < 0)
		(void)ol_wrap(err, rc, "%.200s", place->path);
	else
		rc = ol_dir_open(ol_draft_dir_fd(layout->draft), ".", &layout->dir_fd, err);
	if (rc == OL_OK)
		rc = read_index(layout, err);
	if (rc < 0) {
		close_layout(&layout->origin);
		return rc;
	}
	*out = &layout->origin;
	return OL_OK;
}
