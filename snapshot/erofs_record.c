/*
 * Keys and records: what a tar entry becomes on its way through the sorter. Records are private to
 * one process and one run, so they are in native byte order; only xattrs are already as the index
 * will have them.
 */
#include <assert.h>

#include "snapshot/erofs_writer_priv.h"

void ol_erofs_key_set(ol_erofs_key *key, ol_view path)
{
	unsigned depth = 0;
	size_t size = 2;

	assert(path.size <= OL_PATH_MAX);
	for (size_t i = 0; i < path.size; i++) {
		bool slash = path.data[i] == '/';

		key->bytes[size++] = (char)(slash ? '\0' : path.data[i]);
		depth += slash;
	}
	if (path.size) {
		key->bytes[size++] = '\0';
		depth++;
	}
	key->bytes[0] = (char)(depth >> 8);
	key->bytes[1] = (char)depth;
	key->size = size;
}

ol_view ol_erofs_key_record(ol_erofs_key *key, uint64_t sequence)
{
	for (unsigned i = 0; i < 8; i++)
		key->bytes[key->size + i] = (char)(sequence >> (56 - 8 * i));
	return ol_view_from(key->bytes, key->size + 8);
}

unsigned ol_erofs_key_depth(ol_view key)
{
	return (unsigned)(unsigned char)key.data[0] << 8 | (unsigned char)key.data[1];
}

uint64_t ol_erofs_key_sequence(ol_view record_key)
{
	const unsigned char *p = (const unsigned char *)record_key.data + record_key.size - 8;
	uint64_t sequence = 0;

	for (unsigned i = 0; i < 8; i++)
		sequence = sequence << 8 | p[i];
	return sequence;
}

void ol_erofs_key_text(ol_view path_key, ol_str *out)
{
	for (size_t i = 2; i + 1 < path_key.size; i++)
		ol_str_addc(out, (char)(path_key.data[i] ? path_key.data[i] : '/'));
}

int ol_erofs_view_compare(ol_view a, ol_view b)
{
	size_t size = a.size < b.size ? a.size : b.size;
	int order = size ? memcmp(a.data, b.data, size) : 0;

	if (order)
		return order;
	return a.size < b.size ? -1 : a.size > b.size;
}

static bool take_prefix(ol_view *name, uint8_t *index)
{
	static const struct {
		const char *text;
		uint8_t index;
		bool whole;
	} rows[] = {
		{ "user.", OL_EROFS_XATTR_USER, false },
		{ "trusted.", OL_EROFS_XATTR_TRUSTED, false },
		{ "security.", OL_EROFS_XATTR_SECURITY, false },
		{ "system.posix_acl_access", OL_EROFS_XATTR_ACL_ACCESS, true },
		{ "system.posix_acl_default", OL_EROFS_XATTR_ACL_DEFAULT, true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t size = strlen(rows[i].text);

		if (rows[i].whole ? !ol_view_is(*name, rows[i].text)
				  : !ol_view_starts(*name, rows[i].text))
			continue;
		*index = rows[i].index;
		*name = ol_view_from(name->data + size, name->size - size);
		return rows[i].whole || name->size > 0;
	}
	return false;
}

int ol_erofs_xattr_encode(ol_view name, ol_view value, ol_buf *out, ol_error *err)
{
	static const char zeros[4];
	struct ol_erofs_xattr_entry head = { 0 };
	ol_view rest = name;
	size_t size;

	if (!take_prefix(&rest, &head.prefix) || rest.size > OL_EROFS_NAME_MAX)
		return ol_fail(err, OL_EUNSUPPORTED, "xattr %.*s cannot be in an index",
			(int)(name.size < 64 ? name.size : 64), name.data);
	size = sizeof head + rest.size + value.size;
	if (value.size > UINT16_MAX || out->size + size + 3 > OL_XATTRS_BYTES_MAX)
		return ol_fail(err, OL_EUNSUPPORTED, "more xattrs than an index can hold");
	head.name_size = (uint8_t)rest.size;
	ol_put16(head.value_size, (uint16_t)value.size);
	ol_buf_add(out, &head, sizeof head);
	ol_buf_add(out, rest.data, rest.size);
	ol_buf_add(out, value.data, value.size);
	ol_buf_add(out, zeros, -size & 3);
	return ol_str_error(out, err);
}

/* The largest chunk that every piece is a whole number of. A last piece that ends with the file may
 * be cut short. */
static int choose_chunk(const ol_tar_entry *entry, ol_erofs_record_head *head, ol_error *err)
{
	uint64_t address = entry->data_size ? entry->data_offset : 0, edges = 0;
	unsigned bits = 0;

	for (size_t i = 0; entry->sparse && i < entry->sparse_count; i++) {
		uint64_t end = entry->sparse[i].offset + entry->sparse[i].size;

		edges |= entry->sparse[i].offset | (end != entry->size ? end : 0);
	}
	if ((edges | address) & (OL_EROFS_BLOCK - 1))
		return ol_fail(
			err, OL_EUNSUPPORTED, "%s: its data are not in whole blocks", entry->name);
	while (bits < OL_EROFS_CHUNK_BITS_MASK && ((uint64_t)OL_EROFS_BLOCK << bits) < entry->size)
		bits++;
	while (bits && edges & (((uint64_t)OL_EROFS_BLOCK << bits) - 1))
		bits--;
	head->chunk_bits = (uint8_t)bits;
	if (ol_erofs_record_chunks(head) > OL_CHUNKS_MAX)
		return ol_fail(
			err, OL_EUNSUPPORTED, "%s: too many pieces for an index", entry->name);
	if (address / OL_EROFS_BLOCK + entry->data_size / OL_EROFS_BLOCK >= OL_EROFS_HOLE)
		return ol_fail(err, OL_EUNSUPPORTED, "%s: too far inside the tar for an index",
			entry->name);
	return OL_OK;
}

uint64_t ol_erofs_record_chunks(const ol_erofs_record_head *head)
{
	unsigned bits = OL_EROFS_BLOCK_BITS + (unsigned)head->chunk_bits;

	return head->size ? ((head->size - 1) >> bits) + 1 : 0;
}

static int encode_xattrs(const ol_tar_entry *entry, ol_buf *out, ol_error *err)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		int rc = ol_erofs_xattr_encode(
			entry->xattrs[i].name, entry->xattrs[i].value, out, err);

		if (rc < 0)
			return ol_wrap(err, rc, "%s", entry->name);
	}
	return OL_OK;
}

