/* The seek table (snapshot/lazy_table.h): what is written is read, and nothing that does not
 * hold. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "snapshot/lazy_table_priv.h"
#include "tests/check.h"

#define BLOB_BYTES    100000
#define PAYLOAD_BYTES 81920

typedef struct box {
	char dir[64];
	int fd;
} box;

static int setup(void **state)
{
	box *b = calloc(1, sizeof *b);

	assert_non_null(b);
	(void)snprintf(b->dir, sizeof b->dir, "/tmp/orlop-table-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(OL_OK, ol_publish(b->fd, "window", ol_view_of("windows"), 0600, 0, NULL));
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	box *b = *state;

	(void)close(b->fd);
	CHECK_INT("clean up", OL_OK, ol_remove_tree(AT_FDCWD, b->dir, NULL));
	free(b);
	return 0;
}

static ol_digest digest_of(const char *text, ol_algorithm algorithm)
{
	return ol_digest_of(algorithm, text, strlen(text));
}

/* Two pieces that share a byte, one with its own digest, three extents with a gap. */
static ol_lazy_table make(ol_algorithm algorithm)
{
	ol_lazy_table table = { .piece_count = 3, .extent_count = 4 };

	table.about = (ol_lazy_about){
		.blob = digest_of("blob", OL_SHA256),
		.diff_id = digest_of("diff", OL_SHA512),
		.blob_size = BLOB_BYTES,
		.payload_bytes = PAYLOAD_BYTES,
		.layout = OL_LAZY_TAR,
		.format = "soci",
		.window = digest_of("windows", OL_SHA256),
		.prefetch_end = 40,
	};
	table.pieces = ol_alloc_array(3, sizeof *table.pieces);
	table.pieces[0] = (ol_lazy_piece){ 10, 101, 10000, digest_of("a", algorithm),
		OL_PIECE_DEFLATE, 0, OL_PIECE_NO_WINDOW };
	table.pieces[1] = (ol_lazy_piece){ 100, 300, 20000, digest_of("b", algorithm),
		OL_PIECE_DEFLATE, 3, 32785 };
	table.pieces[2] =
		(ol_lazy_piece){ 300, 900, 600, { 0 }, OL_PIECE_RAW, 0, OL_PIECE_NO_WINDOW };
	table.extents = ol_alloc_array(4, sizeof *table.extents);
	table.extents[0] = (ol_lazy_extent){ 0, 10000, 0, 0, { 0 } };
	table.extents[1] = (ol_lazy_extent){ 10000, 100, 4, 1, digest_of("c", algorithm) };
	table.extents[2] = (ol_lazy_extent){ 10112, 600, 0, 2, digest_of("d", algorithm) };
	table.extents[3] = (ol_lazy_extent){ 20480, 200, 700, 1, { 0 } };
	return table;
}

static void check_same(const ol_lazy_table *a, const ol_lazy_table *b)
{
	assert_int_equal(a->piece_count, b->piece_count);
	assert_int_equal(a->extent_count, b->extent_count);
	assert_true(ol_digest_eq(&a->about.blob, &b->about.blob));
	assert_true(ol_digest_eq(&a->about.diff_id, &b->about.diff_id));
	assert_int_equal(a->about.blob_size, b->about.blob_size);
	assert_int_equal(a->about.payload_bytes, b->about.payload_bytes);
	assert_int_equal(a->about.prefetch_end, b->about.prefetch_end);
	assert_true(ol_digest_eq(&a->about.window, &b->about.window));
	assert_int_equal(a->about.layout, b->about.layout);
	assert_string_equal(a->about.format, b->about.format);
	for (size_t i = 0; i < a->piece_count; i++) {
		const ol_lazy_piece *p = &a->pieces[i], *q = &b->pieces[i];

		assert_true(p->begin == q->begin && p->end == q->end && p->size == q->size);
		assert_true(p->kind == q->kind && p->bits == q->bits && p->window == q->window);
		assert_true(ol_digest_eq(&p->digest, &q->digest));
	}
	for (size_t i = 0; i < a->extent_count; i++) {
		const ol_lazy_extent *p = &a->extents[i], *q = &b->extents[i];

		assert_true(p->offset == q->offset && p->size == q->size);
		assert_true(p->inner == q->inner && p->piece == q->piece);
		assert_true(ol_digest_eq(&p->digest, &q->digest));
	}
}

