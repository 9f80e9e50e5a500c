#include "manifest/ztoc.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "manifest/flatbuffer_priv.h"
#include "manifest/toc_priv.h"
#include "manifest/ztoc_priv.h"

#define WINDOW_BYTES     32768
#define CHECKPOINT_BYTES (8 + 8 + 1 + WINDOW_BYTES)
#define GZIP_HEAD_BYTES  10 /* what version 1 takes every gzip header to have */

static int corrupt(const char *why, ol_error *err)
{
	return ol_fail(err, OL_ECORRUPT, "the ztoc: %s", why);
}

static uint64_t le(const char *at, size_t size)
{
	uint64_t value = 0;

	for (size_t i = size; i-- > 0;)
		value = value << 8 | (unsigned char)at[i];
	return value;
}

void ol_ztoc_done(ol_ztoc *ztoc)
{
	free(ztoc->span_digests);
	*ztoc = (ol_ztoc){ 0 };
}

ol_ztoc_checkpoint ol_ztoc_checkpoint_at(const ol_ztoc *ztoc, size_t index)
{
	const char *at;

	assert(index < ztoc->span_count);
	if (!ztoc->gzip)
		return (ol_ztoc_checkpoint){ .in = index * ztoc->span_bytes,
			.out = index * ztoc->span_bytes };
	if (ztoc->first_implied && index == 0)
		return (ol_ztoc_checkpoint){ .in = GZIP_HEAD_BYTES };
	at = ztoc->zinfo.data + (index - ztoc->first_implied) * CHECKPOINT_BYTES;
	return (ol_ztoc_checkpoint){
		.in = le(at, 8),
		.out = le(at + 8, 8),
		.bits = (unsigned char)at[16],
		.window = { at + 17, index == 0 ? 0 : WINDOW_BYTES },
	};
}

void ol_ztoc_span(const ol_ztoc *ztoc, size_t index, uint64_t *begin, uint64_t *end)
{
	const ol_ztoc_checkpoint here = ol_ztoc_checkpoint_at(ztoc, index);

	*begin = here.in - (here.bits != 0);
	*end = index + 1 < ztoc->span_count ? ol_ztoc_checkpoint_at(ztoc, index + 1).in
					    : ztoc->blob_size;
}

/* Spans follow each other and lie inside. */
static int check_spans(const ol_ztoc *ztoc, ol_error *err)
{
	ol_ztoc_checkpoint before = { 0 };

	for (size_t i = 0; i < ztoc->span_count; i++) {
		const ol_ztoc_checkpoint here = ol_ztoc_checkpoint_at(ztoc, i);

		if (here.bits > 7 || here.in >= ztoc->blob_size || here.in < (here.bits != 0) ||
			here.out >= ztoc->tar_size)
			return ol_fail(err, OL_ECORRUPT,
				"the ztoc: checkpoint %zu leads out of the layer", i);
		if (i == 0 ? here.out != 0 : here.in <= before.in || here.out <= before.out)
			return ol_fail(err, OL_ECORRUPT,
				"the ztoc: checkpoint %zu does not follow the one before", i);
		before = here;
	}
	return OL_OK;
}

/* i32 count, i64 span size, then the checkpoints; version 1 leaves out the first. */
static int read_gzip(ol_ztoc *ztoc, ol_view zinfo, ol_error *err)
{
	uint64_t count;

	if (zinfo.size < OL_ZINFO_HEAD_BYTES)
		return corrupt("its checkpoints are cut short", err);
	count = le(zinfo.data, 4);
	ztoc->span_bytes = le(zinfo.data + 4, 8);
	if (count != ztoc->span_count)
		return corrupt("it has another number of checkpoints than of spans", err);
	ztoc->zinfo =
		(ol_view){ zinfo.data + OL_ZINFO_HEAD_BYTES, zinfo.size - OL_ZINFO_HEAD_BYTES };
	ztoc->first_implied = ztoc->zinfo.size == (count - 1) * CHECKPOINT_BYTES;
	if (!ztoc->first_implied && ztoc->zinfo.size != count * CHECKPOINT_BYTES)
		return corrupt("its checkpoints have no length that they can have", err);
	return check_spans(ztoc, err);
}

