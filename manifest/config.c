#include "manifest/config.h"

#include <stdio.h>

#include "base/limits.h"
#include "manifest/descriptor_priv.h"

static int parse_text(const ol_json *object, const char *key, const char **out, ol_error *err)
{
	*out = "";
	return ol_json_get_text(object, key, out, err);
}

/* Strings lend from the document; the list ends with NULL. */
static int parse_texts(const ol_json *object, const char *key, ol_arena *arena,
	const char *const **out, ol_error *err)
{
	const ol_json *array = NULL;
	const char **list;
	size_t count;
	int rc;

	rc = ol_json_get_array(object, key, &array, err);
	if (rc < 0)
		return rc;
	count = ol_json_count(array);
	list = ol_arena_alloc(arena, (count + 1) * sizeof *list);
	for (size_t i = 0; i < count; i++) {
		list[i] = ol_json_text(ol_json_at(array, i));
		if (!list[i])
			return ol_fail(err, OL_EINVAL, "%s[%zu] is not a string", key, i);
	}
	*out = list;
	return OL_OK;
}

/* A set, written as an object whose values say nothing. */
static int parse_keys(const ol_json *object, const char *key, ol_arena *arena,
	const char *const **out, ol_error *err)
{
	const ol_json *set = NULL, *value;
	const char **list;
	size_t used = 0;
	void *it = NULL;
	int rc;

	rc = ol_json_get_object(object, key, &set, err);
	if (rc < 0)
		return rc;
	list = ol_arena_alloc(arena, (ol_json_count(set) + 1) * sizeof *list);
	while (ol_json_next(set, &it, &list[used], &value))
		used++;
	*out = list;
	return OL_OK;
}

static int parse_labels(const ol_json *object, ol_config *config, ol_error *err)
{
	const ol_json *labels = NULL, *value;
	const char *key;
	ol_pair *list;
	size_t used = 0;
	void *it = NULL;
	int rc;

	rc = ol_json_get_object(object, "Labels", &labels, err);
	if (rc < 0)
		return rc;
	list = ol_arena_alloc(config->arena, ol_json_count(labels) * sizeof *list);
	while (ol_json_next(labels, &it, &key, &value)) {
		/* null is Go's empty text. */
		const char *text =
			ol_json_type_of(value) == OL_JSON_NULL ? "" : ol_json_text(value);

		if (!text)
			return ol_fail(
				err, OL_EINVAL, "Labels: value %zu is not a string", used + 1);
		list[used++] = (ol_pair){ key, text };
	}
	config->labels = list;
	config->label_count = used;
	return OL_OK;
}

/* The member "config": what a process of the image is given. */
static int parse_process(const ol_json *root, ol_config *config, ol_error *err)
{
	ol_arena *arena = config->arena;
	const ol_json *object = NULL;
	int rc;

	rc = ol_json_get_object(root, "config", &object, err);
	if (rc < 0)
		return rc;
	rc = parse_text(object, "User", &config->user, err);
	if (rc == OL_OK)
		rc = parse_text(object, "WorkingDir", &config->working_dir, err);
	if (rc == OL_OK)
		rc = parse_text(object, "StopSignal", &config->stop_signal, err);
	if (rc == OL_OK)
		rc = parse_texts(object, "Env", arena, &config->env, err);
	if (rc == OL_OK)
		rc = parse_texts(object, "Entrypoint", arena, &config->entrypoint, err);
	if (rc == OL_OK)
		rc = parse_texts(object, "Cmd", arena, &config->cmd, err);
	if (rc == OL_OK)
		rc = parse_keys(object, "Volumes", arena, &config->volumes, err);
	if (rc == OL_OK)
		rc = parse_keys(object, "ExposedPorts", arena, &config->exposed_ports, err);
	if (rc == OL_OK)
		rc = parse_labels(object, config, err);
	return rc < 0 ? ol_wrap(err, rc, "config") : OL_OK;
}

