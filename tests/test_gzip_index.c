/* Places to begin inflating at: every span inflates from its checkpoint alone, to what the tar has
 * there. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "base/temp.h"
#include "manifest/ztoc_writer.h"
#include "snapshot/decode_priv.h"
#include "snapshot/gzip_index.h"
#include "tests/check.h"

#define MORE ((size_t)64 << 20)

/* Text that compresses about as well as programs do. */
static void add_words(ol_buf *out, size_t size, uint32_t seed)
{
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525 + 1013904223;
		(void)ol_str_addc(out, (char)(seed >> 24 & (i / 4096 % 3 ? 0x1f : 0xff)));
	}
}

/* One gzip member more. header: with a name, an extra field and a checksum of its own. */
static void add_member(ol_buf *out, ol_view plain, int level, bool header, int strategy)
{
	z_stream z = { 0 };
	unsigned char extra[300], name[] = "a name";
	gz_header head = { .extra = extra, .extra_len = sizeof extra, .name = name, .hcrc = 1 };
	uLong bound;
	char *to;

	memset(extra, 'e', sizeof extra);
	assert_int_equal(Z_OK, deflateInit2(&z, level, Z_DEFLATED, 31, 8, strategy));
	if (header)
		assert_int_equal(Z_OK, deflateSetHeader(&z, &head));
	bound = deflateBound(&z, plain.size) + 1024;
	to = ol_buf_room(out, bound);
	assert_non_null(to);
	z.next_in = (Bytef *)(uintptr_t)plain.data;
	z.avail_in = (uInt)plain.size;
	z.next_out = (Bytef *)to;
	z.avail_out = (uInt)bound;
	assert_int_equal(Z_STREAM_END, deflate(&z, Z_FINISH));
	out->size += z.total_out;
	(void)deflateEnd(&z);
}

struct indexed {
	ol_gzip_index *index;
	ol_gzip_spans spans;
	int fd;
	ol_buf tar;
};

static void done(struct indexed *it)
{
	ol_gzip_index_free(it->index);
	ol_buf_done(&it->tar);
	(void)close(it->fd);
}

/* Pieces of input and room of odd sizes, as a pull has them. */
static int run(struct indexed *it, const ol_buf *blob, uint64_t span_bytes, size_t in_step,
	size_t out_step)
{
	ol_autofree unsigned char *room = ol_alloc(out_step);
	int rc = OL_OK;

	*it = (struct indexed){ .tar = OL_BUF(MORE) };
	assert_int_equal(OL_OK, ol_temp_open(AT_FDCWD, &it->fd, NULL));
	it->index = ol_gzip_index_new(span_bytes, it->fd);
	assert_non_null(it->index);
	for (size_t at = 0; rc == OL_OK && at < blob->size; at += in_step) {
		const size_t part = blob->size - at < in_step ? blob->size - at : in_step;
		ol_decode_step step = { .in = (unsigned char *)blob->data + at, .in_size = part };
		bool more = true;

		while (rc == OL_OK && more) {
			step.out = room;
			step.out_size = out_step;
			rc = ol_gzip_index_run(it->index, &step, NULL);
			if (rc == OL_OK)
				(void)ol_buf_add(&it->tar, room, step.made);
			more = step.in_size > 0 || step.out_size == 0;
		}
	}
	return rc < 0 ? rc : ol_gzip_index_finish(it->index, &it->spans, NULL);
}

struct place {
	uint64_t in, out;
	unsigned bits;
	unsigned char window[OL_ZTOC_WINDOW_BYTES];
};

static uint64_t le(const unsigned char *at)
{
	uint64_t value = 0;

	for (size_t i = 8; i-- > 0;)
		value = value << 8 | at[i];
	return value;
}

static struct place place_at(const struct indexed *it, size_t number)
{
	ol_autofree unsigned char *record = ol_alloc(OL_ZTOC_CHECKPOINT_BYTES);
	struct place place;

	assert_int_equal(
		OL_ZTOC_CHECKPOINT_BYTES, pread(it->fd, record, OL_ZTOC_CHECKPOINT_BYTES,
						  (off_t)(number * OL_ZTOC_CHECKPOINT_BYTES)));
	place.in = le(record);
	place.out = le(record + 8);
	place.bits = record[16];
	memcpy(place.window, record + 17, sizeof place.window);
	return place;
}

