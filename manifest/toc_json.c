/*
 * {"version":1,"entries":[{"name":…,"type":"reg",…},{"name":…,"type":"chunk",…},…]}
 *
 * A file is a reg entry and the chunk entries behind it, so an entry goes out when the next one
 * that is no chunk has begun. Two rows are kept: the one being read, and the file that may go on.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "manifest/json_scan.h"
#include "manifest/toc_priv.h"

/* The members of one entry as they stand. */
struct row {
	ol_arena *arena; /* owned: texts and xattrs */
	ol_view name, target, type, modtime, chunk_type;
	int64_t size, mode, uid, gid, dev_major, dev_minor;
	int64_t offset, end_offset, inner_offset, chunk_offset, chunk_size;
	ol_digest digest, chunk_digest;
	ol_xattr *xattrs; /* in arena */
	size_t xattr_count, xattr_cap, xattr_bytes;
	bool mangled;
	uint32_t seen; /* a bit for each member that was said */
};

struct parser {
	ol_json_scan scan;
	const ol_toc_handler *handler; /* lent */
	uint64_t blob_end;
	uint64_t count;  /* entries begun */
	uint64_t chunks; /* in all */
	struct row row;
	/* The file that chunks may follow. */
	bool open;
	struct row file;
	uint64_t filled;    /* bytes that its chunks cover */
	ol_toc_chunk *list; /* owned */
	size_t list_count, list_cap;
};

static int refuse(const struct parser *p, int code, const char *why, ol_error *err)
{
	return ol_fail(err, code, "entry %llu of the table of contents: %s",
		(unsigned long long)p->count, why);
}

static void row_clear(struct row *row)
{
	ol_arena_free(row->arena);
	*row = (struct row){ .arena = ol_arena_new() };
}

static bool has_replacement(ol_view text)
{
	return memmem(text.data, text.size, "\xef\xbf\xbd", 3) != NULL;
}

static ol_view keep(struct row *row, ol_view text)
{
	ol_view kept = { ol_arena_strndup(row->arena, text.data, text.size), text.size };

	return kept;
}

/* Members by kind: where each is kept. */
struct member {
	const char *name;
	size_t at; /* in struct row */
};

static const struct member texts[] = {
	{ "name", offsetof(struct row, name) },
	{ "linkName", offsetof(struct row, target) },
	{ "type", offsetof(struct row, type) },
	{ "modtime", offsetof(struct row, modtime) },
	{ "chunkType", offsetof(struct row, chunk_type) },
	{ NULL, 0 },
};
static const struct member numbers[] = {
	{ "size", offsetof(struct row, size) },
	{ "mode", offsetof(struct row, mode) },
	{ "uid", offsetof(struct row, uid) },
	{ "gid", offsetof(struct row, gid) },
	{ "devMajor", offsetof(struct row, dev_major) },
	{ "devMinor", offsetof(struct row, dev_minor) },
	{ "offset", offsetof(struct row, offset) },
	{ "endOffset", offsetof(struct row, end_offset) },
	{ "innerOffset", offsetof(struct row, inner_offset) },
	{ "chunkOffset", offsetof(struct row, chunk_offset) },
	{ "chunkSize", offsetof(struct row, chunk_size) },
	{ NULL, 0 },
};
static const struct member digests[] = {
	{ "digest", offsetof(struct row, digest) },
	{ "chunkDigest", offsetof(struct row, chunk_digest) },
	{ NULL, 0 },
};

/* Where a key's value goes; NULL for a key that is not in members. *bit: which of all members it
 * is. */
static void *member_of(struct row *row, const struct member *members, ol_view key, unsigned *bit)
{
	for (; members->name; members++, (*bit)++)
		if (ol_view_is(key, members->name))
			return (char *)row + members->at;
	return NULL;
}

/* A value of base64; null is empty. */
static int add_xattr(struct parser *p, ol_view name, ol_view value, ol_error *err)
{
	struct row *row = &p->row;
	ol_auto_buf ol_buf bytes = OL_BUF(OL_XATTRS_BYTES_MAX);
	int rc = ol_base64_parse(value, &bytes, NULL);

	row->xattr_bytes += name.size + bytes.size;
	if (rc == OL_ELIMIT || row->xattr_bytes > OL_XATTRS_BYTES_MAX)
		return refuse(p, OL_ELIMIT, "its xattrs are too large", err);
	if (rc < 0)
		return refuse(p, OL_ECORRUPT, "an xattr that is not base64", err);
	if (row->xattr_count == row->xattr_cap) {
		size_t cap = row->xattr_cap ? row->xattr_cap * 2 : 8;
		ol_xattr *grown = ol_arena_alloc(row->arena, cap * sizeof *grown);

		if (row->xattr_count)
			memcpy(grown, row->xattrs, row->xattr_count * sizeof *grown);
		row->xattrs = grown;
		row->xattr_cap = cap;
	}
	row->mangled = row->mangled || has_replacement(name);
	row->xattrs[row->xattr_count++] = (ol_xattr){ .name = name,
		.value = keep(row, (ol_view){ bytes.data ? bytes.data : "", bytes.size }) };
	return OL_OK;
}