int ol_erofs_record_encode(const ol_tar_entry *entry, unsigned device, ol_buf *out, ol_error *err)
{
	ol_auto_buf ol_buf xattrs = OL_BUF(OL_XATTRS_BYTES_MAX);
	ol_erofs_record_head head = { .type = (uint8_t)entry->type, .device = (uint16_t)device };
	bool has_target = entry->type == OL_TAR_HARDLINK || entry->type == OL_TAR_SYMLINK;
	int rc;

	/* Nobody can give a symbolic link another mode, so no extracted tree has one. */
	head.mode = entry->type == OL_TAR_SYMLINK ? 0777 : entry->mode;
	head.uid = entry->uid;
	head.gid = entry->gid;
	head.mtime = entry->mtime.tv_sec > 0 ? (uint64_t)entry->mtime.tv_sec : 0;
	head.nsec = entry->mtime.tv_sec >= 0 ? (uint32_t)entry->mtime.tv_nsec : 0;
	if (entry->type == OL_TAR_CHAR || entry->type == OL_TAR_BLOCK)
		head.rdev = ol_erofs_encode_dev(entry->dev_major, entry->dev_minor);
	if (entry->type == OL_TAR_FILE) {
		head.size = entry->size;
		head.offset = entry->data_offset;
		head.sparse = entry->sparse != NULL;
		head.piece_count = entry->sparse ? (uint32_t)entry->sparse_count : 0;
		rc = device ? choose_chunk(entry, &head, err) : OL_OK;
		if (rc < 0)
			return rc;
	}
	if (has_target)
		head.target_size = (uint32_t)strlen(entry->target);
	if (entry->type == OL_TAR_SYMLINK)
		head.size = head.target_size;
	rc = encode_xattrs(entry, &xattrs, err);
	if (rc < 0)
		return rc;
	head.xattrs_size = (uint16_t)xattrs.size;
	ol_buf_clear(out);
	ol_buf_add(out, &head, sizeof head);
	ol_buf_add(out, entry->target, head.target_size);
	ol_buf_add(out, xattrs.data, xattrs.size);
	if (head.piece_count)
		ol_buf_add(out, entry->sparse, head.piece_count * sizeof *entry->sparse);
	return ol_str_error(out, err);
}

void ol_erofs_record_encode_implied(bool holds_whiteout, ol_buf *out)
{
	ol_erofs_record_head head = { .type = OL_EROFS_IMPLIED, .holds_whiteout = holds_whiteout };

	ol_buf_clear(out);
	ol_buf_add(out, &head, sizeof head);
}

ol_erofs_record ol_erofs_record_decode(ol_view value)
{
	ol_erofs_record record;
	const char *p = value.data + sizeof record.head;

	memcpy(&record.head, value.data, sizeof record.head);
	record.target = ol_view_from(p, record.head.target_size);
	p += record.head.target_size;
	record.xattrs = ol_view_from(p, record.head.xattrs_size);
	p += record.head.xattrs_size;
	record.pieces = ol_view_from(p, record.head.piece_count * sizeof(ol_sparse));
	return record;
}

ol_sparse ol_erofs_piece(const ol_erofs_record *record, size_t index)
{
	ol_sparse piece;

	memcpy(&piece, record->pieces.data + index * sizeof piece, sizeof piece);
	return piece;
}
