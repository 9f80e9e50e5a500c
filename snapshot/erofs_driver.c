/*
 * The driver's row in the table, and what is only reading an index: the root's attributes, and the
 * proof that the index is what its tar gives.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/str.h"
#include "base/temp.h"
#include "snapshot/erofs_driver_priv.h"
#include "snapshot/erofs_format.h"
#include "snapshot/erofs_writer.h"

#define VERIFY_BYTES ((size_t)256 << 10)

int ol_erofs_layer_open(
	ol_store *store, const ol_layer_info *layer, ol_erofs **out, int *index_fd, ol_error *err)
{
	ol_autofd int dir_fd = -1, fd = -1, copy = -1;
	struct stat st;
	int rc = ol_layer_open(store, &layer->key, layer->is_chain, &dir_fd, err);

	if (rc < 0)
		return rc;
	fd = openat(dir_fd, OL_EROFS_INDEX, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ol_fail_sys(err, OL_EROFS_INDEX);
	if (!S_ISREG(st.st_mode))
		return ol_fail(err, OL_ECORRUPT, OL_EROFS_INDEX " is not a file");
	if (index_fd) {
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return ol_fail_sys(err, OL_EROFS_INDEX);
	}
	rc = ol_erofs_open(ol_source_of_fd(ol_steal_fd(&fd), (uint64_t)st.st_size), out, err);
	if (rc == OL_OK && index_fd)
		*index_fd = ol_steal_fd(&copy);
	return rc;
}

int ol_erofs_layer_tar(const ol_erofs *index, const ol_layer_info *layer, unsigned device,
	ol_digest *out, ol_error *err)
{
	ol_digest digest = ol_erofs_device_digest(index, device);

	if (!device || device > ol_erofs_device_count(index) ||
		(device > 1 && !ol_digest_is_set(&digest)))
		return ol_fail(err, OL_ECORRUPT, "index: no tar is device %u", device);
	*out = device == 1 ? layer->diff_id : digest;
	return OL_OK;
}

static bool is_overlay_xattr(ol_view name, const char *what)
{
	return (ol_view_starts(name, "trusted.overlay.") && ol_view_ends(name, what)) ||
	       (ol_view_starts(name, "user.overlay.") && ol_view_ends(name, what));
}

static int read_root(ol_erofs *index, ol_root_attributes *out, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_root_attributes said = { .listed = true };
	ol_erofs_inode root;
	ol_xattr *xattrs = NULL;
	size_t count = 0;
	int rc = ol_erofs_root(index, &root, err);

	if (rc == OL_OK)
		rc = ol_erofs_xattrs(index, &root, arena, &xattrs, &count, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (ol_view_is(xattrs[i].name, OL_EROFS_XATTR_IMPLIED))
			said.listed = false;
		else if (is_overlay_xattr(xattrs[i].name, ".opaque"))
			said.opaque = true;
		else if (!is_overlay_xattr(xattrs[i].name, ""))
			ol_root_attributes_add(&said, xattrs[i].name, xattrs[i].value);
	}
	said.mode = root.mode & 07777;
	said.uid = root.uid;
	said.gid = root.gid;
	said.mtime = root.mtime;
	*out = said;
	return OL_OK;
}

static int erofs_root(
	ol_store *store, const ol_layer_info *layer, ol_root_attributes *out, ol_error *err)
{
	ol_auto(ol_erofs_close) ol_erofs *index = NULL;
	int rc = ol_erofs_layer_open(store, layer, &index, NULL, err);

	return rc < 0 ? rc : read_root(index, out, err);
}

int ol_erofs_index_hash(int fd, ol_digest *out, ol_error *err)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	ol_autofree char *block = ol_alloc(VERIFY_BYTES);
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, block, VERIFY_BYTES, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ol_fail_sys(err, OL_EROFS_INDEX);
		ol_hasher_update(hasher, block, (size_t)n);
		at += n;
	}
	*out = ol_hasher_final(hasher);
	return OL_OK;
}

static int add_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	return ol_erofs_writer_add(ctx, entry, 1, err);
}

/* The index that the tar gives, in a file without a name. */
static int rebuild(ol_source *tar, int temp_fd, int index_fd, ol_erofs_written *out, ol_error *err)
{
	const ol_erofs_writer_options options = { .index_fd = index_fd, .temp_fd = temp_fd };
	ol_auto(ol_erofs_writer_free) ol_erofs_writer *writer = ol_erofs_writer_new(&options);
	const ol_tar_handler handler = { .entry = add_entry, .ctx = writer };
	ol_auto(ol_tar_free) ol_tar *reader = ol_tar_new(&handler);
	ol_autofree char *block = ol_alloc(VERIFY_BYTES);
	const ol_erofs_device device = { .bytes = tar->size };
	int rc = OL_OK;

	for (uint64_t at = 0; rc == OL_OK && at < tar->size;) {
		size_t n = tar->size - at < VERIFY_BYTES ? (size_t)(tar->size - at) : VERIFY_BYTES;

		rc = ol_source_read_at(tar, at, block, n, err);
		if (rc == OL_OK)
			rc = ol_tar_push(reader, block, n, err);
		at += n;
	}
	if (rc == OL_OK)
		rc = ol_tar_finish(reader, err);
	return rc < 0 ? rc : ol_erofs_writer_finish(writer, &device, 1, out, err);
}