/* Behind the key "xattrs". */
static int read_xattrs(struct parser *p, const ol_json_token *begin, ol_error *err)
{
	ol_json_token token;
	int rc = OL_OK;

	if (begin->type == OL_JSON_TOKEN_NULL)
		return OL_OK;
	if (begin->type != OL_JSON_TOKEN_OBJECT)
		return refuse(p, OL_ECORRUPT, "xattrs is no object", err);
	while (rc == OL_OK) {
		ol_view name;

		rc = ol_json_scan_next(&p->scan, &token, err);
		if (rc < 0 || token.type == OL_JSON_TOKEN_OBJECT_END)
			break;
		name = keep(&p->row, token.text);
		rc = ol_json_scan_next(&p->scan, &token, err);
		if (rc == OL_OK && token.type != OL_JSON_TOKEN_STRING &&
			token.type != OL_JSON_TOKEN_NULL)
			rc = refuse(p, OL_ECORRUPT, "an xattr that is no text", err);
		if (rc == OL_OK)
			rc = add_xattr(p, name,
				token.type == OL_JSON_TOKEN_STRING ? token.text
								   : (ol_view){ "", 0 },
				err);
	}
	return rc;
}

static int read_digest(struct parser *p, ol_view text, ol_digest *out, ol_error *err)
{
	if (text.size == 0)
		return OL_OK;
	return ol_digest_parse(text, out, NULL) == OL_OK
		       ? OL_OK
		       : refuse(p, OL_ECORRUPT, "a digest that cannot be verified", err);
}

/* One member of an entry; key is lent only until the next token. */
static int read_member(struct parser *p, ol_view key, ol_error *err)
{
	struct row *row = &p->row;
	unsigned bit = 0;
	ol_view *text = member_of(row, texts, key, &bit);
	int64_t *number = text ? NULL : member_of(row, numbers, key, &bit);
	ol_digest *digest = text || number ? NULL : member_of(row, digests, key, &bit);
	const bool xattrs = ol_view_is(key, "xattrs"), known = text || number || digest || xattrs;
	ol_json_token token;
	int rc;

	/* What stands twice could be read twice differently. */
	if (known && row->seen & 1U << bit)
		return refuse(p, OL_ECORRUPT, "it says a member twice", err);
	row->seen |= known ? 1U << bit : 0;
	rc = ol_json_scan_next(&p->scan, &token, err);
	if (rc < 0)
		return rc;
	if (xattrs)
		return read_xattrs(p, &token, err);
	if (token.type == OL_JSON_TOKEN_NULL || !known)
		return ol_json_scan_skip(&p->scan, &token, err);
	if (number) {
		if (token.type != OL_JSON_TOKEN_INTEGER || token.integer < 0)
			return refuse(p, OL_ECORRUPT, "a number out of range", err);
		*number = token.integer;
		return OL_OK;
	}
	if (token.type != OL_JSON_TOKEN_STRING)
		return refuse(p, OL_ECORRUPT, "a member of the wrong type", err);
	if (digest)
		return read_digest(p, token.text, digest, err);
	*text = keep(row, token.text);
	row->mangled = row->mangled || has_replacement(*text);
	return OL_OK;
}

static int emit(struct parser *p, const struct row *row, ol_tar_type type, ol_error *err)
{
	const bool file = type == OL_TAR_FILE;
	ol_toc_entry entry = {
		.type = type,
		.name = row->name,
		.target = row->target,
		.mode = (uint32_t)(row->mode & 07777),
		.uid = (uint32_t)row->uid,
		.gid = (uint32_t)row->gid,
		.dev_major = (uint32_t)row->dev_major,
		.dev_minor = (uint32_t)row->dev_minor,
		.size = file ? (uint64_t)row->size : 0,
		.data_offset = OL_TOC_NOWHERE,
		.xattrs = row->xattrs,
		.xattr_count = row->xattr_count,
		.chunks = file ? p->list : NULL,
		.chunk_count = file ? p->list_count : 0,
		.mangled = row->mangled,
	};

	if (row->uid > UINT32_MAX - 1 || row->gid > UINT32_MAX - 1 || row->dev_major > UINT32_MAX ||
		row->dev_minor > UINT32_MAX || row->size > (int64_t)OL_FILE_BYTES_MAX)
		return refuse(p, OL_ECORRUPT, "a number out of range", err);
	if (row->modtime.size > 0 && !ol_time_parse(row->modtime, &entry.mtime))
		return refuse(p, OL_ECORRUPT, "a time that is none", err);
	return p->handler->entry(p->handler->ctx, &entry, err);
}

