/* eStargz and zstd:chunked layers as they are written: their own tables of contents say what is in
 * them. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/temp.h"
#include "manifest/tar_split.h"
#include "manifest/toc.h"
#include "manifest/toc_footer.h"
#include "snapshot/decode.h"
#include "snapshot/estargz_writer.h"
#include "snapshot/zstd_chunked_writer.h"
#include "tests/check.h"
#include "tests/lazy_box.h"
#include "tests/tar_builder.h"

#define BLOB_BYTES_MAX ((size_t)64 << 20)

static const tar_member layer[] = {
	{ .name = "./", .type = '5', .mode = 0755 },
	{ .name = "usr/", .type = '5', .mode = 0755, .mtime = 1700000000 },
	{ .name = "usr/a",
		.data = "text of a",
		.mode = 04755,
		.uid = 7,
		.gid = 8,
		.pax = { "mtime=1700000001.25", "SCHILY.xattr.user.note=\x01\x02", "atime=12.5",
			"SCHILY.xattr.security.selinux=label" } },
	{ .name = "usr/empty" },
	{ .name = "usr/link", .type = '1', .link = "usr/a" },
	{ .name = "usr/sym", .type = '2', .link = "../else" },
	{ .name = "usr/.wh.gone" },
	{ .name = "dev", .type = '3', .major = 4, .minor = 5 },
	{ .name = "a \"quoted\"\n name", .data = "q" },
	{ .name = "last", .data = "the last one" },
	{ 0 },
};

typedef struct made {
	int fd; /* of the tar */
	ol_buf tar, blob;
	ol_scan scan;
	ol_digest toc;
	ol_toc_place place;
} made;

static int file_of(ol_view bytes)
{
	int fd = -1;

	assert_int_equal(OL_OK, ol_temp_open(AT_FDCWD, &fd, NULL));
	assert_int_equal(OL_OK, ol_write_all(fd, bytes.data, bytes.size, NULL));
	return fd;
}

static void read_blob(made *m, ol_reader *reader)
{
	ol_error err = { 0 };
	size_t got = 1;

	m->blob = OL_BUF(BLOB_BYTES_MAX);
	while (got > 0) {
		/* An odd size: pieces begin and end anywhere. */
		char *room = ol_buf_room(&m->blob, 4099);

		assert_non_null(room);
		if (ol_reader_read(reader, room, 4099, &got, &err) < 0)
			fail_msg("%s", err.text);
		m->blob.size += got;
	}
}

static void scan(made *m, bool estargz, uint64_t chunk_bytes)
{
	ol_error err = { 0 };

	m->fd = file_of(ol_buf_view(&m->tar));
	if (ol_tar_scan(m->fd,
		    &(ol_scan_options){
			    .chunk_bytes = estargz ? chunk_bytes : 0, .all_times = !estargz },
		    &m->scan, &err) < 0)
		fail_msg("%s", err.text);
}

static void make_estargz(made *m, uint64_t chunk_bytes, const ol_estargz_options *options)
{
	ol_estargz_options mine = *options;
	ol_estargz *writer = NULL;

	scan(m, true, chunk_bytes);
	CHECK_STR("odd", "", m->scan.odd);
	mine.frames.fd = m->fd;
	assert_int_equal(OL_OK, ol_estargz_new(&m->scan, &mine, &writer, NULL));
	read_blob(m, ol_estargz_reader(writer));
	m->toc = *ol_estargz_toc(writer);
	ol_estargz_free(writer);
}

static void make_chunked(made *m)
{
	ol_zstd_chunked *writer = NULL;

	scan(m, false, 0);
	CHECK_STR("odd", "", m->scan.odd);
	assert_int_equal(OL_OK, ol_zstd_chunked_new(&m->scan,
					&(ol_frame_pool_options){ .fd = m->fd }, &writer, NULL));
	read_blob(m, ol_zstd_chunked_reader(writer));
	m->toc = *ol_zstd_chunked_toc(writer);
	m->place = *ol_zstd_chunked_place(writer);
	ol_zstd_chunked_free(writer);
}

static void made_done(made *m)
{
	ol_scan_done(&m->scan);
	ol_buf_done(&m->tar);
	ol_buf_done(&m->blob);
	(void)close(m->fd);
	*m = (made){ 0 };
}

