/*
 * The pass that writes the tree. Records come sorted by depth and path, so directories are met in
 * the order in which their children will be: a queue of directories is merged with the stream of
 * nodes, and nothing else of the tree is held.
 *
 *	stream  ""  a  b  a/x  a/y  b/z …        queue  "" │ a b │ …
 *	index   inode "" · inodes of a, b · entries of "" · inodes of a/x, a/y · entries of a · …
 *
 * A directory's inode is written when its parent's entries are, and patched once its own are.
 * Entries and inodes of hard links are patched at the very end, in order of the inodes they mean.
 */
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/erofs_writer_priv.h"

struct tree {
	const ol_erofs_tree_job *job;
	ol_erofs_output *output;
	ol_erofs_stream stream;
	ol_erofs_queue queue;
	ol_erofs_dirents dirents;
	ol_erofs_node node;
	ol_buf xattrs;
	/* owned: (inode's sequence, 0) → where it is; (…, 1) → an entry that means it */
	ol_sorter *patches;
	uint32_t subdirs; /* of the directory at work */
	ol_erofs_tree_result result;
};

/* Values of patches. */
struct inode_place {
	uint64_t at;
	uint32_t own; /* entries that name it without being links */
	uint32_t type;
};
struct entry_place {
	uint64_t dir_at, offset; /* inode of the directory, offset in its data */
};

static const struct {
	uint32_t mode;
	unsigned type;
} kinds[] = {
	[OL_TAR_FILE] = { S_IFREG, OL_EROFS_TYPE_FILE },
	[OL_TAR_HARDLINK] = { S_IFREG, OL_EROFS_TYPE_FILE },
	[OL_TAR_SYMLINK] = { S_IFLNK, OL_EROFS_TYPE_SYMLINK },
	[OL_TAR_CHAR] = { S_IFCHR, OL_EROFS_TYPE_CHAR },
	[OL_TAR_BLOCK] = { S_IFBLK, OL_EROFS_TYPE_BLOCK },
	[OL_TAR_DIR] = { S_IFDIR, OL_EROFS_TYPE_DIR },
	[OL_TAR_FIFO] = { S_IFIFO, OL_EROFS_TYPE_FIFO },
};

static int add_patch(struct tree *tree, uint64_t sequence, char tag, ol_view value, ol_error *err)
{
	char key[9];

	for (unsigned i = 0; i < 8; i++)
		key[i] = (char)(sequence >> (56 - 8 * i));
	key[8] = tag;
	if (!tree->patches)
		tree->patches = ol_sorter_new(tree->job->temp_fd, tree->job->budget_bytes / 8);
	return ol_sorter_add(tree->patches, ol_view_from(key, sizeof key), value, err);
}

static int write_inode(struct tree *tree, ol_view value, uint64_t *at, ol_error *err)
{
	ol_erofs_record record = ol_erofs_record_decode(value);
	ol_erofs_inode_plan plan = { .value = value,
		.xattrs = ol_buf_view(&tree->xattrs),
		.mode = kinds[record.head.type].mode | (record.head.mode & 07777),
		.number = (uint32_t)++tree->result.inodes,
		.payload_fd = tree->job->payload_fd };

	return ol_erofs_inode_write(tree->output, &plan, at, err);
}

static int export_inode(
	struct tree *tree, const ol_erofs_node *node, uint64_t at, bool own, ol_error *err)
{
	ol_erofs_record record = ol_erofs_record_decode(ol_buf_view(&node->value));
	struct inode_place place = { .at = at, .own = own, .type = kinds[record.head.type].type };

	return add_patch(tree, node->sequence, 0, ol_view_from(&place, sizeof place), err);
}

static int write_orphan(void *ctx, const ol_erofs_node *node, ol_error *err)
{
	struct tree *tree = ctx;
	ol_erofs_record record = ol_erofs_record_decode(ol_buf_view(&node->value));
	uint64_t at;
	int rc;

	ol_buf_clear(&tree->xattrs);
	ol_buf_add(&tree->xattrs, record.xattrs.data, record.xattrs.size);
	rc = write_inode(tree, ol_buf_view(&node->value), &at, err);
	return rc < 0 ? rc : export_inode(tree, node, at, false, err);
}

