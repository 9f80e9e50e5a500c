#include "base/alloc.h"
#include "base/limits.h"
#include "manifest/ztoc.h"
#include "tests/check.h"
#include "tests/ztoc_builder.h"

#define D  "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define D2 "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char *const digests[] = { D, D2, D };
static const ztoc_point points[] = {
	{ .in = 10 },
	{ .in = 500, .out = 40000, .bits = 3 },
	{ .in = 800, .out = 90000 },
};

/* Of three spans, all sound, unless a test changes it. */
static ztoc_spec sound(const ztoc_member *members)
{
	return (ztoc_spec){ .blob_size = 1000,
		.tar_size = 102400,
		.members = members,
		.max_span = 2,
		.digests = digests,
		.digest_count = 3 };
}

static int parse(ztoc_spec spec, ol_view zinfo, ol_buf *bytes, ol_ztoc *out, ol_error *err)
{
	spec.checkpoints = zinfo;
	*bytes = ztoc_build(&spec);
	return ol_ztoc_parse(ol_buf_view(bytes), out, err);
}

static void spans_are_found(void **state)
{
	(void)state;
	/* Version 1 leaves out the first checkpoint, version 2 does not. */
	for (size_t skip = 0; skip < 2; skip++) {
		ol_auto_buf ol_buf zinfo = ztoc_zinfo(3, 50000, points, skip, 3);
		static const uint64_t begins[] = { 10, 499, 800 }, ends[] = { 500, 800, 1000 };
		ol_buf bytes;
		ol_ztoc ztoc;
		ol_error err = { 0 };

		CHECK_INT(err.text, OL_OK,
			parse(sound(NULL), ol_buf_view(&zinfo), &bytes, &ztoc, &err));
		assert_true(ztoc.gzip);
		assert_int_equal(1000, ztoc.blob_size);
		assert_int_equal(102400, ztoc.tar_size);
		assert_int_equal(50000, ztoc.span_bytes);
		assert_int_equal(3, ztoc.span_count);
		for (size_t i = 0; i < 3; i++) {
			const ol_ztoc_checkpoint at = ol_ztoc_checkpoint_at(&ztoc, i);
			uint64_t begin, end;

			ol_ztoc_span(&ztoc, i, &begin, &end);
			assert_int_equal(points[i].in, at.in);
			assert_int_equal(points[i].out, at.out);
			assert_int_equal(points[i].bits, at.bits);
			assert_int_equal(i ? 32768 : 0, at.window.size);
			assert_int_equal(begins[i], begin);
			assert_int_equal(ends[i], end);
			assert_string_equal(
				digests[i], ol_digest_format(&ztoc.span_digests[i]).text);
		}
		ol_ztoc_done(&ztoc);
		ol_buf_done(&bytes);
	}
}