static void what_was_written_is_read(void **state)
{
	static const ol_algorithm algorithms[] = { OL_SHA256, OL_SHA512 };
	const box *b = *state;

	OL_EACH (algorithms, algorithm) {
		ol_lazy_table table = make(*algorithm), want = make(*algorithm), got = { 0 };
		const ol_lazy_piece piece = table.pieces[0];
		const ol_lazy_extent extent = table.extents[3];
		ol_error err = { 0 };

		/* In another order: pieces 2 0 1 → numbers follow. */
		table.pieces[0] = table.pieces[2];
		table.pieces[2] = table.pieces[1];
		table.pieces[1] = piece;
		table.extents[3] = table.extents[0];
		table.extents[0] = extent;
		for (size_t i = 0; i < table.extent_count; i++)
			table.extents[i].piece = (table.extents[i].piece + 1) % 3;
		CHECK_INT(err.text, OL_OK, ol_lazy_table_write(&table, b->fd, &err));
		check_same(&want, &table);
		CHECK_INT(err.text, OL_OK, ol_lazy_table_load(b->fd, &got, &err));
		check_same(&want, &got);
		ol_lazy_table_done(&table);
		ol_lazy_table_done(&want);
		ol_lazy_table_done(&got);
		assert_null(got.pieces);
	}
}

static void a_layer_without_bytes_has_a_table_too(void **state)
{
	const box *b = *state;
	ol_lazy_table table = make(OL_SHA256), got = { 0 };

	table.piece_count = table.extent_count = 0;
	table.about.payload_bytes = 0;
	assert_int_equal(OL_OK, ol_lazy_table_write(&table, b->fd, NULL));
	assert_int_equal(OL_OK, ol_lazy_table_load(b->fd, &got, NULL));
	assert_int_equal(0, got.extent_count);
	assert_int_equal(0, ol_lazy_table_find(&got, 0));
	ol_lazy_table_done(&table);
	ol_lazy_table_done(&got);
}

static void the_first_extent_that_ends_after_an_offset_is_found(void **state)
{
	static const struct {
		const char *label;
		uint64_t offset;
		size_t index;
	} rows[] = {
		{ "first byte", 0, 0 },
		{ "last byte of the first", 9999, 0 },
		{ "first byte of the second", 10000, 1 },
		{ "in a small gap", 10100, 2 },
		{ "in a large gap", 15000, 3 },
		{ "last byte", 20679, 3 },
		{ "behind all", 20680, 4 },
		{ "far away", UINT64_MAX, 4 },
	};
	ol_lazy_table table = make(OL_SHA256);

	(void)state;
	OL_EACH (rows, row)
		CHECK_INT(row->label, (long long)row->index,
			(long long)ol_lazy_table_find(&table, row->offset));
	ol_lazy_table_done(&table);
}

/* A table to which one thing is done. */
#define HARM(name, what)                                                                           \
	static void name(ol_lazy_table *t)                                                         \
	{                                                                                          \
		what;                                                                              \
	}

HARM(nothing, (void)t)
HARM(no_blob, t->about.blob = (ol_digest){ 0 })
HARM(no_format, t->about.format[0] = '\0')
HARM(endless_format, memset(t->about.format, 'x', sizeof t->about.format))
HARM(odd_payload, t->about.payload_bytes++)
HARM(huge_payload, t->about.payload_bytes = OL_LAYER_TAR_BYTES_MAX + 512)
HARM(no_layout, t->about.layout = (ol_lazy_layout)3)
HARM(far_landmark, t->about.prefetch_end = BLOB_BYTES + 1)
HARM(empty_piece, t->pieces[2].end = t->pieces[2].begin)
HARM(far_piece, t->pieces[2].end = BLOB_BYTES + 1)
HARM(pieces_share_two_bytes, t->pieces[0].end = 102)
HARM(pieces_share_without_bits, t->pieces[1].bits = 0)
HARM(raw_gives_more, t->pieces[2].size = 601)
HARM(huge_piece, t->pieces[1].size = OL_LAZY_PIECE_BYTES_MAX + 1)
HARM(long_piece, t->about.blob_size = (uint64_t)1 << 40;
	t->pieces[2].end = t->pieces[2].begin + OL_LAZY_PIECE_BYTES_MAX + 1)
