#include "base/alloc.h"
#include "manifest/soci.h"
#include "tests/check.h"

#define A        "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B        "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C        "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define V1       "application/vnd.amazon.soci.index.v1+json"
#define V2       "application/vnd.amazon.soci.index.v2+json"
#define PREFETCH "application/vnd.amazon.soci.prefetch.v1+json"
#define KEY      "com.amazon.soci."
#define STREAM   "application/octet-stream"
#define MANIFEST "application/vnd.oci.image.manifest.v1+json"

#define HEAD(type)   "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST "\"," CONFIG(type)
#define CONFIG(type) "\"config\":{\"mediaType\":\"" type "\",\"digest\":\"" C "\",\"size\":2},"
#define SUBJECT      ",\"subject\":{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" C "\",\"size\":9}"
#define LAYER(type, digest, notes)                                                                 \
	"{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":7,\"annotations\":{" notes \
	"}}"
#define OF(digest) "\"" KEY "image-layer-digest\":\"" digest "\""
#define SPAN(size) "\"" KEY "span-size\":\"" size "\""

static void indexes_of_both_versions_are_read(void **state)
{
	static const struct {
		const char *text;
		int rc;
		unsigned version;
		size_t layers;
		const char *words;
	} cases[] = {
		{ HEAD(V2) "\"layers\":[" LAYER(STREAM, A, OF(B) "," SPAN("4194304")) "]}", OL_OK,
			2, 1, "" },
		{ HEAD(V2) "\"artifactType\":\"" V2 "\",\"layers\":[" LAYER(STREAM, A, OF(B)) "]}",
			OL_OK, 2, 1, "" },
		{ HEAD(V1) "\"layers\":[" LAYER(STREAM, A, OF(B)) "]" SUBJECT "}", OL_OK, 1, 1,
			"" },
		{ HEAD(V2) "\"layers\":[]}", OL_OK, 2, 0, "" },
		{ HEAD(V2) "\"layers\":[" LAYER(PREFETCH, A, "") "," LAYER(STREAM, A, OF(C)) "]}",
			OL_OK, 2, 1, "" },
		{ HEAD(V2) "\"layers\":[" LAYER(STREAM, A, OF(B)) "," LAYER(STREAM, A, OF(B)) "]}",
			OL_OK, 2, 1, "" },
		/* refused */
		{ HEAD(V1) "\"layers\":[]}", OL_ECORRUPT, 0, 0, "says of no image" },
		{ HEAD(V2) "\"artifactType\":\"" V1 "\",\"layers\":[]}", OL_ECORRUPT, 0, 0,
			"contradict" },
		{ HEAD(V2) "\"layers\":[" LAYER(STREAM, A, "") "]}", OL_ECORRUPT, 0, 0,
			"image-layer-digest is missing" },
		{ HEAD(V2) "\"layers\":[" LAYER(STREAM, A, OF("md5:00")) "]}", OL_ECORRUPT, 0, 0,
			"is no digest" },
		{ HEAD(V2) "\"layers\":[" LAYER(STREAM, A, OF(B) "," SPAN("-1")) "]}", OL_ECORRUPT,
			0, 0, "is no size" },
		{ HEAD(V2) "\"layers\":[" LAYER(
			  STREAM, A, OF(B) "," SPAN("9999999999999999999")) "]}",
			OL_ECORRUPT, 0, 0, "is no size" },
		{ HEAD(V2) "\"layers\":[" LAYER(STREAM, A, OF(B)) "," LAYER(STREAM, C, OF(B)) "]}",
			OL_ECORRUPT, 0, 0, "layers[1]: another ztoc" },
		{ HEAD("application/vnd.oci.image.config.v1+json") "\"layers\":[]}",
			OL_EUNSUPPORTED, 0, 0, "no index of SOCI" },
		{ HEAD("application/vnd.amazon.soci.index.v3+json") "\"layers\":[]}",
			OL_EUNSUPPORTED, 0, 0, "no index of SOCI" },
		{ "{\"schemaVersion\":2,\"manifests\":[]}", OL_EUNSUPPORTED, 0, 0,
			"one of manifests" },
		{ "{}", OL_ECORRUPT, 0, 0, "the SOCI index" },
		{ "", OL_ECORRUPT, 0, 0, "the SOCI index" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_soci_index index = { 0 };
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc, ol_soci_index_parse(ol_view_of(c->text), &index, &err));
		CHECK_INT(c->text, c->version, index.version);
		CHECK_INT(c->text, (long long)c->layers, (long long)index.layer_count);
		if (!strstr(err.text, c->words))
			CHECK_STR(c->text, c->words, err.text);
		ol_soci_index_done(&index);
	}
}