static bool same_inode(const ol_erofs_inode *a, const ol_erofs_inode *b)
{
	/* Where they lie differs as soon as anything before them does. */
	bool is_dir = S_ISDIR(a->mode);

	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->nlink == b->nlink &&
	       a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
	       a->xattrs_size == b->xattrs_size && (is_dir || a->size == b->size);
}

static int compare_visit(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	ol_auto_str ol_str safe = OL_STR((size_t)4 * OL_PATH_MAX + 1);
	ol_erofs_inode other;
	int rc = ol_erofs_find(ctx, visit->path, &other, NULL);

	if (rc == OL_OK && same_inode(&visit->inode, &other))
		return OL_OK;
	ol_str_addc(&safe, '/');
	ol_str_add_safe(&safe, ol_view_of(visit->path));
	return ol_fail(err, OL_ECORRUPT, "%s is not what the tar says", ol_str_text(&safe));
}

/* Both are sound EROFS but differ: the first path that does, looked for from both sides. */
static int name_difference(ol_erofs *stored, int rebuilt_fd, uint64_t size, ol_error *err)
{
	ol_auto(ol_erofs_close) ol_erofs *rebuilt = NULL;
	int copy = fcntl(rebuilt_fd, F_DUPFD_CLOEXEC, 0);
	int rc;

	if (copy < 0)
		return ol_fail_sys(err, OL_EROFS_INDEX);
	rc = ol_erofs_open(ol_source_of_fd(copy, size), &rebuilt, err);
	if (rc == OL_OK)
		rc = ol_erofs_walk(rebuilt, compare_visit, stored, err);
	if (rc == OL_OK)
		rc = ol_erofs_walk(stored, compare_visit, rebuilt, err);
	return rc < 0 ? rc : ol_fail(err, OL_ECORRUPT, OL_EROFS_INDEX " is not what the tar gives");
}

static int erofs_verify(ol_store *store, const ol_layer_info *layer, ol_source *tar, ol_error *err)
{
	ol_auto(ol_erofs_close) ol_erofs *index = NULL;
	ol_autofd int index_fd = -1, rebuilt_fd = -1;
	ol_erofs_written rebuilt = { 0 };
	ol_digest digest = { 0 };
	int rc = ol_erofs_layer_open(store, layer, &index, &index_fd, err);

	if (rc == OL_OK)
		rc = ol_erofs_index_hash(index_fd, &digest, err);
	if (rc < 0)
		return rc;
	if (layer->is_chain)
		return ol_digest_check(&layer->index_digest, &digest, err);
	rc = ol_temp_open(ol_store_root_fd(store), &rebuilt_fd, err);
	if (rc == OL_OK)
		rc = rebuild(tar, ol_store_root_fd(store), rebuilt_fd, &rebuilt, err);
	if (rc < 0)
		return rc;
	if (!ol_digest_eq(&digest, &rebuilt.digest))
		return name_difference(index, rebuilt_fd, rebuilt.bytes, err);
	return ol_digest_check(&layer->index_digest, &digest, err);
}

static int erofs_reindex(ol_source *tar, int dir_fd, ol_built *out, ol_error *err)
{
	ol_erofs_written written = { 0 };
	ol_autofd int fd = openat(
		dir_fd, OL_EROFS_INDEX, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int rc;

	if (fd < 0)
		return ol_fail_sys(err, OL_EROFS_INDEX);
	rc = rebuild(tar, dir_fd, fd, &written, err);
	if (rc < 0)
		return rc;
	*out = (ol_built){ .driver = "erofs",
		.leans = written.leans,
		.disk_bytes = written.bytes,
		.index_digest = written.digest };
	return OL_OK;
}

const ol_driver ol_driver_erofs = {
	.name = "erofs",
	.keeps_blob = false,
	.probe = ol_erofs_probe,
	.begin = ol_erofs_begin,
	.push = ol_erofs_push,
	.finish = ol_erofs_finish,
	.free = ol_erofs_free,
	.complete = ol_erofs_complete,
	.lower = ol_erofs_lower,
	.root = erofs_root,
	.verify = erofs_verify,
	.reindex = erofs_reindex,
};
