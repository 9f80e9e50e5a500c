/*
 * A layer leans on those below where its tar is silent and overlayfs is not:
 *
 * Implied directories. Overlayfs shows the attributes of the topmost layer that has a directory.
 * One that the tar does not list takes them (mode, owner, time, xattrs) from the topmost lower
 * that has it; where none has, it is 0755, root's, of 1970.
 *
 * Cross-layer links: hard links to a file of a lower layer. The file is copied up, to the path it
 * has below, and the link is made to the copy, so that both names are one file again. (A third
 * name that only a lower layer has stays the old file: overlayfs cannot join them.) Where this
 * layer hides or replaces the target, the copy has the names of this layer only.
 *
 * What comes of it fits on these lowers only and belongs to the ChainID. The tree of the DiffID is
 * not copied for it: that would double the time and the disk of nearly every layer that umoci
 * makes, hard links into a second tree would show wrong link counts, and few file systems have
 * reflinks. It is moved: the first chain takes the tree over, and leaves in its place an empty one
 * whose notes say so. A second chain with the same layer, which is rare, extracts it anew from the
 * blob, which this driver keeps. The exchange of the two trees is one rename, so that of several
 * chains at once one gets the tree and the others see that it is gone; what a crash leaves
 * half-way is dropped with the staging folder, and extracted anew.
 */
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "snapshot/decode.h"
#include "snapshot/dir_priv.h"
#include "store/blob.h"

#define BLOCK_BYTES  ((size_t)256 << 10)
#define LINKS_BUDGET ((size_t)1 << 20)

/* -------------------------------------------------- the tree, from wherever -- */

/* A tree that says "moved": empty but for its notes. */
static int make_marker(int dir_fd, bool userxattr, ol_error *err)
{
	ol_dir_tree tree = { .root_fd = -1, .leans_fd = -1 };
	int rc = ol_dir_tree_make(&tree, dir_fd, userxattr, LINKS_BUDGET, err);

	if (rc == OL_OK)
		rc = ol_dir_note_lean(&tree, 'm', "", err);
	ol_dir_tree_done(&tree);
	return rc;
}

static bool is_marker(int root_fd)
{
	ol_dir_leans notes;
	const char *path;
	char kind = 0;
	bool found;

	if (ol_dir_leans_open(root_fd, &notes, NULL) < 0)
		return true; /* no notes: it does not lean, or it is not whole */
	found = ol_dir_leans_next(&notes, &kind, &path, NULL) == OL_OK && path && kind == 'm';
	ol_dir_leans_close(&notes);
	return found;
}

