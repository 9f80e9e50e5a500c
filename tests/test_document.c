#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "manifest/document.h"
#include "tests/check.h"

#define D "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define D512                                                                                       \
	"sha512:"                                                                                  \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23" \
	"a3feebbd454d"                                                                             \
	"4423643ce80e2a9ac94fa54ca49f"
#define DESC(type) "{\"mediaType\":\"" type "\",\"digest\":\"" D "\",\"size\":3}"
#define CONFIG     "\"config\":" DESC(OL_MEDIA_OCI_CONFIG)
#define GZIP       OL_MEDIA_OCI_LAYER "+gzip"
#define LAYERS     "\"layers\":[" DESC(GZIP) "]"
#define V2         "{\"schemaVersion\":2,"
#define TYPE(type) "\"mediaType\":\"" type "\","
#define IN_TOTO    "application/vnd.in-toto+json"

/* What a registry may send, and what becomes of it. */
struct row {
	const char *label, *text, *expected;
	int rc;
	const char *words; /* or, where it is accepted, its type */
};

static void check_row(const struct row *c)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_error err = { 0 };

	CHECK_INT(c->label, c->rc,
		ol_document_parse(ol_view_of(c->text), c->expected, &document, &err));
	CHECK_STR(c->label, c->words, c->rc < 0 ? err.text : document->media_type);
	CHECK_INT(c->label, c->rc, c->rc < 0 ? err.code : OL_OK);
	CHECK_INT(c->label, c->rc == OL_OK, document != NULL);
}

static void both_kinds_of_both_makers_are_read(void **state)
{
	static const struct row cases[] = {
		{ "OCI", V2 TYPE(OL_MEDIA_OCI_MANIFEST) CONFIG "," LAYERS "}",
			OL_MEDIA_OCI_MANIFEST, OL_OK, OL_MEDIA_OCI_MANIFEST },
		{ "OCI without a type", V2 CONFIG "," LAYERS "}", NULL, OL_OK,
			OL_MEDIA_OCI_MANIFEST },
		{ "the type it came with", V2 CONFIG "," LAYERS "}", OL_MEDIA_DOCKER_MANIFEST,
			OL_OK, OL_MEDIA_DOCKER_MANIFEST },
		{ "a type that says nothing", V2 CONFIG "," LAYERS "}", "application/json", OL_OK,
			OL_MEDIA_OCI_MANIFEST },
		{ "with a parameter", V2 TYPE(OL_MEDIA_OCI_MANIFEST) CONFIG "," LAYERS "}",
			OL_MEDIA_OCI_MANIFEST "; charset=utf-8", OL_OK, OL_MEDIA_OCI_MANIFEST },
		{ "Docker", V2 TYPE(OL_MEDIA_DOCKER_MANIFEST) CONFIG "," LAYERS "}", "text/plain",
			OL_OK, OL_MEDIA_DOCKER_MANIFEST },
		{ "no layers", V2 CONFIG ",\"layers\":null}", NULL, OL_OK, OL_MEDIA_OCI_MANIFEST },
		{ "null is not there",
			V2 CONFIG "," LAYERS
				  ",\"mediaType\":null,\"subject\":null,\"annotations\":null}",
			NULL, OL_OK, OL_MEDIA_OCI_MANIFEST },
		{ "others' members", V2 CONFIG "," LAYERS ",\"x\":{\"Layers\":1},\"history\":[]}",
			NULL, OL_OK, OL_MEDIA_OCI_MANIFEST },
		{ "OCI index",
			V2 TYPE(OL_MEDIA_OCI_INDEX) "\"manifests\":[" DESC(
				OL_MEDIA_OCI_MANIFEST) "]}",
			OL_MEDIA_OCI_INDEX, OL_OK, OL_MEDIA_OCI_INDEX },
		{ "OCI index without a type", V2 "\"manifests\":[]}", "", OL_OK,
			OL_MEDIA_OCI_INDEX },
		{ "Docker list", V2 TYPE(OL_MEDIA_DOCKER_LIST) "\"manifests\":[]}", NULL, OL_OK,
			OL_MEDIA_DOCKER_LIST },
		{ "no entries", V2 "\"manifests\":null}", NULL, OL_OK, OL_MEDIA_OCI_INDEX },
		{ "unknown types of entries", V2 "\"manifests\":[" DESC("x/y") "]}", NULL, OL_OK,
			OL_MEDIA_OCI_INDEX },
	};

	(void)state;
	OL_EACH (cases, c)
		check_row(c);
}

