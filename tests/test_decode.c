#include <stdio.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/str.h"
#include "snapshot/decode.h"
#include "tests/check.h"

#define PLAIN_BYTES ((size_t)300 << 10)
#define BYTES_MAX   ((size_t)16 << 20)

/* Text that compresses, with long and short distances. */
static ol_buf plain_bytes(size_t size)
{
	ol_buf plain = OL_BUF(BYTES_MAX);
	uint32_t seed = 1;

	while (plain.size < size) {
		seed = seed * 1664525 + 1013904223;
		(void)ol_str_addf(&plain, "%u line %u\n", seed >> 20, seed >> 28);
	}
	plain.size = size;
	return plain;
}

/* One member, with every optional field if full. */
static void add_gzip(ol_buf *out, ol_view plain, bool full)
{
	static unsigned char extra[] = "extra", name[] = "name", comment[] = "comment";
	gz_header header = { .extra = extra,
		.extra_len = sizeof extra,
		.name = name,
		.comment = comment,
		.hcrc = 1 };
	z_stream z = { 0 };
	size_t max;

	assert_int_equal(Z_OK, deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY));
	if (full)
		assert_int_equal(Z_OK, deflateSetHeader(&z, &header));
	max = deflateBound(&z, plain.size) + 64;
	z.next_out = (unsigned char *)ol_buf_room(out, max);
	z.avail_out = (unsigned)max;
	z.next_in = (unsigned char *)(uintptr_t)plain.data;
	z.avail_in = (unsigned)plain.size;
	assert_int_equal(Z_STREAM_END, deflate(&z, Z_FINISH));
	out->size += z.total_out;
	(void)deflateEnd(&z);
}

static void add_zstd(ol_buf *out, ol_view plain)
{
	size_t max = ZSTD_compressBound(plain.size);
	char *room = ol_buf_room(out, max);
	size_t size = ZSTD_compress(room, max, plain.data, plain.size, 3);

	assert_false(ZSTD_isError(size));
	out->size += size;
}

static void add_skippable(ol_buf *out)
{
	(void)ol_buf_add(out, "\x5a\x2a\x4d\x18\x05\0\0\0skip!", 13);
}

/* Decodes in steps of in and out bytes. */
static int decode(ol_compression compression, ol_view packed, size_t in, size_t out, ol_buf *plain,
	ol_error *err)
{
	ol_autofree unsigned char *room = ol_alloc(out);
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	int rc = ol_decoder_new(compression, &decoder, err);

	ol_buf_clear(plain);
	for (size_t at = 0; rc == OL_OK && at < packed.size; at += in) {
		ol_decode_step step = { .in = (const unsigned char *)packed.data + at,
			.in_size = packed.size - at < in ? packed.size - at : in };

		do {
			step.out = room;
			step.out_size = out;
			rc = ol_decoder_run(decoder, &step, err);
			(void)ol_buf_add(plain, room, step.made);
		} while (rc == OL_OK && (step.in_size > 0 || step.made == out));
	}
	return rc == OL_OK ? ol_decoder_finish(decoder, err) : rc;
}

static void the_first_bytes_tell_the_compression(void **state)
{
	const struct {
		const char *bytes;
		size_t size;
		ol_compression want;
	} cases[] = {
		{ "\x1f\x8b\x08\0", 4, OL_COMPRESSION_GZIP },
		{ "\x1f\x8b", 2, OL_COMPRESSION_GZIP },
		{ "\x28\xb5\x2f\xfd", 4, OL_COMPRESSION_ZSTD },
		{ "\x50\x2a\x4d\x18", 4, OL_COMPRESSION_ZSTD },
		{ "\x5f\x2a\x4d\x18", 4, OL_COMPRESSION_ZSTD },
		{ "\x60\x2a\x4d\x18", 4, OL_COMPRESSION_NONE },
		{ "\x28\xb5\x2f", 3, OL_COMPRESSION_NONE },
		{ "\x1f", 1, OL_COMPRESSION_NONE },
		{ "", 0, OL_COMPRESSION_NONE },
		{ "etc/", 4, OL_COMPRESSION_NONE },
	};
	ol_decoder *decoder = NULL;

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(c->bytes, c->want, ol_compression_sniff(c->bytes, c->size));
	CHECK_INT("unknown", OL_EINVAL, ol_decoder_new(OL_COMPRESSION_UNKNOWN, &decoder, NULL));
	assert_null(decoder);
}

