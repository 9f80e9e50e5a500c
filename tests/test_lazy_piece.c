/* Inflating single pieces (snapshot/lazy_piece.h). */
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "snapshot/lazy_piece.h"
#include "tests/check.h"

#define DATA_BYTES   ((size_t)400 << 10)
#define WINDOW_BYTES 32768
#define MARKS_MAX    16384

/* Text that deflates to about a third, so that references and blocks of all kinds are met. */
static unsigned char *make_data(size_t size)
{
	unsigned char *data = ol_alloc(size + 1);
	uint64_t x = 88172645463325252;

	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (i > 5000 && x % 3)
			data[i] = data[i - 1 - x / 8 % 4999];
		else
			data[i] = (unsigned char)('a' + x / 16 % 23);
	}
	return data;
}

struct blob {
	unsigned char *bytes; /* owned */
	size_t size;
};

/* Appends a gzip member with small blocks and, if named, a header that is not of 10 bytes. */
static void add_member(struct blob *blob, const unsigned char *data, size_t size, bool named)
{
	const size_t room = compressBound(size) + 4096;
	gz_header header = { .name = (Bytef *)(uintptr_t) "layer.tar",
		.comment = (Bytef *)(uintptr_t) "a comment" };
	z_stream stream = { .next_in = (unsigned char *)(uintptr_t)data,
		.avail_in = (unsigned)size };

	blob->bytes = ol_realloc_array(blob->bytes, blob->size + room, 1);
	stream.next_out = blob->bytes + blob->size;
	stream.avail_out = (unsigned)room;
	assert_int_equal(
		Z_OK, deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 1, Z_DEFAULT_STRATEGY));
	if (named)
		assert_int_equal(Z_OK, deflateSetHeader(&stream, &header));
	assert_int_equal(Z_STREAM_END, deflate(&stream, Z_FINISH));
	blob->size += stream.total_out;
	assert_int_equal(Z_OK, deflateEnd(&stream));
}

/* A checkpoint between two blocks. */
struct mark {
	size_t in, out;
	unsigned bits;
};

/* All checkpoints of the blob, as an indexer meets them: over all members. */
static size_t find_marks(const struct blob *blob, struct mark *marks)
{
	unsigned char *out = ol_alloc(DATA_BYTES);
	z_stream stream = { .next_in = blob->bytes,
		.avail_in = (unsigned)blob->size,
		.next_out = out,
		.avail_out = DATA_BYTES };
	size_t count = 0, in_before = 0, out_before = 0;

	assert_int_equal(Z_OK, inflateInit2(&stream, 15 + 16));
	while (stream.avail_in > 0) {
		const int rc = inflate(&stream, Z_BLOCK);

		assert_true(rc == Z_OK || rc == Z_STREAM_END);
		if (rc == Z_STREAM_END) {
			in_before += stream.total_in;
			out_before += stream.total_out;
			assert_int_equal(Z_OK, inflateReset(&stream));
			continue;
		}
		if ((stream.data_type & 128) && !(stream.data_type & 64) && count < MARKS_MAX)
			marks[count++] = (struct mark){ in_before + stream.total_in,
				out_before + stream.total_out, (unsigned)stream.data_type & 7 };
	}
	assert_int_equal(Z_OK, inflateEnd(&stream));
	free(out);
	return count;
}

/* Inflates what lies between two checkpoints; the last one reaches to the blob's end. */
static void check_span(const struct blob *blob, const unsigned char *data, size_t data_size,
	const struct mark *from, const struct mark *to)
{
	unsigned char window[WINDOW_BYTES] = { 0 };
	const size_t begin = from->in - (from->bits ? 1 : 0);
	const size_t end = to ? to->in : blob->size;
	const ol_lazy_piece piece = { .begin = begin,
		.end = end,
		.size = (to ? to->out : data_size) - from->out,
		.kind = OL_PIECE_DEFLATE,
		.bits = from->bits };
	const size_t have = from->out < WINDOW_BYTES ? from->out : WINDOW_BYTES;
	/* Exactly as large as they may be: asan sees what goes beyond. */
	ol_autofree unsigned char *in = ol_memdup(blob->bytes + begin, end - begin);
	ol_autofree unsigned char *out = malloc(piece.size ? piece.size : 1);
	ol_piece_input input = { &piece, ol_view_from(in, end - begin),
		ol_view_from(window, sizeof window), false };
	ol_error err = { 0 };

	memcpy(window + WINDOW_BYTES - have, data + from->out - have, have);
	if (from->out == 0)
		input.window = (ol_view){ 0 };
	CHECK_INT(err.text, OL_OK, ol_piece_inflate(&input, out, &err));
	assert_memory_equal(data + from->out, out, piece.size);
}

