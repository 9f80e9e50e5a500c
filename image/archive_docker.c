#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/limits.h"
#include "image/archive_docker_priv.h"

/* Texts of an array, in an arena. */
struct texts {
	const char *const *list;
	size_t count;
};

/* An array of texts; null and absent are an empty one. */
static int texts_of(const ol_json *object, const char *key, size_t max, ol_arena *arena,
	struct texts *out, ol_error *err)
{
	const ol_json *array = NULL;
	const char **texts;
	int rc = ol_json_get_array(object, key, &array, err);

	if (rc < 0)
		return rc;
	out->count = ol_json_count(array);
	if (out->count > max)
		return ol_fail(err, OL_ELIMIT, "%s has more than %zu entries", key, max);
	texts = ol_arena_alloc(arena, (out->count + 1) * sizeof *texts);
	for (size_t i = 0; i < out->count; i++) {
		const char *text = ol_json_text(ol_json_at(array, i));

		if (!text || strlen(text) > OL_PATH_MAX)
			return ol_fail(err, OL_EINVAL, "%s[%zu] is no %s", key, i,
				text ? "path or name: it is too long" : "string");
		texts[i] = ol_arena_strdup(arena, text);
	}
	out->list = texts;
	return OL_OK;
}

static int read_image(const ol_json *object, ol_arena *arena, ol_docker_image *out, ol_error *err)
{
	struct texts layers = { 0 }, tags = { 0 };
	const char *config = NULL;
	int rc;

	if (!ol_json_is_object(object))
		return ol_fail(err, OL_EINVAL, "is not an object");
	rc = ol_json_get_text(object, "Config", &config, err);
	if (rc == OL_OK && (!config || strlen(config) > OL_PATH_MAX))
		rc = ol_fail(err, OL_EINVAL, "Config is missing");
	if (rc == OL_OK)
		rc = texts_of(object, "Layers", OL_LAYERS_MAX, arena, &layers, err);
	if (rc == OL_OK)
		rc = texts_of(object, "RepoTags", OL_ARCHIVE_NAMES_MAX, arena, &tags, err);
	if (rc < 0)
		return rc;
	*out = (ol_docker_image){ .config = ol_arena_strdup(arena, config),
		.layers = layers.list,
		.layer_count = layers.count,
		.tags = tags.list,
		.tag_count = tags.count };
	return OL_OK;
}

/* Wrong JSON is damage here: nobody typed it. */
static int damaged(int rc, const char *name, ol_error *err)
{
	return ol_wrap(err, rc == OL_EINVAL ? OL_ECORRUPT : rc, "%s", name);
}

int ol_docker_manifest_parse(ol_view bytes, ol_docker_manifest **out, ol_error *err)
{
	ol_auto(ol_docker_manifest_free) ol_docker_manifest *manifest = ol_alloc(sizeof *manifest);
	ol_auto(ol_json_free) ol_json *json = NULL;
	int rc = ol_json_parse(bytes, &json, err);

	manifest->arena = ol_arena_new();
	if (rc == OL_OK && !ol_json_is_array(json))
		rc = ol_fail(err, OL_EINVAL, "is not an array");
	if (rc == OL_OK && ol_json_count(json) > OL_ARCHIVE_IMAGES_MAX)
		rc = ol_fail(err, OL_ELIMIT, "lists more than %d images", OL_ARCHIVE_IMAGES_MAX);
	if (rc < 0)
		return damaged(rc, "manifest.json", err);
	manifest->images = ol_arena_alloc(
		manifest->arena, (ol_json_count(json) + 1) * sizeof *manifest->images);
	for (size_t i = 0; i < ol_json_count(json); i++) {
		rc = read_image(ol_json_at(json, i), manifest->arena,
			&manifest->images[manifest->count++], err);
		if (rc < 0) {
			(void)ol_wrap(err, rc, "image %zu", i + 1);
			return damaged(rc, "manifest.json", err);
		}
	}
	*out = ol_steal(&manifest);
	return OL_OK;
}

void ol_docker_manifest_free(ol_docker_manifest *manifest)
{
	if (!manifest)
		return;
	ol_arena_free(manifest->arena);
	free(manifest);
}

static bool is_id(const char *text)
{
	uint8_t bytes[32];

	return text && ol_hex_parse(ol_view_of(text), bytes, sizeof bytes) == OL_OK;
}

/* The names of one repository: {"1.4": "<id>"}. */
static int read_tags(
	const char *repository, const ol_json *tags, ol_docker_names *names, ol_error *err)
{
	const ol_json *id;
	const char *tag;

	if (!ol_json_is_object(tags))
		return ol_fail(err, OL_EINVAL, "%.255s: is not an object", repository);
	for (void *i = NULL; ol_json_next(tags, &i, &tag, &id);) {
		ol_autofree char *reference = NULL;

		if (names->count >= OL_ARCHIVE_IMAGES_MAX)
			return ol_fail(
				err, OL_ELIMIT, "has more than %d names", OL_ARCHIVE_IMAGES_MAX);
		if (!is_id(ol_json_text(id)) || strlen(repository) + strlen(tag) > OL_PATH_MAX)
			return ol_fail(err, OL_EINVAL, "%.200s:%.128s: is not the id of a layer",
				repository, tag);
		reference = ol_text("%s:%s", repository, tag);
		OL_GROW(names->names, names->count, names->cap);
		names->names[names->count++] = (ol_docker_name){
			.reference = ol_arena_strdup(names->arena, reference),
			.top = ol_arena_strdup(names->arena, ol_json_text(id)),
		};
	}
	return OL_OK;
}