static int parse_rootfs(const ol_json *root, ol_config *config, ol_error *err)
{
	const ol_json *rootfs = NULL, *array = NULL;
	const char *type = NULL;
	ol_digest *list;
	int rc;

	rc = ol_json_get_object(root, "rootfs", &rootfs, err);
	if (rc == OL_OK)
		rc = ol_json_get_text(rootfs, "type", &type, err);
	if (rc == OL_OK)
		rc = ol_json_get_array(rootfs, "diff_ids", &array, err);
	if (rc < 0)
		return rc;
	if (!rootfs)
		return ol_fail(err, OL_EINVAL, "rootfs is missing");
	if (!type)
		return ol_fail(err, OL_EINVAL, "rootfs.type is missing");
	if (strcmp(type, "layers") != 0)
		return ol_fail(err, OL_EUNSUPPORTED, "rootfs.type is not \"layers\"");
	if (ol_json_count(array) > OL_LAYERS_MAX)
		return ol_fail(err, OL_ELIMIT,
			"rootfs.diff_ids: there are %zu, more than the %d allowed",
			ol_json_count(array), OL_LAYERS_MAX);
	list = ol_arena_alloc(config->arena, ol_json_count(array) * sizeof *list);
	for (size_t i = 0; i < ol_json_count(array); i++) {
		const char *text = ol_json_text(ol_json_at(array, i));

		if (!text)
			return ol_fail(err, OL_EINVAL, "rootfs.diff_ids[%zu] is not a string", i);
		rc = ol_digest_parse(ol_view_of(text), &list[i], err);
		if (rc < 0)
			return ol_wrap(err, rc, "rootfs.diff_ids[%zu]", i);
	}
	config->diff_ids = list;
	config->diff_id_count = ol_json_count(array);
	return OL_OK;
}

static int parse_step(const ol_json *json, ol_history *out, ol_error *err)
{
	int rc;

	rc = parse_text(json, "created", &out->created, err);
	if (rc == OL_OK)
		rc = parse_text(json, "created_by", &out->created_by, err);
	if (rc == OL_OK)
		rc = parse_text(json, "author", &out->author, err);
	if (rc == OL_OK)
		rc = parse_text(json, "comment", &out->comment, err);
	if (rc == OL_OK)
		rc = ol_json_get_bool(json, "empty_layer", &out->empty_layer, err);
	return rc;
}

static int parse_history(const ol_json *root, ol_config *config, ol_error *err)
{
	const ol_json *array = NULL;
	ol_history *list;
	int rc;

	rc = ol_json_get_array(root, "history", &array, err);
	if (rc < 0)
		return rc;
	list = ol_arena_alloc(config->arena, ol_json_count(array) * sizeof *list);
	for (size_t i = 0; i < ol_json_count(array); i++) {
		const ol_json *step = ol_json_at(array, i);

		if (!ol_json_is_object(step))
			return ol_fail(err, OL_EINVAL, "history[%zu] is not an object", i);
		rc = parse_step(step, &list[i], err);
		if (rc < 0)
			return ol_wrap(err, rc, "history[%zu]", i);
	}
	config->history = list;
	config->history_count = ol_json_count(array);
	return OL_OK;
}

static int parse_root(const ol_json *root, ol_config *config, ol_error *err)
{
	int rc;

	config->json = root;
	if (!ol_json_is_object(root))
		return ol_fail(err, OL_EINVAL, "not an object");
	rc = ol_platform_read(root, &config->platform, err);
	if (rc == OL_OK && !config->platform.os[0])
		return ol_fail(err, OL_EINVAL, "os is missing");
	if (rc == OL_OK && !config->platform.architecture[0])
		return ol_fail(err, OL_EINVAL, "architecture is missing");
	if (rc == OL_OK)
		rc = parse_text(root, "created", &config->created, err);
	if (rc == OL_OK)
		rc = parse_text(root, "author", &config->author, err);
	if (rc == OL_OK)
		rc = parse_rootfs(root, config, err);
	if (rc == OL_OK)
		rc = parse_process(root, config, err);
	if (rc == OL_OK)
		rc = parse_history(root, config, err);
	return rc;
}

static ol_config *config_new(void)
{
	ol_arena *arena = ol_arena_new();
	ol_config *config = ol_arena_alloc(arena, sizeof *config);

	config->arena = arena;
	return config;
}

void ol_config_free(ol_config *config)
{
	if (!config)
		return;
	ol_json_free(config->root);
	ol_arena_free(config->arena);
}

int ol_config_parse(ol_view bytes, ol_config **out, ol_error *err)
{
	ol_auto(ol_config_free) ol_config *config = config_new();
	int rc;

	if (bytes.size > OL_CONFIG_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "%zu bytes, more than the %zu allowed", bytes.size,
			OL_CONFIG_BYTES_MAX);
	rc = ol_json_parse(bytes, &config->root, err);
	if (rc == OL_OK)
		rc = parse_root(config->root, config, err);
	if (rc < 0)
		return ol_corrupt(rc, err);
	*out = ol_steal(&config);
	return OL_OK;
}

ol_digest ol_chain_id(const ol_digest *diff_ids, size_t count)
{
	ol_digest chain = { 0 };

	if (count)
		chain = diff_ids[0];
	for (size_t i = 1; i < count; i++) {
		char text[2 * OL_DIGEST_TEXT_MAX];
		int size = snprintf(text, sizeof text, "%s %s", ol_digest_format(&chain).text,
			ol_digest_format(&diff_ids[i]).text);

		chain = ol_digest_of(OL_SHA256, text, (size_t)size);
	}
	return chain;
}