bool ol_dir_is_moved(int root_fd)
{
	return faccessat(root_fd, OL_DIR_LEANS, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
	       is_marker(root_fd);
}

/* Puts the layer's tree into dir_fd. *moved is false when someone else had taken it. */
static int move_tree(ol_store *store, const ol_layer_info *layer, int dir_fd, bool *moved,
	bool *userxattr, ol_error *err)
{
	ol_autofd int layer_dir_fd = -1, fd = -1;
	int rc = ol_layer_open(store, &layer->key, layer->is_chain, &layer_dir_fd, err);

	*moved = false;
	if (rc < 0)
		return rc;
	fd = openat(layer_dir_fd, OL_DIR_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ol_fail_sys(err, OL_DIR_TREE);
	*userxattr = ol_dir_names_in(fd) == ol_dir_names_of(true);
	if (is_marker(fd))
		return OL_OK;
	ol_fd_p(&fd);
	fd = -1;
	rc = make_marker(dir_fd, *userxattr, err);
	if (rc < 0)
		return rc;
	if (renameat2(layer_dir_fd, OL_DIR_TREE, dir_fd, OL_DIR_TREE, RENAME_EXCHANGE) < 0) {
		if (errno == EXDEV || errno == EINVAL)
			return OL_OK; /* another file system, or one that cannot exchange */
		return ol_fail_sys(err, "take over the tree");
	}
	fd = openat(dir_fd, OL_DIR_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ol_fail_sys(err, OL_DIR_TREE);
	*moved = !is_marker(fd);
	return OL_OK;
}

static int decode_block(ol_decoder *decoder, ol_builder *builder, ol_decode_step *step,
	unsigned char *plain, ol_error *err)
{
	int rc;

	do {
		step->out = plain;
		step->out_size = BLOCK_BYTES;
		rc = ol_decoder_run(decoder, step, err);
		if (rc == OL_OK && step->made > 0)
			rc = ol_dir_push(builder, plain, step->made, err);
	} while (rc == OL_OK && (step->in_size > 0 || step->out_size == 0));
	return rc;
}

static int decode_fd(int fd, ol_builder *builder, ol_error *err)
{
	ol_autofree unsigned char *packed = ol_alloc(BLOCK_BYTES), *plain = ol_alloc(BLOCK_BYTES);
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	size_t size = 1;
	int rc = OL_OK;

	while (rc == OL_OK && size > 0) {
		ol_decode_step step = { .in = packed };
		ssize_t n = 1;

		/* Whole blocks, so that the first can be told by its first bytes. */
		for (size = 0; n > 0 && size < BLOCK_BYTES; size += (size_t)n) {
			n = read(fd, packed + size, BLOCK_BYTES - size);
			if (n < 0 && errno != EINTR)
				return ol_fail_sys(err, "read the blob");
			n = n < 0 ? 0 : n;
		}
		if (!decoder)
			rc = ol_decoder_new(ol_compression_sniff(packed, size), &decoder, err);
		step.in_size = size;
		if (rc == OL_OK && size > 0)
			rc = decode_block(decoder, builder, &step, plain, err);
	}
	return rc == OL_OK ? ol_decoder_finish(decoder, err) : rc;
}

/* From the compressed blob, or from the tar where that is what is kept. */
static int extract_anew(
	ol_store *store, const ol_layer_info *layer, int dir_fd, bool userxattr, ol_error *err)
{
	const ol_builder_options options = { .dir_fd = dir_fd, .userxattr = userxattr };
	ol_autofd int fd = -1;
	ol_builder *builder = NULL;
	ol_built built;
	int rc = ol_blob_open(store, &layer->blob, &fd, err);

	if (rc == OL_ENOTFOUND)
		rc = ol_blob_open(store, &layer->diff_id, &fd, err);
	if (rc < 0)
		return ol_wrap(err, rc, "extract the layer once more");
	rc = ol_dir_begin(&options, &builder, err);
	if (rc < 0)
		return rc;
	rc = decode_fd(fd, builder, err);
	if (rc == OL_OK)
		rc = ol_dir_finish(builder, &built, err);
	ol_dir_free(builder);
	return rc;
}

/* ----------------------------------------------------------- implied directories -- */

struct completion {
	ol_dir_tree tree;
	ol_dir_lowers lowers;
	int dir_fd;
};

static int inherit(struct completion *c, const char *path, int fd, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_autofd int parent_fd = -1, lower_fd = -1;
	ol_xattr *xattrs = NULL;
	ol_view acl = { NULL, 0 };
	struct stat made, st;
	const char *base;
	ol_dir_attr attr;
	int rc = ol_dir_lowers_find(&c->lowers, path, &parent_fd, &base, &st, err);

	if (rc == OL_ENOTFOUND || (rc == OL_OK && !S_ISDIR(st.st_mode)))
		return OL_OK; /* as it was made; its time is noted as well */
	if (rc < 0)
		return rc;
	lower_fd = ol_dir_openat(parent_fd, base, O_RDONLY | O_DIRECTORY);
	if (lower_fd < 0 || fstat(fd, &made) < 0)
		return ol_fail_sys(err, "open the directory of the layer below");
	attr = (ol_dir_attr){
		.mode = st.st_mode & 07777, .uid = st.st_uid, .gid = st.st_gid, .mtime = st.st_mtim
	};
	rc = ol_dir_attr_read(
		&(ol_dir_place){ .fd = lower_fd }, arena, &xattrs, &attr.xattr_count, err);
	attr.xattrs = xattrs;
	for (size_t i = 0; rc == OL_OK && i < attr.xattr_count; i++)
		if (ol_dir_attr_waits(xattrs[i].name))
			acl = xattrs[i].value;
	if (rc == OL_OK)
		rc = ol_dir_attr_set(&c->tree, &(ol_dir_place){ .fd = fd }, &attr, &made, err);
	return rc < 0 ? rc : ol_dir_note_time(&c->tree, path, &attr.mtime, acl, err);
}

static int complete_dir(struct completion *c, const char *path, ol_error *err)
{
	const char *mark = c->tree.names->implied;
	const struct timespec epoch = { 0 };
	ol_autofd int fd = ol_dir_openat(c->tree.root_fd, path, O_RDONLY | O_DIRECTORY);
	int rc;

	if (fd < 0 || fgetxattr(fd, mark, NULL, 0) < 0)
		return OL_OK; /* replaced or listed since */
	if (fremovexattr(fd, mark) < 0)
		return ol_fail_sys(err, "xattr %s", mark);
	rc = ol_dir_note_time(&c->tree, path, &epoch, (ol_view){ NULL, 0 }, err);
	return rc < 0 ? rc : inherit(c, path, fd, err);
}

/* ------------------------------------------------------------- cross-layer links -- */

/* The target that a link at path stands for; "" when it is none (any more). */
static void read_cross(const ol_dir_tree *tree, const char *path, char out[OL_PATH_MAX])
{
	ol_autofd int fd = ol_dir_openat(tree->root_fd, path, O_RDONLY | O_NONBLOCK);
	ssize_t n = 0;

	if (fd >= 0 && fgetxattr(fd, tree->names->cross, NULL, 0) >= 0)
		n = pread(fd, out, OL_PATH_MAX - 1, 0);
	out[n > 0 ? n : 0] = '\0';
}

/* Does the tree let path show from below, so that a copy can take its place there? */
static bool shows_through(const ol_dir_tree *tree, const char *path)
{
	ol_autofd int fd = fcntl(tree->root_fd, F_DUPFD_CLOEXEC, 0);
	ol_autofree char *copy = ol_strdup(path);
	char *part = copy;
	struct stat st;

	for (char *slash = strchr(part, '/'); slash && fd >= 0; slash = strchr(part, '/')) {
		int next;

		if (ol_dir_is_opaque(fd, tree->names))
			return false;
		*slash = '\0';
		next = ol_dir_openat(fd, part, O_RDONLY | O_DIRECTORY);
		if (next < 0)
			return errno == ENOENT;
		(void)close(fd);
		fd = next;
		part = slash + 1;
	}
	return fd >= 0 && !ol_dir_is_opaque(fd, tree->names) &&
	       fstatat(fd, part, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* Extracts one entry without changing the time of the directory it comes into. */
static int put_entry(ol_dir_tree *tree, const ol_tar_entry *entry, ol_dir_file *file, ol_error *err)
{
	ol_dir_slot *slot;
	const char *base;
	struct stat st;
	bool there = ol_dir_parent_find(tree, entry->name, &slot, &base, NULL) == OL_OK &&
		     fstat(slot->fd, &st) == 0;
	int rc = ol_dir_extract(tree, entry, file, err);

	if (rc < 0 || !there)
		return rc;
	rc = ol_dir_parent_find(tree, entry->name, &slot, &base, err);
	if (rc == OL_OK && futimens(slot->fd, (struct timespec[2]){ st.st_atim, st.st_mtim }) < 0)
		rc = ol_fail_sys(err, "set the time");
	return rc;
}

/* Holes stay holes. */
static int copy_data(int from, int to, off_t size, ol_error *err)
{
	ol_autofree char *block = ol_alloc(BLOCK_BYTES);
	off_t at = 0;

	if (ftruncate(to, size) < 0)
		return ol_fail_sys(err, "make a file of %lld bytes", (long long)size);
	while (at < size) {
		off_t data = lseek(from, at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			return OL_OK;
		if (hole < 0)
			return ol_fail_sys(err, "read the file of the layer below");
		for (at = data; at < hole;) {
			size_t left = (size_t)(hole - at),
			       n = left < BLOCK_BYTES ? left : BLOCK_BYTES;
			int rc = ol_pread_all(from, block, n, (uint64_t)at, err);

			if (rc == OL_OK)
				rc = ol_pwrite_all(to, block, n, (uint64_t)at, err);
			if (rc < 0)
				return rc;
			at += (off_t)n;
		}
	}
	return OL_OK;
}

/* The file that parent_fd and base are becomes the tree's, at path. */
static int copy_up(struct completion *c, int parent_fd, const char *base, const struct stat *st,
	const char *path, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_dir_place place = { .fd = -1, .parent_fd = parent_fd, .base = base };
	ol_dir_file file = { .fd = -1 };
	char target[OL_PATH_MAX] = "";
	ol_autofd int from = -1;
	ol_xattr *xattrs = NULL;
	ol_tar_entry entry = { .type = ol_tar_type_of(st->st_mode),
		.name = path,
		.target = target,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim,
		.dev_major = major(st->st_rdev),
		.dev_minor = minor(st->st_rdev),
		.size = (uint64_t)st->st_size,
		.data_size = (uint64_t)st->st_blocks * 512 };
	int rc = ol_dir_attr_read(&place, arena, &xattrs, &entry.xattr_count, err);

	entry.xattrs = xattrs;
	if (rc < 0)
		return rc;
	if (S_ISDIR(st->st_mode))
		return ol_fail(err, OL_ECORRUPT, "a hard link to a directory");
	if (S_ISLNK(st->st_mode) && readlinkat(parent_fd, base, target, sizeof target - 1) < 0)
		return ol_fail_sys(err, "readlink");
	if (S_ISREG(st->st_mode)) {
		from = ol_dir_openat(parent_fd, base, O_RDONLY);
		if (from < 0)
			return ol_fail_sys(err, "open");
	}
	rc = put_entry(&c->tree, &entry, &file, err);
	if (rc == OL_OK && from >= 0)
		rc = copy_data(from, file.fd, st->st_size, err);
	if (rc == OL_OK)
		return ol_dir_end_file(&c->tree, &file, err);
	(void)ol_dir_end_file(&c->tree, &file, NULL);
	return rc;
}

/* Links to one target come one after another: the first brings the copy, the others are links to
 * it. */
static int complete_link(struct completion *c, const char *target, const char *name,
	char made[OL_PATH_MAX], ol_error *err)
{
	char still[OL_PATH_MAX];
	const ol_tar_entry link = { .type = OL_TAR_HARDLINK, .name = name, .target = made };
	int rc = OL_OK;

	read_cross(&c->tree, name, still);
	if (strcmp(still, target) != 0)
		return OL_OK;
	if (made[0] == '\0') {
		const char *at = shows_through(&c->tree, target) ? target : name;
		ol_autofd int parent_fd = -1;
		const char *base;
		struct stat st;

		rc = ol_dir_lowers_find(&c->lowers, target, &parent_fd, &base, &st, err);
		if (rc == OL_ENOTFOUND)
			rc = ol_fail(err, OL_ECORRUPT,
				"a hard link to a file that neither this layer nor those below "
				"have");
		if (rc == OL_OK)
			rc = copy_up(c, parent_fd, base, &st, at, err);
		if (rc < 0)
			return rc;
		memcpy(made, at, strlen(at) + 1);
	}
	if (strcmp(made, name) == 0)
		return OL_OK;
	return put_entry(&c->tree, &link, &(ol_dir_file){ .fd = -1 }, err);
}

static int link_all(struct completion *c, ol_sorter *links, ol_error *err)
{
	char target[OL_PATH_MAX] = "", made[OL_PATH_MAX] = "", name[OL_PATH_MAX];
	ol_view key, value;
	bool more = true;
	int rc = ol_sorter_sort(links, err);

	while (rc == OL_OK) {
		rc = ol_sorter_next(links, &key, &value, &more, err);
		if (rc < 0 || !more)
			return rc;
		if (!ol_view_is(key, target))
			made[0] = '\0';
		memcpy(target, key.data, key.size);
		target[key.size] = '\0';
		memcpy(name, value.data, value.size);
		name[value.size] = '\0';
		rc = complete_link(c, target, name, made, err);
		if (rc < 0)
			return ol_dir_wrap(rc, name, err);
	}
	return rc;
}

static int complete_links(struct completion *c, ol_error *err)
{
	ol_auto(ol_sorter_free) ol_sorter *links = ol_sorter_new(c->dir_fd, LINKS_BUDGET);
	char target[OL_PATH_MAX];
	ol_dir_leans notes;
	const char *path;
	char kind;
	int rc = ol_dir_leans_open(c->tree.root_fd, &notes, err);

	if (rc < 0)
		return rc;
	while ((rc = ol_dir_leans_next(&notes, &kind, &path, err)) == OL_OK && path) {
		if (kind != 'l')
			continue;
		read_cross(&c->tree, path, target);
		if (target[0])
			rc = ol_sorter_add(links, ol_view_of(target), ol_view_of(path), err);
		if (rc < 0)
			break;
	}
	ol_dir_leans_close(&notes);
	return rc < 0 ? rc : link_all(c, links, err);
}

/* After the links, which may have implied more of them. */
static int complete_dirs(struct completion *c, ol_error *err)
{
	ol_dir_leans notes;
	const char *path;
	char kind;
	int rc = ol_dir_leans_open(c->tree.root_fd, &notes, err);

	if (rc < 0)
		return rc;
	while ((rc = ol_dir_leans_next(&notes, &kind, &path, err)) == OL_OK && path) {
		if (kind == 'd')
			rc = complete_dir(c, path, err);
		if (rc < 0) {
			rc = ol_dir_wrap(rc, path, err);
			break;
		}
	}
	ol_dir_leans_close(&notes);
	return rc;
}

static int complete_tree(struct completion *c, ol_error *err)
{
	struct stat root;
	bool leans;
	int rc;

	if (fstat(c->tree.root_fd, &root) < 0)
		return ol_fail_sys(err, "stat");
	rc = complete_links(c, err);
	if (rc == OL_OK)
		rc = complete_dirs(c, err);
	if (rc < 0)
		return rc;
	ol_fd_p(&c->tree.leans_fd);
	c->tree.leans_fd = -1;
	if (unlinkat(c->tree.root_fd, OL_DIR_LEANS, 0) < 0)
		return ol_fail_sys(err, OL_DIR_LEANS);
	rc = ol_dir_note_time(&c->tree, "", &root.st_mtim, (ol_view){ NULL, 0 }, err);
	return rc < 0 ? rc : ol_dir_tree_finish(&c->tree, &leans, err);
}

/* NOLINTNEXTLINE(readability-function-size): the signature of the table of drivers */
int ol_dir_complete(ol_store *store, const ol_layer_info *layer, const ol_layer_info *lowers,
	size_t count, int dir_fd, ol_built *out, ol_error *err)
{
	struct completion c = { .dir_fd = dir_fd, .tree = { .root_fd = -1, .leans_fd = -1 } };
	bool moved, userxattr = false;
	int rc = move_tree(store, layer, dir_fd, &moved, &userxattr, err);

	if (rc == OL_OK && !moved)
		rc = extract_anew(store, layer, dir_fd, userxattr, err);
	if (rc < 0)
		return rc;
	ol_dir_lowers_init(&c.lowers, store, lowers, count);
	rc = ol_dir_tree_open(&c.tree, dir_fd, LINKS_BUDGET, err);
	if (rc == OL_OK)
		rc = complete_tree(&c, err);
	if (rc == OL_OK)
		*out = (ol_built){ .driver = "dir",
			.entries = layer->entries,
			.disk_bytes = layer->disk_bytes + c.tree.disk_bytes };
	ol_dir_tree_done(&c.tree);
	ol_dir_lowers_done(&c.lowers);
	return rc;
}