/* Raw inflate of one member alone: a span never needs more. */
static void check_span(
	const char *name, const struct indexed *it, const ol_buf *blob, size_t number)
{
	const struct place here = place_at(it, number);
	const bool last = number + 1 == it->spans.count;
	const uint64_t begin = here.in - (here.bits != 0);
	const uint64_t end = last ? blob->size : place_at(it, number + 1).in;
	const uint64_t out_end = last ? it->tar.size : place_at(it, number + 1).out;
	const ol_digest digest = ol_digest_of(OL_SHA256, blob->data + begin, end - begin);
	ol_autofree unsigned char *out = ol_alloc(out_end - here.out + 1);
	z_stream z = { 0 };

	CHECK_INT(name, true, ol_digest_eq(&digest, &it->spans.digests[number]));
	assert_int_equal(Z_OK, inflateInit2(&z, -15));
	z.next_in = (Bytef *)blob->data + begin;
	z.avail_in = (uInt)(end - begin);
	if (here.bits) {
		assert_int_equal(
			Z_OK, inflatePrime(&z, (int)here.bits, *z.next_in >> (8 - here.bits)));
		z.next_in++;
		z.avail_in--;
	}
	assert_int_equal(Z_OK, inflateSetDictionary(&z, here.window, sizeof here.window));
	z.next_out = out;
	z.avail_out = (uInt)(out_end - here.out);
	(void)inflate(&z, Z_SYNC_FLUSH);
	CHECK_INT(name, 0, (long long)z.avail_out);
	CHECK_INT(name, 0, memcmp(out, it->tar.data + here.out, out_end - here.out));
	(void)inflateEnd(&z);
}

static void every_span_inflates_from_its_checkpoint(void **state)
{
	static const struct {
		const char *name;
		size_t plain, members, empty_before, padding;
		int level;
		bool header;
		int strategy;
		uint64_t span_bytes;
		size_t spans; /* at least */
	} cases[] = {
		{ "one member", 3000000, 1, 0, 0, 6, false, Z_DEFAULT_STRATEGY, 200000, 10 },
		{ "one small span", 3000, 1, 0, 0, 6, false, Z_DEFAULT_STRATEGY, 200000, 1 },
		{ "a long header", 1000000, 1, 0, 0, 9, true, Z_DEFAULT_STRATEGY, 100000, 5 },
		{ "stored blocks", 1000000, 1, 0, 0, 0, false, Z_DEFAULT_STRATEGY, 100000, 5 },
		{ "fixed codes", 1000000, 1, 0, 0, 1, false, Z_FIXED, 100000, 5 },
		{ "members", 200000, 7, 0, 0, 6, true, Z_DEFAULT_STRATEGY, 1000000, 7 },
		{ "many small members", 600, 100, 0, 0, 6, false, Z_DEFAULT_STRATEGY, 1000000,
			100 },
		{ "an empty member first", 300000, 2, 1, 0, 6, true, Z_DEFAULT_STRATEGY, 100000,
			4 },
		{ "empty members between", 300000, 3, 3, 0, 6, false, Z_DEFAULT_STRATEGY, 100000,
			6 },
		{ "zeros at the end", 300000, 1, 0, 10000, 6, false, Z_DEFAULT_STRATEGY, 100000,
			2 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf blob = OL_BUF(MORE);
		ol_auto_buf ol_buf plain = OL_BUF(MORE);
		struct indexed it;

		for (size_t m = 0; m < c->members; m++) {
			const size_t from = plain.size;

			for (size_t e = 0; e < c->empty_before; e++)
				add_member(&blob, (ol_view){ "", 0 }, 6, false, 0);
			add_words(&plain, c->plain, (uint32_t)m + 1);
			add_member(&blob, (ol_view){ plain.data + from, plain.size - from },
				c->level, c->header, c->strategy);
		}
		for (size_t i = 0; i < c->padding; i++)
			(void)ol_str_addc(&blob, '\0');
		CHECK_INT(c->name, OL_OK, run(&it, &blob, c->span_bytes, 65536, 131072));
		CHECK_INT(c->name, true, it.spans.refusal == NULL);
		CHECK_INT(c->name, true, it.spans.count >= c->spans);
		CHECK_INT(c->name, (long long)blob.size, (long long)it.spans.blob_bytes);
		CHECK_INT(c->name, (long long)plain.size, (long long)it.tar.size);
		CHECK_INT(c->name, 0, memcmp(plain.data, it.tar.data, plain.size));
		for (size_t i = 0; i < it.spans.count; i++)
			check_span(c->name, &it, &blob, i);
		done(&it);
	}
}

static void pieces_of_input_change_nothing(void **state)
{
	static const size_t steps[][2] = { { 1, 131072 }, { 7, 100 }, { 4096, 1000 },
		{ 1 << 20, 1 << 20 } };
	ol_auto_buf ol_buf blob = OL_BUF(MORE);
	ol_auto_buf ol_buf plain = OL_BUF(MORE);
	struct indexed want;

	(void)state;
	add_words(&plain, 400000, 5);
	add_member(&blob, ol_buf_view(&plain), 6, true, 0);
	add_member(&blob, ol_buf_view(&plain), 6, false, 0);
	assert_int_equal(OL_OK, run(&want, &blob, 50000, 65536, 131072));
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct indexed it;

		assert_int_equal(OL_OK, run(&it, &blob, 50000, steps[i][0], steps[i][1]));
		assert_int_equal(want.spans.count, it.spans.count);
		assert_memory_equal(
			want.spans.digests, it.spans.digests, want.spans.count * sizeof(ol_digest));
		done(&it);
	}
	done(&want);
}

