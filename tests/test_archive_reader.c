#include <zlib.h>

#include "base/alloc.h"
#include "image/archive_reader_priv.h"
#include "tests/check.h"
#include "tests/tar_builder.h"

#define BYTES_MAX ((size_t)1 << 20)

static const tar_member members[] = {
	{ .name = "blobs/", .type = '5', .mode = 0755 },
	{ .name = "blobs/one", .data = "1" },
	{ .name = "two", .type = '2', .link = "blobs/one" },
	{ .name = "three", .type = '1', .link = "blobs/one" },
	{ .name = "fifo", .type = '6' },
	{ .name = "last", .data = "the last one" },
	{ 0 },
};

static ol_buf gzip(ol_view bytes)
{
	ol_buf out = OL_BUF(BYTES_MAX);
	z_stream z = { .next_in = (Bytef *)bytes.data, .avail_in = (uInt)bytes.size };
	char *room = ol_buf_room(&out, bytes.size + 1024);

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = (Bytef *)room;
	z.avail_out = (uInt)bytes.size + 1024;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.size = z.total_out;
	assert_int_equal(deflateEnd(&z), Z_OK);
	return out;
}

/* "type name target text;…" of all members, then what ended it. */
static int list(ol_view bytes, ol_str *out)
{
	ol_auto(ol_reader_close) ol_reader *from = ol_reader_of_memory(bytes.data, bytes.size);
	ol_auto(ol_archive_reader_close) ol_archive_reader *archive = NULL;
	ol_archive_member member;
	int rc = ol_archive_reader_open(from, &archive, NULL);

	while (rc >= 0 && (rc = ol_archive_reader_next(archive, &member, NULL)) == 1) {
		char data[64];
		size_t got = 1;

		(void)ol_str_addf(out, "%d %s %s ", (int)member.type, member.name, member.target);
		while (rc >= 0 && got > 0 && member.type == OL_MEMBER_FILE) {
			rc = ol_reader_read(
				ol_archive_reader_data(archive), data, sizeof data, &got, NULL);
			if (rc == OL_OK)
				(void)ol_str_addv(out, ol_view_from(data, got));
		}
		(void)ol_str_addc(out, ';');
	}
	return rc;
}

static const char all[] = "3 blobs/  ;0 blobs/one  1;2 two blobs/one ;1 three blobs/one ;3 fifo  ;"
			  "0 last  the last one;";

static void members_come_in_order(void **state)
{
	ol_auto_buf ol_buf tar = tar_build(members);
	ol_auto_buf ol_buf packed = gzip(ol_buf_view(&tar));
	ol_auto_str ol_str plain = OL_STR(BYTES_MAX), unpacked = OL_STR(BYTES_MAX);

	(void)state;
	assert_int_equal(list(ol_buf_view(&tar), &plain), 0);
	assert_string_equal(ol_str_text(&plain), all);
	assert_int_equal(list(ol_buf_view(&packed), &unpacked), 0);
	assert_string_equal(ol_str_text(&unpacked), all);
}

