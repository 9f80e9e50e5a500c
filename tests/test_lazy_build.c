/*
 * From tables of contents to indexes: what each says, what it cannot, and what must not be. Whole
 * layers of all formats: test_lazy_images.c.
 */
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/limits.h"
#include "snapshot/lazy_build.h"
#include "snapshot/ztoc_make.h"
#include "tests/lazy_box.h"
#include "tests/tar_builder.h"
#include "tests/ztoc_builder.h"

#define D          "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BLOB_BYTES 100000
#define TOC_AT     90000

static char blob_bytes[BLOB_BYTES];

static ol_view blob(void)
{
	return ol_view_from(blob_bytes, sizeof blob_bytes);
}

/* A table in the tar that eStargz has it in. */
static ol_buf toc_tar(const char *name, const char *json)
{
	const tar_member members[] = { { .name = name, .data = json }, { 0 } };

	return tar_build(members);
}

static lazy_box build_estargz(const char *entries, bool external)
{
	ol_autofree char *json = ol_text("{\"version\":1,\"entries\":[%s]}", entries);
	ol_auto_buf ol_buf tar = toc_tar("stargz.index.json", json);

	return lazy_box_build(&(ol_lazy_toc){ .format = OL_LAZY_ESTARGZ,
				      .bytes = ol_buf_view(&tar),
				      .place = { external ? 0 : TOC_AT, external ? 0 : 9000 } },
		blob());
}

/* "0+5@100-200+0" for each extent: offset, size, its piece and where in it. */
static ol_str list_table(const ol_lazy_table *table)
{
	ol_str out = OL_STR(4096);

	for (size_t i = 0; i < table->extent_count; i++) {
		const ol_lazy_extent *e = &table->extents[i];
		const ol_lazy_piece *p = &table->pieces[e->piece];

		(void)ol_str_addf(&out, "%s%llu+%llu@%llu-%llu+%llu", i ? " " : "",
			(unsigned long long)e->offset, (unsigned long long)e->size,
			(unsigned long long)p->begin, (unsigned long long)p->end,
			(unsigned long long)e->inner);
	}
	(void)ol_str_add(&out, "");
	return out;
}

#define FILE_AT(name, size, at)                                                                    \
	"{\"name\":\"" name "\",\"type\":\"reg\",\"size\":" size ",\"offset\":" at                 \
	",\"chunkDigest\":\"" D "\"}"
#define INNER_AT(name, size, at, inner)                                                            \
	"{\"name\":\"" name "\",\"type\":\"reg\",\"size\":" size ",\"offset\":" at                 \
	",\"innerOffset\":" inner ",\"chunkDigest\":\"" D "\"}"