/* All that bytes give, from a frame's beginning to where it is told to end. */
static ol_buf decode(ol_compression compression, ol_view in, size_t want)
{
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	ol_buf out = OL_BUF(BLOB_BYTES_MAX);
	ol_decode_step step = { .in = (const unsigned char *)in.data, .in_size = in.size };
	ol_error err = { 0 };

	assert_int_equal(OL_OK, ol_decoder_new(compression, &decoder, NULL));
	do {
		char *room = ol_buf_room(&out, 65536);

		assert_non_null(room);
		step.out = (unsigned char *)room;
		step.out_size = 65536;
		if (ol_decoder_run(decoder, &step, &err) < 0)
			fail_msg("%s", err.text);
		out.size += step.made;
	} while ((step.in_size > 0 || step.made > 0) && out.size < want);
	return out;
}

static ol_toc_place place_of(const made *m)
{
	ol_toc_place place = { 0 };
	const size_t tail =
		m->blob.size < OL_TOC_FOOTER_BYTES_MAX ? m->blob.size : OL_TOC_FOOTER_BYTES_MAX;

	assert_int_equal(
		OL_OK, ol_toc_footer_parse(ol_view_from(m->blob.data + m->blob.size - tail, tail),
			       m->blob.size, &place, NULL));
	return place;
}

/* --- what the table says, held against the blob --- */

struct reader {
	const made *m;
	ol_compression compression;
	ol_str *out;
	unsigned chunks;
};

static int check_entry(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	struct reader *self = ctx;

	(void)err;
	(void)ol_str_addf(self->out, "%d %.*s>%.*s %04o %u:%u %llu.%ld %llu x%zu c%zu%s\n",
		(int)entry->type, (int)entry->name.size, entry->name.data, (int)entry->target.size,
		entry->target.data, entry->mode, entry->uid, entry->gid,
		(unsigned long long)entry->mtime.tv_sec, entry->mtime.tv_nsec,
		(unsigned long long)entry->size, entry->xattr_count, entry->chunk_count,
		entry->mangled ? " mangled" : "");
	for (size_t i = 0; i < entry->chunk_count; i++) {
		const ol_toc_chunk *chunk = &entry->chunks[i];
		ol_buf bytes;
		ol_digest digest;

		if (chunk->zeros)
			continue;
		self->chunks++;
		bytes = decode(self->compression,
			ol_view_from(self->m->blob.data + chunk->blob_offset,
				self->m->blob.size - chunk->blob_offset),
			chunk->inner_offset + chunk->size);
		assert_true(bytes.size >= chunk->inner_offset + chunk->size);
		digest = ol_digest_of(OL_SHA256, bytes.data + chunk->inner_offset, chunk->size);
		CHECK_INT(entry->name.data, true, ol_digest_eq(&digest, &chunk->digest));
		ol_buf_done(&bytes);
	}
	return OL_OK;
}

static unsigned check_table(const made *m, ol_compression compression, ol_view json, ol_str *out)
{
	struct reader reader = { m, compression, out, 0 };
	const ol_toc_place place = place_of(m);
	ol_error err = { 0 };

	if (ol_toc_json_parse(
		    json, place.toc.offset, &(ol_toc_handler){ check_entry, &reader }, &err) < 0)
		fail_msg("%s", err.text);
	return reader.chunks;
}

/* The table of an eStargz: in its tar's only file. */
static ol_buf estargz_table(const made *m)
{
	const ol_toc_place place = place_of(m);
	ol_buf tar = decode(OL_COMPRESSION_GZIP,
		ol_view_from(m->blob.data + place.toc.offset, place.toc.size), SIZE_MAX);
	ol_buf json = OL_BUF(BLOB_BYTES_MAX);
	const size_t size = strtoul(tar.data + 124, NULL, 8);
	ol_digest digest;

	CHECK_INT("format", OL_TOC_ESTARGZ, place.format);
	CHECK_STR("name", "stargz.index.json", tar.data);
	(void)ol_buf_add(&json, tar.data + 512, size);
	digest = ol_digest_of(OL_SHA256, json.data, json.size);
	CHECK_INT("digest", true, ol_digest_eq(&digest, &m->toc));
	ol_buf_done(&tar);
	return json;
}

