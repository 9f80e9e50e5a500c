/*
 * What stands at the top of an archive:
 *
 *	oci-layout, index.json     image-spec image-layout.md
 *	manifest.json              docker load, by its own format of 1.10
 *	repositories               the one before it: names only
 *
 * An image is named as containerd and docker do it: io.containerd.image.name is the whole name,
 * org.opencontainers.image.ref.name the tag, by which skopeo and umoci find it in a layout; where
 * several images of one archive have the same tag, it is the whole name too.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/save_priv.h"

#define REF_NAME  "org.opencontainers.image.ref.name"
#define FULL_NAME "io.containerd.image.name"

/* ---------------------------------------------------------------------- index.json -- */

/* The tag of a canonical name. */
static const char *tag_of(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon && !strchr(colon, '/') ? colon + 1 : "";
}

/* The tag stands for another image in the layout that is added to. */
static bool is_taken(const ol_json *before, const char *tag, const char *name)
{
	for (size_t i = 0; i < ol_json_count(before); i++) {
		const ol_json *a = ol_json_get(ol_json_at(before, i), "annotations");
		const char *ref = ol_json_text(ol_json_get(a, REF_NAME));
		const char *full = ol_json_text(ol_json_get(a, FULL_NAME));

		if (ref && full && strcmp(ref, tag) == 0 && strcmp(full, name) != 0)
			return true;
	}
	return false;
}

static const char *ref_name(
	const ol_save_plan *plan, const ol_save_root *root, const ol_json *before)
{
	const char *tag = tag_of(root->name);

	for (size_t i = 0; i < plan->count; i++)
		if (&plan->roots[i] != root && strcmp(tag_of(plan->roots[i].name), tag) == 0)
			return root->name;
	return is_taken(before, tag, root->name) ? root->name : tag;
}

static ol_json *entry_json(
	const ol_save_plan *plan, const ol_save_root *root, const ol_json *before)
{
	ol_json *entry = ol_save_descriptor_json(&root->listed), *annotations;

	if (!*root->name)
		return entry;
	annotations = ol_json_object();
	ol_json_set_text(annotations, FULL_NAME, root->name);
	ol_json_set_text(annotations, REF_NAME, ref_name(plan, root, before));
	ol_json_set(entry, "annotations", annotations);
	return entry;
}

/* An entry of before that one of ours takes the place of. */
static bool is_replaced(const ol_json *entry, const ol_json *ours)
{
	const ol_json *a = ol_json_get(entry, "annotations");
	const char *digest = ol_json_text(ol_json_get(entry, "digest"));
	const char *ref = ol_json_text(ol_json_get(a, REF_NAME));
	const char *full = ol_json_text(ol_json_get(a, FULL_NAME));

	for (size_t i = 0; i < ol_json_count(ours); i++) {
		const ol_json *own = ol_json_at(ours, i), *b = ol_json_get(own, "annotations");
		const char *own_ref = ol_json_text(ol_json_get(b, REF_NAME));
		const char *own_full = ol_json_text(ol_json_get(b, FULL_NAME));
		const char *own_digest = ol_json_text(ol_json_get(own, "digest"));

		if (own_full && full && strcmp(own_full, full) == 0)
			return true;
		if (own_ref && ref && !full && strcmp(own_ref, ref) == 0)
			return true;
		if (!ref && !full && digest && own_digest && strcmp(digest, own_digest) == 0)
			return true;
	}
	return false;
}

int ol_save_index(const ol_save_plan *plan, const ol_json *existing, ol_str *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = ol_json_object();
	ol_auto(ol_json_free) ol_json *ours = ol_json_array();
	const ol_json *before = ol_json_get(existing, "manifests");
	ol_json *all = ol_json_array();

	for (size_t i = 0; i < plan->count; i++)
		ol_json_push(ours, entry_json(plan, &plan->roots[i], before));
	for (size_t i = 0; i < ol_json_count(before); i++)
		if (!is_replaced(ol_json_at(before, i), ours))
			ol_json_push(all, ol_json_copy(ol_json_at(before, i)));
	for (size_t i = 0; i < ol_json_count(ours); i++)
		ol_json_push(all, ol_json_copy(ol_json_at(ours, i)));
	ol_json_set_int(json, "schemaVersion", 2);
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_INDEX);
	ol_json_set(json, "manifests", all);
	return ol_json_format(json, OL_JSON_SORTED, out, err);
}