static int add_overlay_xattr(struct tree *tree, const char *what, const char *value, ol_error *err)
{
	char name[64];

	(void)snprintf(name, sizeof name, "%s.overlay.%s",
		tree->job->userxattr ? "user" : "trusted", what);
	return ol_erofs_xattr_encode(ol_view_of(name), ol_view_of(value), &tree->xattrs, err);
}

/* The tar's own xattrs, and what overlayfs or complete() is to know. */
static int gather_dir_xattrs(struct tree *tree, ol_view own, bool is_root, ol_error *err)
{
	const ol_erofs_node *node = &tree->node;
	int rc = OL_OK;

	ol_buf_clear(&tree->xattrs);
	ol_buf_add(&tree->xattrs, own.data, own.size);
	if (node->opaque)
		rc = add_overlay_xattr(tree, "opaque", "y", err);
	if (rc == OL_OK && node->holds_whiteout)
		rc = add_overlay_xattr(tree, "origin", "", err);
	if (rc == OL_OK && (node->leans || (is_root && !node->listed)))
		rc = ol_erofs_xattr_encode(
			ol_view_of(OL_EROFS_XATTR_IMPLIED), ol_view_of(""), &tree->xattrs, err);
	return rc;
}

static int write_dir(
	struct tree *tree, uint64_t parent_at, bool is_root, uint64_t *at, ol_error *err)
{
	static const ol_erofs_record_head unlisted = { .type = OL_TAR_DIR, .mode = 0755 };
	const ol_erofs_node *node = &tree->node;
	ol_view value =
		node->listed ? ol_buf_view(&node->value) : ol_view_from(&unlisted, sizeof unlisted);
	ol_erofs_dir dir = { .cut = node->cut, .bare = node->bare };
	int rc = gather_dir_xattrs(tree, ol_erofs_record_decode(value).xattrs, is_root, err);

	if (rc == OL_OK)
		rc = write_inode(tree, value, at, err);
	if (rc < 0)
		return rc;
	tree->result.leans = tree->result.leans || node->leans;
	dir.at = *at;
	dir.parent_at = is_root ? *at : parent_at;
	dir.key = ol_view_from(node->key.bytes, node->key.size);
	return ol_erofs_queue_push(&tree->queue, &dir, err);
}

static int write_plain(struct tree *tree, uint64_t *at, unsigned *type, ol_error *err)
{
	static const ol_erofs_record_head whiteout = { .type = OL_TAR_CHAR };
	static const ol_erofs_record_head cross = { .type = OL_TAR_FILE };
	const ol_erofs_node *node = &tree->node;
	ol_view value = ol_buf_view(&node->value);
	int rc = OL_OK;

	ol_buf_clear(&tree->xattrs);
	if (node->kind == OL_EROFS_NODE_WHITEOUT) {
		value = ol_view_from(&whiteout, sizeof whiteout);
	} else if (node->kind == OL_EROFS_NODE_CROSS) {
		value = ol_view_from(&cross, sizeof cross);
		tree->result.leans = true;
		rc = ol_erofs_xattr_encode(ol_view_of(OL_EROFS_XATTR_LINK),
			ol_buf_view(&node->target), &tree->xattrs, err);
	} else {
		ol_erofs_record record = ol_erofs_record_decode(value);

		ol_buf_add(&tree->xattrs, record.xattrs.data, record.xattrs.size);
	}
	*type = kinds[ol_erofs_record_decode(value).head.type].type;
	if (rc == OL_OK)
		rc = write_inode(tree, value, at, err);
	if (rc == OL_OK && node->kind == OL_EROFS_NODE_INODE && node->exported)
		rc = export_inode(tree, node, *at, true, err);
	return rc;
}

static ol_view last_component(const ol_erofs_key *key)
{
	size_t end = key->size - 1, start = end;

	while (start > 2 && key->bytes[start - 1])
		start--;
	return ol_view_from(key->bytes + start, end - start);
}