/* The file is whole, or it is not. */
static int end_file(struct parser *p, ol_error *err)
{
	int rc;

	if (!p->open)
		return OL_OK;
	p->open = false;
	if (p->filled != (uint64_t)p->file.size)
		return ol_fail(err, OL_ECORRUPT,
			"the table of contents: chunks of %.200s cover %llu of its %llu bytes",
			p->file.name.data, (unsigned long long)p->filled,
			(unsigned long long)p->file.size);
	rc = emit(p, &p->file, OL_TAR_FILE, err);
	p->list_count = 0;
	return rc;
}

/* The chunk that the row describes, of the open file. A first one may leave its digest to the
 * file's. */
static int add_chunk(struct parser *p, ol_error *err)
{
	const struct row *row = &p->row;
	const uint64_t left = (uint64_t)p->file.size - p->filled;
	ol_toc_chunk chunk = {
		.offset = (uint64_t)row->chunk_offset,
		.size = row->chunk_size ? (uint64_t)row->chunk_size : left,
		.blob_offset = (uint64_t)row->offset,
		.blob_end = (uint64_t)row->end_offset,
		.inner_offset = (uint64_t)row->inner_offset,
		.digest = row->chunk_digest,
		.zeros = ol_view_is(row->chunk_type, "zeros"),
	};

	if (chunk.offset != p->filled || chunk.size > left || chunk.size == 0)
		return refuse(p, OL_ECORRUPT, "a chunk that does not follow the one before", err);
	if (++p->chunks > OL_TOC_CHUNKS_MAX)
		return refuse(p, OL_ELIMIT, "too many chunks", err);
	if (!ol_digest_is_set(&chunk.digest) && chunk.size == (uint64_t)p->file.size)
		chunk.digest = p->file.digest;
	if (chunk.zeros) {
		chunk = (ol_toc_chunk){ .offset = chunk.offset, .size = chunk.size, .zeros = true };
	} else {
		if (!ol_digest_is_set(&chunk.digest))
			return refuse(p, OL_ECORRUPT, "a chunk without a digest", err);
		if (chunk.blob_offset >= p->blob_end || chunk.blob_end > p->blob_end ||
			(chunk.blob_end && chunk.blob_end <= chunk.blob_offset))
			return refuse(p, OL_ECORRUPT, "a chunk outside of the blob", err);
		if (chunk.inner_offset > OL_LAYER_TAR_BYTES_MAX)
			return refuse(p, OL_ECORRUPT, "a number out of range", err);
	}
	OL_GROW(p->list, p->list_count, p->list_cap);
	p->list[p->list_count++] = chunk;
	p->filled += chunk.size;
	return OL_OK;
}

/* Makes the row the open file, whose first chunk it describes as well. */
static int begin_file(struct parser *p, ol_error *err)
{
	ol_arena *spare = p->file.arena;

	p->file = p->row;
	p->row.arena = spare; /* the texts of the row are the file's now, and stay readable */
	p->filled = 0;
	p->open = true;
	if (p->file.size > (int64_t)OL_FILE_BYTES_MAX)
		return refuse(p, OL_ECORRUPT, "a number out of range", err);
	return p->file.size > 0 ? add_chunk(p, err) : OL_OK;
}

static int take_row(struct parser *p, ol_error *err)
{
	ol_tar_type type;
	int rc;

	if (ol_view_is(p->row.type, "chunk"))
		return p->open && p->filled < (uint64_t)p->file.size
			       ? add_chunk(p, err)
			       : refuse(p, OL_ECORRUPT, "a chunk of no file", err);
	rc = end_file(p, err);
	if (rc < 0)
		return rc;
	if (!ol_toc_type_of(p->row.type, &type))
		return refuse(p, OL_ECORRUPT, "a type that is none", err);
	return type == OL_TAR_FILE ? begin_file(p, err) : emit(p, &p->row, type, err);
}