/* CVE-2021-41190. */
static void what_could_be_read_in_two_ways_is_refused(void **state)
{
	static const struct row cases[] = {
		{ "both", V2 CONFIG "," LAYERS ",\"manifests\":[]}", NULL, OL_ECORRUPT,
			"ambiguous: both a manifest and an index" },
		{ "index with layers", V2 "\"manifests\":[]," LAYERS "}", NULL, OL_ECORRUPT,
			"ambiguous: both a manifest and an index" },
		{ "index with config", V2 "\"manifests\":[]," CONFIG "}", OL_MEDIA_OCI_INDEX,
			OL_ECORRUPT, "ambiguous: both a manifest and an index" },
		{ "even null", V2 "\"manifests\":null," CONFIG "," LAYERS "}", NULL, OL_ECORRUPT,
			"ambiguous: both a manifest and an index" },
		{ "came as index", V2 CONFIG "," LAYERS "}", OL_MEDIA_OCI_INDEX, OL_ECORRUPT,
			"ambiguous: it came as \"" OL_MEDIA_OCI_INDEX "\" but is a manifest" },
		{ "came as manifest", V2 "\"manifests\":[]}", OL_MEDIA_DOCKER_MANIFEST, OL_ECORRUPT,
			"ambiguous: it came as \"" OL_MEDIA_DOCKER_MANIFEST "\" but is an index" },
		{ "came as layer", V2 "\"manifests\":[]}", GZIP, OL_ECORRUPT,
			"ambiguous: it came as \"" GZIP "\" but is an index" },
		{ "says index", V2 TYPE(OL_MEDIA_OCI_INDEX) CONFIG "," LAYERS "}", NULL,
			OL_ECORRUPT,
			"ambiguous: it says it is \"" OL_MEDIA_OCI_INDEX "\" but is a manifest" },
		{ "says manifest", V2 TYPE(OL_MEDIA_OCI_MANIFEST) "\"manifests\":[]}", NULL,
			OL_ECORRUPT,
			"ambiguous: it says it is \"" OL_MEDIA_OCI_MANIFEST "\" but is an index" },
		{ "other maker", V2 TYPE(OL_MEDIA_DOCKER_MANIFEST) CONFIG "," LAYERS "}",
			OL_MEDIA_OCI_MANIFEST, OL_ECORRUPT,
			"ambiguous: it came as \"" OL_MEDIA_OCI_MANIFEST
			"\" but says it is another type" },
		{ "other case", V2 CONFIG "," LAYERS ",\"Manifests\":[]}", NULL, OL_ECORRUPT,
			"ambiguous: member \"Manifests\" could be read as \"manifests\"" },
		{ "only the other case", V2 CONFIG ",\"LAYERS\":[]}", NULL, OL_ECORRUPT,
			"ambiguous: member \"LAYERS\" could be read as \"layers\"" },
		{ "Unicode's other case", V2 CONFIG "," LAYERS ",\"manife\\u017fts\":[]}", NULL,
			OL_ECORRUPT, "ambiguous: a member's name is not ASCII" },
		{ "twice", V2 CONFIG "," LAYERS "," LAYERS "}", NULL, OL_ECORRUPT,
			"not JSON: line 1, column 348: duplicate object key near '\"layers\"'" },
	};

	(void)state;
	OL_EACH (cases, c)
		check_row(c);
}

