#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/str.h"
#include "manifest/tar_writer.h"
#include "tests/check.h"

#define TAR_MAX    ((size_t)4 << 20)
#define PIECES_MAX 4
#define XATTRS_MAX 3
#define ROUNDS     400

/* ------------------------------------------------------------ what is compared -- */

struct sink {
	ol_sink sink;
	ol_buf bytes;
};

static int sink_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	(void)err;
	return ol_buf_add(&((struct sink *)sink)->bytes, data, size);
}

static const ol_sink_ops sink_ops = { sink_write, NULL };

/* All that the reader gives of an entry; what links and whiteouts do not have is not asked. */
static void describe(ol_str *out, const ol_tar_entry *e)
{
	(void)ol_str_addf(out, "%d ", e->type);
	(void)ol_str_add_safe(out, ol_view_of(e->name));
	(void)ol_str_addf(out, ">%s %o %u:%u %lld.%09ld %u:%u %llu %llu", e->target, e->mode,
		e->uid, e->gid, (long long)e->mtime.tv_sec, e->mtime.tv_nsec, e->dev_major,
		e->dev_minor, (unsigned long long)e->size, (unsigned long long)e->data_size);
	for (size_t i = 0; e->sparse && i < e->sparse_count; i++)
		(void)ol_str_addf(out, " %llu+%llu", (unsigned long long)e->sparse[i].offset,
			(unsigned long long)e->sparse[i].size);
	for (size_t i = 0; i < e->xattr_count; i++) {
		(void)ol_str_addc(out, ' ');
		(void)ol_str_add_safe(out, e->xattrs[i].name);
		(void)ol_str_addc(out, '=');
		(void)ol_str_add_safe(out, e->xattrs[i].value);
	}
	(void)ol_str_addc(out, '\n');
}

static int read_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	(void)err;
	describe(ctx, entry);
	return OL_OK;
}

static int read_data(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	(void)offset;
	(void)err;
	return ol_str_add_safe(ctx, ol_view_from(data, size));
}

/* Writes the entries, each with data that name it, and reads them back. */
static void check_round_trip(const char *label, const ol_tar_entry *entries, size_t count)
{
	struct sink sink = { .sink = { &sink_ops }, .bytes = OL_BUF(TAR_MAX) };
	ol_auto(ol_tar_writer_free) ol_tar_writer *writer = ol_tar_writer_new(&sink.sink);
	ol_auto_str ol_str want = OL_STR(TAR_MAX), got = OL_STR(TAR_MAX);
	ol_auto(ol_tar_free) ol_tar *reader =
		ol_tar_new(&(ol_tar_handler){ read_entry, read_data, &got });
	ol_error err = { 0 };

	for (size_t i = 0; i < count; i++) {
		ol_autofree char *data = ol_alloc(entries[i].data_size + 1);

		memset(data, (int)('a' + i % 26), entries[i].data_size);
		describe(&want, &entries[i]);
		(void)ol_str_add(&want, data);
		CHECK_INT(err.text, OL_OK, ol_tar_writer_add(writer, &entries[i], &err));
		CHECK_INT(err.text, OL_OK,
			ol_tar_writer_data(writer, data, entries[i].data_size, &err));
	}
	CHECK_INT(err.text, OL_OK, ol_tar_writer_finish(writer, &err));
	assert_int_equal(sink.bytes.size % 512, 0);
	CHECK_INT(err.text, OL_OK, ol_tar_push(reader, sink.bytes.data, sink.bytes.size, &err));
	CHECK_INT(err.text, OL_OK, ol_tar_finish(reader, &err));
	CHECK_STR(label, ol_str_text(&want), ol_str_text(&got));
	ol_buf_done(&sink.bytes);
}

/* ------------------------------------------------------------------ chosen cases -- */

#define TEN(x) x x x x x x x x x x

static const char long_part[] = TEN(TEN("n"));
static const char split_name[] = TEN("directory/") "and/a/file/in/it/whose/name/is/longer/than/100";
static const char long_name[] = TEN(TEN("p")) "/" TEN(TEN("q")) "/" TEN(TEN("r")) "/s";