static void nothing_but_zeros_may_follow(void **state)
{
	static const char zeros[20000], words[600] = "more";
	static const struct {
		const char *label;
		bool packed;
		const char *after;
		size_t size;
		int rc;
	} cases[] = {
		{ "zeros after a tar", false, zeros, 10240, 0 },
		{ "more after a tar", false, words, 512, OL_ECORRUPT },
		{ "a little more", false, words, 4, OL_ECORRUPT },
		{ "zeros, then more", false, "\0\0\0\0x", 5, OL_ECORRUPT },
		{ "zeros after gzip", true, zeros, sizeof zeros, 0 },
		{ "more after gzip", true, words, sizeof words, OL_ECORRUPT },
		{ "a byte after gzip", true, "x", 1, OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf bytes = tar_build(members);
		ol_auto_str ol_str got = OL_STR(BYTES_MAX);

		if (c->packed) {
			ol_buf packed = gzip(ol_buf_view(&bytes));

			ol_buf_done(&bytes);
			bytes = packed;
		}
		assert_int_equal(ol_buf_add(&bytes, c->after, c->size), OL_OK);
		CHECK_INT(c->label, c->rc, list(ol_buf_view(&bytes), &got));
	}
}

static void what_is_cut_short_is_damaged(void **state)
{
	ol_auto_buf ol_buf tar = tar_build(members);
	ol_auto_buf ol_buf packed = gzip(ol_buf_view(&tar));

	(void)state;
	for (size_t size = 1; size < packed.size; size++) {
		ol_auto_str ol_str got = OL_STR(BYTES_MAX);

		CHECK_INT("gzip", OL_ECORRUPT, list(ol_view_from(packed.data, size), &got));
	}
	/* Where a member ends a tar may end as well: then what is absent tells. */
	for (size_t size = 1; size < tar.size - 1024; size++) {
		ol_auto_str ol_str got = OL_STR(BYTES_MAX);
		int rc = list(ol_view_from(tar.data, size), &got);

		if (size % 512 != 0)
			CHECK_INT("tar", OL_ECORRUPT, rc);
		assert_true(rc == OL_ECORRUPT || (rc == 0 && got.size < sizeof all - 1) ||
			    size == tar.size - 1024);
	}
}

static void what_is_no_archive_is_refused(void **state)
{
	static const struct {
		const char *label, *bytes;
		size_t size;
	} cases[] = {
		{ "empty", "", 0 },
		{ "text", "hello, world\n", 13 },
		{ "json", "{\"schemaVersion\": 2}", 20 },
		{ "zip", "PK\003\004\024\000\000\000\010\000", 10 },
		{ "gzip of nothing known",
			"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05"
			"\0\0\0",
			25 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str got = OL_STR(BYTES_MAX);

		CHECK_INT(c->label, OL_ECORRUPT, list(ol_view_from(c->bytes, c->size), &got));
	}
}

static int fail_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	(void)reader;
	(void)data;
	(void)size;
	(void)got;
	return ol_fail(err, OL_ECANCELED, "interrupted");
}

static void fail_close(ol_reader *reader)
{
	(void)reader;
}

static void a_reader_s_failure_is_its_own(void **state)
{
	static const ol_reader_ops ops = { fail_read, fail_close };
	ol_reader reader = { &ops }, *out = NULL;
	ol_archive_reader *archive = NULL;
	ol_error err = { 0 };

	(void)state;
	assert_int_equal(ol_archive_reader_open(&reader, &archive, &err), OL_ECANCELED);
	assert_string_equal(err.text, "interrupted");
	assert_int_equal(ol_unwrap(&reader, &out, NULL), OL_ECANCELED);
}

static int unwrap(ol_view bytes, ol_buf *out)
{
	ol_auto(ol_reader_close) ol_reader *reader = NULL;
	size_t got = 1;
	int rc = ol_unwrap(ol_reader_of_memory(bytes.data, bytes.size), &reader, NULL);

	while (rc == OL_OK && got > 0) {
		char data[1000];

		rc = ol_reader_read(reader, data, sizeof data, &got, NULL);
		if (rc == OL_OK)
			(void)ol_buf_add(out, data, got);
	}
	return rc;
}

static void a_wrapping_comes_off(void **state)
{
	ol_auto_buf ol_buf tar = tar_build(members);
	ol_auto_buf ol_buf packed = gzip(ol_buf_view(&tar));
	ol_auto_buf ol_buf one = OL_BUF(BYTES_MAX), two = OL_BUF(BYTES_MAX),
			   cut = OL_BUF(BYTES_MAX);

	(void)state;
	assert_int_equal(unwrap(ol_buf_view(&tar), &one), OL_OK);
	assert_int_equal(one.size, tar.size);
	assert_memory_equal(one.data, tar.data, tar.size);
	assert_int_equal(unwrap(ol_buf_view(&packed), &two), OL_OK);
	assert_int_equal(two.size, tar.size);
	assert_memory_equal(two.data, tar.data, tar.size);
	assert_int_equal(unwrap(ol_view_from(packed.data, packed.size / 2), &cut), OL_ECORRUPT);
	assert_int_equal(unwrap(ol_view_from("", 0), &cut), OL_ECORRUPT);
	assert_int_equal(ol_buf_add(&packed, "x", 1), OL_OK);
	assert_int_equal(unwrap(ol_buf_view(&packed), &cut), OL_ECORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_come_in_order),
		cmocka_unit_test(nothing_but_zeros_may_follow),
		cmocka_unit_test(what_is_cut_short_is_damaged),
		cmocka_unit_test(what_is_no_archive_is_refused),
		cmocka_unit_test(a_reader_s_failure_is_its_own),
		cmocka_unit_test(a_wrapping_comes_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