static void what_is_no_document_is_refused_with_words(void **state)
{
	static const struct row cases[] = {
		{ "nothing", "", NULL, OL_ECORRUPT,
			"not JSON: line 1, column 0: unexpected token near end of file" },
		{ "array", "[]", NULL, OL_ECORRUPT, "not an object" },
		{ "empty", "{}", NULL, OL_ECORRUPT, "schemaVersion is missing" },
		{ "no version", "{" CONFIG "," LAYERS "}", NULL, OL_ECORRUPT,
			"schemaVersion is missing" },
		{ "version 3", "{\"schemaVersion\":3," CONFIG "," LAYERS "}", NULL, OL_EUNSUPPORTED,
			"schemaVersion is 3, not 2" },
		{ "version as text", "{\"schemaVersion\":\"2\"," CONFIG "," LAYERS "}", NULL,
			OL_ECORRUPT, "schemaVersion is not an integer" },
		{ "neither", V2 "\"x\":1}", NULL, OL_ECORRUPT, "neither a manifest nor an index" },
		{ "type is no text", V2 "\"mediaType\":1," CONFIG "," LAYERS "}", NULL, OL_ECORRUPT,
			"mediaType is not a string" },
		{ "artifact manifest",
			V2 TYPE("application/vnd.oci.artifact.manifest.v1+json") "\"blobs\":[]}",
			NULL, OL_EUNSUPPORTED,
			"type \"application/vnd.oci.artifact.manifest.v1+json\" is neither a "
			"manifest nor an index" },
		{ "type with escapes", V2 TYPE("\\u001b[2J") CONFIG "," LAYERS "}", NULL,
			OL_EUNSUPPORTED, "type \"\\x1b[2J\" is neither a manifest nor an index" },
		{ "no config", V2 LAYERS "}", NULL, OL_ECORRUPT, "config is missing" },
		{ "no layers", V2 CONFIG "}", NULL, OL_ECORRUPT, "layers is missing" },
		{ "config is text", V2 "\"config\":\"x\"," LAYERS "}", NULL, OL_ECORRUPT,
			"config: not an object" },
		{ "layers is an object", V2 CONFIG ",\"layers\":{}}", NULL, OL_ECORRUPT,
			"layers is not an array" },
		{ "a layer is null", V2 CONFIG ",\"layers\":[null]}", NULL, OL_ECORRUPT,
			"layers[0]: not an object" },
		{ "manifests is text", V2 "\"manifests\":\"x\"}", NULL, OL_ECORRUPT,
			"manifests is not an array" },
		{ "where it is",
			V2 CONFIG
			",\"layers\":[" DESC("x/y") "," DESC("x/y") ",{\"mediaType\":\"x/y\"}]}",
			NULL, OL_ECORRUPT, "layers[2]: digest is missing" },
		{ "subject", V2 CONFIG "," LAYERS ",\"subject\":{}}", NULL, OL_ECORRUPT,
			"subject: mediaType is missing" },
		{ "annotations", V2 CONFIG "," LAYERS ",\"annotations\":{\"a\":\"\",\"b\":1}}",
			NULL, OL_ECORRUPT, "annotations: value 2 is not a string" },
		{ "artifactType", V2 CONFIG "," LAYERS ",\"artifactType\":[]}", NULL, OL_ECORRUPT,
			"artifactType is not a string" },
		{ "a digest that cannot be verified",
			V2 CONFIG ",\"layers\":[{\"mediaType\":\"x/y\",\"digest\":\"md5:0\","
				  "\"size\":1}]}",
			NULL, OL_EUNSUPPORTED,
			"layers[0]: digest algorithm \"md5\" cannot be verified here" },
	};

	(void)state;
	OL_EACH (cases, c)
		check_row(c);
}

static void schema_1_is_refused_with_advice(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "{\"schemaVersion\":1,\"name\":\"x\",\"fsLayers\":[],\"history\":[]}", NULL },
		{ "{\"schemaVersion\":1," TYPE(
			  "application/vnd.docker.distribution.manifest.v1+json") "\"tag\":\"x\"}",
			NULL },
		{ "not looked at", "application/vnd.docker.distribution.manifest.v1+prettyjws" },
		{ "{\"fsLayers\":[]}", NULL },
		{ V2 CONFIG "," LAYERS ",\"fsLayers\":null}", OL_MEDIA_OCI_MANIFEST },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_document *document = NULL;
		ol_error err = { 0 };

		CHECK_INT(c->text, OL_EUNSUPPORTED,
			ol_document_parse(ol_view_of(c->text), c->expected, &document, &err));
		CHECK_STR(c->text, "the image is in Docker's schema 1 format, given up in 2015",
			err.text);
		CHECK_INT(c->text, 1, strstr(err.hint, "skopeo copy --format v2s2") != NULL);
		assert_null(document);
	}
}

static int parse_many(const char *before, size_t count, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_auto_str ol_str text = OL_STR(OL_MANIFEST_BYTES_MAX);

	ol_str_addf(&text, "%s[", before);
	for (size_t i = 0; i < count; i++)
		ol_str_addf(&text, "%s" DESC("x/y"), i ? "," : "");
	ol_str_add(&text, "]}");
	CHECK_INT("fits", OL_OK, text.rc);
	return ol_document_parse(ol_buf_view(&text), NULL, &document, err);
}

static void every_count_has_a_bound(void **state)
{
	ol_autofree char *large = ol_alloc(OL_MANIFEST_BYTES_MAX + 1);
	ol_document *document = NULL;
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("layers", OL_OK, parse_many(V2 CONFIG ",\"layers\":", OL_LAYERS_MAX, &err));
	CHECK_INT(
		"layers", OL_ELIMIT, parse_many(V2 CONFIG ",\"layers\":", OL_LAYERS_MAX + 1, &err));
	CHECK_STR("layers", "layers: there are 501, more than the 500 allowed", err.text);
	CHECK_INT("entries", OL_OK, parse_many(V2 "\"manifests\":", OL_INDEX_ENTRIES_MAX, &err));
	CHECK_INT("entries", OL_ELIMIT,
		parse_many(V2 "\"manifests\":", OL_INDEX_ENTRIES_MAX + 1, &err));
	CHECK_STR("entries", "manifests: there are 4097, more than the 4096 allowed", err.text);
	CHECK_INT("bytes", OL_ELIMIT,
		ol_document_parse(
			ol_view_from(large, OL_MANIFEST_BYTES_MAX + 1), NULL, &document, &err));
	CHECK_STR("bytes", "4194305 bytes, more than the 4194304 allowed", err.text);
}