static void a_layer_that_is_not_compressed_has_spans_of_one_size(void **state)
{
	static const struct {
		const char *label;
		int64_t span, size, blob;
		int rc;
	} cases[] = {
		{ "sound", 50000, 102400, 102400, OL_OK },
		{ "exact", 34134, 102400, 102400, OL_OK },
		{ "another size", 50000, 102401, 102400, OL_ECORRUPT },
		{ "another blob", 50000, 102400, 1000, OL_ECORRUPT },
		{ "no span", 0, 102400, 102400, OL_ECORRUPT },
		{ "a negative span", -1, 102400, 102400, OL_ECORRUPT },
		{ "two spans", 102399, 102400, 102400, OL_ECORRUPT },
		{ "many spans", 1, 102400, 102400, OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf zinfo = ztoc_tar_zinfo(c->span, c->size);
		ztoc_spec spec = sound(NULL);
		ol_buf bytes;
		ol_ztoc ztoc;
		uint64_t begin, end;

		spec.algorithm = 2;
		spec.blob_size = c->blob;
		CHECK_INT(c->label, c->rc, parse(spec, ol_buf_view(&zinfo), &bytes, &ztoc, NULL));
		if (c->rc == OL_OK) {
			assert_false(ztoc.gzip);
			ol_ztoc_span(&ztoc, 2, &begin, &end);
			assert_int_equal(2 * c->span, begin);
			assert_int_equal(102400, end);
			ol_ztoc_done(&ztoc);
		}
		ol_buf_done(&bytes);
	}
}

/* One thing is wrong with each. */
struct harm {
	const char *label;
	ztoc_spec spec; /* what is not 0 replaces the sound one's */
	ztoc_point at;  /* replaces the checkpoint of this number, if in or out is not 0 */
	size_t number;
	int32_t count; /* said in zinfo; 0: 3 */
	size_t cut;    /* bytes off zinfo's end */
	size_t skip, end;
	int rc;
	const char *words;
};

static void harm_spec(ztoc_spec *spec, const ztoc_spec *with)
{
	if (with->version)
		spec->version = with->version;
	if (with->blob_size)
		spec->blob_size = with->blob_size;
	if (with->tar_size)
		spec->tar_size = with->tar_size;
	if (with->algorithm)
		spec->algorithm = with->algorithm;
	if (with->max_span)
		spec->max_span = with->max_span;
	if (with->digests)
		spec->digests = with->digests;
	if (with->digest_count)
		spec->digest_count = with->digest_count;
	spec->no_compression = with->no_compression;
}

static void check_harm(const struct harm *c)
{
	ztoc_spec spec = sound(NULL);
	ztoc_point list[3];
	ol_auto_buf ol_buf zinfo = OL_BUF(0);
	ol_auto_buf ol_buf bytes = OL_BUF(0);
	ol_ztoc ztoc;
	ol_error err = { 0 };

	memcpy(list, points, sizeof list);
	harm_spec(&spec, &c->spec);
	if (c->at.in || c->at.out)
		list[c->number] = c->at;
	zinfo = ztoc_zinfo(c->count ? c->count : 3, 50000, list, c->skip, c->end ? c->end : 3);
	zinfo.size -= c->cut;
	CHECK_INT(c->label, c->rc, parse(spec, ol_buf_view(&zinfo), &bytes, &ztoc, &err));
	if (!strstr(err.text, c->words))
		CHECK_STR(c->label, c->words, err.text);
}

static const char *const bad_digest[] = { D, "md5:00", D };
static const struct harm harms[] = {
	{ .label = "version",
		.spec.version = "1.0",
		.rc = OL_EUNSUPPORTED,
		.words = "version 1.0" },
	{ .label = "no version", .spec.version = "", .rc = OL_EUNSUPPORTED, .words = "version" },
	{ .label = "compression",
		.spec.algorithm = 3,
		.rc = OL_EUNSUPPORTED,
		.words = "compression number 3" },
	{ .label = "no compression",
		.spec.no_compression = true,
		.rc = OL_ECORRUPT,
		.words = "not there" },
	{ .label = "blob size", .spec.blob_size = -1, .rc = OL_ECORRUPT, .words = "no layer has" },
	{ .label = "tar size",
		.spec.tar_size = (int64_t)1 << 50,
		.rc = OL_ECORRUPT,
		.words = "no layer has" },
	{ .label = "spans",
		.spec.max_span = 3,
		.rc = OL_ECORRUPT,
		.words = "another number of digests" },
	{ .label = "negative spans", .spec.max_span = -1, .rc = OL_ELIMIT, .words = "more than" },
	{ .label = "many spans", .spec.max_span = 1 << 20, .rc = OL_ELIMIT, .words = "more than" },
	{ .label = "digests",
		.spec.digest_count = 2,
		.rc = OL_ECORRUPT,
		.words = "another number of digests" },
	{ .label = "digest",
		.spec.digests = bad_digest,
		.rc = OL_ECORRUPT,
		.words = "digest that cannot" },
	{ .label = "checkpoints",
		.count = 4,
		.rc = OL_ECORRUPT,
		.words = "another number of checkpoints" },
	{ .label = "negative checkpoints",
		.count = -1,
		.rc = OL_ECORRUPT,
		.words = "another number of checkpoints" },
	{ .label = "one byte less", .cut = 1, .rc = OL_ECORRUPT, .words = "length" },
	{ .label = "one checkpoint alone", .skip = 2, .rc = OL_ECORRUPT, .words = "length" },
	{ .label = "a head cut short",
		.skip = 2,
		.cut = 32785 + 1,
		.rc = OL_ECORRUPT,
		.words = "cut short" },
	{ .label = "past the blob",
		.at = { 1000, 90000, 0, { NULL, 0 } },
		.number = 2,
		.rc = OL_ECORRUPT,
		.words = "checkpoint 2 leads out" },
	{ .label = "past the tar",
		.at = { 800, 102400, 0, { NULL, 0 } },
		.number = 2,
		.rc = OL_ECORRUPT,
		.words = "checkpoint 2 leads out" },
	{ .label = "eight bits",
		.at = { 500, 40000, 8, { NULL, 0 } },
		.number = 1,
		.rc = OL_ECORRUPT,
		.words = "checkpoint 1 leads out" },
	{ .label = "negative",
		.at = { -5, 40000, 0, { NULL, 0 } },
		.number = 1,
		.rc = OL_ECORRUPT,
		.words = "checkpoint 1 leads out" },
	{ .label = "backwards in the blob",
		.at = { 500, 90000, 0, { NULL, 0 } },
		.number = 2,
		.rc = OL_ECORRUPT,
		.words = "checkpoint 2 does not follow" },
	{ .label = "backwards in the tar",
		.at = { 800, 40000, 0, { NULL, 0 } },
		.number = 2,
		.rc = OL_ECORRUPT,
		.words = "checkpoint 2 does not follow" },
	{ .label = "not from the start",
		.at = { 10, 1, 0, { NULL, 0 } },
		.number = 0,
		.rc = OL_ECORRUPT,
		.words = "checkpoint 0 does not follow" },
};

static void what_cannot_be_is_refused(void **state)
{
	(void)state;
	OL_EACH (harms, c)
		check_harm(c);
}

/* "reg a 5@512 0644 0:0 t0 key=value" */
static int list_entry(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	ol_str *out = ctx;

	(void)err;
	assert_null(entry->chunks);
	assert_int_equal('\0', entry->name.data[entry->name.size]);
	(void)ol_str_addf(out, "%c %s", "fhlcbdp"[entry->type], entry -> name.data);
	if (entry->target.size)
		(void)ol_str_addf(out, ">%s", entry->target.data);
	(void)ol_str_addf(out, " %llu@%llu %04o %u:%u %u,%u %lld.%ld",
		(unsigned long long)entry->size, (unsigned long long)entry->data_offset,
		entry->mode, entry->uid, entry->gid, entry->dev_major, entry->dev_minor,
		(long long)entry->mtime.tv_sec, entry->mtime.tv_nsec);
	for (size_t i = 0; i < entry->xattr_count; i++)
		(void)ol_str_addf(out, " %s=%.*s", entry->xattrs[i].name.data,
			(int)entry->xattrs[i].value.size, entry->xattrs[i].value.data);
	return ol_str_addc(out, '\n');
}

static int list(const ztoc_member *members, ol_str *out, ol_error *err)
{
	ol_auto_buf ol_buf zinfo = ztoc_zinfo(3, 50000, points, 0, 3);
	ol_buf bytes;
	ol_ztoc ztoc;
	int rc;

	assert_int_equal(OL_OK, parse(sound(members), ol_buf_view(&zinfo), &bytes, &ztoc, err));
	rc = ol_ztoc_entries(&ztoc, &(ol_toc_handler){ list_entry, out }, err);
	ol_ztoc_done(&ztoc);
	ol_buf_done(&bytes);
	return rc;
}

static void members_come_out_with_their_places(void **state)
{
	static const ztoc_member members[] = {
		{ .name = "bin/",
			.type = "dir",
			.mode = 040755,
			.offset = 512,
			.uid = 1,
			.gid = 4294967295U,
			.time = "2024-05-06T07:08:09.5Z" },
		{ .name = "bin/a",
			.offset = 1536,
			.size = 5,
			.mode = 0644,
			.records = { { "SCHILY.xattr.user.a", "1" }, { "path", "bin/a" } } },
		{ .name = "l", .type = "symlink", .link = "bin/a", .offset = 2560 },
		{ .name = "h", .type = "hardlink", .link = "bin/a", .offset = 3072, .size = 5 },
		{ .name = "c", .type = "char", .offset = 3584, .major = 1, .minor = 3 },
		{ .name = "p", .type = "fifo", .offset = 4096 },
		{ .name = "\xff", .offset = 4608, .size = 97792 },
		{ 0 },
	};
	ol_auto_str ol_str out = OL_STR(4096);
	ol_error err = { 0 };

	(void)state;
	CHECK_INT(err.text, OL_OK, list(members, &out, &err));
	assert_string_equal("d bin/ 0@512 0755 1:4294967295 0,0 1714979289.500000000\n"
			    "f bin/a 5@1536 0644 0:0 0,0 0.0 SCHILY.xattr.user.a=1 path=bin/a\n"
			    "l l>bin/a 0@2560 0000 0:0 0,0 0.0\n"
			    "h h>bin/a 0@3072 0000 0:0 0,0 0.0\n"
			    "c c 0@3584 0000 0:0 1,3 0.0\n"
			    "p p 0@4096 0000 0:0 0,0 0.0\n"
			    "f \xff 97792@4608 0000 0:0 0,0 0.0\n",
		ol_str_text(&out));
}

static void members_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *label;
		ztoc_member members[3];
		int rc;
	} cases[] = {
		{ "past the tar", { { .name = "a", .offset = 512, .size = 102400 } }, OL_ECORRUPT },
		{ "begins past it", { { .name = "a", .offset = 102912 } }, OL_ECORRUPT },
		{ "negative", { { .name = "a", .offset = -512 } }, OL_ECORRUPT },
		{ "of a negative size", { { .name = "a", .offset = 512, .size = -1 } },
			OL_ECORRUPT },
		{ "no whole block", { { .name = "a", .offset = 513 } }, OL_ECORRUPT },
		{ "in another's data",
			{ { .name = "a", .offset = 512, .size = 600 },
				{ .name = "b", .offset = 1024 } },
			OL_ECORRUPT },
		{ "backwards", { { .name = "a", .offset = 1024 }, { .name = "b", .offset = 512 } },
			OL_ECORRUPT },
		{ "type", { { .name = "a", .type = "socket", .offset = 512 } }, OL_ECORRUPT },
		{ "time", { { .name = "a", .time = "noon", .offset = 512 } }, OL_ECORRUPT },
		{ "NUL", { { .name = "a\0b", .name_size = 3, .offset = 512 } }, OL_ECORRUPT },
		{ "device", { { .name = "a", .offset = 512, .major = (int64_t)1 << 33 } },
			OL_ECORRUPT },
		{ "sparse",
			{ { .name = "a",
				.offset = 512,
				.size = (int64_t)1 << 40,
				.records = { { "GNU.sparse.major", "1" } } } },
			OL_EUNSUPPORTED },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);

		CHECK_INT(c->label, c->rc, list(c->members, &out, NULL));
	}
}

