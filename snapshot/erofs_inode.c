/*
 * One inode: core, xattrs, and then the chunk table of a file, the target of a symbolic link, or
 * nothing.
 *
 *	at (32-aligned)      +64          aligned to 8           …
 *	core                 xattrs       chunk indexes          next
 */
#include <sys/stat.h>

#include "base/alloc.h"
#include "snapshot/erofs_writer_priv.h"

struct shape {
	unsigned layout;
	uint64_t at;
	uint64_t xattrs_size; /* with its head */
	uint32_t u;
};

static uint64_t align_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

/* Where an inode goes so that size bytes behind its xattrs lie within one block; false if they
 * never do. */
static bool place_inline(uint64_t *at, uint64_t before, uint64_t size)
{
	for (unsigned i = 0; i < OL_EROFS_BLOCK / OL_EROFS_NODE_BYTES; i++) {
		uint64_t tried = *at + (uint64_t)i * OL_EROFS_NODE_BYTES;

		if ((tried + before) % OL_EROFS_BLOCK + size <= OL_EROFS_BLOCK) {
			*at = tried;
			return true;
		}
	}
	return false;
}

static int shape_of(const ol_erofs_output *output, const ol_erofs_inode_plan *plan,
	const ol_erofs_record *record, struct shape *shape, ol_error *err)
{
	const ol_erofs_record_head *head = &record->head;
	bool has_data = (head->type == OL_TAR_FILE || head->type == OL_TAR_SYMLINK) && head->size;
	uint64_t before, end;

	*shape = (struct shape){ .layout = OL_EROFS_PLAIN,
		.at = align_up(output->position, OL_EROFS_NODE_BYTES) };
	if (plan->xattrs.size)
		shape->xattrs_size = sizeof(struct ol_erofs_xattr_head) + plan->xattrs.size;
	before = sizeof(struct ol_erofs_inode_disk) + shape->xattrs_size;
	if (head->type == OL_TAR_CHAR || head->type == OL_TAR_BLOCK)
		shape->u = head->rdev;
	if (!has_data)
		return OL_OK;
	if (head->type == OL_TAR_FILE && head->device) {
		shape->layout = OL_EROFS_CHUNKED;
		shape->u = OL_EROFS_CHUNK_INDEXES | head->chunk_bits;
		return OL_OK;
	}
	if (head->type == OL_TAR_SYMLINK && head->size < OL_EROFS_BLOCK &&
		place_inline(&shape->at, before, head->size)) {
		shape->layout = OL_EROFS_INLINE;
		return OL_OK;
	}
	end = align_up(shape->at + before, OL_EROFS_BLOCK) / OL_EROFS_BLOCK;
	if (end + head->size / OL_EROFS_BLOCK >= UINT32_MAX)
		return ol_fail(err, OL_EUNSUPPORTED, "the index would be too large");
	shape->u = (uint32_t)end;
	return OL_OK;
}

static int write_core(ol_erofs_output *output, const ol_erofs_inode_plan *plan,
	const ol_erofs_record_head *head, const struct shape *shape, ol_error *err)
{
	struct ol_erofs_inode_disk core = { 0 };
	static const struct ol_erofs_xattr_head xattr_head;
	uint64_t units = (shape->xattrs_size - (shape->xattrs_size ? sizeof xattr_head : 0)) / 4;
	int rc;

	ol_put16(core.format, (uint16_t)(OL_EROFS_EXTENDED | shape->layout << 1));
	ol_put16(core.xattr_count, (uint16_t)(shape->xattrs_size ? units + 1 : 0));
	ol_put16(core.mode, (uint16_t)plan->mode);
	ol_put64(core.size, head->size);
	ol_put32(core.u, shape->u);
	ol_put32(core.number, plan->number);
	ol_put32(core.uid, head->uid);
	ol_put32(core.gid, head->gid);
	ol_put64(core.mtime, head->mtime);
	ol_put32(core.mtime_nsec, head->nsec);
	ol_put32(core.nlink, 1);
	rc = ol_erofs_output_zeros(output, shape->at - output->position, err);
	if (rc == OL_OK)
		rc = ol_erofs_output_add(output, &core, sizeof core, err);
	if (rc == OL_OK && shape->xattrs_size)
		rc = ol_erofs_output_add(output, &xattr_head, sizeof xattr_head, err);
	if (rc == OL_OK)
		rc = ol_erofs_output_add(output, plan->xattrs.data, plan->xattrs.size, err);
	return rc;
}

/* A hole where no piece covers the chunk, else the piece's place in the tar. Pieces are in order,
 * and so are chunks. */
static int write_chunks(ol_erofs_output *output, const ol_erofs_record *record, ol_error *err)
{
	const ol_erofs_record_head *head = &record->head;
	uint64_t chunks = ol_erofs_record_chunks(head), address = head->offset;
	ol_sparse whole = { .offset = 0, .size = head->size }, piece = whole;
	size_t count = head->sparse ? head->piece_count : 1, next = 0;
	int rc = ol_erofs_output_align(output, sizeof(struct ol_erofs_chunk), err);

	if (head->sparse)
		piece = count ? ol_erofs_piece(record, 0) : (ol_sparse){ 0 };
	for (uint64_t i = 0; rc == OL_OK && i < chunks; i++) {
		uint64_t start = i << (OL_EROFS_BLOCK_BITS + head->chunk_bits);
		struct ol_erofs_chunk chunk = { 0 };

		while (next < count && start >= piece.offset + piece.size) {
			address += piece.size;
			next++;
			if (next < count)
				piece = ol_erofs_piece(record, next);
		}
		if (next < count && start >= piece.offset) {
			ol_put16(chunk.device, head->device);
			ol_put32(chunk.block,
				(uint32_t)((address + (start - piece.offset)) / OL_EROFS_BLOCK));
		} else {
			ol_put32(chunk.block, OL_EROFS_HOLE);
		}
		rc = ol_erofs_output_add(output, &chunk, sizeof chunk, err);
	}
	return rc;
}

int ol_erofs_inode_write(
	ol_erofs_output *output, const ol_erofs_inode_plan *plan, uint64_t *at, ol_error *err)
{
	ol_erofs_record record = ol_erofs_record_decode(plan->value);
	struct shape shape;
	int rc = shape_of(output, plan, &record, &shape, err);

	if (rc == OL_OK)
		rc = write_core(output, plan, &record.head, &shape, err);
	if (rc < 0)
		return rc;
	*at = shape.at;
	if (shape.layout == OL_EROFS_CHUNKED)
		return write_chunks(output, &record, err);
	if (record.head.type != OL_TAR_SYMLINK && record.head.type != OL_TAR_FILE)
		return OL_OK;
	if (shape.layout == OL_EROFS_PLAIN && record.head.size)
		rc = ol_erofs_output_align(output, OL_EROFS_BLOCK, err);
	if (rc < 0)
		return rc;
	if (record.head.type == OL_TAR_SYMLINK)
		return ol_erofs_output_add(output, record.target.data, record.target.size, err);
	return ol_erofs_output_copy(
		output, plan->payload_fd, record.head.offset, record.head.size, err);
}