/* Every stream that is whole, in steps of many sizes. */
static void whole_streams_come_out_as_they_went_in(void **state)
{
	static const struct {
		size_t in, out;
	} steps[] = { { 1, 4096 }, { 4096, 1 }, { 3, 5 }, { 1000, 777 }, { 65536, 65536 },
		{ BYTES_MAX, BYTES_MAX } };
	ol_auto_buf ol_buf plain = plain_bytes(PLAIN_BYTES), twice = OL_BUF(BYTES_MAX);
	ol_buf streams[6];

	(void)state;
	(void)ol_buf_add(&twice, plain.data, plain.size);
	(void)ol_buf_add(&twice, plain.data, plain.size);
	for (size_t i = 0; i < 6; i++)
		streams[i] = OL_BUF(BYTES_MAX);
	add_gzip(&streams[0], ol_buf_view(&plain), true); /* two members, one with all fields */
	add_gzip(&streams[0], ol_buf_view(&plain), false);
	add_gzip(&streams[1], ol_buf_view(&twice), false); /* padding */
	memset(ol_buf_room(&streams[1], 1000), 0, 1000);
	streams[1].size += 1000;
	add_gzip(&streams[2], ol_buf_view(&plain), false); /* an empty member between */
	add_gzip(&streams[2], (ol_view){ "", 0 }, true);
	add_gzip(&streams[2], ol_buf_view(&plain), true);
	add_skippable(&streams[3]); /* skippable frames around two frames */
	add_zstd(&streams[3], ol_buf_view(&plain));
	add_skippable(&streams[3]);
	add_zstd(&streams[3], ol_buf_view(&plain));
	add_skippable(&streams[3]);
	add_zstd(&streams[4], ol_buf_view(&plain)); /* an empty frame between */
	add_zstd(&streams[4], (ol_view){ "", 0 });
	add_zstd(&streams[4], ol_buf_view(&plain));
	(void)ol_buf_add(&streams[5], twice.data, twice.size);
	for (size_t i = 0; i < 6; i++) {
		ol_compression compression = ol_compression_sniff(streams[i].data, streams[i].size);

		OL_EACH (steps, s) {
			ol_auto_buf ol_buf got = OL_BUF(BYTES_MAX);
			ol_error err = { 0 };
			char label[64];

			(void)snprintf(
				label, sizeof label, "stream %zu in %zu out %zu", i, s->in, s->out);
			CHECK_INT(label, OL_OK,
				decode(compression, ol_buf_view(&streams[i]), s->in, s->out, &got,
					&err));
			CHECK_INT(label, (long long)twice.size, (long long)got.size);
			CHECK_INT(label, 0, memcmp(twice.data, got.data, got.size));
		}
		ol_buf_done(&streams[i]);
	}
}

static void every_cut_stream_is_refused(void **state)
{
	ol_auto_buf ol_buf plain = plain_bytes(1000);
	ol_buf streams[2] = { OL_BUF(BYTES_MAX), OL_BUF(BYTES_MAX) };

	(void)state;
	add_gzip(&streams[0], ol_buf_view(&plain), true);
	add_zstd(&streams[1], ol_buf_view(&plain));
	for (size_t i = 0; i < 2; i++) {
		ol_compression compression = ol_compression_sniff(streams[i].data, streams[i].size);

		for (size_t cut = 0; cut < streams[i].size; cut++) {
			ol_auto_buf ol_buf got = OL_BUF(BYTES_MAX);
			ol_error err = { 0 };

			CHECK_INT("cut", OL_ECORRUPT,
				decode(compression, (ol_view){ streams[i].data, cut }, 100, 300,
					&got, &err));
			assert_true(err.text[0]);
		}
		ol_buf_done(&streams[i]);
	}
}

static void damaged_streams_are_refused(void **state)
{
	ol_auto_buf ol_buf plain = plain_bytes(1000), gzip = OL_BUF(BYTES_MAX),
			   zstd = OL_BUF(BYTES_MAX);
	const struct {
		const char *label;
		const ol_buf *stream;
		size_t from_end;   /* where a bit flips, counted from the end; 0: nowhere */
		const char *after; /* what follows */
		size_t after_size;
	} cases[] = {
		{ "CRC", &gzip, 8, "", 0 },
		{ "ISIZE", &gzip, 4, "", 0 },
		{ "content", &gzip, 100, "", 0 },
		{ "junk after the end", &gzip, 0, "junk", 4 },
		{ "junk after padding", &gzip, 0, "\0\0j", 3 },
		{ "half a member after the end", &gzip, 0, "\x1f\x8b", 2 },
		{ "junk after a frame", &zstd, 0, "junk", 4 },
		{ "half a frame", &zstd, 0, "\x28\xb5\x2f\xfd", 4 },
		{ "half a skippable frame", &zstd, 0, "\x50\x2a\x4d\x18\x05\0\0\0sk", 10 },
		{ "zero padding after zstd", &zstd, 0, "\0\0\0\0", 4 },
	};

	(void)state;
	add_gzip(&gzip, ol_buf_view(&plain), false);
	add_zstd(&zstd, ol_buf_view(&plain));
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf bytes = OL_BUF(BYTES_MAX), got = OL_BUF(BYTES_MAX);
		ol_error err = { 0 };

		(void)ol_buf_add(&bytes, c->stream->data, c->stream->size);
		if (c->from_end)
			bytes.data[bytes.size - c->from_end] ^= 1;
		(void)ol_buf_add(&bytes, c->after, c->after_size);
		CHECK_INT(c->label, OL_ECORRUPT,
			decode(ol_compression_sniff(bytes.data, bytes.size), ol_buf_view(&bytes),
				64, 300, &got, &err));
	}
}

