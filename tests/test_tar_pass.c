/* Data that nobody has: passed over by the reader of tars, and by their writer. */
#include "base/alloc.h"
#include "base/limits.h"
#include "manifest/tar_writer.h"
#include "tests/check.h"
#include "tests/tar_builder.h"

/* "name@offset+size" for each member. */
static int list_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	ol_str *out = ctx;

	(void)err;
	return ol_str_addf(out, "%c %s@%llu+%llu\n", "fhlcbdpwo"[entry->type], entry -> name,
		(unsigned long long)entry -> data_offset, (unsigned long long)entry -> data_size);
}

static int refuse_data(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	(void)ctx;
	(void)offset;
	(void)data;
	(void)size;
	return ol_fail(err, OL_ECANCELED, "data came out");
}

static const tar_member members[] = {
	{ .name = "dir", .type = '5' },
	{ .name = "dir/file", .data = "some data" },
	{ .name = "long", .data = "x", .data_size = 1000 },
	{ .name = "dir/.wh.gone", .data = "ignored" },
	{ .name = ".wh..wh.plnk/1", .data = "ignored" },
	{ .name = "block", .data = "b", .data_size = 512 },
	{ .name = "last" },
	{ 0 },
};

/* The tar of members as headers, with each member's data passed over in pieces. */
static int push_headers(ol_tar *tar, uint64_t piece, ol_error *err)
{
	int rc = OL_OK;

	for (const tar_member *m = members; rc == OL_OK && m->name; m++) {
		tar_member header = *m;
		ol_auto_buf ol_buf bytes = OL_BUF(TAR_BYTES_MAX);
		uint64_t size = m->data ? m->data_size ? m->data_size : strlen(m->data) : 0;
		static const char zeros[512];

		header.data_size = size;
		header.no_data = true;
		tar_add(&bytes, &header);
		rc = ol_tar_push(tar, bytes.data, bytes.size, err);
		for (uint64_t left = size; rc == OL_OK && left > 0;) {
			uint64_t n = left < piece ? left : piece;

			rc = ol_tar_pass(tar, n, err);
			left -= n;
		}
		if (rc == OL_OK)
			rc = ol_tar_push(tar, zeros, -size % 512, err);
	}
	return rc < 0 ? rc : ol_tar_finish(tar, err);
}

static void members_come_out_as_with_their_data(void **state)
{
	static const uint64_t pieces[] = { 1, 7, 512, UINT64_MAX };
	char *long_data = ol_alloc(1000);
	tar_member real[sizeof members / sizeof *members];
	ol_auto_str ol_str want = OL_STR(4096);
	ol_tar *tar = ol_tar_new(&(ol_tar_handler){ .entry = list_entry, .ctx = &want });
	ol_buf bytes;

	(void)state;
	memcpy(real, members, sizeof real);
	real[2].data = real[5].data = long_data;
	bytes = tar_build(real);
	assert_int_equal(OL_OK, ol_tar_push(tar, bytes.data, bytes.size, NULL));
	ol_tar_free(tar);
	ol_buf_done(&bytes);
	free(long_data);
	OL_EACH (pieces, piece) {
		ol_auto_str ol_str got = OL_STR(4096);
		ol_error err = { 0 };

		tar = ol_tar_new(
			&(ol_tar_handler){ .entry = list_entry, .data = refuse_data, .ctx = &got });
		CHECK_INT(err.text, OL_OK, push_headers(tar, *piece, &err));
		ol_tar_free(tar);
		assert_string_equal(ol_str_text(&want), ol_str_text(&got));
	}
}

static void more_than_a_member_has_is_refused(void **state)
{
	static const struct {
		const char *label;
		tar_member member;
		uint64_t pass;
		int rc;
	} cases[] = {
		{ "all", { .name = "f", .data = "12345" }, 5, OL_OK },
		{ "nothing", { .name = "f" }, 0, OL_OK },
		{ "one more", { .name = "f", .data = "12345" }, 6, OL_ECORRUPT },
		{ "the padding", { .name = "f", .data = "12345" }, 512, OL_ECORRUPT },
		{ "of an empty file", { .name = "f" }, 1, OL_ECORRUPT },
		{ "of a directory", { .name = "d", .type = '5' }, 512, OL_ECORRUPT },
		{ "of a whiteout", { .name = ".wh.f", .data = "1" }, 2, OL_ECORRUPT },
		{ "with the map of a sparse file",
			{ .name = "f",
				.data = "1\n0\n5\n",
				.pax = { "GNU.sparse.major=1", "GNU.sparse.minor=0",
					"GNU.sparse.name=f", "GNU.sparse.realsize=5" } },
			5, OL_EUNSUPPORTED },
		{ "all there is", { .name = "f", .data = "1" }, UINT64_MAX, OL_ELIMIT },
		{ "past a layer's bound", { .name = "f", .data = "1" }, OL_LAYER_TAR_BYTES_MAX,
			OL_ELIMIT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);
		ol_auto_buf ol_buf bytes = OL_BUF(TAR_BYTES_MAX);
		ol_tar *tar = ol_tar_new(&(ol_tar_handler){ .entry = list_entry, .ctx = &out });
		tar_member header = c->member;

		header.data_size = header.data ? strlen(header.data) : 0;
		header.no_data = true;
		tar_add(&bytes, &header);
		assert_int_equal(OL_OK, ol_tar_push(tar, bytes.data, bytes.size, NULL));
		CHECK_INT(c->label, c->rc, ol_tar_pass(tar, c->pass, NULL));
		/* A refusal stays. */
		CHECK_INT(c->label, c->rc, ol_tar_pass(tar, 0, NULL));
		ol_tar_free(tar);
	}
}

