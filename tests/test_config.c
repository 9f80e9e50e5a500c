#include "base/alloc.h"
#include "base/limits.h"
#include "manifest/config.h"
#include "tests/check.h"

#define A        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define B        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define PLATFORM "\"architecture\":\"amd64\",\"os\":\"linux\""
#define ROOTFS   "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" A "\",\"" B "\"]}"
#define BASE     PLATFORM "," ROOTFS

static void a_config_is_read_whole(void **state)
{
	static const char text[] =
		"{\"created\":\"2025-01-02T03:04:05Z\",\"author\":\"someone\",\"architecture\":"
		"\"aarch64\",\"os\":\"linux\","
		"\"variant\":\"v8.2\"," ROOTFS
		",\"config\":{\"User\":\"1000:1000\",\"ExposedPorts\":{\"80/tcp\":{},\"53/"
		"udp\":null},\"Env\":[\"PATH=/bin\","
		"\"odd\"],\"Entrypoint\":[\"/init\"],\"Cmd\":[\"-c\",\"\"],\"Volumes\":{\"/"
		"data\":{},\"../..\":{}},"
		"\"WorkingDir\":\"/"
		"srv\",\"Labels\":{\"a\":\"1\",\"b\":null},\"StopSignal\":\"SIGQUIT\","
		"\"Healthcheck\":{}},"
		"\"history\":[{\"created\":\"2025-01-01T00:00:00Z\",\"created_by\":\"ADD\","
		"\"comment\":\"c\",\"author\":\"x\"},"
		"{\"empty_layer\":true}]}";
	ol_auto(ol_config_free) ol_config *config = NULL;

	(void)state;
	CHECK_INT("parse", OL_OK, ol_config_parse(ol_view_of(text), &config, NULL));
	CHECK_STR("platform", "linux/arm64/v8.2", ol_platform_format(&config->platform).text);
	CHECK_STR("created", "2025-01-02T03:04:05Z", config->created);
	CHECK_STR("author", "someone", config->author);
	CHECK_STR("user", "1000:1000", config->user);
	CHECK_STR("dir", "/srv", config->working_dir);
	CHECK_STR("signal", "SIGQUIT", config->stop_signal);
	CHECK_STR("env", "PATH=/bin", config->env[0]);
	CHECK_STR("env", "odd", config->env[1]);
	assert_null(config->env[2]);
	CHECK_STR("entrypoint", "/init", config->entrypoint[0]);
	assert_null(config->entrypoint[1]);
	CHECK_STR("cmd", "", config->cmd[1]);
	assert_null(config->cmd[2]);
	CHECK_STR("volumes", "../..", config->volumes[1]);
	assert_null(config->volumes[2]);
	CHECK_STR("ports", "53/udp", config->exposed_ports[1]);
	assert_null(config->exposed_ports[2]);
	CHECK_INT("labels", 2, (long long)config->label_count);
	CHECK_STR("labels", "a", config->labels[0].key);
	CHECK_STR("labels", "", config->labels[1].value);
	CHECK_INT("diff_ids", 2, (long long)config->diff_id_count);
	CHECK_STR("diff_ids", B, ol_digest_format(&config->diff_ids[1]).text);
	CHECK_INT("history", 2, (long long)config->history_count);
	CHECK_STR("history", "ADD", config->history[0].created_by);
	CHECK_STR("history", "", config->history[1].created_by);
	CHECK_INT("history", 1, config->history[1].empty_layer);
	CHECK_INT("json", 1,
		ol_json_is_object(ol_json_get(ol_json_get(config->json, "config"), "Healthcheck")));
}

