/* Descriptors, through the only door they have: a document. */
#include "base/alloc.h"
#include "manifest/document.h"
#include "tests/check.h"

/* Of "abc", and of nothing. */
#define D      "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define E      "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define EMPTY  "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define HEAD   "\"mediaType\":\"x/y\",\"digest\":\"" D "\""
#define HEAD3  HEAD ",\"size\":3"
#define LONG32 "abcdefghijklmnopqrstuvwxyz012345"

static int parse(const char *members, ol_document **out, ol_error *err)
{
	ol_autofree char *text = ol_text("{\"schemaVersion\":2,\"manifests\":[{%s}]}", members);

	return ol_document_parse(ol_view_of(text), NULL, out, err);
}

static void what_is_no_descriptor_is_refused_with_words(void **state)
{
	static const struct {
		const char *members;
		int rc;
		const char *words;
	} cases[] = {
		{ "", OL_ECORRUPT, "mediaType is missing" },
		{ "\"mediaType\":\"\",\"digest\":\"" D "\",\"size\":3", OL_ECORRUPT,
			"mediaType is missing" },
		{ "\"mediaType\":null,\"digest\":\"" D "\",\"size\":3", OL_ECORRUPT,
			"mediaType is missing" },
		{ "\"mediaType\":7,\"digest\":\"" D "\",\"size\":3", OL_ECORRUPT,
			"mediaType is not a string" },
		{ "\"mediaType\":\"x/y\",\"size\":3", OL_ECORRUPT, "digest is missing" },
		{ "\"mediaType\":\"x/y\",\"digest\":{},\"size\":3", OL_ECORRUPT,
			"digest is not a string" },
		{ "\"mediaType\":\"x/y\",\"digest\":\"sha256:../x\",\"size\":3", OL_ECORRUPT,
			"digest \"sha256:../x\" is not well formed" },
		{ "\"mediaType\":\"x/y\",\"digest\":\"sha256:00\",\"size\":3", OL_ECORRUPT,
			"digest \"sha256:00\" is not 64 lower-case hex digits" },
		{ HEAD, OL_ECORRUPT, "size is missing" },
		{ HEAD ",\"size\":null", OL_ECORRUPT, "size is missing" },
		{ HEAD ",\"size\":-1", OL_ECORRUPT, "size is negative" },
		{ HEAD ",\"size\":\"3\"", OL_ECORRUPT, "size is not an integer" },
		{ HEAD ",\"size\":3.0", OL_ECORRUPT, "size is not an integer" },
		{ HEAD ",\"size\":17592186044417", OL_ELIMIT,
			"size is 17592186044417 bytes, more than any blob has" },
		{ HEAD3 ",\"urls\":\"x\"", OL_ECORRUPT, "urls is not an array" },
		{ HEAD3 ",\"urls\":[\"x\",null]", OL_ECORRUPT, "urls[1] is not a string" },
		{ HEAD3 ",\"annotations\":[]", OL_ECORRUPT, "annotations is not an object" },
		{ HEAD3 ",\"annotations\":{\"a\":{}}", OL_ECORRUPT,
			"annotations: value 1 is not a string" },
		{ HEAD3 ",\"platform\":\"linux\"", OL_ECORRUPT, "platform is not an object" },
		{ HEAD3 ",\"platform\":{\"os\":1}", OL_ECORRUPT, "platform: os is not a string" },
		{ HEAD3 ",\"platform\":{\"architecture\":\"" LONG32 "\"}", OL_ELIMIT,
			"platform: architecture is longer than 31 bytes" },
		{ HEAD3 ",\"platform\":{\"variant\":\"" LONG32 "\"}", OL_ELIMIT,
			"platform: variant is longer than 15 bytes" },
		{ HEAD3 ",\"artifactType\":1", OL_ECORRUPT, "artifactType is not a string" },
		{ HEAD3 ",\"Digest\":\"" E "\"", OL_ECORRUPT,
			"member \"Digest\" could be read as \"digest\"" },
		{ HEAD3 ",\"\\u017fize\":4", OL_ECORRUPT, "a member's name is not ASCII" },
		{ HEAD3 ",\"data\":7", OL_ECORRUPT, "data is not a string" },
		{ HEAD3 ",\"data\":\"YWJj=\"", OL_ECORRUPT,
			"data: not base64: 5 characters are not a multiple of four" },
		{ HEAD3 ",\"data\":\"YWJ!\"", OL_ECORRUPT, "data: not base64: at byte 0" },
		{ HEAD3 ",\"data\":\"YWJjZA==\"", OL_ECORRUPT, "data: 4 bytes, not 3" },
		{ HEAD3 ",\"data\":\"\"", OL_ECORRUPT, "data: 0 bytes, not 3" },
		{ HEAD3 ",\"data\":\"YWJk\"", OL_ECORRUPT,
			"data: digest is "
			"sha256:a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9, "
			"not " D },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_document *document = NULL;
		ol_error err = { 0 };
		ol_autofree char *words = ol_text("manifests[0]: %s", c->words);

		CHECK_INT(c->members, c->rc, parse(c->members, &document, &err));
		CHECK_STR(c->members, words, err.text);
		assert_null(document);
	}
}