static void files_are_packed_and_pieces_find_their_ends(void **state)
{
	static const struct {
		const char *entries;
		size_t pieces;
		uint64_t payload;
		const char *table;
	} cases[] = {
		{ "", 0, 512, "" },
		{ "{\"name\":\"d\",\"type\":\"dir\"},{\"name\":\"e\",\"type\":\"reg\"}", 0, 512,
			"" },
		{ "{\"type\":\"dir\"}", 0, 512, "" }, /* the root */
		{ FILE_AT("a", "5", "100"), 1, 512, "0+5@100-100000+0" },
		{ FILE_AT("a", "513", "100") "," FILE_AT("b", "5", "300"), 2, 1536,
			"0+513@100-300+0 1024+5@300-100000+0" },
		/* The order of the table is not the blob's. */
		{ FILE_AT("a", "5", "300") "," FILE_AT("b", "5", "100"), 2, 1024,
			"0+5@300-100000+0 512+5@100-300+0" },
		/* Several files in one member of gzip. */
		{ INNER_AT("a", "5", "100", "0") "," INNER_AT("b", "7", "100", "1024") "," FILE_AT(
			  "c", "1", "200"),
			2, 1536, "0+5@100-200+0 512+7@100-200+1024 1024+1@200-100000+0" },
		/* Chunks; what the first says of the end is the whole file's. */
		{ "{\"name\":\"a\",\"type\":\"reg\",\"size\":9,\"offset\":100,\"endOffset\":400,"
		  "\"chunkSize\":4,\"chunkDigest\":\"" D
		  "\"},{\"name\":\"a\",\"type\":\"chunk\",\"offset\":200,\"chunkOffset\":4,"
		  "\"chunkSize\":5,\"chunkDigest\":\"" D "\"}",
			2, 512, "0+4@100-200+0 4+5@200-100000+0" },
		/* A hole is in no piece. */
		{ "{\"name\":\"a\",\"type\":\"reg\",\"size\":900,\"offset\":100,\"endOffset\":150,"
		  "\"chunkSize\":4,\"chunkDigest\":\"" D
		  "\"},{\"name\":\"a\",\"type\":\"chunk\",\"chunkOffset\":4,"
		  "\"chunkSize\":896,\"chunkType\":\"zeros\"}",
			1, 1024, "0+4@100-150+0" },
		/* A whiteout is one, whatever it holds. */
		{ FILE_AT(".wh.a", "5", "100") "," FILE_AT("b", "5", "200"), 1, 512,
			"0+5@200-100000+0" },
	};

	(void)state;
	OL_EACH (cases, c) {
		lazy_box box = build_estargz(c->entries, true);
		ol_auto_str ol_str text = OL_STR(0);

		CHECK_STR(c->entries, "", box.err.text);
		text = list_table(&box.table);
		CHECK_INT(c->entries, (long long)c->pieces, (long long)box.table.piece_count);
		CHECK_INT(c->entries, (long long)c->payload,
			(long long)box.table.about.payload_bytes);
		CHECK_STR(c->entries, c->table, ol_str_text(&text));
		lazy_box_done(&box);
	}
}

static void the_table_is_a_file_of_the_tree_unless_it_is_elsewhere(void **state)
{
	(void)state;
	for (int external = 0; external < 2; external++) {
		lazy_box box = build_estargz(FILE_AT(".prefetch.landmark", "1", "700"), external);
		ol_auto_str ol_str table = list_table(&box.table), tree = OL_STR(0);

		tree = lazy_box_text(&box, false);
		assert_int_equal(external ? 1 : 2, box.built.built.entries);
		assert_int_equal(700, box.table.about.prefetch_end);
		assert_string_equal("estargz", box.table.about.format);
		if (external)
			assert_string_equal("0+1@700-100000+0", ol_str_text(&table));
		else
			assert_non_null(strstr(ol_str_text(&table), "0+1@700-90000+0 512+"));
		assert_int_equal(
			!external, strstr(ol_str_text(&tree), "/stargz.index.json ") != NULL);
		lazy_box_done(&box);
	}
}

