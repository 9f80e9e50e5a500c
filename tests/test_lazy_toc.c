/* What is found of a table of contents before any of it is believed. Pulls are tests/e2e's. */
#include "image/lazy_toc_priv.h"
#include "tests/check.h"
#include "tests/tar_builder.h"

static void the_json_is_the_tars_one_member(void **state)
{
	static const struct {
		const char *label;
		tar_member members[3];
		int rc;
	} cases[] = {
		{ "as it should be", { { .name = "stargz.index.json", .data = "{}" } }, OL_OK },
		{ "with a name made longer", { { .name = "./stargz.index.json", .data = "{}" } },
			OL_OK },
		{ "nothing", { { 0 } }, OL_ECORRUPT },
		{ "another name", { { .name = "index.json", .data = "{}" } }, OL_ECORRUPT },
		{ "a link", { { .name = "stargz.index.json", .type = '2', .link = "x" } },
			OL_ECORRUPT },
		{ "two of them",
			{ { .name = "stargz.index.json", .data = "{}" },
				{ .name = "stargz.index.json", .data = "[]" } },
			OL_ECORRUPT },
		{ "another behind it",
			{ { .name = "stargz.index.json", .data = "{}" },
				{ .name = "more", .data = "x" } },
			OL_ECORRUPT },
		{ "another before it",
			{ { .name = "more", .data = "x" },
				{ .name = "stargz.index.json", .data = "{}" } },
			OL_ECORRUPT },
		{ "a header that is none",
			{ { .name = "stargz.index.json", .data = "{}", .checksum = TAR_SUM_BAD } },
			OL_ECORRUPT },
		{ "cut", { { .name = "stargz.index.json", .data_size = 5000, .no_data = true } },
			OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf tar = tar_build(c->members);
		ol_view json = { 0 };

		CHECK_INT(c->label, c->rc, ol_toc_json_of_tar(ol_buf_view(&tar), &json, NULL));
		if (c->rc == OL_OK)
			assert_true(ol_view_is(json, "{}"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_json_is_the_tars_one_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