/* Whatever is optional may be absent, or null. */
static void what_is_not_said_is_empty(void **state)
{
	static const char *const cases[] = {
		"{" PLATFORM ",\"rootfs\":{\"type\":\"layers\"}}",
		"{" PLATFORM ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null},\"config\":null,"
		"\"history\":null,"
		"\"created\":null,\"author\":null,\"variant\":null,\"os.version\":null,\"os."
		"features\":null}",
		"{" PLATFORM
		",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{},\"history\":[]}",
		"{" PLATFORM ",\"rootfs\":{\"type\":\"layers\"},\"config\":{\"User\":null,"
		"\"ExposedPorts\":null,\"Env\":null,"
		"\"Entrypoint\":null,\"Cmd\":null,\"Volumes\":null,\"WorkingDir\":null,\"Labels\":"
		"null,\"StopSignal\":null}}",
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_config_free) ol_config *config = NULL;

		CHECK_INT(*c, OL_OK, ol_config_parse(ol_view_of(*c), &config, NULL));
		CHECK_STR(*c, "", config->created);
		CHECK_STR(*c, "", config->author);
		CHECK_STR(*c, "", config->user);
		CHECK_STR(*c, "", config->working_dir);
		CHECK_STR(*c, "", config->stop_signal);
		assert_null(config->env[0]);
		assert_null(config->entrypoint[0]);
		assert_null(config->cmd[0]);
		assert_null(config->volumes[0]);
		assert_null(config->exposed_ports[0]);
		CHECK_INT(*c, 0,
			(long long)(config->label_count + config->diff_id_count +
				    config->history_count));
	}
}

static void what_is_no_config_is_refused_with_words(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *words;
	} cases[] = {
		{ "", OL_ECORRUPT,
			"not JSON: line 1, column 0: unexpected token near end of file" },
		{ "[]", OL_ECORRUPT, "not an object" },
		{ "null", OL_ECORRUPT, "not an object" },
		{ "{}", OL_ECORRUPT, "os is missing" },
		{ "{\"os\":\"linux\"," ROOTFS "}", OL_ECORRUPT, "architecture is missing" },
		{ "{\"os\":null,\"architecture\":\"amd64\"," ROOTFS "}", OL_ECORRUPT,
			"os is missing" },
		{ "{\"os\":7,\"architecture\":\"amd64\"," ROOTFS "}", OL_ECORRUPT,
			"os is not a string" },
		{ "{\"os\":\"abcdefghijklmnopqrstuvwxyz0123456789\"}", OL_ELIMIT,
			"os is longer than 31 bytes" },
		{ "{" PLATFORM "}", OL_ECORRUPT, "rootfs is missing" },
		{ "{" PLATFORM ",\"rootfs\":[]}", OL_ECORRUPT, "rootfs is not an object" },
		{ "{" PLATFORM ",\"rootfs\":{}}", OL_ECORRUPT, "rootfs.type is missing" },
		{ "{" PLATFORM ",\"rootfs\":{\"type\":\"foo\"}}", OL_EUNSUPPORTED,
			"rootfs.type is not \"layers\"" },
		{ "{" PLATFORM ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":{}}}", OL_ECORRUPT,
			"diff_ids is not an array" },
		{ "{" PLATFORM ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" A "\",1]}}",
			OL_ECORRUPT, "rootfs.diff_ids[1] is not a string" },
		{ "{" PLATFORM ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:1\"]}}",
			OL_ECORRUPT,
			"rootfs.diff_ids[0]: digest \"sha256:1\" is not 64 lower-case hex digits" },
		{ "{" PLATFORM ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"md5:1\"]}}",
			OL_EUNSUPPORTED,
			"rootfs.diff_ids[0]: digest algorithm \"md5\" cannot be verified here" },
		{ "{" BASE ",\"created\":5}", OL_ECORRUPT, "created is not a string" },
		{ "{" BASE ",\"config\":[]}", OL_ECORRUPT, "config is not an object" },
		{ "{" BASE ",\"config\":{\"User\":0}}", OL_ECORRUPT,
			"config: User is not a string" },
		{ "{" BASE ",\"config\":{\"Env\":\"A=b\"}}", OL_ECORRUPT,
			"config: Env is not an array" },
		{ "{" BASE ",\"config\":{\"Env\":[\"A=b\",null]}}", OL_ECORRUPT,
			"config: Env[1] is not a string" },
		{ "{" BASE ",\"config\":{\"Cmd\":[[]]}}", OL_ECORRUPT,
			"config: Cmd[0] is not a string" },
		{ "{" BASE ",\"config\":{\"Cmd\":[\"a\\u0000b\"]}}", OL_ECORRUPT, NULL },
		{ "{" BASE ",\"config\":{\"Entrypoint\":\"sh\"}}", OL_ECORRUPT,
			"config: Entrypoint is not an array" },
		{ "{" BASE ",\"config\":{\"Volumes\":[\"/x\"]}}", OL_ECORRUPT,
			"config: Volumes is not an object" },
		{ "{" BASE ",\"config\":{\"ExposedPorts\":80}}", OL_ECORRUPT,
			"config: ExposedPorts is not an object" },
		{ "{" BASE ",\"config\":{\"Labels\":{\"a\":1}}}", OL_ECORRUPT,
			"config: Labels: value 1 is not a string" },
		{ "{" BASE ",\"history\":{}}", OL_ECORRUPT, "history is not an array" },
		{ "{" BASE ",\"history\":[1]}", OL_ECORRUPT, "history[0] is not an object" },
		{ "{" BASE ",\"history\":[{},{\"empty_layer\":1}]}", OL_ECORRUPT,
			"history[1]: empty_layer is not true or false" },
		{ "{" BASE "," ROOTFS "}", OL_ECORRUPT, NULL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_config *config = NULL;
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc, ol_config_parse(ol_view_of(c->text), &config, &err));
		CHECK_INT(c->text, c->rc, err.code);
		CHECK_INT(c->text, 1, err.text[0] != '\0');
		if (c->words)
			CHECK_STR(c->text, c->words, err.text);
		assert_null(config);
	}
}

