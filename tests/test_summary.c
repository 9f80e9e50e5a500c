#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "image/summary.h"
#include "manifest/mediatype.h"
#include "tests/store_box.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void a_summary_is_read_or_refused(void **state)
{
	static const struct {
		const char *label, *text;
		int rc;
		size_t count;
	} cases[] = {
		{ "one", "1;linux/amd64 " A " " B " 1704067200 8192 0", OL_OK, 1 },
		{ "two", "1;linux/amd64 " A " " B " 0 0 1;linux/arm64 " B " " A " -5 1 0", OL_OK,
			2 },
		{ "nothing", "", OL_ECORRUPT, 0 },
		{ "no entry", "1", OL_ECORRUPT, 0 },
		{ "an empty entry", "1;", OL_ECORRUPT, 0 },
		{ "another version", "2;linux/amd64 " A " " B " 0 0 0", OL_ECORRUPT, 0 },
		{ "no platform", "1; " A " " B " 0 0 0", OL_ECORRUPT, 0 },
		{ "a digest too few", "1;linux/amd64 " A " 0 0 0", OL_ECORRUPT, 0 },
		{ "a number too few", "1;linux/amd64 " A " " B " 0 0", OL_ECORRUPT, 0 },
		{ "a word too many", "1;linux/amd64 " A " " B " 0 0 0 0", OL_ECORRUPT, 0 },
		{ "a negative size", "1;linux/amd64 " A " " B " 0 -1 0", OL_ECORRUPT, 0 },
		{ "a number that is none", "1;linux/amd64 " A " " B " 1x 0 0", OL_ECORRUPT, 0 },
		{ "a number past all measure", "1;linux/amd64 " A " " B " 0 1234567890123456789 0",
			OL_ECORRUPT, 0 },
		{ "a flag that is none", "1;linux/amd64 " A " " B " 0 0 2", OL_ECORRUPT, 0 },
		{ "a bad second entry", "1;linux/amd64 " A " " B " 0 0 0;x", OL_ECORRUPT, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_summary summary = { 0 };

		CHECK_INT(c->label, c->rc, ol_summary_parse(c->text, &summary, NULL));
		CHECK_INT(c->label, (long long)c->count, (long long)summary.count);
		ol_summary_done(&summary);
	}
}

/* As ol_image_open chooses. NULL: look at the documents. */
static void a_summary_chooses_a_platform(void **state)
{
	static const struct {
		const char *label, *have, *want, *got;
	} cases[] = {
		{ "the one there is", "1;linux/arm64 " A " " B " 0 0 0", "linux/amd64",
			"linux/arm64" },
		{ "the wanted one", "1;linux/arm64 " A " " B " 0 0 0;linux/amd64 " B " " A " 0 0 0",
			"linux/amd64", "linux/amd64" },
		{ "the better one", "1;linux/386 " A " " B " 0 0 0;linux/amd64 " B " " A " 0 0 0",
			"linux/amd64", "linux/amd64" },
		{ "none of several",
			"1;linux/arm64 " A " " B " 0 0 0;linux/s390x " B " " A " 0 0 0",
			"linux/amd64", "" },
		{ "two alike", "1;linux/amd64 " A " " B " 0 0 0;linux/amd64 " B " " A " 0 0 0",
			"linux/amd64", "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		const ol_summary_entry *got;
		ol_summary summary = { 0 };
		ol_platform want;

		CHECK_INT(c->label, OL_OK, ol_platform_parse(c->want, &want, NULL));
		CHECK_INT(c->label, OL_OK, ol_summary_parse(c->have, &summary, NULL));
		got = ol_summary_choose(&summary, &want);
		CHECK_STR(c->label, c->got, got ? ol_platform_format(&got->platform).text : "");
		ol_summary_done(&summary);
	}
}

static ol_digest put_manifest(ol_store *store, const char *config)
{
	const ol_digest digest = box_blob(store, config);
	ol_autofree char *text =
		ol_text("{\"schemaVersion\":2,\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
			"\",\"config\":{\"mediaType\":\"" OL_MEDIA_OCI_CONFIG
			"\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
			ol_digest_format(&digest).text, strlen(config));

	return box_blob(store, text);
}

#define CONFIG(arch, labels)                                                                       \
	"{\"os\":\"linux\",\"architecture\":\"" arch                                               \
	"\",\"created\":\"2024-01-01T00:00:00Z\",\"config\":{" labels                              \
	"},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"

static void a_summary_says_what_the_documents_say(void **state)
{
	store_box *box = *state;
	const ol_digest one = put_manifest(box->store, CONFIG("amd64", "")),
			two = put_manifest(box->store, CONFIG("arm64", "\"Labels\":{\"a\":\"b\"}"));
	ol_auto_str ol_str text = OL_STR(4096);
	ol_auto_str ol_str both = OL_STR(4096);
	ol_summary summary = { 0 };
	ol_digest index;

	ol_summary_make(box->store, &one, &text);
	CHECK_INT("single", OL_OK, ol_summary_parse(ol_str_text(&text), &summary, NULL));
	CHECK_INT("single", 1, (long long)summary.count);
	CHECK_INT("created", 1704067200, summary.entries[0].created);
	CHECK_INT("manifest", true, ol_digest_eq(&one, &summary.entries[0].manifest));
	CHECK_INT("labels", false, summary.entries[0].labels);
	ol_summary_done(&summary);

	/* An index: what is not in the store is not in the summary. */
	(void)ol_str_addf(&both,
		"{\"schemaVersion\":2,\"mediaType\":\"" OL_MEDIA_OCI_INDEX
		"\",\"manifests\":[{\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
		"\",\"digest\":\"%s\",\"size\":2},{\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
		"\",\"digest\":\"" A "\",\"size\":2},{\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
		"\",\"digest\":\"%s\",\"size\":2}]}",
		ol_digest_format(&one).text, ol_digest_format(&two).text);
	index = box_blob(box->store, ol_str_text(&both));
	text.size = 0;
	ol_summary_make(box->store, &index, &text);
	CHECK_INT("index", OL_OK, ol_summary_parse(ol_str_text(&text), &summary, NULL));
	CHECK_INT("index", 2, (long long)summary.count);
	CHECK_STR("second", "linux/arm64", ol_platform_format(&summary.entries[1].platform).text);
	CHECK_INT("labels", true, summary.entries[1].labels);
	ol_summary_done(&summary);
}

static void what_cannot_be_told_in_short_has_no_summary(void **state)
{
	store_box *box = *state;
	const ol_digest odd = put_manifest(box->store, CONFIG("a b;c", "")),
			missing = box_digest("missing"), text = box_blob(box->store, "text");
	const struct {
		const char *label;
		const ol_digest *root;
	} cases[] = { { "an odd platform", &odd }, { "no document", &missing },
		{ "not a document", &text } };

	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);

		ol_summary_make(box->store, c->root, &out);
		CHECK_STR(c->label, "", ol_str_text(&out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_summary_is_read_or_refused),
		cmocka_unit_test(a_summary_chooses_a_platform),
		BOX_TEST(a_summary_says_what_the_documents_say),
		BOX_TEST(what_cannot_be_told_in_short_has_no_summary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