static void tables_that_lie_are_refused(void **state)
{
	static const struct {
		const char *entries;
		int rc;
		const char *words;
	} cases[] = {
		{ "{\"name\":\"\xef\xbf\xbd\",\"type\":\"dir\"}", OL_EUNSUPPORTED,
			"a name holds bytes that its table of contents cannot carry" },
		{ "{\"name\":\"\\ufffd\",\"type\":\"dir\"}", OL_EUNSUPPORTED, "cannot carry" },
		{ "{\"name\":\"s\",\"type\":\"symlink\",\"linkName\":\"\\ufffd\"}", OL_EUNSUPPORTED,
			"cannot carry" },
		{ FILE_AT("a", "68719476736", "100"), OL_EUNSUPPORTED, "a piece of it" },
		{ FILE_AT("a", "17592186044416", "100"), OL_ELIMIT, "too large for a tar" },
		{ INNER_AT("a", "1", "100", "67108864"), OL_EUNSUPPORTED, "a piece of it" },
		{ FILE_AT("a", "5", "90000"), OL_ECORRUPT, "outside of the blob" },
		{ FILE_AT("../a", "5", "100"), OL_ECORRUPT, "\"..\"" },
		{ FILE_AT("", "5", "100"), OL_ECORRUPT, "without a name" },
		{ "{\"type\":\"fifo\"}", OL_ECORRUPT, "without a name" },
		{ FILE_AT("/", "5", "100"), OL_ECORRUPT, "root that is no directory" },
		{ FILE_AT(".wh.", "5", "100"), OL_ECORRUPT, "whiteout that names no file" },
		{ FILE_AT(".wh.a/b", "5", "100"), OL_ECORRUPT, "beneath a whiteout" },
		{ "{\"name\":\"s\",\"type\":\"symlink\"}", OL_ECORRUPT, "link to nothing" },
		{ "{\"name\":\"h\",\"type\":\"hardlink\",\"linkName\":\"../a\"}", OL_ECORRUPT,
			"\"..\"" },
		{ "{\"name\":\"c\",\"type\":\"char\"}", OL_ECORRUPT, "taken for a whiteout" },
		{ "{\"name\":\"c\",\"type\":\"char\",\"devMajor\":70000,\"devMinor\":1}",
			OL_ECORRUPT, "device number too large" },
	};

	(void)state;
	OL_EACH (cases, c) {
		lazy_box box = build_estargz(c->entries, false);

		CHECK_INT(c->entries, c->rc, box.rc);
		if (!strstr(box.err.text, c->words))
			CHECK_STR(c->entries, c->words, box.err.text);
		lazy_box_done(&box);
	}
}