int ol_docker_names_parse(ol_view bytes, ol_docker_names **out, ol_error *err)
{
	ol_auto(ol_docker_names_free) ol_docker_names *names = ol_alloc(sizeof *names);
	ol_auto(ol_json_free) ol_json *json = NULL;
	const ol_json *tags;
	const char *repository;
	int rc = ol_json_parse(bytes, &json, err);

	names->arena = ol_arena_new();
	if (rc == OL_OK && !ol_json_is_object(json))
		rc = ol_fail(err, OL_EINVAL, "is not an object");
	for (void *i = NULL; rc == OL_OK && ol_json_next(json, &i, &repository, &tags);)
		rc = read_tags(repository, tags, names, err);
	if (rc < 0)
		return damaged(rc, "repositories", err);
	*out = ol_steal(&names);
	return OL_OK;
}

void ol_docker_names_free(ol_docker_names *names)
{
	if (!names)
		return;
	ol_arena_free(names->arena);
	free(names->names);
	free(names);
}

int ol_docker_v1_parse(ol_view bytes, ol_docker_v1 *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = NULL;
	const char *parent = NULL;
	int rc = ol_json_parse(bytes, &json, err);

	if (rc == OL_OK && !ol_json_is_object(json))
		rc = ol_fail(err, OL_EINVAL, "is not an object");
	if (rc == OL_OK)
		rc = ol_json_get_text(json, "parent", &parent, err);
	if (rc == OL_OK && parent && *parent && !is_id(parent))
		rc = ol_fail(err, OL_EINVAL, "parent is not the id of a layer");
	if (rc < 0)
		return rc == OL_EINVAL ? OL_ECORRUPT : rc;
	(void)snprintf(out->parent, sizeof out->parent, "%s", parent ? parent : "");
	out->json = ol_steal(&json);
	return OL_OK;
}

void ol_docker_v1_done(ol_docker_v1 *v1)
{
	ol_json_free(v1->json);
	*v1 = (ol_docker_v1){ 0 };
}

static const char *text_at(const ol_json *object, const char *key)
{
	const char *text = ol_json_text(ol_json_get(object, key));

	return text ? text : "";
}

/* The command that made a layer, as docker shows it. */
static void set_created_by(ol_json *entry, const ol_json *v1)
{
	const ol_json *command = ol_json_get(ol_json_get(v1, "container_config"), "Cmd");
	ol_auto_str ol_str line = OL_STR(OL_CONFIG_BYTES_MAX);

	for (size_t i = 0; i < ol_json_count(command); i++) {
		const char *word = ol_json_text(ol_json_at(command, i));

		(void)ol_str_addf(&line, "%s%s", i ? " " : "", word ? word : "");
	}
	if (line.size)
		ol_json_set_text(entry, "created_by", ol_str_text(&line));
}

static ol_json *history_of(const ol_docker_v1 *layers, size_t count)
{
	static const char *const kept[] = { "created", "author", "comment" };
	ol_json *history = ol_json_array();

	for (size_t i = 0; i < count; i++) {
		ol_json *entry = ol_json_object();

		for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
			if (*text_at(layers[i].json, kept[k]))
				ol_json_set_text(entry, kept[k], text_at(layers[i].json, kept[k]));
		set_created_by(entry, layers[i].json);
		ol_json_push(history, entry);
	}
	return history;
}

int ol_docker_v1_config(const ol_docker_v1 *layers, const ol_digest *diff_ids, size_t count,
	ol_str *out, ol_error *err)
{
	static const char *const dropped[] = { "id", "parent", "parent_id", "layer_id", "Size",
		"throwaway" };
	ol_auto(ol_json_free) ol_json *config = ol_json_copy(layers[count - 1].json);
	ol_json *rootfs = ol_json_object(), *ids = ol_json_array();

	for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
		ol_json_remove(config, dropped[i]);
	/* Docker of those days ran on one platform and did not always say so. */
	if (!*text_at(config, "os"))
		ol_json_set_text(config, "os", "linux");
	if (!*text_at(config, "architecture"))
		ol_json_set_text(config, "architecture", "amd64");
	for (size_t i = 0; i < count; i++)
		ol_json_push(ids, ol_json_string(ol_digest_format(&diff_ids[i]).text));
	ol_json_set_text(rootfs, "type", "layers");
	ol_json_set(rootfs, "diff_ids", ids);
	ol_json_set(config, "rootfs", rootfs);
	ol_json_set(config, "history", history_of(layers, count));
	return ol_json_format(config, OL_JSON_SORTED, out, err);
}