static void what_is_wrong_or_too_costly_is_refused(void **state)
{
	static const struct {
		const char *name;
		size_t cut, flip; /* from the end; 0: not */
		const char *tail;
		int rc;
	} cases[] = {
		{ "sound", 0, 0, "", OL_OK },
		{ "cut short", 5, 0, "", OL_ECORRUPT },
		{ "a wrong checksum", 0, 6, "", OL_ECORRUPT },
		{ "a wrong length", 0, 2, "", OL_ECORRUPT },
		{ "something behind it", 0, 0, "x", OL_ECORRUPT },
	};
	ol_auto_buf ol_buf small = OL_BUF(MORE);
	struct indexed it;

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf blob = OL_BUF(MORE);
		ol_auto_buf ol_buf plain = OL_BUF(MORE);

		add_words(&plain, 100000, 5);
		add_member(&blob, ol_buf_view(&plain), 6, false, 0);
		blob.size -= c->cut;
		if (c->flip)
			blob.data[blob.size - c->flip] ^= 1;
		(void)ol_str_add(&blob, c->tail);
		CHECK_INT(c->name, c->rc, run(&it, &blob, 50000, 65536, 131072));
		done(&it);
	}
	/* Nothing at all, and members so small that their checkpoints would outweigh them. */
	add_member(&small, (ol_view){ "", 0 }, 6, false, 0);
	assert_int_equal(OL_OK, run(&it, &small, 50000, 65536, 131072));
	assert_non_null(it.spans.refusal);
	assert_int_equal(0, it.spans.count);
	done(&it);
	for (int i = 0; i < 1000; i++)
		add_member(&small, (ol_view){ "x", 1 }, 6, false, 0);
	assert_int_equal(OL_OK, run(&it, &small, 50000, 65536, 131072));
	assert_non_null(it.spans.refusal);
	assert_int_equal(1000, it.tar.size);
	done(&it);
}

/* Decodes the blob, leaving for ISA-L behind `after` bytes of input. */
static int run_and_leave(const ol_buf *blob, size_t after, ol_buf *out, bool *left)
{
	ol_auto(ol_decoder_free) ol_decoder *fast = NULL;
	ol_autofree unsigned char *room = ol_alloc(10000);
	ol_gzip_place place;
	struct indexed it = { 0 };
	int rc = OL_OK;

	assert_int_equal(OL_OK, ol_temp_open(AT_FDCWD, &it.fd, NULL));
	it.index = ol_gzip_index_new(50000, it.fd);
	for (size_t at = 0, part; rc == OL_OK && at < blob->size; at += part) {
		ol_decode_step step = { .in = (unsigned char *)blob->data + at };
		bool more = true;

		part = blob->size - at < 777 ? blob->size - at : 777;
		step.in_size = part;
		if (at >= after && !fast)
			ol_gzip_index_leave(it.index);
		while (rc == OL_OK && more) {
			step.out = room;
			step.out_size = 10000;
			rc = fast ? ol_decoder_run(fast, &step, NULL)
				  : ol_gzip_index_run(it.index, &step, NULL);
			(void)ol_buf_add(out, room, step.made);
			more = step.in_size > 0 || step.out_size == 0;
			if (rc == OL_OK && !fast && ol_gzip_index_left(it.index, &place)) {
				assert_int_equal(OL_OK, ol_gzip_decoder_at(&place, &fast, NULL));
				more = true;
			}
		}
	}
	if (rc == OL_OK)
		rc = fast ? ol_decoder_finish(fast, NULL)
			  : ol_gzip_index_finish(it.index, &it.spans, NULL);
	*left = fast != NULL;
	done(&it);
	return rc;
}

static void another_decoder_goes_on_where_it_is_left(void **state)
{
	ol_auto_buf ol_buf plain = OL_BUF(MORE);
	size_t leavings = 0;

	(void)state;
	add_words(&plain, 500000, 5);
	for (int level = 0; level < 10; level += 3) {
		ol_auto_buf ol_buf blob = OL_BUF(MORE);

		add_member(&blob, ol_buf_view(&plain), level, true, 0);
		add_member(&blob, ol_buf_view(&plain), level, false, level == 3 ? Z_FIXED : 0);
		for (size_t after = 0; after < blob.size; after += blob.size / 40) {
			ol_auto_buf ol_buf out = OL_BUF(MORE);
			bool left = false;

			CHECK_INT("level", OL_OK, run_and_leave(&blob, after, &out, &left));
			assert_int_equal(2 * plain.size, out.size);
			assert_memory_equal(plain.data, out.data, plain.size);
			assert_memory_equal(plain.data, out.data + plain.size, plain.size);
			leavings += left;
		}
		/* The checksum counts what came before, too. */
		blob.data[blob.size - 5] ^= 1;
		{
			ol_auto_buf ol_buf out = OL_BUF(MORE);
			bool left = false;

			assert_int_equal(OL_ECORRUPT, run_and_leave(&blob, 777, &out, &left));
			assert_true(left);
		}
	}
	assert_true(leavings > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_span_inflates_from_its_checkpoint),
		cmocka_unit_test(pieces_of_input_change_nothing),
		cmocka_unit_test(what_is_wrong_or_too_costly_is_refused),
		cmocka_unit_test(another_decoder_goes_on_where_it_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
