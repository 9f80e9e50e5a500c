/*
 * A FlatBuffer is made from its end (manifest/flatbuffer_writer_priv.h), and the checkpoints, which
 * are nearly all of it, come last in the file. So the members are built in memory as they pass, and
 * the checkpoints go straight from where they wait to the sink:
 *
 *	│ root, tables, strings: in memory │ u32 size │ zinfo: head, checkpoints … │ zeros to 8 │
 */
#include "manifest/ztoc_writer.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "manifest/flatbuffer_writer_priv.h"
#include "manifest/ztoc_priv.h"

#define TAR_ZINFO_CURRENT 2

struct record {
	ol_view key, value;
	size_t order;
};

struct ol_ztoc_writer {
	ol_fb_builder builder; /* owned */
	size_t *members;       /* owned: positions */
	size_t count, cap;
	uint64_t end;           /* of the member before, with its padding */
	struct record *records; /* owned: of one member */
	size_t record_cap;
};

static void put_le(unsigned char *to, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (unsigned char)(value >> 8 * i & 0xff);
}

void ol_ztoc_checkpoint_pack(
	const ol_ztoc_checkpoint *checkpoint, unsigned char out[OL_ZTOC_CHECKPOINT_BYTES])
{
	const size_t size = checkpoint->window.size;

	assert(size <= OL_ZTOC_WINDOW_BYTES && checkpoint->bits < 8);
	put_le(out, checkpoint->in, 8);
	put_le(out + 8, checkpoint->out, 8);
	out[16] = (unsigned char)checkpoint->bits;
	memset(out + 17, 0, OL_ZTOC_WINDOW_BYTES - size);
	if (size > 0)
		memcpy(out + 17 + OL_ZTOC_WINDOW_BYTES - size, checkpoint->window.data, size);
}

ol_ztoc_writer *ol_ztoc_writer_new(void)
{
	ol_ztoc_writer *writer = ol_alloc(sizeof *writer);

	writer->builder = OL_FB_BUILDER(OL_TOC_BYTES_MAX);
	return writer;
}

void ol_ztoc_writer_free(ol_ztoc_writer *writer)
{
	if (!writer)
		return;
	ol_fb_builder_done(&writer->builder);
	free(writer->members);
	free(writer->records);
	free(writer);
}

/* As Go's archive/tar has it; NULL: a type that SOCI does not know. */
static const char *type_word(const ol_tar_member *member)
{
	static const struct {
		char flag;
		const char *word;
	} rows[] = {
		{ '0', "reg" },
		{ '1', "hardlink" },
		{ '2', "symlink" },
		{ '3', "char" },
		{ '4', "block" },
		{ '5', "dir" },
		{ '6', "fifo" },
	};

	if (member->flag == '\0')
		return ol_view_ends(member->name, "/") ? "dir" : "reg";
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].flag == member->flag)
			return rows[i].word;
	return NULL;
}

/* Why a member cannot be said; NULL: it can. */
static const char *refusal(const ol_ztoc_writer *writer, const ol_tar_member *member)
{
	const char *word = type_word(member);

	if (member->sparse)
		return "it holds a sparse file";
	if (member->global)
		return "it has a global extended header";
	if (!word)
		return "it holds a member of an unusual type";
	if (member->stored > 0 && strcmp(word, "reg") != 0)
		return "it holds data for what is no file";
	if (member->early)
		return "it holds a file of before 1970";
	if (member->header_offset != writer->end)
		return "it holds something between its members";
	return NULL;
}