HARM(no_kind, t->pieces[2].kind = (ol_piece_kind)5)
HARM(eight_bits, t->pieces[1].bits = 8)
HARM(raw_bits, t->pieces[2].bits = 1)
HARM(raw_window, t->pieces[2].window = 0)
HARM(far_window, t->pieces[1].window = OL_TOC_BYTES_MAX + 1)
HARM(empty_extent, t->extents[1].size = 0)
HARM(far_extent, t->extents[3].offset = PAYLOAD_BYTES - 199)
HARM(endless_extent, t->extents[3].offset = UINT64_MAX - 1)
HARM(overlapping_extents, t->extents[1].offset--)
HARM(no_such_piece, t->extents[3].piece = 3)
HARM(beyond_its_piece, t->extents[2].inner = 1)
HARM(endless_inner, t->extents[2].inner = UINT64_MAX - 5)
HARM(no_digest, t->extents[2].digest = (ol_digest){ 0 })
HARM(too_many, t->piece_count = OL_LAZY_PIECES_MAX + 1)

/* Each row breaks one thing. It is refused when it is written, and when it is read. */
static void what_does_not_hold_is_refused(void **state)
{
	static const struct {
		const char *label;
		void (*harm)(ol_lazy_table *table);
		int rc;
	} rows[] = {
		{ "sound", nothing, OL_OK },
		{ "no blob", no_blob, OL_ECORRUPT },
		{ "no format", no_format, OL_ECORRUPT },
		{ "endless format", endless_format, OL_ECORRUPT },
		{ "odd payload", odd_payload, OL_ECORRUPT },
		{ "huge payload", huge_payload, OL_ELIMIT },
		{ "no layout", no_layout, OL_ECORRUPT },
		{ "far landmark", far_landmark, OL_ECORRUPT },
		{ "empty piece", empty_piece, OL_ECORRUPT },
		{ "far piece", far_piece, OL_ECORRUPT },
		{ "two bytes shared", pieces_share_two_bytes, OL_ECORRUPT },
		{ "shared without bits", pieces_share_without_bits, OL_ECORRUPT },
		{ "raw gives more", raw_gives_more, OL_ECORRUPT },
		{ "huge piece", huge_piece, OL_ELIMIT },
		{ "long piece", long_piece, OL_ELIMIT },
		{ "no kind", no_kind, OL_ECORRUPT },
		{ "eight bits", eight_bits, OL_ECORRUPT },
		{ "raw bits", raw_bits, OL_ECORRUPT },
		{ "raw window", raw_window, OL_ECORRUPT },
		{ "far window", far_window, OL_ECORRUPT },
		{ "empty extent", empty_extent, OL_ECORRUPT },
		{ "far extent", far_extent, OL_ECORRUPT },
		{ "endless extent", endless_extent, OL_ECORRUPT },
		{ "overlapping extents", overlapping_extents, OL_ECORRUPT },
		{ "no such piece", no_such_piece, OL_ECORRUPT },
		{ "beyond its piece", beyond_its_piece, OL_ECORRUPT },
		{ "endless inner", endless_inner, OL_ECORRUPT },
		{ "no digest", no_digest, OL_ECORRUPT },
		{ "too many", too_many, OL_ELIMIT },
	};
	const box *b = *state;

	OL_EACH (rows, row) {
		ol_lazy_table table = make(OL_SHA256);

		row->harm(&table);
		CHECK_INT(row->label, row->rc, ol_lazy_table_check(&table, NULL));
		CHECK_INT(row->label, row->rc, ol_lazy_table_write(&table, b->fd, NULL));
		ol_lazy_table_done(&table);
	}
}

static void seal(ol_buf *bytes)
{
	const size_t size = bytes->size - OL_SEEK_SEAL_BYTES;
	const ol_digest digest = ol_digest_of(OL_SHA256, bytes->data, size);

	memcpy(bytes->data + size, digest.bytes, OL_SEEK_SEAL_BYTES);
}