static void a_manifest_is_read_whole(void **state)
{
	static const char text[] =
		V2 "\"artifactType\":\"a/b\"," CONFIG ",\"layers\":[{\"mediaType\":\"" GZIP
		   "\",\"digest\":\"" D512 "\",\"size\":17592186044416,\"urls\":[\"https://"
		   "a.example/x\",\"https://b.example/x\"],"
		   "\"annotations\":{\"k\":\"v\",\"empty\":null}}],\"subject\":{\"mediaType\":\"x/"
		   "y\",\"digest\":\"blake3:0\","
		   "\"size\":1},\"annotations\":{\"a\":\"1\",\"b\":\"2\"}}";
	ol_auto(ol_document_free) ol_document *document = NULL;
	const ol_descriptor *layer;

	(void)state;
	CHECK_INT("parse", OL_OK, ol_document_parse(ol_view_of(text), NULL, &document, NULL));
	CHECK_INT("kind", OL_DOCUMENT_MANIFEST, document->kind);
	CHECK_STR("artifactType", "a/b", document->artifact_type);
	CHECK_STR("config", OL_MEDIA_OCI_CONFIG, document->config.media_type);
	CHECK_STR("config", D, ol_digest_format(&document->config.digest).text);
	CHECK_INT("config", 3, (long long)document->config.size);
	CHECK_INT("layers", 1, (long long)document->layer_count);
	layer = &document->layers[0];
	CHECK_INT("media", OL_COMPRESSION_GZIP, layer->media.compression);
	CHECK_STR("digest", D512, ol_digest_format(&layer->digest).text);
	CHECK_INT("size", 1LL << 44, (long long)layer->size);
	CHECK_STR("url", "https://b.example/x", layer->urls[1]);
	assert_null(layer->urls[2]);
	CHECK_STR("annotation", "v", ol_descriptor_annotation(layer, "k"));
	CHECK_STR("annotation", "", ol_descriptor_annotation(layer, "empty"));
	assert_null(ol_descriptor_annotation(layer, "none"));
	assert_null(layer->artifact_type);
	CHECK_INT("platform", 0, layer->has_platform);
	CHECK_INT("subject", 1, document->has_subject);
	CHECK_INT("its digest cannot be verified", 0, ol_digest_is_set(&document->subject.digest));
	CHECK_INT("annotations", 2, (long long)document->annotation_count);
	CHECK_STR("annotations", "2", document->annotations[1].value);
}

static void an_image_is_told_from_an_artifact(void **state)
{
	static const struct {
		const char *label, *text;
		bool image;
	} cases[] = {
		{ "image", V2 CONFIG "," LAYERS "}", true },
		{ "Docker's", V2 "\"config\":" DESC(OL_MEDIA_DOCKER_CONFIG) "," LAYERS "}", true },
		{ "no layers", V2 CONFIG ",\"layers\":[]}", true },
		{ "layers of a kind to come",
			V2 CONFIG ",\"layers\":[" DESC("application/vnd.erofs.layer.v1") "]}",
			true },
		{ "artifact", V2 "\"config\":" DESC(OL_MEDIA_OCI_EMPTY) "," LAYERS "}", false },
		{ "Helm chart",
			V2 "\"config\":" DESC("application/vnd.cncf.helm.config.v1+json") "," LAYERS
											  "}",
			false },
		{ "attestation", V2 CONFIG ",\"layers\":[" DESC(IN_TOTO) "]}", false },
		{ "index", V2 "\"manifests\":[]}", false },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_document_free) ol_document *document = NULL;

		CHECK_INT(c->label, OL_OK,
			ol_document_parse(ol_view_of(c->text), NULL, &document, NULL));
		CHECK_INT(c->label, c->image, ol_document_is_image(document));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_kinds_of_both_makers_are_read),
		cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
		cmocka_unit_test(what_is_no_document_is_refused_with_words),
		cmocka_unit_test(schema_1_is_refused_with_advice),
		cmocka_unit_test(every_count_has_a_bound),
		cmocka_unit_test(a_manifest_is_read_whole),
		cmocka_unit_test(an_image_is_told_from_an_artifact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