static ol_buf chunked_table(const made *m)
{
	const ol_toc_place place = place_of(m);
	const ol_digest digest =
		ol_digest_of(OL_SHA256, m->blob.data + place.toc.offset, place.toc.size);

	CHECK_INT("format", OL_TOC_ZSTD_CHUNKED, place.format);
	CHECK_INT("digest", true, ol_digest_eq(&digest, &m->toc));
	CHECK_INT("offset", (long long)m->place.toc.offset, (long long)place.toc.offset);
	return decode(OL_COMPRESSION_ZSTD,
		ol_view_from(m->blob.data + place.toc.offset, place.toc.size), SIZE_MAX);
}

/* Names of a tar's members, a line each. */
static int list_member(void *ctx, const ol_tar_member *member, ol_error *err)
{
	(void)err;
	return ol_str_addf(ctx, "%.*s\n", (int)member->name.size, member->name.data);
}

static int ignore_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	(void)ctx;
	(void)entry;
	(void)err;
	return OL_OK;
}

static void list_tar(ol_view tar, ol_str *out)
{
	ol_auto(ol_tar_free) ol_tar *reader =
		ol_tar_new(&(ol_tar_handler){ .entry = ignore_entry });

	ol_tar_watch(reader, list_member, out);
	assert_int_equal(OL_OK, ol_tar_push(reader, tar.data, tar.size, NULL));
	assert_int_equal(OL_OK, ol_tar_finish(reader, NULL));
}

/* --- eStargz --- */

static void an_estargz_is_the_same_tar_with_its_table(void **state)
{
	made m = { .tar = tar_build(layer) };
	ol_auto_str ol_str said = OL_STR(65536), names = OL_STR(65536);
	ol_buf json, tar;

	(void)state;
	make_estargz(&m, OL_ESTARGZ_CHUNK_BYTES, &(ol_estargz_options){ 0 });
	json = estargz_table(&m);
	CHECK_INT("chunks", 4, check_table(&m, OL_COMPRESSION_GZIP, ol_buf_view(&json), &said));
	CHECK_STR("table",
		"0 .no.prefetch.landmark> 0000 0:0 0.0 1 x0 c1\n"
		"5 ./> 0755 0:0 0.0 0 x0 c0\n"
		"5 usr/> 0755 0:0 1700000000.0 0 x0 c0\n"
		"0 usr/a> 4755 7:8 1700000001.250000000 9 x2 c1\n"
		"0 usr/empty> 0644 0:0 0.0 0 x0 c0\n"
		"1 usr/link>usr/a 0644 0:0 0.0 0 x0 c0\n"
		"2 usr/sym>../else 0644 0:0 0.0 0 x0 c0\n"
		"0 usr/.wh.gone> 0644 0:0 0.0 0 x0 c0\n"
		"3 dev> 0644 0:0 0.0 0 x0 c0\n"
		"0 a \"quoted\"\n name> 0644 0:0 0.0 1 x0 c1\n"
		"0 last> 0644 0:0 0.0 12 x0 c1\n",
		ol_str_text(&said));
	tar = decode(OL_COMPRESSION_GZIP, ol_buf_view(&m.blob), SIZE_MAX);
	list_tar(ol_buf_view(&tar), &names);
	CHECK_STR("names",
		".no.prefetch.landmark\n./\nusr/\nusr/a\nusr/empty\nusr/link\nusr/sym\n"
		"usr/.wh.gone\ndev\na \"quoted\"\n name\nlast\nstargz.index.json\n",
		ol_str_text(&names));
	/* Headers and data are what they were, byte for byte: all but the end of the tar. */
	assert_non_null(memmem(tar.data, tar.size, m.tar.data, m.tar.size - 1024));
	ol_buf_done(&tar);
	ol_buf_done(&json);
	made_done(&m);
}

static void what_is_asked_for_comes_first(void **state)
{
	static const char *const first[] = { "/last", "./usr/link", "no/such/file", NULL };
	bool found[3] = { false };
	made m = { .tar = tar_build(layer) };
	ol_auto_str ol_str names = OL_STR(65536);
	ol_buf tar;

	(void)state;
	make_estargz(&m, OL_ESTARGZ_CHUNK_BYTES,
		&(ol_estargz_options){ .first = first, .found = found });
	tar = decode(OL_COMPRESSION_GZIP, ol_buf_view(&m.blob), SIZE_MAX);
	list_tar(ol_buf_view(&tar), &names);
	CHECK_STR("names",
		"./\nlast\nusr/\nusr/a\nusr/link\n.prefetch.landmark\nusr/empty\nusr/sym\n"
		"usr/.wh.gone\ndev\na \"quoted\"\n name\nstargz.index.json\n",
		ol_str_text(&names));
	CHECK_INT("last", true, found[0]);
	CHECK_INT("link", true, found[1]);
	CHECK_INT("no such", false, found[2]);
	ol_buf_done(&tar);
	made_done(&m);
}

