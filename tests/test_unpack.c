#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/str.h"
#include "snapshot/unpack.h"
#include "tests/check.h"

/* A driver that keeps what is pushed into it, and fails where it is told to. */
struct fake {
	ol_buf got;
	int fail_begin, fail_finish; /* a code, or OL_OK */
	uint64_t fail_push_after;    /* bytes; 0: never */
	unsigned begun, finished, freed;
};

static struct fake fake;

static int fake_begin(const ol_builder_options *options, ol_builder **out, ol_error *err)
{
	(void)options;
	fake.begun++;
	if (fake.fail_begin < 0)
		return ol_fail(err, fake.fail_begin, "no beginning");
	*out = (ol_builder *)&fake;
	return OL_OK;
}

static int fake_push(ol_builder *builder, const void *data, size_t size, ol_error *err)
{
	struct fake *self = (struct fake *)builder;

	if (self->fail_push_after && self->got.size + size > self->fail_push_after)
		return ol_fail(err, OL_ESYSTEM, "disk full");
	return ol_buf_add(&self->got, data, size);
}

static int fake_finish(ol_builder *builder, ol_built *out, ol_error *err)
{
	struct fake *self = (struct fake *)builder;

	self->finished++;
	if (self->fail_finish < 0)
		return ol_fail(err, self->fail_finish, "no end");
	*out = (ol_built){ .driver = "fake", .entries = 7 };
	return OL_OK;
}

static void fake_free(ol_builder *builder)
{
	((struct fake *)builder)->freed++;
}

static const ol_driver fake_driver = {
	.name = "fake",
	.begin = fake_begin,
	.push = fake_push,
	.finish = fake_finish,
	.free = fake_free,
};

/* A reader that serves pieces, and does something once it has come to a place. */
struct script {
	ol_reader reader;
	ol_view rest;
	size_t piece;
	uint64_t served, at; /* at: the place; 0: nowhere */
	int fail;            /* a code to fail with */
	ol_cancel *fire;     /* fires this */
	ol_cancel *wait;     /* waits for this, and then fails as interrupted */
	ol_cancel *hold;     /* waits for this, and then goes on */
};

static void wait_for(const ol_cancel *cancel)
{
	struct pollfd p = { .fd = ol_cancel_fd(cancel), .events = POLLIN };

	(void)poll(&p, 1, 20000);
}

static int script_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct script *self = (struct script *)reader;
	size_t n = self->rest.size < size ? self->rest.size : size;

	if (self->at && self->served >= self->at) {
		if (self->fail < 0)
			return ol_fail(err, self->fail, "connection lost");
		if (self->fire)
			ol_cancel_fire(self->fire);
		if (self->wait) {
			wait_for(self->wait);
			return ol_cancel_check(self->wait, err);
		}
		if (self->hold)
			wait_for(self->hold);
	}
	n = self->piece && n > self->piece ? self->piece : n;
	if (n)
		memcpy(data, self->rest.data, n);
	self->rest = ol_view_from(self->rest.data + n, self->rest.size - n);
	self->served += n;
	*got = n;
	return OL_OK;
}

static void script_close(ol_reader *reader)
{
	(void)reader;
}

static const ol_reader_ops script_ops = { script_read, script_close };

/* Bytes that look like a tar to nobody, compress somewhat, and are the same each time. */
static ol_buf make_plain(size_t size)
{
	ol_buf plain = OL_BUF(size);
	uint32_t seed = 1;
	char *p = ol_buf_room(&plain, size);

	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525U + 1013904223U;
		p[i] = (char)((seed >> 24) & 0x1f);
	}
	plain.size = size;
	return plain;
}

static ol_buf make_gzip(ol_view plain)
{
	z_stream z = { 0 };
	ol_buf packed = OL_BUF(plain.size + 65536);

	assert_int_equal(Z_OK, deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY));
	z.next_in = (Bytef *)(uintptr_t)plain.data;
	z.avail_in = (uInt)plain.size;
	z.next_out = (Bytef *)ol_buf_room(&packed, packed.max);
	z.avail_out = (uInt)packed.max;
	assert_int_equal(Z_STREAM_END, deflate(&z, Z_FINISH));
	packed.size = packed.max - z.avail_out;
	(void)deflateEnd(&z);
	return packed;
}