/* -------------------------------------------------------------------- docker's files -- */

/* Of several platforms the one that a docker here would run gets the name. */
static const ol_save_image *named_image(const ol_save_root *root)
{
	const ol_platform host = ol_platform_host();
	const ol_save_image *best = &root->images[0];
	int best_match = -1;

	for (size_t i = 0; i < root->count; i++) {
		int match = ol_platform_match(&host, &root->images[i].config->platform);

		if (match >= 0 && (best_match < 0 || match < best_match)) {
			best = &root->images[i];
			best_match = match;
		}
	}
	return best;
}

static ol_json *manifest_entry(const ol_save_image *image)
{
	ol_json *entry = ol_json_object(), *layers = ol_json_array();

	for (size_t i = 0; i < image->config->diff_id_count; i++)
		ol_json_push(
			layers, ol_json_string(ol_blob_path_of(&image->layers[i].is.digest).text));
	ol_json_set_text(entry, "Config", ol_blob_path_of(&image->document->config.digest).text);
	ol_json_set(entry, "RepoTags", ol_json_null());
	ol_json_set(entry, "Layers", layers);
	return entry;
}

/* All names of the image, in any root that has it; null where it has none. */
static ol_json *repo_tags(const ol_save_plan *plan, const ol_digest *config)
{
	ol_json *tags = NULL;

	for (size_t i = 0; i < plan->count; i++) {
		const ol_save_root *root = &plan->roots[i];

		if (!*root->name ||
			!ol_digest_eq(&named_image(root)->document->config.digest, config))
			continue;
		if (!tags)
			tags = ol_json_array();
		ol_json_push(tags, ol_json_string(root->familiar));
	}
	return tags ? tags : ol_json_null();
}

static bool was_listed(const ol_save_plan *plan, size_t root, size_t image)
{
	const ol_digest *config = &plan->roots[root].images[image].document->config.digest;

	for (size_t r = 0; r <= root; r++)
		for (size_t i = 0; i < plan->roots[r].count && (r < root || i < image); i++)
			if (ol_digest_eq(&plan->roots[r].images[i].document->config.digest, config))
				return true;
	return false;
}

int ol_save_manifest(const ol_save_plan *plan, ol_str *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = ol_json_array();

	for (size_t r = 0; r < plan->count; r++)
		for (size_t i = 0; i < plan->roots[r].count; i++) {
			const ol_save_image *image = &plan->roots[r].images[i];
			ol_json *entry;

			if (was_listed(plan, r, i))
				continue;
			entry = manifest_entry(image);
			ol_json_set(entry, "RepoTags",
				repo_tags(plan, &image->document->config.digest));
			ol_json_push(json, entry);
		}
	return ol_json_format(json, OL_JSON_SORTED, out, err);
}

/* {"repository":{"tag":"<top layer>"}} */
int ol_save_repositories(const ol_save_plan *plan, ol_str *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = ol_json_object();

	for (size_t r = 0; r < plan->count; r++) {
		const ol_save_root *root = &plan->roots[r];
		const ol_save_image *image = named_image(root);
		size_t layers = image->config->diff_id_count;
		const char *tag = tag_of(root->familiar);
		ol_autofree char *repository = NULL;
		ol_json *tags;

		if (!*root->name || layers == 0)
			continue;
		repository = ol_strndup(
			root->familiar, strlen(root->familiar) - strlen(tag) - (*tag ? 1 : 0));
		tags = ol_json_has(json, repository) ? ol_json_copy(ol_json_get(json, repository))
						     : ol_json_object();
		ol_json_set_text(
			tags, tag, ol_digest_hex(&image->layers[layers - 1].is.digest).text);
		ol_json_set(json, repository, tags);
	}
	return ol_json_format(json, OL_JSON_SORTED, out, err);
}