static char *pattern(size_t size)
{
	char *data = ol_alloc(size + 1);
	uint32_t seed = 11;

	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = (char)(seed >> 24);
	}
	return data;
}

static void large_files_are_cut_and_small_ones_share(void **state)
{
	ol_autofree char *data = pattern(300000);
	const tar_member members[] = { { .name = "small", .data = "s" },
		{ .name = "large", .data = data, .data_size = 300000 },
		{ .name = "exact", .data = data, .data_size = 200000 }, { 0 } };
	static const struct {
		uint64_t chunk, least;
		unsigned chunks;
	} cases[] = {
		{ 100000, 0, 1 + 1 + 3 + 2 },
		{ 100000, 150000, 1 + 1 + 3 + 2 },
		{ OL_ESTARGZ_CHUNK_BYTES, 1 << 20, 1 + 1 + 1 + 1 },
		{ 1 << 20, 0, 1 + 1 + 1 + 1 },
	};
	size_t size = 0;

	(void)state;
	OL_EACH (cases, c) {
		made m = { .tar = tar_build(members) };
		ol_auto_str ol_str said = OL_STR(65536);
		ol_buf json;

		make_estargz(&m, c->chunk, &(ol_estargz_options){ .min_chunk_bytes = c->least });
		json = estargz_table(&m);
		CHECK_INT("chunks", c->chunks,
			check_table(&m, OL_COMPRESSION_GZIP, ol_buf_view(&json), &said));
		if (c->least == 150000)
			CHECK_INT("smaller", true, m.blob.size < size);
		size = m.blob.size;
		ol_buf_done(&json);
		made_done(&m);
	}
}

static void an_estargz_becomes_one_again(void **state)
{
	made m = { .tar = tar_build(layer) }, again = { 0 };

	(void)state;
	make_estargz(&m, OL_ESTARGZ_CHUNK_BYTES, &(ol_estargz_options){ 0 });
	again.tar = decode(OL_COMPRESSION_GZIP, ol_buf_view(&m.blob), SIZE_MAX);
	make_estargz(&again, OL_ESTARGZ_CHUNK_BYTES, &(ol_estargz_options){ 0 });
	/* The same bytes: nothing of before is left, and nothing depends on chance. */
	CHECK_INT("size", (long long)m.blob.size, (long long)again.blob.size);
	assert_memory_equal(m.blob.data, again.blob.data, m.blob.size);
	made_done(&m);
	made_done(&again);
}

/* --- zstd:chunked --- */

/* The tar from the tar-split and what stands in its files. */
static void check_split(const made *m, const ol_toc_place *place)
{
	ol_buf lines = decode(OL_COMPRESSION_ZSTD,
		ol_view_from(m->blob.data + place->tar_split.offset, place->tar_split.size),
		SIZE_MAX);
	ol_tar_split *split = ol_tar_split_new(ol_buf_view(&lines));
	uint64_t at = 0;
	ol_error err = { 0 };

	CHECK_INT("raw size", (long long)place->tar_split_raw_size, (long long)lines.size);
	for (bool more = true;;) {
		ol_tar_split_item item = { 0 };

		if (ol_tar_split_next(split, &item, &more, &err) < 0)
			fail_msg("%s", err.text);
		if (!more)
			break;
		if (!item.is_file)
			assert_memory_equal(m->tar.data + at, item.segment.data, item.segment.size);
		at += item.is_file ? item.size : item.segment.size;
	}
	CHECK_INT("whole", (long long)m->tar.size, (long long)at);
	ol_tar_split_free(split);
	ol_buf_done(&lines);
}