static void what_ustar_has_no_room_for_comes_back(void **state)
{
	static const ol_xattr xattrs[] = {
		{ { "security.capability", 19 }, { "\1\0\0\2\0\n=", 7 } },
		{ { "user.a=b%c \xff", 12 }, { "x=1\n", 4 } },
		{ { "user.empty", 10 }, { "", 0 } },
	};
	static const ol_sparse pieces[] = { { 4096, 512 }, { 1 << 20, 7 } };
	static const ol_sparse none[1];
	const struct {
		const char *label;
		ol_tar_entry entry;
	} rows[] = {
		{ "plain", { .name = "f", .mode = 0644, .size = 5, .data_size = 5 } },
		{ "empty file", { .name = "f" } },
		{ "one block", { .name = "f", .size = 512, .data_size = 512 } },
		{ "root", { .type = OL_TAR_DIR, .name = "", .mode = 0755 } },
		{ "sticky", { .type = OL_TAR_DIR, .name = "tmp", .mode = 01777 } },
		{ "bytes", { .name = "\xff\xfe \n*", .mode = 07777 } },
		{ "100 bytes", { .name = long_part } },
		{ "100 bytes and a slash", { .type = OL_TAR_DIR, .name = long_part } },
		{ "split", { .name = split_name } },
		{ "a long name", { .name = long_name } },
		{ "a long folder", { .type = OL_TAR_DIR, .name = long_name } },
		{ "a long link", { .type = OL_TAR_SYMLINK, .name = "l", .target = long_name } },
		{ "a link of 100 bytes",
			{ .type = OL_TAR_SYMLINK, .name = "l", .target = long_part } },
		{ "a hard link", { .type = OL_TAR_HARDLINK, .name = "l", .target = long_name } },
		{ "large ids", { .name = "f", .uid = 07777777, .gid = 010000000 } },
		{ "the largest ids",
			{ .name = "f", .uid = UINT32_MAX - 1, .gid = UINT32_MAX - 1 } },
		{ "a device",
			{ .type = OL_TAR_CHAR, .name = "c", .dev_major = 1, .dev_minor = 3 } },
		{ "a large device", { .type = OL_TAR_BLOCK,
					    .name = "b",
					    .dev_major = 0xfff,
					    .dev_minor = 0xfffff } },
		{ "a fifo", { .type = OL_TAR_FIFO, .name = "p" } },
		{ "a fraction", { .name = "f", .mtime = { 1, 500000000 } } },
		{ "a nanosecond", { .name = "f", .mtime = { 1, 1 } } },
		{ "a late time", { .name = "f", .mtime = { OL_TIME_MAX, 999999999 } } },
		{ "the last octal time", { .name = "f", .mtime = { 077777777777, 0 } } },
		{ "a time past it", { .name = "f", .mtime = { 0100000000000, 0 } } },
		{ "xattrs", { .name = "f", .xattrs = xattrs, .xattr_count = 3 } },
		{ "sparse", { .name = "f",
				    .size = 1 << 21,
				    .data_size = 519,
				    .sparse = pieces,
				    .sparse_count = 2 } },
		{ "sparse to the end", { .name = "f",
					       .size = (1 << 20) + 7,
					       .data_size = 519,
					       .sparse = pieces,
					       .sparse_count = 2 } },
		{ "a hole", { .name = long_name, .size = OL_FILE_BYTES_MAX, .sparse = none } },
		{ "a whiteout", { .type = OL_TAR_WHITEOUT, .name = "a/b" } },
		{ "a whiteout at the top", { .type = OL_TAR_WHITEOUT, .name = "b" } },
		{ "opaque", { .type = OL_TAR_OPAQUE, .name = "a/b" } },
		{ "opaque root", { .type = OL_TAR_OPAQUE, .name = "" } },
	};

	(void)state;
	OL_EACH (rows, row) {
		ol_tar_entry entry = row->entry;

		if (!entry.target)
			entry.target = "";
		check_round_trip(row->label, &entry, 1);
	}
}

/* Before 1970: our reader, and other layers, make 0 of it; GNU tar reads the record. */
static void times_before_1970_are_written_as_they_are(void **state)
{
	static const struct {
		struct timespec time;
		const char *record;
	} rows[] = {
		{ { -1, 0 }, "12 mtime=-1\n" },
		{ { -2, 500000000 }, "14 mtime=-1.5\n" },
		{ { -1, 500000000 }, "14 mtime=-0.5\n" },
		{ { -1, 999999999 }, "22 mtime=-0.000000001\n" },
	};

	(void)state;
	OL_EACH (rows, row) {
		struct sink sink = { .sink = { &sink_ops }, .bytes = OL_BUF(TAR_MAX) };
		ol_auto(ol_tar_writer_free) ol_tar_writer *writer = ol_tar_writer_new(&sink.sink);
		const ol_tar_entry entry = { .name = "f", .target = "", .mtime = row->time };

		CHECK_INT(row->record, OL_OK, ol_tar_writer_add(writer, &entry, NULL));
		CHECK_STR("record", row->record, sink.bytes.data + 512);
		ol_buf_done(&sink.bytes);
	}
}