static void every_bit_count_is_resumed_at(void **state)
{
	ol_autofree unsigned char *data = make_data(DATA_BYTES);
	struct blob blob = { 0 };
	static struct mark marks[MARKS_MAX];
	unsigned seen = 0;
	size_t count;

	(void)state;
	add_member(&blob, data, DATA_BYTES, true);
	count = find_marks(&blob, marks);
	assert_true(count > 100 && count < MARKS_MAX);
	for (size_t i = 0; i < count; i++) {
		seen |= 1U << marks[i].bits;
		check_span(
			&blob, data, DATA_BYTES, &marks[i], i + 1 < count ? &marks[i + 1] : NULL);
		if (i % 20 == 0 && i + 10 < count)
			check_span(&blob, data, DATA_BYTES, &marks[i], &marks[i + 10]);
	}
	CHECK_INT("all bit counts were met", 0xff, seen);
	free(blob.bytes);
}

/* A span goes on over members' ends, whatever their headers hold. */
static void spans_go_on_over_members(void **state)
{
	ol_autofree unsigned char *data = make_data(DATA_BYTES);
	const size_t sizes[] = { 100000, 1, 0, 150000 };
	struct blob blob = { 0 };
	static struct mark marks[MARKS_MAX];
	size_t count, at = 0;

	(void)state;
	OL_EACH (sizes, size) {
		add_member(&blob, data + at, *size, size != sizes);
		at += *size;
	}
	add_member(&blob, data + at, DATA_BYTES - at, true);
	count = find_marks(&blob, marks);
	for (size_t i = 0; i < count; i += count / 23)
		for (size_t j = i + 1; j <= count; j += count / 17)
			check_span(
				&blob, data, DATA_BYTES, &marks[i], j < count ? &marks[j] : NULL);
	free(blob.bytes);
}

static int inflate_as(
	ol_piece_kind kind, const void *bytes, size_t size, size_t want, unsigned char *out)
{
	const ol_lazy_piece piece = { .end = size, .size = want, .kind = kind };
	const ol_piece_input input = { &piece, ol_view_from(bytes, size), { 0 }, false };

	return ol_piece_inflate(&input, out, NULL);
}

static void gzip_pieces_are_members(void **state)
{
	ol_autofree unsigned char *data = make_data(50000);
	ol_autofree unsigned char *out = ol_alloc(50000);
	struct blob blob = { 0 };
	size_t first;

	(void)state;
	add_member(&blob, data, 20000, false);
	first = blob.size;
	add_member(&blob, data + 20000, 30000, true);
	CHECK_INT("both", OL_OK, inflate_as(OL_PIECE_GZIP, blob.bytes, blob.size, 50000, out));
	assert_memory_equal(data, out, 50000);
	memset(out, 0, 50000);
	CHECK_INT("second", OL_OK,
		inflate_as(OL_PIECE_GZIP, blob.bytes + first, blob.size - first, 30000, out));
	assert_memory_equal(data + 20000, out, 30000);
	/* What is more than asked for is not looked at, nor whether it ends well. */
	CHECK_INT("a part", OL_OK, inflate_as(OL_PIECE_GZIP, blob.bytes, blob.size - 9, 100, out));
	CHECK_INT("nothing", OL_OK, inflate_as(OL_PIECE_GZIP, blob.bytes, 1, 0, out));
	CHECK_INT("cut short", OL_ECORRUPT,
		inflate_as(OL_PIECE_GZIP, blob.bytes, first / 2, 20000, out));
	CHECK_INT("fewer", OL_ECORRUPT, inflate_as(OL_PIECE_GZIP, blob.bytes, first, 20001, out));
	CHECK_INT("no gzip", OL_ECORRUPT, inflate_as(OL_PIECE_GZIP, data, 5000, 5000, out));
	free(blob.bytes);
}

static void zstd_pieces_are_frames(void **state)
{
	static const unsigned char skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3 };
	ol_autofree unsigned char *data = make_data(300000);
	ol_autofree unsigned char *out = ol_alloc(300000);
	ol_autofree unsigned char *blob =
		ol_alloc(sizeof skippable + 2 * ZSTD_compressBound(300000));
	size_t size = sizeof skippable, first;

	(void)state;
	memcpy(blob, skippable, sizeof skippable);
	first = ZSTD_compress(blob + size, ZSTD_compressBound(300000), data, 100000, 3);
	size += first;
	memcpy(blob + size, skippable, sizeof skippable);
	size += sizeof skippable;
	size += ZSTD_compress(blob + size, ZSTD_compressBound(300000), data + 100000, 200000, 9);
	CHECK_INT("both", OL_OK, inflate_as(OL_PIECE_ZSTD, blob, size, 300000, out));
	assert_memory_equal(data, out, 300000);
	CHECK_INT("a part", OL_OK, inflate_as(OL_PIECE_ZSTD, blob, size, 150, out));
	CHECK_INT("cut short", OL_ECORRUPT,
		inflate_as(OL_PIECE_ZSTD, blob, sizeof skippable + first / 2, 100000, out));
	CHECK_INT("fewer", OL_ECORRUPT,
		inflate_as(OL_PIECE_ZSTD, blob, sizeof skippable + first, 100001, out));
	CHECK_INT("no zstd", OL_ECORRUPT, inflate_as(OL_PIECE_ZSTD, data, 5000, 5000, out));
	/* A window of 2 GiB. */
	CHECK_INT("window", OL_ELIMIT,
		inflate_as(OL_PIECE_ZSTD, "\x28\xb5\x2f\xfd\x00\xa8\x00\x00\x00\x00", 10, 10, out));
	/* One of 128 MiB is large, and taken. */
	CHECK_INT("large window", OL_OK,
		inflate_as(OL_PIECE_ZSTD, "\x28\xb5\x2f\xfd\x00\x88\x09\x00\x00z", 10, 1, out));
	assert_int_equal('z', out[0]);
}