/* TarZinfo{version, span_size, size}. */
static int read_plain(ol_ztoc *ztoc, ol_view zinfo, ol_error *err)
{
	int64_t span = 0, size = 0;
	ol_fb_table table;
	int rc = ol_fb_root(zinfo, &table, err);

	if (rc == OL_OK)
		rc = ol_fb_i64(&table, TAR_ZINFO_SPAN_BYTES, 0, &span, err);
	if (rc == OL_OK)
		rc = ol_fb_i64(&table, TAR_ZINFO_SIZE, 0, &size, err);
	if (rc < 0)
		return rc;
	if (span <= 0 || (uint64_t)size != ztoc->tar_size || ztoc->blob_size != ztoc->tar_size)
		return corrupt("sizes that contradict each other", err);
	ztoc->span_bytes = (uint64_t)span;
	if ((ztoc->tar_size - 1) / ztoc->span_bytes + 1 != ztoc->span_count)
		return corrupt("it has another number of spans than fit its size", err);
	return OL_OK;
}

static int read_digests(ol_ztoc *ztoc, const ol_fb_table *compression, ol_error *err)
{
	ol_fb_vector digests;
	int rc = ol_fb_vector_of(compression, COMPRESSION_DIGESTS, 4, &digests, err);

	if (rc < 0)
		return rc;
	if (digests.count != ztoc->span_count)
		return corrupt("it has another number of digests than of spans", err);
	ztoc->span_digests = ol_alloc_array(ztoc->span_count, sizeof *ztoc->span_digests);
	for (size_t i = 0; rc == OL_OK && i < ztoc->span_count; i++) {
		ol_view text;

		rc = ol_fb_vector_string(&digests, i, &text, err);
		if (rc == OL_OK && ol_digest_parse(text, &ztoc->span_digests[i], NULL) < 0)
			rc = corrupt("a span's digest that cannot be verified", err);
	}
	return rc;
}

static int read_compression(ol_ztoc *ztoc, const ol_fb_table *root, ol_error *err)
{
	ol_fb_table compression;
	ol_fb_vector zinfo = { 0 };
	uint8_t algorithm = 0;
	uint32_t last = 0;
	int rc = ol_fb_child(root, ZTOC_COMPRESSION, &compression, err);

	if (rc == OL_OK)
		rc = ol_fb_u8(&compression, COMPRESSION_ALGORITHM, ALGORITHM_GZIP, &algorithm, err);
	if (rc == OL_OK)
		rc = ol_fb_u32(&compression, COMPRESSION_MAX_SPAN, 0, &last, err);
	if (rc == OL_OK)
		rc = ol_fb_vector_of(&compression, COMPRESSION_CHECKPOINTS, 1, &zinfo, err);
	if (rc < 0)
		return rc;
	if (algorithm != ALGORITHM_GZIP && algorithm != ALGORITHM_NONE)
		return ol_fail(err, OL_EUNSUPPORTED, "the ztoc: compression number %u", algorithm);
	if (last >= OL_ZTOC_SPANS_MAX)
		return ol_fail(err, OL_ELIMIT, "the ztoc: more than %u spans",
			(unsigned)OL_ZTOC_SPANS_MAX);
	ztoc->gzip = algorithm == ALGORITHM_GZIP;
	ztoc->span_count = (size_t)last + 1;
	rc = read_digests(ztoc, &compression, err);
	if (rc < 0)
		return rc;
	return (ztoc->gzip ? read_gzip : read_plain)(
		ztoc, (ol_view){ zinfo.buffer.data + zinfo.at, zinfo.count }, err);
}

