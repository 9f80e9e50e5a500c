#include "base/alloc.h"
#include "manifest/document.h"
#include "tests/check.h"

#define ENTRY(type, size, more)                                                                    \
	"{\"mediaType\":\"" type "\",\"digest\":\"sha256:"                                         \
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\","                      \
	"\"size\":" #size more "}"
#define ON(os, arch) ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"}"
#define ONV(os, arch, v)                                                                           \
	",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\",\"variant\":\"" v "\"}"
#define M(size, more)     ENTRY("application/vnd.oci.image.manifest.v1+json", size, more)
#define INDEX(size, more) ENTRY("application/vnd.oci.image.index.v1+json", size, more)
#define ATTESTATION       ",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}"

static ol_document *index_of(const char *entries)
{
	ol_autofree char *text = ol_text("{\"schemaVersion\":2,\"manifests\":[%s]}", entries);
	ol_document *index = NULL;

	CHECK_INT(entries, OL_OK, ol_document_parse(ol_view_of(text), NULL, &index, NULL));
	return index;
}

/* Entries are told apart by their size. */
static void the_best_entry_is_chosen(void **state)
{
	static const struct {
		const char *label, *want, *entries;
		int size;
	} cases[] = {
		{ "the one", "linux/arm64",
			M(1, ON("linux", "amd64")) "," M(2, ON("linux", "arm64")), 2 },
		{ "the first of equals", "linux/amd64",
			M(1, ON("linux", "amd64")) "," M(2, ON("linux", "amd64")), 1 },
		{ "the best variant", "linux/amd64/v3",
			M(1, ON("linux", "amd64")) "," M(3, ONV("linux", "amd64", "v4")) "," M(
				2, ONV("linux", "amd64", "v2")),
			2 },
		{ "a plain one has no variant", "linux/amd64",
			M(1, ONV("linux", "amd64", "v3")) "," M(2, ON("linux", "amd64")), 2 },
		{ "a fallback", "linux/amd64",
			M(1, ON("linux", "arm64")) "," M(2, ON("linux", "386")), 2 },
		{ "said before not said", "linux/amd64", M(1, "") "," M(2, ON("linux", "386")), 2 },
		{ "not said", "linux/amd64", M(1, ON("linux", "arm64")) "," M(2, ""), 2 },
		{ "nested", "linux/amd64", M(1, ON("linux", "arm64")) "," INDEX(2, ""), 2 },
		{ "nested with its platform", "linux/amd64",
			M(1, "") "," INDEX(2, ON("linux", "amd64")), 2 },
		{ "another type", "linux/amd64",
			ENTRY("x/y", 1, ON("linux", "amd64")) "," M(2, ON("linux", "amd64")), 2 },
		{ "schema 1", "linux/amd64",
			ENTRY("application/vnd.docker.distribution.manifest.v1+json", 1,
				ON("linux", "amd64")) "," M(2, ON("linux", "amd64")),
			2 },
		{ "an attestation", "linux/amd64",
			M(1, ON("unknown", "unknown") ATTESTATION) "," M(2, ""), 2 },
		{ "an attestation by platform", "linux/amd64",
			M(1, ON("unknown", "unknown")) "," M(2, ""), 2 },
		{ "an attestation by annotation", "linux/amd64",
			M(1, ON("linux", "amd64") ATTESTATION) "," M(2, ON("linux", "amd64")), 2 },
		{ "an artifact", "linux/amd64", M(1, ",\"artifactType\":\"a/b\"") "," M(2, ""), 2 },
		{ "an image by its config's type", "linux/amd64",
			M(1, ",\"artifactType\":\"application/"
			     "vnd.oci.image.config.v1+json\"") "," M(2, ""),
			1 },
		{ "what cannot be verified", "linux/amd64",
			"{\"mediaType\":\"application/"
			"vnd.oci.image.manifest.v1+json\",\"digest\":\"md5:0\",\"size\":1}"
			"," M(2, ""),
			2 },
		{ "Docker's", "linux/amd64",
			ENTRY("application/vnd.docker.distribution.manifest.v2+json", 2,
				ON("linux", "x86_64")),
			2 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_document_free) ol_document *index = index_of(c->entries);
		ol_platform want = { 0 };
		const ol_descriptor *chosen = NULL;

		CHECK_INT(c->label, OL_OK, ol_platform_parse(c->want, &want, NULL));
		CHECK_INT(c->label, OL_OK, ol_index_choose(index, &want, &chosen, NULL));
		CHECK_INT(c->label, c->size, (long long)chosen->size);
	}
}