static void estargz_keeps_its_table_in_one_member(void **state)
{
	static const char json[] = "{\"version\":1,\"entries\":[]}";
	static const struct {
		const char *label;
		tar_member members[3];
		int rc;
	} cases[] = {
		{ "sound", { { .name = "stargz.index.json", .data = json } }, OL_OK },
		{ "another name", { { .name = "index.json", .data = json } }, OL_ECORRUPT },
		{ "none", { { 0 } }, OL_ECORRUPT },
		{ "empty", { { .name = "stargz.index.json" } }, OL_ECORRUPT },
		{ "a directory", { { .name = "stargz.index.json", .type = '5' } }, OL_ECORRUPT },
		{ "two",
			{ { .name = "stargz.index.json", .data = json },
				{ .name = "more", .data = json } },
			OL_ECORRUPT },
		{ "cut short",
			{ { .name = "stargz.index.json",
				.data = json,
				.data_size = sizeof json - 1,
				.no_data = true } },
			OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf tar = OL_BUF(0);
		lazy_box box;

		tar = tar_build(c->members);
		box = lazy_box_build(&(ol_lazy_toc){ .format = OL_LAZY_ESTARGZ,
					     .bytes = ol_buf_view(&tar),
					     .place = { TOC_AT, 9000 } },
			blob());
		CHECK_INT(c->label, c->rc, box.rc);
		lazy_box_done(&box);
	}
}

/* Lines of a tar-split. */
static void add_segment(ol_str *lines, unsigned *position, const char *data, size_t size)
{
	(void)ol_str_addf(lines, "{\"type\":2,\"position\":%u,\"payload\":\"", (*position)++);
	(void)ol_base64_format(ol_view_from(data, size), lines);
	(void)ol_str_add(lines, "\"}\n");
}

static void add_file(ol_str *lines, unsigned *position, const char *name, unsigned size)
{
	(void)ol_str_addf(lines,
		"{\"type\":1,\"position\":%u,\"name\":\"%s\",\"size\":%u,\"payload\":null}\n",
		(*position)++, name, size);
}

/* A tar of one directory and a file of 1000 bytes, split. file_size: what its line says. */
static ol_str split_of(const char *name, unsigned file_size, bool twice)
{
	static const char zeros[2048];
	static const tar_member dir = { .name = "d/", .type = '5' };
	const tar_member file = {
		.name = "d/a", .data = zeros, .data_size = 1000, .no_data = true
	};
	ol_str lines = OL_STR((size_t)1 << 20);
	ol_auto_buf ol_buf head = OL_BUF(TAR_BYTES_MAX);
	unsigned position = 0;

	tar_add(&head, &dir);
	add_segment(&lines, &position, head.data, head.size);
	add_file(&lines, &position, "d/", 0);
	ol_buf_clear(&head);
	tar_add(&head, &file);
	add_segment(&lines, &position, head.data, 512);
	add_file(&lines, &position, name, file_size);
	add_segment(&lines, &position, zeros, 24);
	if (twice) {
		add_segment(&lines, &position, head.data, 512);
		add_file(&lines, &position, "d/b", 1000);
		add_segment(&lines, &position, zeros, 24);
	}
	add_segment(&lines, &position, zeros, 1024);
	return lines;
}

#define DIR_D "{\"name\":\"d\",\"type\":\"dir\"}"

static void a_tar_split_lists_what_the_table_lists(void **state)
{
	static const struct {
		const char *label, *entries, *name;
		unsigned size;
		bool twice;
		int rc;
		const char *words;
	} cases[] = {
		{ "sound", DIR_D "," FILE_AT("d/a", "1000", "100"), "d/a", 1000, false, OL_OK,
			"1024+1000@100-90000+0" },
		{ "mangled", DIR_D "," FILE_AT("d/\\ufffd", "1000", "100"), "d/\\ufffd", 1000,
			false, OL_OK, "1024+1000@100-90000+0" },
		{ "another name", DIR_D "," FILE_AT("d/b", "1000", "100"), "d/a", 1000, false,
			OL_ECORRUPT, "the name of d/b" },
		{ "another size", DIR_D "," FILE_AT("d/a", "999", "100"), "d/a", 1000, false,
			OL_ECORRUPT, "the size of d/a" },
		{ "another size in the header", DIR_D "," FILE_AT("d/a", "999", "100"), "d/a", 999,
			false, OL_ECORRUPT, "the size of d/a" },
		{ "another type", DIR_D ",{\"name\":\"d/a\",\"type\":\"dir\"}", "d/a", 1000, false,
			OL_ECORRUPT, "the type of d/a" },
		{ "less in the table", DIR_D, "d/a", 1000, false, OL_ECORRUPT,
			"a member that the table of contents does not list" },
		{ "one more in the tar-split", DIR_D "," FILE_AT("d/a", "1000", "100"), "d/a", 1000,
			true, OL_ECORRUPT, "does not list" },
		{ "more in the table",
			DIR_D "," FILE_AT("d/a", "1000", "100") "," FILE_AT("d/b", "5", "200"),
			"d/a", 1000, false, OL_ECORRUPT, "the tar's end" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_autofree char *json = ol_text("{\"version\":1,\"entries\":[%s]}", c->entries);
		ol_auto_str ol_str lines = split_of(c->name, c->size, c->twice);
		lazy_box box = lazy_box_build(&(ol_lazy_toc){ .format = OL_LAZY_ZSTD_CHUNKED,
						      .bytes = ol_view_of(json),
						      .place = { TOC_AT, 9000 },
						      .tar_split = ol_buf_view(&lines) },
			blob());
		ol_auto_str ol_str table = list_table(&box.table);
		const char *got = box.rc < 0 ? box.err.text : ol_str_text(&table);

		CHECK_INT(c->label, c->rc, box.rc);
		if (!strstr(got, c->words))
			CHECK_STR(c->label, c->words, got);
		if (box.rc == OL_OK) {
			assert_int_equal(OL_LAZY_TAR, box.table.about.layout);
			assert_int_equal(3072, box.table.about.payload_bytes);
			assert_int_equal(3072, box.built.tar_bytes);
		}
		lazy_box_done(&box);
	}
}

struct memory_sink {
	ol_sink sink;
	ol_buf bytes;
};

static int sink_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	(void)err;
	return ol_buf_add(&((struct memory_sink *)sink)->bytes, data, size);
}

/* The ztoc of a blob whose tar that is. */
static ol_buf make_ztoc(ol_view tar, ol_view packed)
{
	static const ol_sink_ops ops = { .write = sink_write };
	struct memory_sink sink = { { &ops }, OL_BUF(ZTOC_BYTES_MAX) };
	ol_reader *reader = ol_reader_of_memory(packed.data, packed.size);
	ol_autofd int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const ol_ztoc_make_options options = {
		.blob = ol_digest_of(OL_SHA256, packed.data, packed.size),
		.diff_id = ol_digest_of(OL_SHA256, tar.data, tar.size),
		.blob_size = packed.size,
		.span_bytes = 100000,
		.tool = "a test",
		.temp_fd = dir,
	};
	ol_error err = { 0 };

	if (ol_ztoc_make(reader, &options, &sink.sink, &err) < 0)
		fail_msg("%s", err.text);
	ol_reader_close(reader);
	return sink.bytes;
}

static ol_buf gzip(ol_view tar)
{
	ol_buf out = OL_BUF(ZTOC_BYTES_MAX);
	z_stream z = { .next_in = (Bytef *)(uintptr_t)tar.data, .avail_in = (uInt)tar.size };

	assert_int_equal(Z_OK, deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY));
	z.avail_out = (uInt)deflateBound(&z, tar.size);
	z.next_out = (Bytef *)ol_buf_room(&out, z.avail_out);
	assert_int_equal(Z_STREAM_END, deflate(&z, Z_FINISH));
	out.size = z.total_out;
	(void)deflateEnd(&z);
	return out;
}

