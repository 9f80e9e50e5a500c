#include "base/alloc.h"
#include "base/limits.h"
#include "image/archive_docker_priv.h"
#include "tests/check.h"

static void manifest_json_lists_images(void **state)
{
	static const char text[] =
		"[{\"Config\":\"c.json\",\"RepoTags\":[\"app:1\",\"app:2\"],\"Layers\":[\"a/"
		"layer.tar\",\"b.tar\"],\"LayerSources\":{}},"
		"{\"Config\":\"blobs/sha256/aa\",\"RepoTags\":null,\"Layers\":null}]";
	ol_auto(ol_docker_manifest_free) ol_docker_manifest *manifest = NULL;

	(void)state;
	assert_int_equal(ol_docker_manifest_parse(ol_view_of(text), &manifest, NULL), OL_OK);
	assert_int_equal(manifest->count, 2);
	assert_string_equal(manifest->images[0].config, "c.json");
	assert_int_equal(manifest->images[0].layer_count, 2);
	assert_string_equal(manifest->images[0].layers[1], "b.tar");
	assert_int_equal(manifest->images[0].tag_count, 2);
	assert_string_equal(manifest->images[0].tags[0], "app:1");
	assert_int_equal(manifest->images[1].layer_count + manifest->images[1].tag_count, 0);
}

static void a_wrong_manifest_json_is_refused(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{ "[]", OL_OK },
		{ "[{\"Config\":\"c\"}]", OL_OK },
		{ "", OL_ECORRUPT },
		{ "null", OL_ECORRUPT },
		{ "{}", OL_ECORRUPT },
		{ "[null]", OL_ECORRUPT },
		{ "[{}]", OL_ECORRUPT },
		{ "[{\"Config\":null}]", OL_ECORRUPT },
		{ "[{\"Config\":1}]", OL_ECORRUPT },
		{ "[{\"Config\":\"c\",\"Layers\":\"l\"}]", OL_ECORRUPT },
		{ "[{\"Config\":\"c\",\"Layers\":[null]}]", OL_ECORRUPT },
		{ "[{\"Config\":\"c\",\"RepoTags\":[1]}]", OL_ECORRUPT },
		{ "[{\"Config\":\"c\",\"RepoTags\":{}}]", OL_ECORRUPT },
		{ "[{\"Config\":\"c\"}] x", OL_ECORRUPT },
		{ "[{\"Config\":\"c\",\"Config\":\"d\"}]", OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_docker_manifest_free) ol_docker_manifest *manifest = NULL;

		CHECK_INT(c->text, c->rc,
			ol_docker_manifest_parse(ol_view_of(c->text), &manifest, NULL));
	}
}

/* Adds piece count times, with commas, between before and after. */
static int parse_many(const char *before, const char *piece, size_t count, const char *after)
{
	ol_auto(ol_docker_manifest_free) ol_docker_manifest *manifest = NULL;
	ol_auto_str ol_str text = OL_STR((size_t)8 << 20);

	(void)ol_str_add(&text, before);
	for (size_t i = 0; i < count; i++)
		(void)ol_str_addf(&text, "%s%s", i ? "," : "", piece);
	(void)ol_str_add(&text, after);
	return ol_docker_manifest_parse(ol_buf_view(&text), &manifest, NULL);
}