/* ---------------------------------------------------------------------- property -- */

typedef struct maker {
	uint64_t seed;
	ol_arena *arena;
} maker;

static uint32_t roll(maker *m, uint32_t below)
{
	m->seed = m->seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(m->seed >> 33) % below;
}

/* A clean path of any bytes; no component begins with ".wh.". */
static char *make_path(maker *m)
{
	size_t parts = 1 + roll(m, 6), size = 0;
	char *path = ol_arena_alloc(m->arena, parts * 256);

	for (size_t i = 0; i < parts; i++) {
		size_t count = 1 + roll(m, roll(m, 2) ? 8 : 250);

		if (i)
			path[size++] = '/';
		path[size++] = (char)('a' + roll(m, 26));
		for (size_t k = 1; k < count; k++) {
			char c = (char)(1 + roll(m, 255));

			if (c == '/')
				c = '_';
			path[size++] = c;
		}
	}
	return path;
}

static void make_pieces(maker *m, ol_tar_entry *entry)
{
	ol_sparse *pieces = ol_arena_alloc(m->arena, PIECES_MAX * sizeof *pieces);
	uint64_t at = 0;

	entry->data_size = 0;
	entry->sparse_count = roll(m, PIECES_MAX + 1);
	for (size_t i = 0; i < entry->sparse_count; i++) {
		pieces[i].offset = at + roll(m, 1 << 20);
		pieces[i].size = 1 + roll(m, 2000);
		entry->data_size += pieces[i].size;
		at = pieces[i].offset + pieces[i].size;
	}
	entry->size = at + (uint64_t)roll(m, 2) * roll(m, 1 << 30);
	entry->sparse = pieces;
}

static void make_xattrs(maker *m, ol_tar_entry *entry)
{
	static const char *const names[XATTRS_MAX] = { "user.a", "user.b=c", "user.c d" };
	ol_xattr *xattrs = ol_arena_alloc(m->arena, XATTRS_MAX * sizeof *xattrs);

	entry->xattr_count = roll(m, XATTRS_MAX + 1);
	assert(entry->xattr_count <= XATTRS_MAX); /* for the analyzer, that cannot tell */
	for (size_t i = 0; i < entry->xattr_count; i++) {
		size_t size = roll(m, 300);
		char *value = ol_arena_alloc(m->arena, size + 1);

		for (size_t k = 0; k < size; k++)
			value[k] = (char)roll(m, 256);
		xattrs[i] = (ol_xattr){ ol_view_of(names[i]), { value, size } };
	}
	entry->xattrs = xattrs;
}

static ol_tar_entry make_entry(maker *m)
{
	ol_tar_entry entry = {
		.type = (ol_tar_type)roll(m, OL_TAR_OPAQUE + 1),
		.name = make_path(m),
		.target = "",
		.mode = roll(m, 010000),
		.uid = roll(m, 2) ? roll(m, 1000) : roll(m, UINT32_MAX - 1),
		.gid = roll(m, 2) ? roll(m, 1000) : roll(m, UINT32_MAX - 1),
		.mtime = { (time_t)roll(m, 1U << 31) * (time_t)(1 + roll(m, 50)),
			roll(m, 2) ? (long)roll(m, 1000000000) : 0 },
	};

	if (entry.type == OL_TAR_HARDLINK || entry.type == OL_TAR_SYMLINK)
		entry.target = make_path(m);
	if (entry.type == OL_TAR_CHAR || entry.type == OL_TAR_BLOCK) {
		entry.dev_major = 1 + roll(m, 0xfff);
		entry.dev_minor = roll(m, 0x100000);
	}
	if (entry.type == OL_TAR_FILE || entry.type == OL_TAR_DIR)
		make_xattrs(m, &entry);
	if (entry.type == OL_TAR_FILE && roll(m, 2))
		make_pieces(m, &entry);
	else if (entry.type == OL_TAR_FILE)
		entry.size = entry.data_size = roll(m, 3000);
	return entry;
}