static void a_zstd_chunked_layer_is_the_same_tar(void **state)
{
	made m = { .tar = tar_build(layer) };
	ol_auto_str ol_str said = OL_STR(65536);
	ol_toc_place place;
	ol_buf json, tar;

	(void)state;
	make_chunked(&m);
	place = place_of(&m);
	json = chunked_table(&m);
	CHECK_INT("chunks", 3, check_table(&m, OL_COMPRESSION_ZSTD, ol_buf_view(&json), &said));
	assert_non_null(strstr(json.data, "\"accesstime\":\"1970-01-01T00:00:12.5"));
	assert_non_null(strstr(json.data, "\"security.selinux\""));
	check_split(&m, &place);
	tar = decode(OL_COMPRESSION_ZSTD, ol_buf_view(&m.blob), SIZE_MAX);
	CHECK_INT("size", (long long)m.tar.size, (long long)tar.size);
	assert_memory_equal(m.tar.data, tar.data, tar.size);
	ol_buf_done(&tar);
	ol_buf_done(&json);
	made_done(&m);
}

/* Where a file's chunks begin, told from the scan. */
static void chunks_follow_the_content(void **state)
{
	static const size_t size = 2 << 20;
	ol_autofree char *data = pattern(size);
	ol_autofree char *moved = ol_alloc(size + 101);
	size_t same = 0;
	made a = { 0 }, b = { 0 };

	(void)state;
	memset(data + 700000, 0, 5000);
	memset(data + 900000, 0, 1000); /* too short for a hole */
	memset(moved, 'm', 100);
	memcpy(moved + 100, data, size);
	a.tar = tar_build(
		(const tar_member[]){ { .name = "f", .data = data, .data_size = size }, { 0 } });
	b.tar = tar_build((const tar_member[]){
		{ .name = "f", .data = moved, .data_size = size + 100 }, { 0 } });
	make_chunked(&a);
	make_chunked(&b);
	assert_in_range(a.scan.chunk_count, 10, 100);
	for (size_t i = 0; i < a.scan.chunk_count; i++) {
		const ol_scan_chunk *chunk = &a.scan.chunks[i];

		CHECK_INT("hole", chunk->zeros, chunk->offset == 700000 && chunk->size == 5000);
		for (size_t k = 0; k < b.scan.chunk_count; k++)
			same += memcmp(chunk->sha256, b.scan.chunks[k].sha256, 32) == 0;
	}
	assert_true(same + 2 >= a.scan.chunk_count);
	made_done(&a);
	made_done(&b);
}

static void holes_are_told_however_they_are_pushed(void **state)
{
	/* Sizes around a hole's least, a read's size, and a file that is a hole. */
	static const size_t before[] = { 0, 1, 262144 - 600, 262144 };
	static const size_t hole[] = { 1023, 1024, 1025, 300000 };

	(void)state;
	OL_EACH (before, b) {
		OL_EACH (hole, h) {
			const size_t size = *b + *h + 10;
			ol_autofree char *data = ol_alloc(size);
			made m = { 0 };
			ol_auto_str ol_str said = OL_STR(65536);
			uint64_t zeros = 0;
			ol_buf json;

			memset(data, 'x', *b);
			memset(data + *b + *h, 'y', 10);
			m.tar = tar_build((const tar_member[]){
				{ .name = "f", .data = data, .data_size = size }, { 0 } });
			make_chunked(&m);
			json = chunked_table(&m);
			(void)check_table(&m, OL_COMPRESSION_ZSTD, ol_buf_view(&json), &said);
			for (size_t i = 0; i < m.scan.chunk_count; i++)
				zeros += m.scan.chunks[i].zeros ? m.scan.chunks[i].size : 0;
			CHECK_INT("zeros", *h < 1024 ? 0 : (long long)*h, (long long)zeros);
			ol_buf_done(&json);
			made_done(&m);
		}
	}
}

/* --- as a lazy layer --- */

/* The tree that is built of the table, filled piece by piece, is the one that the tar gives. */
static void check_lazy(const made *m, const ol_lazy_toc *toc, ol_compression compression)
{
	lazy_box lazy = lazy_box_build(toc, ol_buf_view(&m->blob));
	ol_buf tar = decode(compression, ol_buf_view(&m->blob), SIZE_MAX);
	lazy_box eager = lazy_box_eager(ol_buf_view(&tar));
	ol_str want, got;

	CHECK_STR("built", "", lazy.err.text);
	lazy_box_fill(&lazy, ol_buf_view(&m->blob));
	want = lazy_box_text(&eager, false);
	got = lazy_box_text(&lazy, false);
	CHECK_STR("tree", ol_str_text(&want), ol_str_text(&got));
	ol_buf_done(&want);
	ol_buf_done(&got);
	ol_buf_done(&tar);
	lazy_box_done(&lazy);
	lazy_box_done(&eager);
}