/* A child of dir: its inode, and its entry in dir. */
static int write_node(struct tree *tree, const ol_erofs_dir *dir, ol_error *err)
{
	const ol_erofs_node *node = &tree->node;
	struct entry_place place = { .dir_at = dir->at };
	unsigned type = OL_EROFS_TYPE_FILE;
	uint64_t at = 0;
	int rc = OL_OK;

	if (node->kind == OL_EROFS_NODE_NONE)
		return OL_OK;
	if (node->kind == OL_EROFS_NODE_DIR) {
		rc = write_dir(tree, dir->at, false, &at, err);
		type = OL_EROFS_TYPE_DIR;
		tree->subdirs++;
	} else if (node->kind != OL_EROFS_NODE_LINK) {
		rc = write_plain(tree, &at, &type, err);
	}
	if (rc == OL_OK)
		rc = ol_erofs_dirents_add(
			&tree->dirents, last_component(&node->key), at, type, &place.offset, err);
	if (rc == OL_OK && node->kind == OL_EROFS_NODE_LINK)
		rc = add_patch(tree, node->link, 1, ol_view_from(&place, sizeof place), err);
	return rc;
}

/* Before dir's children, among them, or after: where a record's path stands. */
static int relation(ol_view key, ol_view dir)
{
	unsigned depth = ol_erofs_key_depth(key), dir_depth = ol_erofs_key_depth(dir);

	if (depth != dir_depth + 1)
		return depth < dir_depth + 1 ? -1 : 1;
	/* A path has more components than the directory, so it is not a prefix of it. */
	if (key.size >= dir.size && memcmp(key.data + 2, dir.data + 2, dir.size - 2) == 0)
		return 0;
	return ol_erofs_view_compare(key, dir) < 0 ? -1 : 1;
}

/* Records whose directory is none: all that is left of them is what hard links mean. */
static int pass_over(struct tree *tree, ol_error *err)
{
	static const ol_erofs_dir nowhere = { .cut = UINT64_MAX };

	return ol_erofs_fold(&tree->stream, &nowhere, &tree->node, write_orphan, tree, err);
}

static int patch_dir(struct tree *tree, uint64_t at, uint64_t block, ol_error *err)
{
	struct ol_erofs_inode_disk core;
	int rc;

	if (block >= UINT32_MAX)
		return ol_fail(err, OL_EUNSUPPORTED, "the index would be too large");
	ol_put64(core.size, tree->dirents.size);
	ol_put32(core.u, (uint32_t)block);
	ol_put32(core.nlink, tree->subdirs + 2);
	rc = ol_erofs_output_patch(tree->output, at + offsetof(struct ol_erofs_inode_disk, size),
		core.size, sizeof core.size + sizeof core.u, err);
	if (rc < 0)
		return rc;
	return ol_erofs_output_patch(tree->output, at + offsetof(struct ol_erofs_inode_disk, nlink),
		core.nlink, sizeof core.nlink, err);
}

static int write_children(struct tree *tree, const ol_erofs_dir *dir, ol_error *err)
{
	uint64_t block;
	int rc = OL_OK;

	ol_erofs_dirents_begin(&tree->dirents, dir->at, dir->parent_at);
	tree->subdirs = 0;
	while (rc == OL_OK && tree->stream.more) {
		int where = relation(ol_erofs_key_path(tree->stream.key), dir->key);

		if (where > 0)
			break;
		if (where < 0) {
			rc = pass_over(tree, err);
			continue;
		}
		rc = ol_erofs_fold(&tree->stream, dir, &tree->node, write_orphan, tree, err);
		if (rc == OL_OK)
			rc = write_node(tree, dir, err);
	}
	if (rc == OL_OK)
		rc = ol_erofs_output_align(tree->output, OL_EROFS_BLOCK, err);
	block = tree->output->position / OL_EROFS_BLOCK;
	if (rc == OL_OK)
		rc = ol_erofs_dirents_end(&tree->dirents, tree->output, err);
	return rc < 0 ? rc : patch_dir(tree, dir->at, block, err);
}

static int write_root(struct tree *tree, ol_error *err)
{
	static const ol_erofs_dir above = { 0 };
	ol_erofs_node *node = &tree->node;
	int rc = OL_OK;

	ol_erofs_key_set(&node->key, ol_view_of(""));
	if (tree->stream.more && ol_erofs_key_depth(tree->stream.key) == 0)
		rc = ol_erofs_fold(&tree->stream, &above, node, write_orphan, tree, err);
	node->kind = OL_EROFS_NODE_DIR;
	return rc < 0 ? rc : write_dir(tree, 0, true, &tree->result.root_at, err);
}

/* The block where a directory's data begin; dirs are asked for again and again. */
static int read_dir_block(
	struct tree *tree, uint64_t dir_at, uint64_t *at, uint64_t *block, ol_error *err)
{
	uint8_t u[4];
	int rc;