static ol_digest digest(const char *text)
{
	ol_digest out;

	assert_int_equal(OL_OK, ol_digest_parse(ol_view_of(text), &out, NULL));
	return out;
}

static void a_layers_ztoc_is_found(void **state)
{
	static const char text[] = HEAD(V1) "\"layers\":[" LAYER(STREAM, A,
		OF(B) "," SPAN("4194304") ",\"" KEY "image-layer-mediaType\":\"x/y\"") "]" SUBJECT
										       "}";
	const ol_digest layer = digest(B), other = digest(A), image = digest(C);
	const ol_soci_layer *found;
	ol_soci_index index;

	(void)state;
	assert_int_equal(OL_OK, ol_soci_index_parse(ol_view_of(text), &index, NULL));
	found = ol_soci_layer_of(&index, &layer);
	assert_non_null(found);
	assert_true(ol_digest_eq(&other, &found->ztoc->digest));
	assert_int_equal(7, found->ztoc->size);
	assert_int_equal(4194304, found->span_bytes);
	assert_string_equal("x/y", found->layer_type);
	assert_true(ol_digest_eq(&image, &index.subject));
	assert_null(ol_soci_layer_of(&index, &other));
	ol_soci_index_done(&index);
}

static void a_manifest_names_its_index(void **state)
{
	static const struct {
		const char *notes;
		int rc;
	} cases[] = {
		{ "\"x\":\"y\",\"" KEY "index-digest\":\"" A "\"", OL_OK },
		{ "\"x\":\"y\"", OL_ENOTFOUND },
		{ "\"" KEY "index-digest\":\"sha256:short\"", OL_ECORRUPT },
		{ "\"" KEY "index-digest\":\"\"", OL_ECORRUPT },
	};
	const ol_digest want = digest(A);

	(void)state;
	OL_EACH (cases, c) {
		ol_autofree char *text = ol_text("%s\"layers\":[],\"annotations\":{%s}}",
			HEAD("application/vnd.oci.image.config.v1+json"), c->notes);
		ol_auto(ol_document_free) ol_document *manifest = NULL;
		ol_digest got = { 0 };

		assert_int_equal(OL_OK, ol_document_parse(ol_view_of(text), NULL, &manifest, NULL));
		CHECK_INT(c->notes, c->rc, ol_soci_binding_of(manifest, &got, NULL));
		CHECK_INT(c->notes, c->rc == OL_OK, ol_digest_eq(&want, &got));
	}
}

#define ENTRY(artifact, notes)                                                                     \
	"{\"mediaType\":\"" MANIFEST "\",\"digest\":\"" A "\",\"size\":3,\"artifactType\":"        \
	"\"" artifact "\",\"annotations\":{" notes "}}"
#define MANIFEST_IS(digest) "\"" KEY "image-manifest-digest\":\"" digest "\""

static void an_index_lists_the_index_of_each_manifest(void **state)
{
	static const struct {
		const char *entries;
		int at; /* or -1 */
	} cases[] = {
		{ ENTRY(V2, MANIFEST_IS(B)), 0 },
		{ ENTRY(V2, MANIFEST_IS(C)) "," ENTRY(V2, MANIFEST_IS(B)), 1 },
		{ ENTRY(V2, MANIFEST_IS(C)), -1 },
		{ ENTRY(V1, MANIFEST_IS(B)), -1 },
		{ ENTRY(V2, "\"x\":\"y\""), -1 },
		{ "", -1 },
	};
	const ol_digest image = digest(B);

	(void)state;
	OL_EACH (cases, c) {
		ol_autofree char *text =
			ol_text("{\"schemaVersion\":2,\"manifests\":[%s]}", c->entries);
		ol_auto(ol_document_free) ol_document *index = NULL;
		const ol_descriptor *found;

		assert_int_equal(OL_OK, ol_document_parse(ol_view_of(text), NULL, &index, NULL));
		found = ol_soci_entry_of(index, &image);
		CHECK_INT(c->entries, c->at, found ? (int)(found - index->manifests) : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(indexes_of_both_versions_are_read),
		cmocka_unit_test(a_layers_ztoc_is_found),
		cmocka_unit_test(a_manifest_names_its_index),
		cmocka_unit_test(an_index_lists_the_index_of_each_manifest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