static ol_buf make_zstd(ol_view plain, int window_log)
{
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	ol_buf packed = OL_BUF(plain.size + 65536);
	ZSTD_inBuffer in = { plain.data, plain.size, 0 };
	ZSTD_outBuffer out = { ol_buf_room(&packed, packed.max), packed.max, 0 };

	if (window_log)
		ZSTD_CCtx_setParameter(cctx, ZSTD_c_windowLog, window_log);
	/* Begun without an end, so that the frame does not say its size and needs its window. */
	(void)ZSTD_compressStream2(cctx, &out, &in, ZSTD_e_continue);
	assert_int_equal(0, ZSTD_compressStream2(cctx, &out, &in, ZSTD_e_end));
	packed.size = out.pos;
	ZSTD_freeCCtx(cctx);
	return packed;
}

static ol_buf make_packed(ol_compression compression, ol_view plain)
{
	ol_buf packed = OL_BUF(plain.size + 1);

	switch (compression) {
	case OL_COMPRESSION_GZIP:
		return make_gzip(plain);
	case OL_COMPRESSION_ZSTD:
		return make_zstd(plain, 0);
	case OL_COMPRESSION_NONE:
	case OL_COMPRESSION_UNKNOWN:
		break;
	}
	(void)ol_buf_add(&packed, plain.data, plain.size);
	return packed;
}

static ol_unpack_options make_options(ol_compression compression, ol_view packed, ol_view plain)
{
	return (ol_unpack_options){
		.driver = &fake_driver,
		.compression = compression,
		.blob = ol_digest_of(OL_SHA256, packed.data, packed.size),
		.blob_size = packed.size,
		.diff_id = ol_digest_of(OL_SHA256, plain.data, plain.size),
	};
}

static void fake_reset(void)
{
	ol_buf_done(&fake.got);
	fake = (struct fake){ .got = OL_BUF((size_t)256 << 20) };
}

