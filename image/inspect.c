/* `inspect` of an image, in Docker's words and shapes; `history`. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/list.h"
#include "image/list_priv.h"
#include "store/name.h"
#include "store/reach.h"

/* Images of one ID under different manifests: by pulls from registries that compress differently.
 */
#define ROOTS_MAX 1024

/* All names of one image ID. */
struct names {
	ol_session *session;
	const ol_digest *id;
	ol_json *tags, *digests;
	bool pinned, imported;
};

static bool has_text(const ol_json *array, const char *text)
{
	for (size_t i = 0; i < ol_json_count(array); i++)
		if (strcmp(ol_json_text(ol_json_at(array, i)), text) == 0)
			return true;
	return false;
}

static void push_text(ol_json *array, const char *text)
{
	if (!has_text(array, text))
		ol_json_push(array, ol_json_string(text));
}

static int see_name(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct names *names = ctx;
	ol_image image = { 0 };
	ol_ref ref;

	(void)err;
	if (ol_image_open(names->session, &info->root, NULL, &image, NULL) < 0)
		return OL_OK; /* a damaged neighbour is not this image */
	if (ol_digest_eq(&image.config_digest, names->id)) {
		names->pinned = names->pinned || info->pinned;
		names->imported = names->imported || info->imported;
		if (*info->name && ol_ref_parse(info->name, &ref, NULL) == OL_OK)
			push_text(names->tags, ol_ref_format_familiar(&ref).text);
		if (info->repo && *info->repo && ol_ref_parse(info->repo, &ref, NULL) == OL_OK) {
			ol_autofree char *digest = ol_text("%s@%s", ol_ref_name_familiar(&ref).text,
				ol_digest_format(&info->root).text);

			push_text(names->digests, digest);
		}
	}
	ol_image_done(&image);
	return OL_OK;
}

/* The config's own object, with the members docker always shows. */
static ol_json *config_json(const ol_config *config)
{
	static const char *const always[] = { "Env", "Cmd", "Entrypoint", "Labels", "Volumes",
		"OnBuild" };
	const ol_json *have = ol_json_get(config->json, "config");
	ol_json *json = have && ol_json_is_object(have) ? ol_json_copy(have) : ol_json_object();

	if (!ol_json_get(json, "User"))
		ol_json_set_text(json, "User", "");
	if (!ol_json_get(json, "WorkingDir"))
		ol_json_set_text(json, "WorkingDir", "");
	for (size_t i = 0; i < sizeof always / sizeof *always; i++)
		if (!ol_json_get(json, always[i]))
			ol_json_set(json, always[i], ol_json_null());
	return json;
}

static ol_json *rootfs_json(const ol_config *config)
{
	ol_json *json = ol_json_object(), *layers = ol_json_array();

	for (size_t i = 0; i < config->diff_id_count; i++)
		ol_json_push(layers, ol_json_string(ol_digest_format(&config->diff_ids[i]).text));
	ol_json_set_text(json, "Type", "layers");
	ol_json_set(json, "Layers", layers);
	return json;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Takes array. */
static ol_json *sorted(ol_json *array)
{
	const size_t count = ol_json_count(array);
	ol_autofree const char **texts = ol_alloc_array(count + 1, sizeof *texts);
	ol_json *out = ol_json_array();

	for (size_t i = 0; i < count; i++)
		texts[i] = ol_json_text(ol_json_at(array, i));
	qsort(texts, count, sizeof *texts, by_text);
	for (size_t i = 0; i < count; i++)
		ol_json_push(out, ol_json_string(texts[i]));
	ol_json_free(array);
	return out;
}

static ol_json *image_json(ol_session *session, const ol_image *image, struct names *names)
{
	const ol_config *config = image->config;
	ol_json *json = ol_json_object();
	uint64_t size = ol_layers_bytes(session->store, config);
	const char *comment =
		config->history_count ? config->history[config->history_count - 1].comment : "";

	ol_json_set_text(json, "Id", ol_digest_format(&image->config_digest).text);
	ol_json_set(json, "RepoTags", sorted(names->tags));
	ol_json_set(json, "RepoDigests", sorted(names->digests));
	ol_json_set_text(json, "Parent", "");
	ol_json_set_text(json, "Comment", comment);
	ol_json_set_text(json, "Created", config->created);
	ol_json_set_text(json, "DockerVersion", "");
	ol_json_set_text(json, "Author", config->author);
	ol_json_set(json, "Config", config_json(config));
	ol_json_set_text(json, "Architecture", config->platform.architecture);
	if (*config->platform.variant)
		ol_json_set_text(json, "Variant", config->platform.variant);
	ol_json_set_text(json, "Os", config->platform.os);
	ol_json_set_int(json, "Size", (int64_t)size);
	ol_json_set_int(json, "VirtualSize", (int64_t)size);
	ol_json_set(json, "RootFS", rootfs_json(config));
	ol_json_set_bool(json, "Pinned", names->pinned);
	ol_json_set_bool(json, "Imported", names->imported);
	ol_json_set_text(json, "ManifestDigest", ol_digest_format(&image->manifest).text);
	return json;
}

/* The rows of every root that reaches the config: one, unless two manifests share it. */
static int see_roots(struct names *names, ol_error *err)
{
	ol_store *store = names->session->store;
	ol_autofree ol_digest *roots = NULL;
	size_t count = 0;
	int rc = ol_reach_roots(store, names->id, ROOTS_MAX, &roots, &count, err);

	for (size_t i = 0; rc == OL_OK && i < count; i++)
		rc = ol_name_each_of(store, &roots[i], see_name, names, err);
	return rc;
}

int ol_inspect_image(ol_session *session, const char *name, const ol_platform *platform,
	ol_json **out, ol_error *err)
{
	ol_image image = { 0 };
	struct names names = { .session = session };
	int rc = ol_image_find(session, name, platform, &image, err);

	if (rc < 0)
		return rc;
	names.id = &image.config_digest;
	names.tags = ol_json_array();
	names.digests = ol_json_array();
	rc = see_roots(&names, err);
	if (rc < 0) {
		ol_json_free(names.tags);
		ol_json_free(names.digests);
	} else {
		*out = image_json(session, &image, &names);
	}
	ol_image_done(&image);
	return rc;
}

static uint64_t layer_bytes(ol_session *session, const ol_config *config, size_t index)
{
	ol_layer_info layer;

	if (index >= config->diff_id_count ||
		ol_layer_get(session->store, &config->diff_ids[index], false, &layer, NULL) < 0)
		return 0;
	return layer.tar_bytes;
}

int ol_image_history(ol_session *session, const char *name, const ol_platform *platform,
	int (*call)(void *ctx, const ol_history_row *row, ol_error *err), void *ctx, ol_error *err)
{
	ol_image image = { 0 };
	int rc = ol_image_find(session, name, platform, &image, err);
	size_t layer;

	if (rc < 0)
		return rc;
	layer = image.config->diff_id_count;
	for (size_t i = image.config->history_count; rc == OL_OK && i-- > 0;) {
		const ol_history *history = &image.config->history[i];
		ol_history_row row = {
			.created = ol_time_seconds(history->created),
			.created_by = history->created_by,
			.comment = history->comment,
		};

		if (i + 1 == image.config->history_count)
			row.id = image.config_digest;
		if (!history->empty_layer && layer > 0)
			row.size = layer_bytes(session, image.config, --layer);
		rc = call(ctx, &row, err);
	}
	ol_image_done(&image);
	return rc;
}