static void inline_content_is_given_once_verified(void **state)
{
	static const struct {
		const char *label, *members, *data;
		size_t size;
	} cases[] = {
		{ "none", HEAD3, NULL, 0 },
		{ "null", HEAD3 ",\"data\":null", NULL, 0 },
		{ "data", HEAD3 ",\"data\":\"YWJj\"", "abc", 3 },
		{ "empty",
			"\"mediaType\":\"" OL_MEDIA_OCI_EMPTY "\",\"digest\":\"" EMPTY
			"\",\"size\":2,\"data\":\"e30=\"",
			"{}", 2 },
		{ "of no bytes",
			"\"mediaType\":\"x/y\",\"digest\":\"" E "\",\"size\":0,\"data\":\"\"", "",
			0 },
		{ "not verifiable",
			"\"mediaType\":\"x/y\",\"digest\":\"md5:0\",\"size\":3,\"data\":\"YWJj\"",
			NULL, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_document_free) ol_document *document = NULL;
		ol_view data;

		CHECK_INT(c->label, OL_OK, parse(c->members, &document, NULL));
		data = document->manifests[0].data;
		CHECK_INT(c->label, c->data != NULL, data.data != NULL);
		CHECK_INT(c->label, (long long)c->size, (long long)data.size);
		if (c->size && data.data)
			CHECK_INT(c->label, 0, memcmp(c->data, data.data, c->size));
	}
}

static void an_entry_says_its_platform(void **state)
{
	static const struct {
		const char *members, *platform;
		bool there;
	} cases[] = {
		{ HEAD3, "unknown/unknown", false },
		{ HEAD3 ",\"platform\":null", "unknown/unknown", false },
		{ HEAD3 ",\"platform\":{}", "unknown/unknown", false },
		{ HEAD3 ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}",
			"linux/amd64", true },
		{ HEAD3 ",\"platform\":{\"os\":\"Linux\",\"architecture\":\"aarch64\",\"variant\":"
			"\"v8\"}",
			"linux/arm64", true },
		{ HEAD3 ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":"
			"null}",
			"linux/arm/v7", true },
		{ HEAD3 ",\"platform\":{\"os\":\"linux\",\"architecture\":\"x\",\"features\":["
			"\"a\"],\"os.features\":[]}",
			"linux/x", true },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_document_free) ol_document *document = NULL;
		const ol_descriptor *entry;

		CHECK_INT(c->members, OL_OK, parse(c->members, &document, NULL));
		entry = &document->manifests[0];
		CHECK_INT(c->members, c->there, entry->has_platform);
		CHECK_STR(c->members, c->platform, ol_platform_format(&entry->platform).text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_descriptor_is_refused_with_words),
		cmocka_unit_test(inline_content_is_given_once_verified),
		cmocka_unit_test(an_entry_says_its_platform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