static void a_layer_comes_out_as_it_went_in(void **state)
{
	static const struct {
		const char *label;
		ol_compression said, is;
		size_t size, piece;
	} cases[] = {
		{ "gzip", OL_COMPRESSION_GZIP, OL_COMPRESSION_GZIP, 5000000, 0 },
		{ "gzip in odd pieces", OL_COMPRESSION_GZIP, OL_COMPRESSION_GZIP, 3000000, 8191 },
		{ "gzip byte by byte", OL_COMPRESSION_GZIP, OL_COMPRESSION_GZIP, 30000, 1 },
		{ "gzip, not said", OL_COMPRESSION_UNKNOWN, OL_COMPRESSION_GZIP, 3000000, 0 },
		{ "gzip of nothing", OL_COMPRESSION_GZIP, OL_COMPRESSION_GZIP, 0, 0 },
		{ "zstd", OL_COMPRESSION_ZSTD, OL_COMPRESSION_ZSTD, 5000000, 0 },
		{ "zstd byte by byte", OL_COMPRESSION_ZSTD, OL_COMPRESSION_ZSTD, 30000, 1 },
		{ "zstd, not said", OL_COMPRESSION_UNKNOWN, OL_COMPRESSION_ZSTD, 100000, 3 },
		{ "plain", OL_COMPRESSION_NONE, OL_COMPRESSION_NONE, 5000000, 0 },
		{ "plain, not said", OL_COMPRESSION_UNKNOWN, OL_COMPRESSION_NONE, 2 << 20, 0 },
		{ "plain, a whole block", OL_COMPRESSION_NONE, OL_COMPRESSION_NONE, 128 << 10, 0 },
		{ "plain, three bytes", OL_COMPRESSION_NONE, OL_COMPRESSION_NONE, 3, 1 },
		{ "plain, nothing", OL_COMPRESSION_NONE, OL_COMPRESSION_NONE, 0, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf plain = make_plain(c->size);
		ol_auto_buf ol_buf packed = make_packed(c->is, ol_buf_view(&plain));
		ol_unpack_options options =
			make_options(c->said, ol_buf_view(&packed), ol_buf_view(&plain));
		struct script script = {
			.reader = { &script_ops }, .rest = ol_buf_view(&packed), .piece = c->piece
		};
		ol_unpacked out = { 0 };
		ol_error err = { 0 };

		fake_reset();
		CHECK_INT(c->label, OL_OK, ol_unpack(&script.reader, &options, &out, &err));
		CHECK_INT(c->label, (long long)c->size, (long long)out.tar_bytes);
		CHECK_INT(c->label, (long long)c->size, (long long)fake.got.size);
		if (c->size)
			CHECK_INT(c->label, 0, memcmp(plain.data, fake.got.data, c->size));
		CHECK_INT(c->label, 7, (long long)out.built.entries);
		CHECK_STR(c->label, "fake", out.built.driver);
		CHECK_INT(c->label, 1, fake.freed);
	}
}

/* What is broken in a case of the next test. */
enum breakage {
	WRONG_DIGEST,
	WRONG_DIFF_ID,
	WRONG_SIZE_LESS,
	WRONG_SIZE_MORE,
	CUT_SHORT, /* and digest and size are of the short one */
	FLIPPED,   /* and digest is of the flipped one */
	READER_FAILS,
	BEGIN_FAILS,
	PUSH_FAILS,
	FINISH_FAILS,
	CANCELED_BEFORE,
	CANCELED_MIDWAY,
};

static void break_it(enum breakage how, ol_unpack_options *o, ol_buf *packed, struct script *script)
{
	switch (how) {
	case WRONG_DIGEST:
		o->blob.bytes[0] ^= 1;
		break;
	case WRONG_DIFF_ID:
		o->diff_id.bytes[31] ^= 1;
		break;
	case WRONG_SIZE_LESS:
		o->blob_size--;
		break;
	case WRONG_SIZE_MORE:
		o->blob_size++;
		break;
	case CUT_SHORT:
		packed->size -= packed->size / 3;
		o->blob = ol_digest_of(OL_SHA256, packed->data, packed->size);
		o->blob_size = packed->size;
		break;
	case FLIPPED:
		packed->data[packed->size / 2] ^= 0x10;
		o->blob = ol_digest_of(OL_SHA256, packed->data, packed->size);
		break;
	case READER_FAILS:
		script->fail = OL_EUNAVAILABLE;
		script->at = packed->size / 2;
		break;
	case BEGIN_FAILS:
		fake.fail_begin = OL_EUNSUPPORTED;
		break;
	case PUSH_FAILS:
		fake.fail_push_after = 1000000;
		break;
	case FINISH_FAILS:
		fake.fail_finish = OL_ELIMIT;
		break;
	case CANCELED_BEFORE:
		ol_cancel_fire((ol_cancel *)(uintptr_t)o->cancel);
		break;
	case CANCELED_MIDWAY:
		script->fire = (ol_cancel *)(uintptr_t)o->cancel;
		script->at = packed->size / 2;
		break;
	}
}

static void the_first_cause_is_told(void **state)
{
	static const struct {
		const char *label;
		enum breakage how;
		ol_compression compression;
		int rc;
		const char *words;
	} cases[] = {
		{ "digest, gzip", WRONG_DIGEST, OL_COMPRESSION_GZIP, OL_ECORRUPT, ": digest is " },
		{ "digest, plain", WRONG_DIGEST, OL_COMPRESSION_NONE, OL_ECORRUPT, ": digest is " },
		{ "DiffID, gzip", WRONG_DIFF_ID, OL_COMPRESSION_GZIP, OL_ECORRUPT, ": DiffID is " },
		{ "DiffID, plain", WRONG_DIFF_ID, OL_COMPRESSION_NONE, OL_ECORRUPT,
			": DiffID is " },
		{ "too long", WRONG_SIZE_LESS, OL_COMPRESSION_GZIP, OL_ECORRUPT,
			"size is at least " },
		{ "too short", WRONG_SIZE_MORE, OL_COMPRESSION_GZIP, OL_ECORRUPT, ": size is " },
		{ "cut, gzip", CUT_SHORT, OL_COMPRESSION_GZIP, OL_ECORRUPT, "" },
		{ "cut, zstd", CUT_SHORT, OL_COMPRESSION_ZSTD, OL_ECORRUPT, "" },
		{ "cut, plain", CUT_SHORT, OL_COMPRESSION_NONE, OL_ECORRUPT, ": DiffID is " },
		{ "flipped, gzip", FLIPPED, OL_COMPRESSION_GZIP, OL_ECORRUPT, "" },
		{ "flipped, zstd", FLIPPED, OL_COMPRESSION_ZSTD, OL_ECORRUPT, "" },
		{ "reader", READER_FAILS, OL_COMPRESSION_GZIP, OL_EUNAVAILABLE, "connection lost" },
		{ "begin", BEGIN_FAILS, OL_COMPRESSION_GZIP, OL_EUNSUPPORTED, "no beginning" },
		{ "push", PUSH_FAILS, OL_COMPRESSION_GZIP, OL_ESYSTEM, "disk full" },
		{ "finish", FINISH_FAILS, OL_COMPRESSION_GZIP, OL_ELIMIT, "no end" },
		{ "canceled before", CANCELED_BEFORE, OL_COMPRESSION_GZIP, OL_ECANCELED, "" },
		{ "canceled midway", CANCELED_MIDWAY, OL_COMPRESSION_GZIP, OL_ECANCELED, "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
		ol_auto(ol_cancel_free) ol_cancel *stop = ol_cancel_new();
		ol_auto_buf ol_buf plain = make_plain(6000000);
		ol_auto_buf ol_buf packed = make_packed(c->compression, ol_buf_view(&plain));
		ol_unpack_options options =
			make_options(c->compression, ol_buf_view(&packed), ol_buf_view(&plain));
		struct script script = { .reader = { &script_ops }, .rest = { 0 }, .piece = 10000 };
		ol_unpacked out = { .tar_bytes = 99 };
		ol_error err = { 0 };

		fake_reset();
		options.cancel = cancel;
		options.stop = stop;
		break_it(c->how, &options, &packed, &script);
		script.rest = ol_buf_view(&packed);
		CHECK_INT(c->label, c->rc, ol_unpack(&script.reader, &options, &out, &err));
		CHECK_INT(c->label, c->rc, err.code);
		if (!strstr(err.text, c->words))
			CHECK_STR(c->label, c->words, err.text);
		CHECK_INT(c->label, 99, (long long)out.tar_bytes);
		CHECK_INT(c->label, 1, ol_cancel_fired(stop));
		CHECK_INT(c->label, c->how == FINISH_FAILS, fake.finished);
		CHECK_INT(c->label, c->how == BEGIN_FAILS ? 0 : 1, fake.freed);
	}
}

static void media_type_and_bytes_must_agree(void **state)
{
	static const struct {
		const char *label;
		ol_compression said, is;
		const char *words;
	} cases[] = {
		{ "gzip said", OL_COMPRESSION_GZIP, OL_COMPRESSION_NONE,
			"says gzip, but its bytes are not compressed" },
		{ "zstd said", OL_COMPRESSION_ZSTD, OL_COMPRESSION_GZIP,
			"says zstd, but its bytes are gzip" },
		{ "nothing said", OL_COMPRESSION_NONE, OL_COMPRESSION_ZSTD,
			"says not compressed, but its bytes are zstd" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf plain = make_plain(100000);
		ol_auto_buf ol_buf packed = make_packed(c->is, ol_buf_view(&plain));
		ol_unpack_options options =
			make_options(c->said, ol_buf_view(&packed), ol_buf_view(&plain));
		struct script script = {
			.reader = { &script_ops }, .rest = ol_buf_view(&packed), .piece = 0
		};
		ol_unpacked out;
		ol_error err = { 0 };

		fake_reset();
		CHECK_INT(c->label, OL_ECORRUPT, ol_unpack(&script.reader, &options, &out, &err));
		if (!strstr(err.text, c->words))
			CHECK_STR(c->label, c->words, err.text);
	}
}

static void a_bomb_is_refused_before_it_is_large(void **state)
{
	ol_buf plain = OL_BUF((size_t)200 << 20);
	ol_auto_buf ol_buf packed = OL_BUF(1);
	ol_unpack_options options;
	struct script script = { .reader = { &script_ops }, .rest = { 0 }, .piece = 0 };
	ol_unpacked out;
	ol_error err = { 0 };

	(void)state;
	memset(ol_buf_room(&plain, plain.max), 0, plain.max);
	plain.size = plain.max;
	packed = make_zstd(ol_buf_view(&plain), 0);
	options = make_options(OL_COMPRESSION_ZSTD, ol_buf_view(&packed), (ol_view){ "", 0 });
	ol_buf_done(&plain);
	fake_reset();
	script.rest = ol_buf_view(&packed);
	CHECK_INT("rc", OL_ELIMIT, ol_unpack(&script.reader, &options, &out, &err));
	assert_non_null(strstr(err.text, "bomb"));
	assert_true(fake.got.size <= (size_t)66 << 20);
	fake_reset();
}

/* A reader that waits for the network must not keep a failed layer alive. */
static void a_failure_stops_a_reader_that_waits(void **state)
{
	ol_auto(ol_cancel_free) ol_cancel *stop = ol_cancel_new();
	ol_auto_buf ol_buf plain = make_plain(6000000);
	ol_unpack_options options =
		make_options(OL_COMPRESSION_NONE, ol_buf_view(&plain), ol_buf_view(&plain));
	struct script script = {
		.reader = { &script_ops }, .rest = ol_buf_view(&plain), .piece = 0
	};
	ol_unpacked out;
	ol_error err = { 0 };

	(void)state;
	fake_reset();
	fake.fail_push_after = 100000;
	script.at = 3000000;
	script.wait = stop;
	options.stop = stop;
	CHECK_INT("rc", OL_ESYSTEM, ol_unpack(&script.reader, &options, &out, &err));
	CHECK_STR("text", "disk full", err.text);
}

struct seen {
	uint64_t last, calls;
};

static void saw(void *ctx, uint64_t blob_bytes)
{
	struct seen *seen = ctx;

	seen->calls++;
	assert_true(blob_bytes > seen->last);
	seen->last = blob_bytes;
}

static void progress_counts_compressed_bytes(void **state)
{
	ol_auto_buf ol_buf plain = make_plain(1000000);
	ol_auto_buf ol_buf packed = make_gzip(ol_buf_view(&plain));
	ol_unpack_options options =
		make_options(OL_COMPRESSION_GZIP, ol_buf_view(&packed), ol_buf_view(&plain));
	struct script script = {
		.reader = { &script_ops }, .rest = ol_buf_view(&packed), .piece = 1000
	};
	struct seen seen = { 0 };
	ol_unpacked out;

	(void)state;
	fake_reset();
	options.progress = saw;
	options.ctx = &seen;
	CHECK_INT("rc", OL_OK, ol_unpack(&script.reader, &options, &out, NULL));
	CHECK_INT("last", (long long)packed.size, (long long)seen.last);
	assert_true(seen.calls > 100);
}

/* A driver for several threads: takes everything and keeps nothing. */
static int null_begin(const ol_builder_options *options, ol_builder **out, ol_error *err)
{
	(void)options;
	(void)err;
	*out = ol_alloc(1);
	return OL_OK;
}

static int null_push(ol_builder *builder, const void *data, size_t size, ol_error *err)
{
	(void)builder;
	(void)data;
	(void)size;
	(void)err;
	return OL_OK;
}

static int null_finish(ol_builder *builder, ol_built *out, ol_error *err)
{
	(void)builder;
	(void)err;
	*out = (ol_built){ .driver = "null" };
	return OL_OK;
}

static void null_free(ol_builder *builder)
{
	free(builder);
}

static const ol_driver null_driver = {
	.name = "null",
	.begin = null_begin,
	.push = null_push,
	.finish = null_finish,
	.free = null_free,
};

struct unpacking {
	ol_unpack_options options;
	struct script script;
	pthread_t thread;
	const ol_cancel *cancel;
	ol_cancel *done; /* owned; fired at the end */
	int rc;
};

static void *unpacking_run(void *arg)
{
	struct unpacking *u = arg;
	ol_unpacked out;

	u->rc = ol_unpack(&u->script.reader, &u->options, &out, NULL);
	ol_cancel_fire(u->done);
	return NULL;
}

static void unpacking_start(
	struct unpacking *u, ol_view packed, ol_view plain, ol_unpack_gate *gate)
{
	u->options = make_options(OL_COMPRESSION_ZSTD, packed, plain);
	u->options.driver = &null_driver;
	u->options.cancel = u->cancel;
	u->options.gate = gate;
	u->script.reader.ops = &script_ops;
	u->script.rest = packed;
	u->script.piece = 50000;
	u->done = ol_cancel_new();
	assert_int_equal(0, pthread_create(&u->thread, NULL, unpacking_run, u));
}

static bool unpacking_is_done_within(const struct unpacking *u, int ms)
{
	struct pollfd p = { .fd = ol_cancel_fd(u->done), .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static int unpacking_end(struct unpacking *u)
{
	assert_int_equal(0, pthread_join(u->thread, NULL));
	ol_cancel_free(u->done);
	return u->rc;
}

/* One large window waits in the middle of its stream; a second one has to wait for it, a third
 * gives up waiting, and a small one passes. */
static void large_windows_pass_one_at_a_time(void **state)
{
	ol_auto(ol_unpack_gate_free) ol_unpack_gate *gate = ol_unpack_gate_new();
	ol_auto(ol_cancel_free) ol_cancel *go = ol_cancel_new();
	ol_auto(ol_cancel_free) ol_cancel *there = ol_cancel_new();
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
	ol_auto_buf ol_buf plain = make_plain(6000000);
	ol_auto_buf ol_buf wide = make_zstd(ol_buf_view(&plain), OL_ZSTD_WINDOW_LOG_EASY + 1);
	ol_auto_buf ol_buf easy = make_zstd(ol_buf_view(&plain), OL_ZSTD_WINDOW_LOG_EASY);
	struct unpacking first = { .script = { .at = wide.size / 2, .hold = go, .fire = there } };
	struct unpacking second = { 0 }, third = { .cancel = cancel }, small = { 0 };
	struct pollfd in_the_middle = { .fd = ol_cancel_fd(there), .events = POLLIN };

	(void)state;
	unpacking_start(&first, ol_buf_view(&wide), ol_buf_view(&plain), gate);
	assert_int_equal(1, poll(&in_the_middle, 1, 20000));
	unpacking_start(&second, ol_buf_view(&wide), ol_buf_view(&plain), gate);
	unpacking_start(&small, ol_buf_view(&easy), ol_buf_view(&plain), gate);
	assert_true(unpacking_is_done_within(&small, 20000));
	assert_false(unpacking_is_done_within(&second, 200));
	unpacking_start(&third, ol_buf_view(&wide), ol_buf_view(&plain), gate);
	assert_false(unpacking_is_done_within(&third, 200));
	ol_cancel_fire(cancel);
	assert_true(unpacking_is_done_within(&third, 20000));
	ol_cancel_fire(go);
	CHECK_INT("first", OL_OK, unpacking_end(&first));
	CHECK_INT("second", OL_OK, unpacking_end(&second));
	CHECK_INT("third", OL_ECANCELED, unpacking_end(&third));
	CHECK_INT("small", OL_OK, unpacking_end(&small));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_layer_comes_out_as_it_went_in),
		cmocka_unit_test(the_first_cause_is_told),
		cmocka_unit_test(media_type_and_bytes_must_agree),
		cmocka_unit_test(a_bomb_is_refused_before_it_is_large),
		cmocka_unit_test(a_failure_stops_a_reader_that_waits),
		cmocka_unit_test(progress_counts_compressed_bytes),
		cmocka_unit_test(large_windows_pass_one_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