static int read_root(ol_ztoc *ztoc, ol_error *err)
{
	int64_t blob = 0, tar = 0;
	ol_fb_table root;
	ol_view version;
	int rc = ol_fb_root(ztoc->bytes, &root, err);

	if (rc == OL_OK)
		rc = ol_fb_string(&root, ZTOC_VERSION, &version, err);
	if (rc == OL_OK && !ol_view_is(version, "0.9"))
		return ol_fail(err, OL_EUNSUPPORTED, "the ztoc: version %.*s, not 0.9",
			(int)(version.size < 20 ? version.size : 20), version.data);
	if (rc == OL_OK)
		rc = ol_fb_i64(&root, ZTOC_BLOB_SIZE, 0, &blob, err);
	if (rc == OL_OK)
		rc = ol_fb_i64(&root, ZTOC_TAR_SIZE, 0, &tar, err);
	if (rc < 0)
		return rc;
	if (blob <= 0 || tar <= 0 || (uint64_t)blob > OL_DESCRIPTOR_BYTES_MAX ||
		(uint64_t)tar > OL_LAYER_TAR_BYTES_MAX)
		return corrupt("a size that no layer has", err);
	ztoc->blob_size = (uint64_t)blob;
	ztoc->tar_size = (uint64_t)tar;
	return read_compression(ztoc, &root, err);
}

int ol_ztoc_parse(ol_view bytes, ol_ztoc *out, ol_error *err)
{
	ol_ztoc ztoc = { .bytes = bytes };
	int rc;

	if (bytes.size > OL_TOC_BYTES_MAX)
		return ol_fail(
			err, OL_ELIMIT, "the ztoc has more than %zu bytes", OL_TOC_BYTES_MAX);
	rc = read_root(&ztoc, err);
	if (rc < 0) {
		ol_ztoc_done(&ztoc);
		return rc == OL_ENOTFOUND ? ol_wrap(err, OL_ECORRUPT, "the ztoc") : rc;
	}
	*out = ztoc;
	return OL_OK;
}

/* One member while it is read. */
struct member {
	const ol_ztoc *ztoc;
	ol_arena *arena; /* owned: terminated names */
	ol_toc_entry entry;
	uint64_t end; /* of the data of the member before */
};

/* A text as a path has it: terminated, and without a NUL in it. */
static int read_path(
	struct member *m, const ol_fb_table *table, unsigned field, ol_view *out, ol_error *err)
{
	ol_view text;
	int rc = ol_fb_string(table, field, &text, err);

	if (rc < 0)
		return rc;
	if (memchr(text.data, '\0', text.size))
		return corrupt("a name with a NUL byte", err);
	*out = (ol_view){ ol_arena_strndup(m->arena, text.data, text.size), text.size };
	return OL_OK;
}

static int read_texts(struct member *m, const ol_fb_table *table, ol_error *err)
{
	ol_toc_entry *entry = &m->entry;
	ol_view type = { 0 }, when = { 0 };
	int rc = read_path(m, table, FILE_NAME, &entry->name, err);

	if (rc == OL_OK)
		rc = read_path(m, table, FILE_LINK, &entry->target, err);
	if (rc == OL_OK)
		rc = ol_fb_string(table, FILE_TYPE, &type, err);
	if (rc == OL_OK)
		rc = ol_fb_string(table, FILE_TIME, &when, err);
	if (rc < 0)
		return rc;
	if (!ol_toc_type_of(type, &entry->type))
		return corrupt("a member of a type that is none", err);
	if (when.size > 0 && !ol_time_parse(when, &entry->mtime))
		return corrupt("a time that is none", err);
	return OL_OK;
}

static int read_numbers(struct member *m, const ol_fb_table *table, ol_error *err)
{
	ol_toc_entry *entry = &m->entry;
	int64_t mode = 0, major = 0, minor = 0, offset = 0, size = 0;
	const struct {
		unsigned field;
		int64_t *to;
	} numbers[] = {
		{ FILE_MODE, &mode },
		{ FILE_MAJOR, &major },
		{ FILE_MINOR, &minor },
		{ FILE_OFFSET, &offset },
		{ FILE_SIZE, &size },
	};
	int rc = ol_fb_u32(table, FILE_UID, 0, &entry->uid, err);

	if (rc == OL_OK)
		rc = ol_fb_u32(table, FILE_GID, 0, &entry->gid, err);
	for (size_t i = 0; rc == OL_OK && i < sizeof numbers / sizeof *numbers; i++) {
		rc = ol_fb_i64(table, numbers[i].field, 0, numbers[i].to, err);
		if (rc == OL_OK && *numbers[i].to < 0)
			rc = corrupt("a negative number", err);
	}
	if (rc < 0)
		return rc;
	if (major > UINT32_MAX || minor > UINT32_MAX)
		return corrupt("a device number too large", err);
	entry->mode = (uint32_t)(mode & 07777);
	entry->dev_major = (uint32_t)major;
	entry->dev_minor = (uint32_t)minor;
	entry->data_offset = (uint64_t)offset;
	entry->size = entry->type == OL_TAR_FILE ? (uint64_t)size : 0;
	/* In order, apart, and inside: two members never share a byte. */
	if (entry->data_offset < m->end || entry->data_offset % 512 ||
		entry->data_offset > m->ztoc->tar_size ||
		entry->size > m->ztoc->tar_size - entry->data_offset)
		return corrupt(
			"a member whose data lie outside of the layer, or in another's", err);
	m->end = entry->data_offset + entry->size;
	return OL_OK;
}