static void the_platforms_there_are_are_listed(void **state)
{
	static const struct {
		const char *entries, *words;
	} cases[] = {
		{ M(1, ON("linux", "amd64")) "," M(2, ONV("linux", "arm", "v6")),
			"no image for linux/s390x, only for linux/amd64, linux/arm/v6" },
		{ M(1, ON("linux", "amd64")) "," M(2, ON("linux", "amd64")) "," M(
			  3, ON("unknown", "unknown")),
			"no image for linux/s390x, only for linux/amd64" },
		{ M(1, ON("\\u001b[2J", "x")), "no image for linux/s390x, only for \\x1b[2j/x" },
		{ "", "no image for linux/s390x: the index lists none at all" },
		{ M(1, ON("unknown", "unknown")) "," ENTRY("x/y", 2, ""),
			"no image for linux/s390x: the index lists none at all" },
	};
	ol_platform want = { .os = "linux", .architecture = "s390x" };

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_document_free) ol_document *index = index_of(c->entries);
		const ol_descriptor *chosen = NULL;
		ol_error err = { 0 };

		CHECK_INT(c->words, OL_ENOTFOUND, ol_index_choose(index, &want, &chosen, &err));
		CHECK_STR(c->words, c->words, err.text);
		CHECK_INT(c->words, strstr(c->words, "only") != NULL,
			strstr(err.hint, "--platform") != NULL);
		assert_null(chosen);
	}
}

static void a_long_list_of_platforms_is_cut(void **state)
{
	ol_auto_str ol_str entries = OL_STR((size_t)1 << 20);
	ol_auto(ol_document_free) ol_document *index = NULL;
	ol_platform want = { .os = "linux", .architecture = "s390x" };
	const ol_descriptor *chosen = NULL;
	ol_error err = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		ol_str_addf(
			&entries, "%s" M(1, ONV("linux", "architecture", "%d")), i ? "," : "", i);
	index = index_of(ol_str_text(&entries));
	CHECK_INT("choose", OL_ENOTFOUND, ol_index_choose(index, &want, &chosen, &err));
	CHECK_INT("shown", 1, strstr(err.text, "linux/architecture/15") != NULL);
	CHECK_INT("cut", 1, strstr(err.text, "linux/architecture/16") == NULL);
}

static void candidates_come_best_first(void **state)
{
	ol_auto(ol_document_free) ol_document *index =
		index_of(M(1, "") "," M(2, ON("linux", "386")) "," INDEX(3, "") "," M(
			4, ON("linux", "amd64")) "," M(5, ON("linux", "arm64")));
	ol_platform want = { .os = "linux", .architecture = "amd64" };
	const ol_descriptor *list[5];
	static const int sizes[] = { 4, 2, 1, 3 };

	(void)state;
	CHECK_INT("count", 4, (long long)ol_index_candidates(index, &want, list));
	for (size_t i = 0; i < 4; i++)
		CHECK_INT("order", sizes[i], (long long)list[i]->size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_entry_is_chosen),
		cmocka_unit_test(the_platforms_there_are_are_listed),
		cmocka_unit_test(a_long_list_of_platforms_is_cut),
		cmocka_unit_test(candidates_come_best_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