static void any_entries_come_back_as_they_were(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < ROUNDS; seed++) {
		maker m = { .seed = seed, .arena = ol_arena_new() };
		ol_tar_entry entries[5];
		char label[32];

		for (size_t i = 0; i < 5; i++)
			entries[i] = make_entry(&m);
		(void)snprintf(label, sizeof label, "seed %llu", (unsigned long long)seed);
		check_round_trip(label, entries, 5);
		ol_arena_free(m.arena);
	}
}

/* ---------------------------------------------------------------------- refusals -- */

static void what_no_tar_can_hold_is_refused(void **state)
{
	static const struct {
		const char *label;
		ol_tar_entry entry;
		int rc;
	} rows[] = {
		{ "no name", { .name = "", .target = "" }, OL_EINVAL },
		{ "no target", { .type = OL_TAR_SYMLINK, .name = "l", .target = "" }, OL_EINVAL },
		{ "data of a folder",
			{ .type = OL_TAR_DIR, .name = "d", .target = "", .data_size = 1 },
			OL_EINVAL },
		{ "too large",
			{ .name = "f",
				.target = "",
				.size = OL_LAYER_TAR_BYTES_MAX + 1,
				.data_size = OL_LAYER_TAR_BYTES_MAX + 1 },
			OL_ELIMIT },
		{ "as large as it gets",
			{ .name = "f",
				.target = "",
				.size = OL_LAYER_TAR_BYTES_MAX,
				.data_size = OL_LAYER_TAR_BYTES_MAX },
			OL_OK },
	};

	(void)state;
	OL_EACH (rows, row) {
		struct sink sink = { .sink = { &sink_ops }, .bytes = OL_BUF(TAR_MAX) };
		ol_auto(ol_tar_writer_free) ol_tar_writer *writer = ol_tar_writer_new(&sink.sink);

		CHECK_INT(row->label, row->rc, ol_tar_writer_add(writer, &row->entry, NULL));
		ol_buf_done(&sink.bytes);
	}
}

static void data_are_as_long_as_was_said(void **state)
{
	struct sink sink = { .sink = { &sink_ops }, .bytes = OL_BUF(TAR_MAX) };
	ol_auto(ol_tar_writer_free) ol_tar_writer *writer = ol_tar_writer_new(&sink.sink);
	const ol_tar_entry entry = { .name = "f", .target = "", .size = 3, .data_size = 3 };

	(void)state;
	CHECK_INT("before any member", OL_EINVAL, ol_tar_writer_data(writer, "x", 1, NULL));
	CHECK_INT("add", OL_OK, ol_tar_writer_add(writer, &entry, NULL));
	CHECK_INT("too much", OL_EINVAL, ol_tar_writer_data(writer, "xxxx", 4, NULL));
	CHECK_INT("two of three", OL_OK, ol_tar_writer_data(writer, "xx", 2, NULL));
	CHECK_INT("the next too early", OL_EINVAL, ol_tar_writer_add(writer, &entry, NULL));
	CHECK_INT("the end too early", OL_EINVAL, ol_tar_writer_finish(writer, NULL));
	CHECK_INT("the third", OL_OK, ol_tar_writer_data(writer, "x", 1, NULL));
	CHECK_INT("the end", OL_OK, ol_tar_writer_finish(writer, NULL));
	ol_buf_done(&sink.bytes);
}

static int refuse(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	(void)sink;
	(void)data;
	(void)size;
	return ol_fail(err, OL_EUNAVAILABLE, "full");
}

static void a_refusal_of_the_sink_is_passed_on(void **state)
{
	static const ol_sink_ops ops = { refuse, NULL };
	ol_sink sink = { &ops };
	ol_auto(ol_tar_writer_free) ol_tar_writer *writer = ol_tar_writer_new(&sink);
	const ol_tar_entry entry = { .name = "f", .target = "" };

	(void)state;
	CHECK_INT("add", OL_EUNAVAILABLE, ol_tar_writer_add(writer, &entry, NULL));
	CHECK_INT("finish", OL_EUNAVAILABLE, ol_tar_writer_finish(writer, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_ustar_has_no_room_for_comes_back),
		cmocka_unit_test(times_before_1970_are_written_as_they_are),
		cmocka_unit_test(any_entries_come_back_as_they_were),
		cmocka_unit_test(what_no_tar_can_hold_is_refused),
		cmocka_unit_test(data_are_as_long_as_was_said),
		cmocka_unit_test(a_refusal_of_the_sink_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
