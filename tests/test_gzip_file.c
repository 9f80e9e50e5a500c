/* Compressed layers: what comes out is the tar again, and the same tar gives the same bytes. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/temp.h"
#include "snapshot/decode.h"
#include "snapshot/gzip_file.h"
#include "tests/check.h"

static unsigned char *noise(size_t size, bool even)
{
	unsigned char *data = ol_alloc(size + 1);
	uint32_t seed = 7;

	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = even ? 'x' : (unsigned char)(seed >> 24);
	}
	return data;
}

static int squeeze(const void *data, size_t size, int *fd, ol_gzipped *out)
{
	ol_reader *reader = ol_reader_of_memory(data, size);
	ol_error err = { 0 };
	int rc;

	assert_int_equal(OL_OK, ol_temp_open(AT_FDCWD, fd, NULL));
	rc = ol_gzip_file(reader, *fd, NULL, out, &err);
	ol_reader_close(reader);
	return rc;
}

/* The file is a gzip stream of exactly these bytes, and what is said of it is right. */
static void check_file(
	const char *name, int fd, const ol_gzipped *is, const void *want, size_t size)
{
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	ol_autofree unsigned char *in = ol_alloc(is->size);
	ol_autofree unsigned char *out = ol_alloc(size + 1);
	ol_decode_step step = { .in = in, .in_size = is->size, .out = out, .out_size = size + 1 };
	ol_digest digest;
	struct stat st;

	assert_int_equal(0, fstat(fd, &st));
	CHECK_INT(name, (long long)st.st_size, (long long)is->size);
	assert_int_equal((ssize_t)is->size, pread(fd, in, is->size, 0));
	digest = ol_digest_of(OL_SHA256, in, is->size);
	CHECK_INT(name, true, ol_digest_eq(&digest, &is->digest));
	/* RFC 1952: no flags, no time. */
	assert_memory_equal(in, "\x1f\x8b\x08\0\0\0\0\0", 8);
	CHECK_INT(name, OL_OK, ol_decoder_new(OL_COMPRESSION_GZIP, &decoder, NULL));
	CHECK_INT(name, OL_OK, ol_decoder_run(decoder, &step, NULL));
	CHECK_INT(name, (long long)size, (long long)step.made);
	CHECK_INT(name, OL_OK, ol_decoder_finish(decoder, NULL));
	assert_memory_equal(want, out, size);
}

static void what_is_compressed_comes_out_again(void **state)
{
	static const struct {
		const char *name;
		size_t size;
		bool even;
	} cases[] = { { "nothing", 0, true }, { "a byte", 1, true },
		{ "a block", 256 << 10, false }, { "a block and a byte", (256 << 10) + 1, false },
		{ "zeros", 5 << 20, true }, { "noise", 3000001, false } };

	(void)state;
	OL_EACH (cases, c) {
		ol_autofree unsigned char *data = noise(c->size, c->even);
		ol_gzipped first, second;
		int a = -1, b = -1;

		CHECK_INT(c->name, OL_OK, squeeze(data, c->size, &a, &first));
		CHECK_INT(c->name, OL_OK, squeeze(data, c->size, &b, &second));
		check_file(c->name, a, &first, data, c->size);
		CHECK_INT(c->name, true, ol_digest_eq(&first.digest, &second.digest));
		(void)close(a);
		(void)close(b);
	}
}

struct broken {
	ol_reader reader;
	unsigned reads;
};

static int break_off(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct broken *broken = (struct broken *)reader;

	memset(data, 'x', size);
	*got = size;
	return ++broken->reads < 3 ? OL_OK : ol_fail(err, OL_ECORRUPT, "cut");
}

static void a_failure_is_passed_on(void **state)
{
	static const ol_reader_ops ops = { .read = break_off };
	struct broken broken = { .reader = { &ops } };
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
	ol_gzipped out;
	int fd = -1;

	(void)state;
	assert_int_equal(OL_OK, ol_temp_open(AT_FDCWD, &fd, NULL));
	CHECK_INT("broken", OL_ECORRUPT, ol_gzip_file(&broken.reader, fd, NULL, &out, NULL));
	ol_cancel_fire(cancel);
	broken.reads = 0;
	CHECK_INT("canceled", OL_ECANCELED, ol_gzip_file(&broken.reader, fd, cancel, &out, NULL));
	CHECK_INT("reads", 0, broken.reads);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_compressed_comes_out_again),
		cmocka_unit_test(a_failure_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