static void there_are_no_data_before_a_member(void **state)
{
	ol_auto_str ol_str out = OL_STR(4096);
	ol_auto_buf ol_buf bytes = OL_BUF(TAR_BYTES_MAX);
	ol_tar *tar = ol_tar_new(&(ol_tar_handler){ .entry = list_entry, .ctx = &out });
	const tar_member member = { .name = "f", .pax = { "mtime=1.5" } };

	(void)state;
	tar_add(&bytes, &member);
	/* Within the padding of an extended header. */
	assert_int_equal(OL_OK, ol_tar_push(tar, bytes.data, 600, NULL));
	assert_int_equal(OL_ECORRUPT, ol_tar_pass(tar, 1, NULL));
	ol_tar_free(tar);
	tar = ol_tar_new(&(ol_tar_handler){ .entry = list_entry, .ctx = &out });
	assert_int_equal(OL_ECORRUPT, ol_tar_pass(tar, 512, NULL));
	ol_tar_free(tar);
}

typedef struct tar_sink {
	ol_sink base;
	ol_tar *tar;
} tar_sink;

static int push(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	return ol_tar_push(((tar_sink *)sink)->tar, data, size, err);
}

static int list_xattrs(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	ol_str *out = ctx;

	for (size_t i = 0; i < entry->xattr_count; i++)
		(void)ol_str_addf(out, "%s=%.*s ", entry->xattrs[i].name.data,
			(int)entry->xattrs[i].value.size, entry->xattrs[i].value.data);
	(void)ol_str_addf(out, "%lld.%ld ", (long long)entry->mtime.tv_sec, entry->mtime.tv_nsec);
	return list_entry(ctx, entry, err);
}

static void a_writer_passes_over_data_and_takes_records(void **state)
{
	static const ol_sink_ops ops = { .write = push };
	static const ol_xattr records[] = {
		{ { "SCHILY.xattr.user.a", 19 }, { "1", 1 } },
		{ { "mtime", 5 }, { "7.5", 3 } },
		{ { "comment", 7 }, { "x", 1 } },
	};
	static const ol_xattr bad[] = { { { "", 0 }, { "1", 1 } }, { { "a=b", 3 }, { "1", 1 } },
		{ { "a\0b", 3 }, { "1", 1 } } };
	const ol_tar_entry entry = { .type = OL_TAR_FILE,
		.name = "f",
		.target = "",
		.mtime = { .tv_sec = 3 },
		.size = 700,
		.data_size = 700 };
	ol_auto_str ol_str out = OL_STR(4096);
	tar_sink sink = { .base.ops = &ops,
		.tar = ol_tar_new(&(ol_tar_handler){
			.entry = list_xattrs, .data = refuse_data, .ctx = &out }) };
	ol_tar_writer *writer = ol_tar_writer_new(&sink.base);

	(void)state;
	assert_int_equal(OL_OK, ol_tar_writer_records(writer, records, 3, NULL));
	for (int i = 0; i < 2; i++) { /* the second has none */
		assert_int_equal(OL_OK, ol_tar_writer_add(writer, &entry, NULL));
		assert_int_equal(OL_EINVAL, ol_tar_writer_pass(writer, 701, NULL));
		assert_int_equal(OL_OK, ol_tar_pass(sink.tar, 700, NULL));
		assert_int_equal(OL_OK, ol_tar_writer_pass(writer, 700, NULL));
	}
	assert_int_equal(OL_OK, ol_tar_writer_finish(writer, NULL));
	assert_int_equal(OL_OK, ol_tar_finish(sink.tar, NULL));
	assert_string_equal(
		"user.a=1 7.500000000 f f@1536+700\n3.0 f f@3072+700\n", ol_str_text(&out));
	OL_EACH (bad, record)
		assert_int_equal(OL_EINVAL, ol_tar_writer_records(writer, record, 1, NULL));
	ol_tar_writer_free(writer);
	ol_tar_free(sink.tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_come_out_as_with_their_data),
		cmocka_unit_test(more_than_a_member_has_is_refused),
		cmocka_unit_test(there_are_no_data_before_a_member),
		cmocka_unit_test(a_writer_passes_over_data_and_takes_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