static int parse_layers(size_t count, ol_error *err)
{
	ol_auto(ol_config_free) ol_config *config = NULL;
	ol_auto_str ol_str text = OL_STR(OL_CONFIG_BYTES_MAX);

	ol_str_add(&text, "{" PLATFORM ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
	for (size_t i = 0; i < count; i++)
		ol_str_addf(&text, "%s\"" A "\"", i ? "," : "");
	ol_str_add(&text, "]}}");
	return ol_config_parse(ol_buf_view(&text), &config, err);
}

static void every_count_has_a_bound(void **state)
{
	ol_autofree char *large = ol_alloc(OL_CONFIG_BYTES_MAX + 1);
	ol_config *config = NULL;
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("layers", OL_OK, parse_layers(OL_LAYERS_MAX, &err));
	CHECK_INT("layers", OL_ELIMIT, parse_layers(OL_LAYERS_MAX + 1, &err));
	CHECK_STR("layers", "rootfs.diff_ids: there are 501, more than the 500 allowed", err.text);
	CHECK_INT("bytes", OL_ELIMIT,
		ol_config_parse(ol_view_from(large, OL_CONFIG_BYTES_MAX + 1), &config, &err));
	CHECK_STR("bytes", "8388609 bytes, more than the 8388608 allowed", err.text);
}

/* The values are those of sha256sum over the texts of the spec. */
static void a_chain_id_names_a_stack_of_layers(void **state)
{
	ol_digest ids[3] = { 0 }, chain;

	(void)state;
	CHECK_INT("a", OL_OK, ol_digest_parse(ol_view_of(A), &ids[0], NULL));
	CHECK_INT("b", OL_OK, ol_digest_parse(ol_view_of(B), &ids[1], NULL));
	ids[2] = ids[0];
	chain = ol_chain_id(ids, 0);
	CHECK_INT("none", 0, ol_digest_is_set(&chain));
	chain = ol_chain_id(ids, 1);
	CHECK_STR("one", A, ol_digest_format(&chain).text);
	chain = ol_chain_id(ids, 2);
	CHECK_STR("two", "sha256:dd8ddd90bdf3ccbd91abd3f399218c9d93e91246734fab743933f42048ac3e2c",
		ol_digest_format(&chain).text);
	chain = ol_chain_id(ids, 3);
	CHECK_STR("three",
		"sha256:8e9c277940fe142021d5811c9b85cc258bdc32d33c6adea713521839f5d43c85",
		ol_digest_format(&chain).text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_config_is_read_whole),
		cmocka_unit_test(what_is_not_said_is_empty),
		cmocka_unit_test(what_is_no_config_is_refused_with_words),
		cmocka_unit_test(every_count_has_a_bound),
		cmocka_unit_test(a_chain_id_names_a_stack_of_layers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