	if (dir_at == *at)
		return OL_OK;
	rc = ol_pread_all(tree->output->fd, u, sizeof u,
		dir_at + offsetof(struct ol_erofs_inode_disk, u), err);
	if (rc < 0)
		return ol_wrap(err, rc, "index");
	*at = dir_at;
	*block = ol_get32(u);
	return OL_OK;
}

static int patch_entry(
	struct tree *tree, const struct inode_place *inode, uint64_t at, ol_error *err)
{
	struct ol_erofs_dirent entry;
	uint8_t type = (uint8_t)inode->type;
	int rc;

	ol_put64(entry.node, inode->at / OL_EROFS_NODE_BYTES);
	rc = ol_erofs_output_patch(tree->output, at, entry.node, sizeof entry.node, err);
	if (rc < 0)
		return rc;
	return ol_erofs_output_patch(
		tree->output, at + offsetof(struct ol_erofs_dirent, type), &type, sizeof type, err);
}

static int patch_nlink(
	struct tree *tree, const struct inode_place *inode, uint32_t count, ol_error *err)
{
	uint8_t nlink[4];

	ol_put32(nlink, count);
	return ol_erofs_output_patch(tree->output,
		inode->at + offsetof(struct ol_erofs_inode_disk, nlink), nlink, sizeof nlink, err);
}

/* Every entry that is a hard link learns its inode, and every such inode how many they are. */
static int patch_links(struct tree *tree, ol_error *err)
{
	struct inode_place inode = { 0 };
	uint32_t count = 0;
	uint64_t dir_at = 0, block = 0;
	bool more = true;
	int rc = ol_erofs_output_flush(tree->output, err);

	if (rc == OL_OK)
		rc = ol_sorter_sort(tree->patches, err);
	while (rc == OL_OK) {
		struct entry_place place;
		ol_view key, value;

		rc = ol_sorter_next(tree->patches, &key, &value, &more, err);
		if (rc < 0 || !more)
			break;
		if (key.data[8] == 0) {
			if (inode.at)
				rc = patch_nlink(tree, &inode, count, err);
			memcpy(&inode, value.data, sizeof inode);
			count = inode.own;
			continue;
		}
		memcpy(&place, value.data, sizeof place);
		rc = read_dir_block(tree, place.dir_at, &dir_at, &block, err);
		if (rc == OL_OK)
			rc = patch_entry(tree, &inode, block * OL_EROFS_BLOCK + place.offset, err);
		count++;
	}
	return rc == OL_OK && inode.at ? patch_nlink(tree, &inode, count, err) : rc;
}

static int write_all(struct tree *tree, ol_error *err)
{
	ol_erofs_dir dir;
	bool more = true;
	int rc = ol_erofs_stream_init(&tree->stream, tree->job->records, tree->job->links, err);

	if (rc == OL_OK)
		rc = write_root(tree, err);
	while (rc == OL_OK) {
		rc = ol_erofs_queue_pop(&tree->queue, &dir, &more, err);
		if (rc < 0 || !more)
			break;
		rc = write_children(tree, &dir, err);
	}
	while (rc == OL_OK && tree->stream.more)
		rc = pass_over(tree, err);
	if (rc == OL_OK && tree->patches)
		rc = patch_links(tree, err);
	return rc;
}

int ol_erofs_tree_write(const ol_erofs_tree_job *job, ol_erofs_tree_result *out, ol_error *err)
{
	struct tree *tree = ol_alloc(sizeof *tree);
	int rc;

	tree->job = job;
	tree->output = job->output;
	tree->xattrs = OL_BUF(OL_XATTRS_BYTES_MAX + OL_PATH_MAX);
	tree->node.value = OL_BUF((size_t)16 << 20);
	tree->node.target = OL_BUF(OL_PATH_MAX);
	ol_erofs_queue_init(&tree->queue, job->temp_fd);
	ol_erofs_dirents_init(&tree->dirents, job->temp_fd);
	rc = write_all(tree, err);
	if (rc == OL_OK)
		*out = tree->result;
	ol_erofs_queue_done(&tree->queue);
	ol_erofs_dirents_done(&tree->dirents);
	ol_sorter_free(tree->patches);
	ol_buf_done(&tree->xattrs);
	ol_buf_done(&tree->node.value);
	ol_buf_done(&tree->node.target);
	free(tree);
	return rc;
}