static int by_key(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	const size_t least = x->key.size < y->key.size ? x->key.size : y->key.size;
	const int order = memcmp(x->key.data, y->key.data, least);

	if (order != 0)
		return order;
	if (x->key.size != y->key.size)
		return x->key.size < y->key.size ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* The records of its extended header, sorted by key; what is said last of one key counts. */
static size_t gather_records(ol_ztoc_writer *writer, const ol_tar_member *member)
{
	struct record record = { 0 };
	ol_view rest = member->pax;
	size_t count = 0, kept = 0;

	while (ol_tar_record_next(&rest, &record.key, &record.value)) {
		OL_GROW(writer->records, count, writer->record_cap);
		record.order = count;
		writer->records[count++] = record;
	}
	if (count > 1)
		qsort(writer->records, count, sizeof *writer->records, by_key);
	for (size_t i = 0; i < count; i++) {
		const struct record *next = i + 1 < count ? &writer->records[i + 1] : NULL;
		const ol_view key = writer->records[i].key;

		if (!next || next->key.size != key.size ||
			memcmp(next->key.data, key.data, key.size) != 0)
			writer->records[kept++] = writer->records[i];
	}
	return kept;
}

/* A record's value, or what the block says. */
static ol_view owner_name(
	const ol_ztoc_writer *writer, size_t count, const char *key, ol_view otherwise)
{
	for (size_t i = 0; i < count; i++)
		if (ol_view_is(writer->records[i].key, key) && writer->records[i].value.size > 0)
			return writer->records[i].value;
	return otherwise;
}

static size_t put_records(ol_ztoc_writer *writer, size_t count)
{
	ol_fb_builder *builder = &writer->builder;
	ol_autofree size_t *positions = ol_alloc_array(count + 1, sizeof *positions);

	for (size_t i = 0; i < count; i++) {
		const size_t key = ol_fb_put_string(builder, writer->records[i].key);
		const size_t value = ol_fb_put_string(builder, writer->records[i].value);

		ol_fb_table_begin(builder);
		ol_fb_set_offset(builder, 0, key);
		ol_fb_set_offset(builder, 1, value);
		positions[i] = ol_fb_table_end(builder);
	}
	return ol_fb_put_offsets(builder, positions, count);
}

static size_t put_member(ol_ztoc_writer *writer, const ol_tar_member *member)
{
	ol_fb_builder *builder = &writer->builder;
	const size_t name = ol_fb_put_string(builder, member->name);
	const size_t type = ol_fb_put_string(builder, ol_view_of(type_word(member)));
	const size_t link = ol_fb_put_string(builder, member->target);
	const size_t when =
		ol_fb_put_string(builder, ol_view_of(ol_time_format(&member->mtime).text));
	const size_t record_count = gather_records(writer, member);
	const size_t user =
		ol_fb_put_string(builder, owner_name(writer, record_count, "uname", member->user));
	const size_t group =
		ol_fb_put_string(builder, owner_name(writer, record_count, "gname", member->group));
	const size_t records = put_records(writer, record_count);

	ol_fb_table_begin(builder);
	ol_fb_set_offset(builder, FILE_NAME, name);
	ol_fb_set_offset(builder, FILE_TYPE, type);
	ol_fb_set_u64(builder, FILE_OFFSET, member->data_offset);
	ol_fb_set_u64(builder, FILE_SIZE, member->stored);
	ol_fb_set_offset(builder, FILE_LINK, link);
	ol_fb_set_u64(builder, FILE_MODE, member->mode);
	ol_fb_set_u32(builder, FILE_UID, member->uid);
	ol_fb_set_u32(builder, FILE_GID, member->gid);
	ol_fb_set_offset(builder, FILE_UNAME, user);
	ol_fb_set_offset(builder, FILE_GNAME, group);
	ol_fb_set_offset(builder, FILE_TIME, when);
	ol_fb_set_u64(builder, FILE_MAJOR, member->dev_major);
	ol_fb_set_u64(builder, FILE_MINOR, member->dev_minor);
	ol_fb_set_offset(builder, FILE_XATTRS, records);
	return ol_fb_table_end(builder);
}

int ol_ztoc_writer_add(ol_ztoc_writer *writer, const ol_tar_member *member, ol_error *err)
{
	const char *why = refusal(writer, member);

	if (why)
		return ol_fail(err, OL_EUNSUPPORTED, "%s", why);
	OL_GROW(writer->members, writer->count, writer->cap);
	writer->members[writer->count++] = put_member(writer, member);
	writer->end = member->data_offset + (member->stored + 511) / 512 * 512;
	return ol_fb_builder_error(&writer->builder, err);
}

/* TarZinfo{version, span_size, size}, a FlatBuffer in the FlatBuffer. */
static size_t put_tar_zinfo(ol_fb_builder *builder, const ol_ztoc_facts *facts)
{
	ol_fb_builder inner = OL_FB_BUILDER(256);
	size_t table, bytes;

	ol_fb_table_begin(&inner);
	ol_fb_set_u32(&inner, TAR_ZINFO_VERSION, TAR_ZINFO_CURRENT);
	ol_fb_set_u64(&inner, TAR_ZINFO_SPAN_BYTES, facts->span_bytes);
	ol_fb_set_u64(&inner, TAR_ZINFO_SIZE, facts->tar_size);
	table = ol_fb_table_end(&inner);
	bytes = ol_fb_put_bytes(builder, ol_fb_finish(&inner, table));
	ol_fb_builder_done(&inner);
	return bytes;
}

static size_t put_compression(ol_ztoc_writer *writer, const ol_ztoc_facts *facts)
{
	ol_fb_builder *builder = &writer->builder;
	ol_autofree size_t *positions = ol_alloc_array(facts->span_count, sizeof *positions);
	/* What is compressed has its checkpoints in the tail, right behind the end. */
	const size_t zinfo = facts->gzip ? 0 : put_tar_zinfo(builder, facts);
	size_t digests;

	for (size_t i = 0; i < facts->span_count; i++)
		positions[i] = ol_fb_put_string(
			builder, ol_view_of(ol_digest_format(&facts->span_digests[i]).text));
	digests = ol_fb_put_offsets(builder, positions, facts->span_count);
	ol_fb_table_begin(builder);
	ol_fb_set_u8(builder, COMPRESSION_ALGORITHM, facts->gzip ? ALGORITHM_GZIP : ALGORITHM_NONE);
	ol_fb_set_u32(builder, COMPRESSION_MAX_SPAN, (uint32_t)facts->span_count - 1);
	ol_fb_set_offset(builder, COMPRESSION_DIGESTS, digests);
	ol_fb_set_offset(builder, COMPRESSION_CHECKPOINTS, zinfo);
	return ol_fb_table_end(builder);
}

static ol_view put_root(ol_ztoc_writer *writer, const ol_ztoc_facts *facts)
{
	ol_fb_builder *builder = &writer->builder;
	const size_t version = ol_fb_put_string(builder, ol_view_of("0.9"));
	const size_t tool = ol_fb_put_string(builder, ol_view_of(facts->tool));
	const size_t compression = put_compression(writer, facts);
	const size_t members = ol_fb_put_offsets(builder, writer->members, writer->count);
	size_t toc;

	ol_fb_table_begin(builder);
	ol_fb_set_offset(builder, 0, members);
	toc = ol_fb_table_end(builder);
	ol_fb_table_begin(builder);
	ol_fb_set_offset(builder, ZTOC_VERSION, version);
	ol_fb_set_offset(builder, ZTOC_TOOL, tool);
	ol_fb_set_u64(builder, ZTOC_BLOB_SIZE, facts->blob_size);
	ol_fb_set_u64(builder, ZTOC_TAR_SIZE, facts->tar_size);
	ol_fb_set_offset(builder, ZTOC_TOC, toc);
	ol_fb_set_offset(builder, ZTOC_COMPRESSION, compression);
	return ol_fb_finish(builder, ol_fb_table_end(builder));
}

static int copy_checkpoints(ol_reader *reader, uint64_t want, ol_sink *sink, ol_error *err)
{
	ol_autofree char *buffer = ol_alloc(OL_ZTOC_CHECKPOINT_BYTES);
	size_t got = 1;
	int rc = OL_OK;

	while (rc == OL_OK && got > 0) {
		rc = ol_reader_read(reader, buffer, OL_ZTOC_CHECKPOINT_BYTES, &got, err);
		if (rc < 0)
			return rc;
		if (got > want)
			return ol_fail(err, OL_EINVAL, "more checkpoints than spans");
		want -= got;
		if (got > 0)
			rc = ol_sink_write(sink, buffer, got, err);
	}
	if (rc == OL_OK && want > 0)
		rc = ol_fail(err, OL_EINVAL, "fewer checkpoints than spans");
	return rc;
}

static int write_tail(const ol_ztoc_facts *facts, ol_sink *sink, ol_error *err)
{
	const uint64_t records = (uint64_t)facts->span_count * OL_ZTOC_CHECKPOINT_BYTES;
	const uint64_t size = OL_ZINFO_HEAD_BYTES + records;
	const unsigned char zeros[8] = { 0 };
	unsigned char head[4 + OL_ZINFO_HEAD_BYTES];
	int rc;

	put_le(head, size, 4);
	put_le(head + 4, facts->span_count, 4);
	put_le(head + 8, facts->span_bytes, 8);
	rc = ol_sink_write(sink, head, sizeof head, err);
	if (rc == OL_OK)
		rc = copy_checkpoints(facts->checkpoints, records, sink, err);
	return rc < 0 ? rc : ol_sink_write(sink, zeros, (size_t)(-(4 + size) & 7), err);
}

int ol_ztoc_writer_finish(
	ol_ztoc_writer *writer, const ol_ztoc_facts *facts, ol_sink *sink, ol_error *err)
{
	const uint64_t tail =
		facts->gzip ? (uint64_t)facts->span_count * OL_ZTOC_CHECKPOINT_BYTES : 0;
	ol_view head;
	int rc;

	assert(facts->span_count > 0);
	if (facts->span_count > OL_ZTOC_SPANS_MAX)
		return ol_fail(
			err, OL_ELIMIT, "it has more than %zu spans", (size_t)OL_ZTOC_SPANS_MAX);
	head = put_root(writer, facts);
	rc = ol_fb_builder_error(&writer->builder, err);
	if (rc == OL_OK && head.size + tail + 64 > OL_TOC_BYTES_MAX)
		rc = ol_fail(err, OL_ELIMIT, "its table of contents is larger than %zu bytes",
			OL_TOC_BYTES_MAX);
	if (rc == OL_OK)
		rc = ol_sink_write(sink, head.data, head.size, err);
	return rc < 0 || !facts->gzip ? rc : write_tail(facts, sink, err);
}