/* All of it: members with pax records, owners beyond octal, whiteouts, links, some 800 KiB. */
static ol_buf hard_tar(void)
{
	static char noise[700000];
	static const tar_member members[] = {
		{ .name = "./", .type = '5', .mode = 0711 },
		{ .name = "./d/", .type = '5', .mode = 0755, .uid = 1, .gid = 2, .mtime = 100 },
		{ .name = "d/text",
			.data = noise,
			.data_size = sizeof noise,
			.pax = { "mtime=1.123456789", "uid=3000000", "SCHILY.xattr.user.a=1",
				"SCHILY.xattr.user.empty=", "SCHILY.xattr.trusted.overlay.x=y" } },
		{ .name = "d/empty" },
		{ .name = "cut", .pax = { "path=d/gr\xc3\xbc\xc3\x9f\x65" }, .data = "x" },
		{ .name = "d/\xff\xfe", .data = "not UTF-8" },
		{ .name = "l", .type = '2', .link = "d/text" },
		{ .name = "h", .type = '1', .link = "d/text" },
		{ .name = "c", .type = '3', .major = 1, .minor = 3 },
		{ .name = "p", .type = '6' },
		{ .name = "d/.wh.gone", .data = "ignored" },
		{ .name = "d/.wh..wh..opq" },
		{ .name = ".wh..wh.plnk/1", .data = "ignored" },
		{ .name = "d/empty", .data = "the later one counts" },
		{ .name = "last", .data = noise, .data_size = 100000, .magic = TAR_MAGIC_GNU },
		{ 0 },
	};
	uint32_t state = 1;

	for (size_t i = 0; i < sizeof noise; i++) {
		state = state * 1664525 + 1013904223;
		noise[i] = (char)(state >> 24 & (i & 4096 ? 0xff : 0x3));
	}
	return tar_build(members);
}