static void raw_pieces_are_copied(void **state)
{
	unsigned char out[10];

	(void)state;
	CHECK_INT("all", OL_OK, inflate_as(OL_PIECE_RAW, "abcdef", 6, 6, out));
	assert_memory_equal("abcdef", out, 6);
	CHECK_INT("a part", OL_OK, inflate_as(OL_PIECE_RAW, "abcdef", 6, 3, out));
	CHECK_INT("cut short", OL_ECORRUPT, inflate_as(OL_PIECE_RAW, "abcdef", 5, 6, out));
	CHECK_INT("no kind", OL_ECORRUPT, inflate_as((ol_piece_kind)9, "abcdef", 6, 6, out));
}

/* Each row harms a span of deflate. */
static void a_checkpoint_that_lies_is_refused(void **state)
{
	static const struct {
		const char *label;
		int bits_off;     /* added to the right ones, modulo 8 */
		unsigned bits;    /* instead of them, unless 0 */
		size_t begin_off; /* bytes later */
		size_t window;    /* bytes of it that are given; 0: none */
		size_t cut;       /* bytes at the end */
		size_t more;      /* bytes asked for beyond what there is */
		bool may_inflate; /* to other bytes: the digest tells */
		int rc;
		bool last; /* of the blob's pieces */
	} rows[] = {
		{ "sound", 0, 0, 0, WINDOW_BYTES, 0, 0, false, OL_OK, false },
		{ "eight bits", 0, 8, 0, WINDOW_BYTES, 0, 0, false, OL_ECORRUPT, false },
		{ "another bit", 3, 0, 0, WINDOW_BYTES, 0, 0, true, OL_ECORRUPT, false },
		{ "another byte", 0, 0, 1, WINDOW_BYTES, 0, 0, true, OL_ECORRUPT, false },
		{ "a short window", 0, 0, 0, 100, 0, 0, false, OL_ECORRUPT, false },
		{ "no window", 0, 0, 0, 0, 0, 0, false, OL_ECORRUPT, false },
		{ "cut short", 0, 0, 0, WINDOW_BYTES, 2000, 0, false, OL_ECORRUPT, false },
		{ "no bytes", 0, 0, 0, WINDOW_BYTES, SIZE_MAX, 0, false, OL_ECORRUPT, false },
		{ "more than there is", 0, 0, 0, WINDOW_BYTES, 0, 1, false, OL_ECORRUPT, false },
		{ "less than there is", 0, 0, 0, WINDOW_BYTES, 0, (size_t)-1, false, OL_ECORRUPT,
			false },
		{ "and it is the last", 0, 0, 0, WINDOW_BYTES, 0, (size_t)-1, false, OL_OK, true },
	};
	ol_autofree unsigned char *data = make_data(DATA_BYTES);
	struct blob blob = { 0 };
	static struct mark marks[MARKS_MAX];
	size_t count, pick = 0;

	(void)state;
	add_member(&blob, data, DATA_BYTES, false);
	count = find_marks(&blob, marks);
	while (pick < count && (marks[pick].out < WINDOW_BYTES || marks[pick].bits != 3))
		pick++;
	assert_true(pick < count);
	OL_EACH (rows, row) {
		const struct mark *mark = &marks[pick];
		const size_t begin = mark->in - 1 + row->begin_off;
		const size_t whole = blob.size - begin;
		const size_t size = row->cut > whole ? 0 : whole - row->cut;
		const ol_lazy_piece piece = { .size = DATA_BYTES - mark->out + row->more,
			.kind = OL_PIECE_DEFLATE,
			.bits = row->bits ? row->bits
					  : (unsigned)((int)mark->bits + row->bits_off) % 8 };
		ol_autofree unsigned char *out = malloc(piece.size);
		const ol_piece_input input = { &piece, ol_view_from(blob.bytes + begin, size),
			row->window ? ol_view_from(data + mark->out - WINDOW_BYTES, row->window)
				    : (ol_view){ 0 },
			row->last };
		const int rc = ol_piece_inflate(&input, out, NULL);

		if (!row->may_inflate)
			CHECK_INT(row->label, row->rc, rc);
		else
			assert_true(rc == row->rc ||
				    memcmp(out, data + mark->out, DATA_BYTES - mark->out) != 0);
	}
	free(blob.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_count_is_resumed_at),
		cmocka_unit_test(spans_go_on_over_members),
		cmocka_unit_test(gzip_pieces_are_members),
		cmocka_unit_test(zstd_pieces_are_frames),
		cmocka_unit_test(raw_pieces_are_copied),
		cmocka_unit_test(a_checkpoint_that_lies_is_refused),
	};

	return cmocka_run_group_tests_name("lazy_piece", tests, NULL, NULL);
}