/* Bytes that are changed on disk, with and without the right seal. */
static void what_was_changed_on_disk_is_refused(void **state)
{
	static const struct {
		const char *label;
		size_t at;
		unsigned char to;
		bool sealed;
		int rc;
	} rows[] = {
		{ "sound", 0, 'o', true, OL_OK },
		{ "a bit, unsealed", 40, 1, false, OL_ECORRUPT },
		{ "magic", 0, 'x', true, OL_ECORRUPT },
		{ "version", 8, 2, true, OL_ECORRUPT },
		{ "layout", 12, 7, true, OL_ECORRUPT },
		{ "format", 16, 0, true, OL_ECORRUPT },
		{ "many pieces", 59, 1, true, OL_ELIMIT },
		{ "one piece more", 56, 4, true, OL_ECORRUPT },
		{ "one extent less", 60, 3, true, OL_ECORRUPT },
		{ "width", 64, 33, true, OL_ECORRUPT },
		{ "wide", 64, 64, true, OL_ECORRUPT },
		{ "reserved", 68, 1, true, OL_ECORRUPT },
		{ "algorithm", 72, 3, true, OL_ECORRUPT },
		{ "no algorithm", 72, 0, true, OL_ECORRUPT },
		{ "windows' algorithm", 208, 0, true, OL_ECORRUPT },
		{ "reserved at the end", 276, 1, true, OL_ECORRUPT },
		{ "behind a digest", 76 + 32, 1, true, OL_ECORRUPT },
		{ "piece's kind", OL_SEEK_HEAD_BYTES + 32, 9, true, OL_ECORRUPT },
		{ "piece's digest", OL_SEEK_HEAD_BYTES + 34, 2, true, OL_ECORRUPT },
		{ "extent's piece", OL_SEEK_HEAD_BYTES + 3 * 72 + 24, 3, true, OL_ECORRUPT },
	};
	const box *b = *state;
	ol_lazy_table table = make(OL_SHA256);

	assert_int_equal(OL_OK, ol_lazy_table_write(&table, b->fd, NULL));
	ol_lazy_table_done(&table);
	OL_EACH (rows, row) {
		ol_auto_buf ol_buf bytes = OL_BUF((size_t)1 << 20);
		ol_lazy_table got = { 0 };

		assert_int_equal(OL_OK, ol_file_read(b->fd, "seek", true, &bytes, NULL));
		bytes.data[row->at] = (char)row->to;
		if (row->sealed)
			seal(&bytes);
		CHECK_INT(
			row->label, row->rc, ol_lazy_table_parse(ol_buf_view(&bytes), &got, NULL));
		ol_lazy_table_done(&got);
	}
}

static void a_table_that_was_cut_short_is_refused(void **state)
{
	const box *b = *state;
	ol_auto_buf ol_buf bytes = OL_BUF((size_t)1 << 20);
	ol_lazy_table table = make(OL_SHA256), got = { 0 };

	assert_int_equal(OL_OK, ol_lazy_table_write(&table, b->fd, NULL));
	ol_lazy_table_done(&table);
	assert_int_equal(OL_OK, ol_file_read(b->fd, "seek", true, &bytes, NULL));
	for (size_t size = 0; size < bytes.size; size++)
		assert_int_equal(OL_ECORRUPT,
			ol_lazy_table_parse(ol_view_from(bytes.data, size), &got, NULL));
	table = make(OL_SHA256);
	assert_int_equal(0, unlinkat(b->fd, "window", 0));
	assert_int_equal(OL_ENOTFOUND, ol_lazy_table_write(&table, b->fd, NULL));
	ol_lazy_table_done(&table);
	assert_int_equal(0, unlinkat(b->fd, "seek", 0));
	assert_int_equal(OL_ENOTFOUND, ol_lazy_table_load(b->fd, &got, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_layer_without_bytes_has_a_table_too, setup, teardown),
		cmocka_unit_test(the_first_extent_that_ends_after_an_offset_is_found),
		cmocka_unit_test_setup_teardown(what_does_not_hold_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_was_changed_on_disk_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_table_that_was_cut_short_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests_name("lazy_table", tests, NULL, NULL);
}