/* Every offset of the buffer is bent, one after the other, and every length cut. */
static void damage_never_leads_out_of_the_buffer(void **state)
{
	static const ztoc_member members[] = {
		{ .name = "a", .offset = 512, .records = { { "k", "v" } } },
		{ 0 },
	};
	ol_auto_buf ol_buf zinfo = ztoc_tar_zinfo(50000, 102400);
	ztoc_spec spec = sound(members);
	ol_auto_buf ol_buf bytes = OL_BUF(0);

	(void)state;
	spec.algorithm = 2;
	spec.blob_size = 102400;
	spec.checkpoints = ol_buf_view(&zinfo);
	bytes = ztoc_build(&spec);
	for (size_t i = 0; i < bytes.size; i++) {
		/* Memory of its own, so that a sanitizer sees where it ends. */
		static const unsigned char with[] = { 0, 1, 0x7f, 0x80, 0xff };

		for (size_t k = 0; k <= sizeof with; k++) {
			const size_t size = k < sizeof with ? bytes.size : i;
			ol_autofree char *copy = ol_memdup(bytes.data, size ? size : 1);
			ol_auto_str ol_str out = OL_STR((size_t)1 << 20);
			ol_ztoc ztoc;

			if (k < sizeof with)
				copy[i] = (char)with[k];
			if (ol_ztoc_parse(ol_view_from(copy, size), &ztoc, NULL) < 0)
				continue;
			(void)ol_ztoc_entries(&ztoc, &(ol_toc_handler){ list_entry, &out }, NULL);
			ol_ztoc_done(&ztoc);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_are_found),
		cmocka_unit_test(a_layer_that_is_not_compressed_has_spans_of_one_size),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(members_come_out_with_their_places),
		cmocka_unit_test(members_that_cannot_be_are_refused),
		cmocka_unit_test(damage_never_leads_out_of_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