static void what_is_written_is_built_lazily(void **state)
{
	ol_autofree char *data = pattern(700000);
	tar_member members[sizeof layer / sizeof layer[0] + 1];
	made m = { 0 };
	ol_toc_place place;
	ol_buf bytes, split;

	(void)state;
	memset(data + 300000, 0, 100000);
	memcpy(members + 1, layer, sizeof layer);
	members[0] = (tar_member){ .name = "large", .data = data, .data_size = 700000 };
	m.tar = tar_build(members);
	make_estargz(&m, 100000, &(ol_estargz_options){ .min_chunk_bytes = 100 });
	place = place_of(&m);
	bytes = decode(OL_COMPRESSION_GZIP,
		ol_view_from(m.blob.data + place.toc.offset, place.toc.size), SIZE_MAX);
	check_lazy(&m,
		&(ol_lazy_toc){ .format = OL_LAZY_ESTARGZ,
			.bytes = ol_buf_view(&bytes),
			.place = place.toc },
		OL_COMPRESSION_GZIP);
	ol_buf_done(&bytes);
	made_done(&m);

	m.tar = tar_build(members);
	make_chunked(&m);
	place = place_of(&m);
	bytes = chunked_table(&m);
	split = decode(OL_COMPRESSION_ZSTD,
		ol_view_from(m.blob.data + place.tar_split.offset, place.tar_split.size), SIZE_MAX);
	check_lazy(&m,
		&(ol_lazy_toc){ .format = OL_LAZY_ZSTD_CHUNKED,
			.bytes = ol_buf_view(&bytes),
			.place = place.toc,
			.tar_split = ol_buf_view(&split) },
		OL_COMPRESSION_ZSTD);
	/* Without a tar-split as well. */
	check_lazy(&m,
		&(ol_lazy_toc){ .format = OL_LAZY_ZSTD_CHUNKED,
			.bytes = ol_buf_view(&bytes),
			.place = place.toc },
		OL_COMPRESSION_ZSTD);
	ol_buf_done(&bytes);
	ol_buf_done(&split);
	made_done(&m);
}

/* --- what has no table --- */

static void what_a_table_cannot_say_is_told(void **state)
{
	static const struct {
		const char *odd;
		tar_member members[3];
	} cases[] = {
		{ "", { { .name = "a", .data = "1" }, { .name = "b" } } },
		{ "a name that is there twice: ./a",
			{ { .name = "a", .data = "1" }, { .name = "./a", .data = "2" } } },
		{ "a name that is not UTF-8: b\\xff", { { .name = "b\xff" } } },
		{ "a name that is not UTF-8: l", { { .name = "l", .type = '2', .link = "\xfe" } } },
		{ "a global pax header: g", { { .name = "g", .global = { "comment=x" } } } },
		{ "a time before 1970: t", { { .name = "t", .pax = { "mtime=-5" } } } },
		{ "a whiteout that has data: .wh.x", { { .name = ".wh.x", .data = "odd" } } },
		{ "a sparse file: s", { { .name = "s",
					      .data = "abcd",
					      .pax = { "GNU.sparse.major=0", "GNU.sparse.minor=1",
						      "GNU.sparse.map=4,4", "GNU.sparse.size=8",
						      "GNU.sparse.numblocks=1" } } } },
		{ "a member that is no file, link, device or directory: v",
			{ { .name = "v", .type = 'V' } } },
		{ "the name of an xattr that is not UTF-8: x",
			{ { .name = "x", .pax = { "SCHILY.xattr.user.\xff=1" } } } },
	};

	(void)state;
	OL_EACH (cases, c) {
		made m = { .tar = tar_build(c->members) };

		scan(&m, false, 0);
		CHECK_STR(c->odd, c->odd, m.scan.odd);
		made_done(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_estargz_is_the_same_tar_with_its_table),
		cmocka_unit_test(what_is_asked_for_comes_first),
		cmocka_unit_test(large_files_are_cut_and_small_ones_share),
		cmocka_unit_test(an_estargz_becomes_one_again),
		cmocka_unit_test(a_zstd_chunked_layer_is_the_same_tar),
		cmocka_unit_test(chunks_follow_the_content),
		cmocka_unit_test(holes_are_told_however_they_are_pushed),
		cmocka_unit_test(what_is_written_is_built_lazily),
		cmocka_unit_test(what_a_table_cannot_say_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