static void manifest_json_has_bounds(void **state)
{
	(void)state;
	assert_int_equal(parse_many("[", "{\"Config\":\"c\"}", OL_ARCHIVE_IMAGES_MAX, "]"), OL_OK);
	assert_int_equal(
		parse_many("[", "{\"Config\":\"c\"}", OL_ARCHIVE_IMAGES_MAX + 1, "]"), OL_ELIMIT);
	assert_int_equal(
		parse_many("[{\"Config\":\"c\",\"Layers\":[", "\"l\"", OL_LAYERS_MAX, "]}]"),
		OL_OK);
	assert_int_equal(
		parse_many("[{\"Config\":\"c\",\"Layers\":[", "\"l\"", OL_LAYERS_MAX + 1, "]}]"),
		OL_ELIMIT);
	assert_int_equal(parse_many("[{\"Config\":\"c\",\"RepoTags\":[", "\"l\"",
				 OL_ARCHIVE_NAMES_MAX + 1, "]}]"),
		OL_ELIMIT);
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void repositories_name_top_layers(void **state)
{
	static const struct {
		const char *text;
		int rc;
		size_t count;
	} cases[] = {
		{ "{\"app\":{\"1\":\"" ID "\",\"2\":\"" ID "\"},\"host:5000/b\":{\"x\":\"" ID
		  "\"}}",
			OL_OK, 3 },
		{ "{}", OL_OK, 0 },
		{ "{\"app\":{}}", OL_OK, 0 },
		{ "[]", OL_ECORRUPT, 0 },
		{ "{\"app\":null}", OL_ECORRUPT, 0 },
		{ "{\"app\":\"" ID "\"}", OL_ECORRUPT, 0 },
		{ "{\"app\":{\"1\":\"short\"}}", OL_ECORRUPT, 0 },
		{ "{\"app\":{\"1\":\"../../../etc/passwd\"}}", OL_ECORRUPT, 0 },
		{ "{\"app\":{\"1\":null}}", OL_ECORRUPT, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_docker_names_free) ol_docker_names *names = NULL;

		CHECK_INT(c->text, c->rc, ol_docker_names_parse(ol_view_of(c->text), &names, NULL));
		CHECK_INT(c->text, (long long)c->count, names ? (long long)names->count : 0);
		if (c->count == 3)
			CHECK_STR(c->text, "host:5000/b:x", names->names[2].reference);
	}
}

static void a_config_is_made_of_the_oldest_documents(void **state)
{
	static const char base[] =
		"{\"id\":\"" ID "\",\"created\":\"2015-01-01T00:00:00Z\","
		"\"container_config\":{\"Cmd\":[\"/bin/sh\",\"-c\",\"#(nop)\"]}}",
			  top[] = "{\"id\":\"x\",\"parent\":\"" ID
				  "\",\"Size\":5,\"throwaway\":true,\"comment\":\"c\","
				  "\"config\":{\"Cmd\":[\"sh\"]}}";
	const ol_digest ids[] = { ol_digest_of(OL_SHA256, "a", 1),
		ol_digest_of(OL_SHA256, "b", 1) };
	ol_auto_str ol_str text = OL_STR(4096);
	ol_docker_v1 v1[2] = { 0 };

	(void)state;
	assert_int_equal(ol_docker_v1_parse(ol_view_of(base), &v1[0], NULL), OL_OK);
	assert_int_equal(ol_docker_v1_parse(ol_view_of(top), &v1[1], NULL), OL_OK);
	assert_string_equal(v1[0].parent, "");
	assert_string_equal(v1[1].parent, ID);
	assert_int_equal(ol_docker_v1_config(v1, ids, 2, &text, NULL), OL_OK);
	assert_string_equal(ol_str_text(&text),
		"{\"architecture\":\"amd64\",\"comment\":\"c\",\"config\":{\"Cmd\":[\"sh\"]},"
		"\"history\":[{\"created\":\"2015-01-01T00:00:00Z\",\"created_by\":\"/bin/sh -c "
		"#(nop)\"},{\"comment\":\"c\"}],\"os\":\"linux\",\"rootfs\":{\"diff_ids\":["
		"\"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\","
		"\"sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d\"],"
		"\"type\":\"layers\"}}");
	ol_docker_v1_done(&v1[0]);
	ol_docker_v1_done(&v1[1]);
	assert_int_equal(ol_docker_v1_parse(ol_view_of("{\"parent\":\"../..\"}"), &v1[0], NULL),
		OL_ECORRUPT);
	assert_int_equal(ol_docker_v1_parse(ol_view_of("[]"), &v1[0], NULL), OL_ECORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_json_lists_images),
		cmocka_unit_test(a_wrong_manifest_json_is_refused),
		cmocka_unit_test(manifest_json_has_bounds),
		cmocka_unit_test(repositories_name_top_layers),
		cmocka_unit_test(a_config_is_made_of_the_oldest_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