static int read_xattrs(struct member *m, const ol_fb_table *table, ol_error *err)
{
	ol_fb_vector vector;
	ol_xattr *xattrs;
	size_t bytes = 0;
	int rc = ol_fb_vector_of(table, FILE_XATTRS, 4, &vector, err);

	if (rc < 0 || vector.count == 0)
		return rc;
	if (vector.count > OL_PAX_RECORDS_MAX)
		return ol_fail(err, OL_ELIMIT, "the ztoc: a member with too many records");
	xattrs = ol_arena_alloc(m->arena, vector.count * sizeof *xattrs);
	for (size_t i = 0; rc == OL_OK && i < vector.count; i++) {
		ol_fb_table pair;
		ol_view key = { "", 0 };

		rc = ol_fb_vector_table(&vector, i, &pair, err);
		if (rc == OL_OK)
			rc = ol_fb_string(&pair, 0, &key, err);
		if (rc == OL_OK)
			rc = ol_fb_string(&pair, 1, &xattrs[i].value, err);
		if (rc < 0)
			break;
		bytes += key.size + xattrs[i].value.size;
		if (bytes > OL_PAX_BYTES_MAX)
			return ol_fail(err, OL_ELIMIT, "the ztoc: a member with too large records");
		if (memchr(key.data, '\0', key.size))
			return corrupt("a name with a NUL byte", err);
		/* Its size is the one with holes, and where they are stands nowhere. */
		if (ol_view_starts(key, "GNU.sparse."))
			return ol_fail(err, OL_EUNSUPPORTED,
				"it holds a sparse file, whose holes a ztoc cannot carry");
		xattrs[i].name =
			(ol_view){ ol_arena_strndup(m->arena, key.data, key.size), key.size };
	}
	m->entry.xattrs = xattrs;
	m->entry.xattr_count = vector.count;
	return rc;
}

static int read_member(struct member *m, const ol_fb_table *table, ol_error *err)
{
	int rc;

	ol_arena_free(m->arena);
	m->arena = ol_arena_new();
	m->entry = (ol_toc_entry){ 0 };
	rc = read_texts(m, table, err);
	if (rc == OL_OK)
		rc = read_xattrs(m, table, err);
	return rc < 0 ? rc : read_numbers(m, table, err);
}

int ol_ztoc_entries(const ol_ztoc *ztoc, const ol_toc_handler *handler, ol_error *err)
{
	struct member member = { .ztoc = ztoc };
	ol_fb_table root, toc, table;
	ol_fb_vector members = { 0 };
	int rc = ol_fb_root(ztoc->bytes, &root, err);

	if (rc == OL_OK)
		rc = ol_fb_child(&root, ZTOC_TOC, &toc, err);
	if (rc == OL_OK)
		rc = ol_fb_vector_of(&toc, 0, 4, &members, err);
	if (rc == OL_OK && members.count > OL_LAYER_ENTRIES_MAX)
		rc = ol_fail(err, OL_ELIMIT, "the ztoc: too many members");
	for (size_t i = 0; rc == OL_OK && i < members.count; i++) {
		rc = ol_fb_vector_table(&members, i, &table, err);
		if (rc == OL_OK)
			rc = read_member(&member, &table, err);
		if (rc == OL_OK)
			rc = handler->entry(handler->ctx, &member.entry, err);
	}
	ol_arena_free(member.arena);
	return rc == OL_ENOTFOUND ? ol_wrap(err, OL_ECORRUPT, "the ztoc") : rc;
}