/* Behind the "{" of an entry. */
static int read_entry(struct parser *p, ol_error *err)
{
	ol_json_token token;
	int rc = OL_OK;

	if (++p->count > OL_LAYER_ENTRIES_MAX + OL_TOC_CHUNKS_MAX)
		return refuse(p, OL_ELIMIT, "too many entries", err);
	row_clear(&p->row);
	while (rc == OL_OK) {
		rc = ol_json_scan_next(&p->scan, &token, err);
		if (rc < 0 || token.type == OL_JSON_TOKEN_OBJECT_END)
			break;
		rc = read_member(p, token.text, err);
	}
	return rc < 0 ? rc : take_row(p, err);
}

static int read_entries(struct parser *p, ol_error *err)
{
	ol_json_token token;
	int rc = ol_json_scan_next(&p->scan, &token, err);

	if (rc < 0)
		return rc;
	if (token.type == OL_JSON_TOKEN_NULL) /* containers' tools write an empty layer so */
		return OL_OK;
	if (token.type != OL_JSON_TOKEN_ARRAY)
		return ol_fail(err, OL_ECORRUPT, "the table of contents: entries is no array");
	while (rc == OL_OK) {
		rc = ol_json_scan_next(&p->scan, &token, err);
		if (rc < 0 || token.type == OL_JSON_TOKEN_ARRAY_END)
			break;
		rc = token.type == OL_JSON_TOKEN_OBJECT
			     ? read_entry(p, err)
			     : ol_fail(err, OL_ECORRUPT,
				       "the table of contents: an entry that is no object");
	}
	return rc < 0 ? rc : end_file(p, err);
}

static int read_version(struct parser *p, ol_error *err)
{
	ol_json_token token;
	int rc = ol_json_scan_next(&p->scan, &token, err);

	if (rc == OL_OK && (token.type != OL_JSON_TOKEN_INTEGER || token.integer != 1))
		rc = ol_fail(
			err, OL_EUNSUPPORTED, "the table of contents has a version other than 1");
	return rc;
}

static int skip_value(struct parser *p, ol_error *err)
{
	ol_json_token token;
	int rc = ol_json_scan_next(&p->scan, &token, err);

	return rc < 0 ? rc : ol_json_scan_skip(&p->scan, &token, err);
}

/* Behind a key of the document; *seen: what was there before. */
static int read_part(struct parser *p, ol_view key, unsigned *seen, ol_error *err)
{
	const unsigned bit = ol_view_is(key, "version") ? 1 : ol_view_is(key, "entries") ? 2 : 0;

	if (*seen & bit)
		return ol_fail(err, OL_ECORRUPT, "the table of contents says a member twice");
	*seen |= bit;
	return bit == 1   ? read_version(p, err)
	       : bit == 2 ? read_entries(p, err)
			  : skip_value(p, err);
}

static int read_document(struct parser *p, ol_error *err)
{
	unsigned seen = 0;
	ol_json_token token;
	int rc = ol_json_scan_next(&p->scan, &token, err);

	if (rc == OL_OK && token.type != OL_JSON_TOKEN_OBJECT)
		rc = ol_fail(err, OL_ECORRUPT, "the table of contents is no object");
	while (rc == OL_OK) {
		rc = ol_json_scan_next(&p->scan, &token, err);
		if (rc < 0 || token.type != OL_JSON_TOKEN_KEY)
			break;
		rc = read_part(p, token.text, &seen, err);
	}
	if (rc == OL_OK)
		rc = ol_json_scan_next(&p->scan, &token, err); /* nothing may follow */
	if (rc == OL_OK && seen != 3)
		rc = ol_fail(err, OL_ECORRUPT, "the table of contents lacks version or entries");
	return rc == OL_EINVAL ? ol_wrap(err, OL_ECORRUPT, "the table of contents") : rc;
}

int ol_toc_json_parse(ol_view json, uint64_t blob_end, const ol_toc_handler *handler, ol_error *err)
{
	struct parser parser = { .handler = handler, .blob_end = blob_end };
	int rc;

	if (json.size > OL_TOC_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "the table of contents has more than %zu bytes",
			OL_TOC_BYTES_MAX);
	ol_json_scan_init(&parser.scan, json, OL_TOC_STRING_MAX);
	rc = read_document(&parser, err);
	ol_json_scan_done(&parser.scan);
	ol_arena_free(parser.row.arena);
	ol_arena_free(parser.file.arena);
	free(parser.list);
	return rc;
}