/* Frame heads, RFC 8878: a window of 10 + e bits and m eighths, or a single segment's content. */
static void zstd_windows_are_told_and_bounded(void **state)
{
	static const struct {
		const char *label, *head;
		size_t size;
		int rc;
		uint64_t window;
	} cases[] = {
		{ "1 KiB", "\x28\xb5\x2f\xfd\x00\x00", 6, OL_OK, 1024 },
		{ "8 MiB", "\x28\xb5\x2f\xfd\x00\x68", 6, OL_OK, (uint64_t)8 << 20 },
		{ "9 MiB", "\x28\xb5\x2f\xfd\x00\x69", 6, OL_OK, (uint64_t)9 << 20 },
		{ "128 MiB", "\x28\xb5\x2f\xfd\x00\x88", 6, OL_OK, (uint64_t)128 << 20 },
		{ "144 MiB", "\x28\xb5\x2f\xfd\x00\x89", 6, OL_ELIMIT, 0 },
		{ "single segment, 1 byte", "\x28\xb5\x2f\xfd\x20\x07", 6, OL_OK, 7 },
		{ "2 bytes", "\x28\xb5\x2f\xfd\x60\x01\x01", 7, OL_OK, 257 + 256 },
		{ "4 bytes", "\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x01", 9, OL_OK, (uint64_t)16 << 20 },
		{ "8 bytes", "\x28\xb5\x2f\xfd\xe0\0\0\0\0\1\0\0\0", 13, OL_ELIMIT, 0 },
		{ "after a skippable frame", "\x50\x2a\x4d\x18\0\0\0\0\x28\xb5\x2f\xfd\x00\x69", 14,
			OL_OK, (uint64_t)9 << 20 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
		unsigned char out[64];
		ol_error err = { 0 };
		ol_decode_step step = { .in = (const unsigned char *)c->head,
			.in_size = c->size,
			.out = out,
			.out_size = sizeof out };

		CHECK_INT(c->label, OL_OK, ol_decoder_new(OL_COMPRESSION_ZSTD, &decoder, &err));
		CHECK_INT(c->label, c->rc, ol_decoder_run(decoder, &step, &err));
		CHECK_INT(c->label, (long long)c->window,
			(long long)ol_decoder_window_bytes(decoder));
	}
}

/* A caller that has to wait for its turn is asked before the library takes the memory. */
static void a_large_window_interrupts_the_run(void **state)
{
	/* A window of 16 MiB; one raw block, the last, of the byte 'x'. */
	static const unsigned char frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x70, 0x09, 0, 0,
		'x' };
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	unsigned char out[64];
	ol_decode_step step = {
		.in = frame, .in_size = sizeof frame, .out = out, .out_size = sizeof out
	};

	(void)state;
	CHECK_INT("new", OL_OK, ol_decoder_new(OL_COMPRESSION_ZSTD, &decoder, NULL));
	CHECK_INT("first run", OL_OK, ol_decoder_run(decoder, &step, NULL));
	CHECK_INT("made", 0, (long long)step.made);
	CHECK_INT("left", 4, (long long)step.in_size);
	CHECK_INT("window", 16 << 20, (long long)ol_decoder_window_bytes(decoder));
	CHECK_INT("second run", OL_OK, ol_decoder_run(decoder, &step, NULL));
	CHECK_INT("made", 1, (long long)step.made);
	CHECK_INT("finish", OL_OK, ol_decoder_finish(decoder, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_bytes_tell_the_compression),
		cmocka_unit_test(whole_streams_come_out_as_they_went_in),
		cmocka_unit_test(every_cut_stream_is_refused),
		cmocka_unit_test(damaged_streams_are_refused),
		cmocka_unit_test(zstd_windows_are_told_and_bounded),
		cmocka_unit_test(a_large_window_interrupts_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