static void soci_gives_the_index_of_the_whole_tar(void **state)
{
	ol_auto_buf ol_buf tar = hard_tar();

	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		ol_auto_buf ol_buf packed = OL_BUF(ZTOC_BYTES_MAX), ztoc = OL_BUF(0);
		ol_autofree char *payload = ol_alloc(tar.size);
		ol_buf want, got;
		lazy_box lazy, eager;

		if (plain)
			(void)ol_buf_add(&packed, tar.data, tar.size);
		else
			packed = gzip(ol_buf_view(&tar));
		ztoc = make_ztoc(ol_buf_view(&tar), ol_buf_view(&packed));
		lazy = lazy_box_build(
			&(ol_lazy_toc){ .format = OL_LAZY_SOCI, .bytes = ol_buf_view(&ztoc) },
			ol_buf_view(&packed));
		if (lazy.rc < 0)
			fail_msg("%s", lazy.err.text);
		eager = lazy_box_eager(ol_buf_view(&tar));
		want = lazy_box_index(&eager);
		got = lazy_box_index(&lazy);
		assert_int_equal(want.size, got.size);
		assert_memory_equal(want.data, got.data, want.size);
		ol_buf_done(&want);
		ol_buf_done(&got);
		assert_true(lazy.table.piece_count > 5);
		/* And the payload becomes the tar. */
		lazy_box_fill(&lazy, ol_buf_view(&packed));
		assert_int_equal((ssize_t)tar.size, pread(lazy.payload_fd, payload, tar.size, 0));
		assert_memory_equal(tar.data, payload, tar.size);
		lazy_box_done(&lazy);
		lazy_box_done(&eager);
	}
}

static void ztocs_of_other_layers_are_refused(void **state)
{
	static const char *const digests[] = { D };
	static const ztoc_member reaching[] = {
		{ .name = "a", .offset = 512, .size = 900 },
		{ 0 },
	};
	static const ztoc_member keyless[] = {
		{ .name = "a", .offset = 512, .records = { { "", "x" } } },
		{ 0 },
	};
	static const struct {
		const char *label;
		const ztoc_member *members;
		int64_t blob_size, tar_size;
		int rc;
		const char *words;
	} cases[] = {
		{ "sound", reaching, BLOB_BYTES, 2048, OL_OK, "" },
		{ "another blob", reaching, 1000, 2048, OL_ECORRUPT, "of a blob of 1000 bytes" },
		{ "a last block that is not whole", reaching, BLOB_BYTES, 1412, OL_EUNSUPPORTED,
			"ends within a file's last block" },
		{ "one large span", reaching, BLOB_BYTES, (int64_t)1 << 30, OL_EUNSUPPORTED,
			"a span of it" },
		{ "a record without a key", keyless, BLOB_BYTES, 2048, OL_ECORRUPT, "key" },
	};
	const ztoc_point point = { .in = 10 };

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf zinfo = ztoc_zinfo(1, 2048, &point, 0, 1);
		const ztoc_spec spec = { .blob_size = c->blob_size,
			.tar_size = c->tar_size,
			.members = c->members,
			.digests = digests,
			.digest_count = 1,
			.checkpoints = ol_buf_view(&zinfo) };
		ol_auto_buf ol_buf ztoc = ztoc_build(&spec);
		lazy_box box = lazy_box_build(
			&(ol_lazy_toc){ .format = OL_LAZY_SOCI, .bytes = ol_buf_view(&ztoc) },
			blob());

		CHECK_INT(c->label, c->rc, box.rc);
		if (!strstr(box.err.text, c->words))
			CHECK_STR(c->label, c->words, box.err.text);
		lazy_box_done(&box);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_packed_and_pieces_find_their_ends),
		cmocka_unit_test(the_table_is_a_file_of_the_tree_unless_it_is_elsewhere),
		cmocka_unit_test(tables_that_lie_are_refused),
		cmocka_unit_test(estargz_keeps_its_table_in_one_member),
		cmocka_unit_test(a_tar_split_lists_what_the_table_lists),
		cmocka_unit_test(soci_gives_the_index_of_the_whole_tar),
		cmocka_unit_test(ztocs_of_other_layers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
