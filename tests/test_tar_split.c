#include "base/alloc.h"
#include "base/base64.h"
#include "base/limits.h"
#include "base/str.h"
#include "manifest/tar_split.h"
#include "tests/check.h"

/* What comes out, an item after the other: "s:abc" a segment, "f:name 5" a file. */
static int list(ol_view lines, ol_str *out, ol_error *err)
{
	ol_auto(ol_tar_split_free) ol_tar_split *split = ol_tar_split_new(lines);
	ol_tar_split_item item;
	bool more = true;
	int rc = OL_OK;

	for (;;) {
		rc = ol_tar_split_next(split, &item, &more, err);
		if (rc < 0 || !more)
			return rc;
		(void)ol_str_add(out, item.is_file ? "f:" : "s:");
		(void)ol_str_add_safe(out, item.is_file ? item.name : item.segment);
		if (item.is_file) {
			assert_int_equal('\0', item.name.data[item.name.size]);
			(void)ol_str_addf(out, " %llu", (unsigned long long)item.size);
		}
		(void)ol_str_addc(out, '\n');
	}
}

#define SEGMENT(position) "{\"type\":2,\"payload\":\"YWJj\",\"position\":" position "}\n"
#define CRC               "\"payload\":\"AAAAAAAAAAA=\""

static void segments_and_files_come_out_in_order(void **state)
{
	static const struct {
		const char *lines, *out;
	} cases[] = {
		{ "", "" },
		{ SEGMENT("0"), "s:abc\n" },
		{ SEGMENT("0") "{\"type\":1,\"name\":\"a\",\"size\":5," CRC
			       ",\"position\":1}\n" SEGMENT("2"),
			"s:abc\nf:a 5\ns:abc\n" },
		{ "{\"type\":1,\"name\":\"d/\",\"payload\":null,\"position\":0}\n", "f:d/ 0\n" },
		{ "{\"type\":1,\"name_raw\":\"/2E=\",\"payload\":\"\",\"position\":0}",
			"f:\\xffa 0\n" },
		{ "{\"type\":1,\"payload\":null,\"position\":0}", "f: 0\n" },
		{ "{ \"position\" : 0 , \"new\":[1,{}], \"payload\":\"YQ==\",\"type\":2 }\r\n",
			"s:a\n" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);

		CHECK_INT(c->lines, OL_OK, list(ol_view_of(c->lines), &out, NULL));
		CHECK_STR(c->lines, c->out, ol_str_text(&out));
	}
}

static void what_is_no_tar_split_is_refused(void **state)
{
	static const struct {
		const char *lines;
		int rc;
		const char *words;
	} cases[] = {
		{ "\n", OL_ECORRUPT, "line 1" },
		{ "[]\n", OL_ECORRUPT, "no object" },
		{ "{}\n", OL_ECORRUPT, "neither" },
		{ "{\"type\":3,\"payload\":\"YQ==\",\"position\":0}\n", OL_ECORRUPT, "neither" },
		{ "{\"type\":\"2\",\"payload\":\"YQ==\",\"position\":0}\n", OL_ECORRUPT,
			"out of range" },
		{ SEGMENT("1"), OL_ECORRUPT, "not in its place" },
		{ SEGMENT("0") SEGMENT("0"), OL_ECORRUPT, "line 2" },
		{ SEGMENT("-1"), OL_ECORRUPT, "out of range" },
		{ "{\"type\":2,\"payload\":\"YQ==\"}\n", OL_ECORRUPT, "not in its place" },
		{ "{\"type\":2,\"payload\":\"\",\"position\":0}\n", OL_ECORRUPT, "empty" },
		{ "{\"type\":2,\"position\":0}\n", OL_ECORRUPT, "empty" },
		{ "{\"type\":2,\"payload\":\"YQ\",\"position\":0}\n", OL_ECORRUPT, "base64" },
		{ "{\"type\":2,\"payload\":[97],\"position\":0}\n", OL_ECORRUPT, "wrong type" },
		{ "{\"type\":2,\"payload\":\"YQ==\",\"size\":1,\"position\":0}\n", OL_ECORRUPT,
			"a segment" },
		{ "{\"type\":2,\"payload\":\"YQ==\",\"name\":\"a\",\"position\":0}\n", OL_ECORRUPT,
			"a segment" },
		{ "{\"type\":1,\"name\":\"a\",\"name_raw\":\"/w==\",\"payload\":null,"
		  "\"position\":0}\n",
			OL_ECORRUPT, "two names" },
		{ "{\"type\":1,\"name_raw\":\"AA==\",\"payload\":null,\"position\":0}\n",
			OL_ECORRUPT, "NUL" },
		{ "{\"type\":1,\"name\":7,\"payload\":null,\"position\":0}\n", OL_ECORRUPT,
			"wrong type" },
		{ "{\"type\":1,\"name\":\"a\",\"payload\":\"YQ==\",\"position\":0}\n", OL_ECORRUPT,
			"checksum" },
		{ "{\"type\":1,\"name\":\"a\",\"size\":-5,\"payload\":null,\"position\":0}\n",
			OL_ECORRUPT, "out of range" },
		{ "{\"type\":1,\"name\":\"a\",\"size\":1e3,\"payload\":null,\"position\":0}\n",
			OL_ECORRUPT, "out of range" },
		{ "{\"type\":1,\"name\":\"a\",\"size\":1099511627777,\"payload\":null,"
		  "\"position\":0}\n",
			OL_ELIMIT, "larger" },
		{ "{\"type\":2,\"type\":2,\"payload\":\"YQ==\",\"position\":0}\n", OL_ECORRUPT,
			"twice" },
		{ "{\"type\":2,\"payload\":\"YQ==\",\"position\":0} {}\n", OL_ECORRUPT, "line 1" },
		{ "{\"type\":2,\"payload\":\"YWJj", OL_ECORRUPT, "line 1" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);
		ol_error err = { 0 };

		CHECK_INT(c->lines, c->rc, list(ol_view_of(c->lines), &out, &err));
		CHECK_INT(c->lines, c->rc, err.code);
		if (!strstr(err.text, c->words))
			CHECK_STR(c->lines, c->words, err.text);
	}
}

static void a_segment_has_a_bound(void **state)
{
	(void)state;
	for (size_t more = 0; more < 2; more++) {
		ol_auto_buf ol_buf bytes = OL_BUF(OL_TAR_SPLIT_SEGMENT_MAX + 1);
		ol_auto_str ol_str line = OL_STR((size_t)16 << 20), out = OL_STR((size_t)64 << 20);

		memset(ol_buf_room(&bytes, OL_TAR_SPLIT_SEGMENT_MAX + more), 'x',
			OL_TAR_SPLIT_SEGMENT_MAX + more);
		bytes.size = OL_TAR_SPLIT_SEGMENT_MAX + more;
		(void)ol_str_add(&line, "{\"type\":2,\"position\":0,\"payload\":\"");
		(void)ol_base64_format(ol_buf_view(&bytes), &line);
		(void)ol_str_add(&line, "\"}\n");
		assert_int_equal(more ? OL_ELIMIT : OL_OK, list(ol_buf_view(&line), &out, NULL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_and_files_come_out_in_order),
		cmocka_unit_test(what_is_no_tar_split_is_refused),
		cmocka_unit_test(a_segment_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
