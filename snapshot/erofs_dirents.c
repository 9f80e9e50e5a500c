/*
 * One directory's data: blocks of 512, each with as many entries as fit, entry headers first and
 * then their names. The kernel searches by halving, blocks first and then entries, so "." and ".."
 * stand where their bytes sort them. Blocks gather in memory, those of a very large directory in a
 * file, until the directory is complete.
 */
#include "base/file.h"
#include "base/temp.h"
#include "snapshot/erofs_writer_priv.h"

#define BLOCKS_BYTES ((size_t)128 << 10)
#define ENTRY_BYTES  sizeof(struct ol_erofs_dirent)

void ol_erofs_dirents_init(ol_erofs_dirents *dirents, int temp_fd)
{
	*dirents = (ol_erofs_dirents){ .temp_fd = temp_fd, .fd = -1 };
	dirents->blocks = OL_BUF(BLOCKS_BYTES);
}

void ol_erofs_dirents_done(ol_erofs_dirents *dirents)
{
	ol_buf_done(&dirents->blocks);
	if (dirents->fd >= 0)
		(void)close(dirents->fd);
	dirents->fd = -1;
}

void ol_erofs_dirents_begin(ol_erofs_dirents *dirents, uint64_t self, uint64_t parent)
{
	dirents->self = self;
	dirents->parent = parent;
	dirents->dots = 0;
	dirents->size = 0;
	dirents->count = dirents->name_bytes = 0;
	dirents->block_count = dirents->file_used = 0;
	ol_buf_clear(&dirents->blocks);
}

static int blocks_to_file(ol_erofs_dirents *dirents, ol_error *err)
{
	int rc = OL_OK;

	if (dirents->fd < 0)
		rc = ol_temp_open(dirents->temp_fd, &dirents->fd, err);
	if (rc == OL_OK)
		rc = ol_pwrite_all(dirents->fd, dirents->blocks.data, dirents->blocks.size,
			dirents->file_used, err);
	if (rc < 0)
		return ol_wrap(err, rc, "directory entries");
	dirents->file_used += dirents->blocks.size;
	ol_buf_clear(&dirents->blocks);
	return OL_OK;
}

/* The block under construction becomes a finished one. */
static int finish_block(ol_erofs_dirents *dirents, ol_error *err)
{
	size_t names = dirents->count * ENTRY_BYTES;
	char *block;

	if (dirents->blocks.size + OL_EROFS_BLOCK > BLOCKS_BYTES) {
		int rc = blocks_to_file(dirents, err);

		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < dirents->count; i++)
		ol_put16(dirents->entries[i].name_at, (uint16_t)(names + dirents->name_at[i]));
	block = ol_buf_room(&dirents->blocks, OL_EROFS_BLOCK);
	memset(block, 0, OL_EROFS_BLOCK);
	memcpy(block, dirents->entries, names);
	memcpy(block + names, dirents->names, dirents->name_bytes);
	dirents->blocks.size += OL_EROFS_BLOCK;
	dirents->block_count++;
	dirents->size = (dirents->block_count - 1) * OL_EROFS_BLOCK + names + dirents->name_bytes;
	dirents->count = dirents->name_bytes = 0;
	return OL_OK;
}

static int put(ol_erofs_dirents *dirents, ol_view name, uint64_t inode_at, unsigned type,
	uint64_t *at, ol_error *err)
{
	size_t used = dirents->count * ENTRY_BYTES + dirents->name_bytes;
	struct ol_erofs_dirent *entry;

	if (used + ENTRY_BYTES + name.size > OL_EROFS_BLOCK) {
		int rc = finish_block(dirents, err);

		if (rc < 0)
			return rc;
	}
	*at = dirents->block_count * OL_EROFS_BLOCK + dirents->count * ENTRY_BYTES;
	dirents->name_at[dirents->count] = (uint16_t)dirents->name_bytes;
	entry = &dirents->entries[dirents->count++];
	*entry = (struct ol_erofs_dirent){ .type = (uint8_t)type };
	ol_put64(entry->node, inode_at / OL_EROFS_NODE_BYTES);
	memcpy(dirents->names + dirents->name_bytes, name.data, name.size);
	dirents->name_bytes += name.size;
	return OL_OK;
}

/* Those of "." and ".." that come before name, or all that are left. */
static int put_dots(ol_erofs_dirents *dirents, const ol_view *name, ol_error *err)
{
	while (dirents->dots < 2) {
		ol_view dot = ol_view_of(dirents->dots ? ".." : ".");
		uint64_t target = dirents->dots ? dirents->parent : dirents->self;
		uint64_t at;
		int rc;

		if (name && ol_erofs_view_compare(*name, dot) < 0)
			return OL_OK;
		rc = put(dirents, dot, target, OL_EROFS_TYPE_DIR, &at, err);
		if (rc < 0)
			return rc;
		dirents->dots++;
	}
	return OL_OK;
}

int ol_erofs_dirents_add(ol_erofs_dirents *dirents, ol_view name, uint64_t inode_at, unsigned type,
	uint64_t *at, ol_error *err)
{
	int rc = put_dots(dirents, &name, err);

	if (rc < 0)
		return rc;
	return put(dirents, name, inode_at, type, at, err);
}

int ol_erofs_dirents_end(ol_erofs_dirents *dirents, ol_erofs_output *output, ol_error *err)
{
	int rc = put_dots(dirents, NULL, err);

	if (rc == OL_OK)
		rc = finish_block(dirents, err);
	if (rc == OL_OK && dirents->file_used)
		rc = ol_erofs_output_copy(output, dirents->fd, 0, dirents->file_used, err);
	if (rc < 0)
		return rc;
	return ol_erofs_output_add(output, dirents->blocks.data, dirents->blocks.size, err);
}
