/*
 * Docker's own layouts, made into OCI's: each config and layer gets a link under its digest, and a
 * manifest over them is made where there is none. It is the same for the same archive, whatever
 * the store has, and of the same shape as those of incoming_derive.c.
 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "image/archive_docker_priv.h"
#include "image/load_priv.h"

/* "blobs/sha256/<hex>" leads to the file, unless it is that file or is there. */
static int link_blob(ol_load_state *load, const ol_digest *digest, const char *to, ol_error *err)
{
	const ol_blob_path path = ol_blob_path_of(digest);
	ol_archive_file *there = NULL;

	if (ol_archive_files_find(&load->files, path.text, &there, NULL) == OL_OK)
		return OL_OK;
	return ol_archive_files_add(&load->files,
		(ol_archive_file){ .name = ol_strdup(path.text),
			.kind = OL_ARCHIVE_LINK,
			.target = ol_strdup(to) },
		err);
}

static const char *layer_type(ol_compression compression)
{
	static const char *const types[] = {
		[OL_COMPRESSION_UNKNOWN] = OL_MEDIA_OCI_LAYER,
		[OL_COMPRESSION_NONE] = OL_MEDIA_OCI_LAYER,
		[OL_COMPRESSION_GZIP] = OL_MEDIA_OCI_LAYER "+gzip",
		[OL_COMPRESSION_ZSTD] = OL_MEDIA_OCI_LAYER "+zstd",
	};

	return types[compression];
}

/* A layer that is left out, for the receiver has it. */
static int find_kept_layer(
	ol_load_state *load, const ol_digest *diff_id, ol_json **out, ol_error *err)
{
	ol_store *store = load->passing.session->store;
	ol_layer_info info;
	int rc = ol_lease_add(load->passing.lease, diff_id, err);

	if (rc < 0)
		return rc;
	if (!ol_layer_is_usable(store, diff_id, NULL) ||
		ol_layer_get(store, diff_id, false, &info, NULL) < 0)
		return OL_ENOTFOUND;
	*out = ol_descriptor_json(OL_MEDIA_OCI_LAYER, diff_id, info.tar_bytes);
	return OL_OK;
}

static int translate_layer(ol_load_state *load, const char *path, const ol_digest *diff_id,
	ol_json **out, ol_error *err)
{
	ol_archive_path clean;
	ol_archive_file *file = NULL;
	ol_error error = { 0 };
	int rc = ol_archive_path_of(path, &clean, &error);

	if (rc == OL_OK)
		rc = ol_load_layer(load, clean.text, &file, &error);
	if (rc == OL_ENOTFOUND) {
		rc = find_kept_layer(load, diff_id, out, err);
		if (rc != OL_ENOTFOUND)
			return rc;
		(void)ol_wrap(&error, rc, "layer %s is neither in the archive nor in the store",
			ol_digest_format(diff_id).text);
		(void)ol_hint(&error, rc,
			"an archive of what changed needs the image it was made against: load "
			"that one first");
	}
	if (rc < 0) {
		if (err)
			*err = error;
		return rc;
	}
	assert(file && file->layer);
	*out = ol_descriptor_json(
		layer_type(file->layer->compression), &file->layer->blob, file->layer->blob_size);
	rc = link_blob(load, &file->layer->blob, file->name, err);
	if (rc < 0)
		ol_json_free(ol_steal(out));
	return rc;
}

static int translate_layers(ol_load_state *load, const ol_config *config, const char *const *layers,
	ol_json *array, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < config->diff_id_count; i++) {
		ol_json *layer = NULL;

		rc = translate_layer(load, layers[i], &config->diff_ids[i], &layer, err);
		if (rc == OL_OK)
			ol_json_push(array, layer);
		else
			(void)ol_wrap(err, rc, "layer %zu of %zu", i + 1, config->diff_id_count);
	}
	return rc;
}

/* The manifest becomes a file of the archive as if it had been there. Takes json. */
static int add_manifest(ol_load_state *load, ol_json *json, ol_digest *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *owned = json;
	ol_auto_str ol_str text = OL_STR(OL_MANIFEST_BYTES_MAX);
	ol_archive_file file = { .kind = OL_ARCHIVE_DOCUMENT };
	int rc = ol_json_format(owned, OL_JSON_SORTED, &text, err);

	if (rc < 0)
		return rc;
	*out = ol_digest_of(OL_SHA256, text.data, text.size);
	file.name = ol_strdup(ol_blob_path_of(out).text);
	file.digest = *out;
	file.size = text.size;
	file.bytes = ol_buf_steal(&text);
	return ol_archive_files_add(&load->files, file, err);
}

static int read_config(ol_load_state *load, const char *path, ol_digest *digest, uint64_t *size,
	ol_config **out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_CONFIG_BYTES_MAX);
	ol_archive_path clean;
	int rc = ol_archive_path_of(path, &clean, err);

	if (rc == OL_OK)
		rc = ol_load_bytes(load, clean.text, &bytes, err);
	if (rc < 0)
		return rc;
	*digest = ol_digest_of(OL_SHA256, bytes.data, bytes.size);
	*size = bytes.size;
	rc = ol_config_parse(ol_buf_view(&bytes), out, err);
	if (rc == OL_OK)
		rc = link_blob(load, digest, clean.text, err);
	return rc < 0 ? ol_wrap(err, rc, "%.255s", path) : OL_OK;
}

int ol_load_translate(ol_load_state *load, const ol_docker_image *from, ol_error *err)
{
	ol_auto(ol_config_free) ol_config *config = NULL;
	ol_load_image *image = NULL;
	ol_json *json, *array;
	ol_digest digest, manifest;
	uint64_t size = 0;
	int rc = read_config(load, from->config, &digest, &size, &config, err);

	if (rc < 0)
		return rc == OL_ENOTFOUND ? ol_wrap(err, rc, "its config") : rc;
	if (config->diff_id_count != from->layer_count)
		return ol_fail(err, OL_ECORRUPT,
			"%.255s: the config has %zu layers, the archive %zu", from->config,
			config->diff_id_count, from->layer_count);
	json = ol_json_object();
	array = ol_json_array();
	ol_json_set_int(json, "schemaVersion", 2);
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_MANIFEST);
	ol_json_set(json, "config", ol_descriptor_json(OL_MEDIA_OCI_CONFIG, &digest, size));
	rc = translate_layers(load, config, from->layers, array, err);
	ol_json_set(json, "layers", array);
	if (rc < 0) {
		ol_json_free(json);
		return rc;
	}
	rc = add_manifest(load, json, &manifest, err);
	if (rc == OL_OK)
		image = ol_load_image_add(load, &manifest, OL_MEDIA_OCI_MANIFEST,
			from->tag_count ? from->tags[0] : from->config);
	for (size_t i = 0; rc == OL_OK && i < from->tag_count; i++)
		ol_load_image_name(load, image, from->tags[i]);
	return rc;
}

/* Only what is asked for is looked at: the rest may be large, or damaged. */
static bool is_selected(const ol_load_state *load, const ol_docker_image *image)
{
	const char *select = load->options->select;
	ol_ref want, have;
	ol_ref_string name;

	if (!select || ol_ref_parse(select, &want, NULL) < 0)
		return true;
	name = ol_ref_format(&want);
	for (size_t i = 0; i < image->tag_count; i++)
		if (ol_ref_parse(image->tags[i], &have, NULL) == OL_OK &&
			strcmp(ol_ref_format(&have).text, name.text) == 0)
			return true;
	return false;
}

int ol_load_read_docker(ol_load_state *load, ol_error *err)
{
	ol_auto(ol_docker_manifest_free) ol_docker_manifest *manifest = NULL;
	ol_auto_buf ol_buf bytes = OL_BUF(OL_ARCHIVE_DOCUMENT_BYTES_MAX);
	int rc = ol_load_bytes(load, "manifest.json", &bytes, err);

	if (rc == OL_OK)
		rc = ol_docker_manifest_parse(ol_buf_view(&bytes), &manifest, err);
	for (size_t i = 0; rc == OL_OK && i < manifest->count; i++) {
		const ol_docker_image *from = &manifest->images[i];
		if (!is_selected(load, from))
			continue;
		rc = ol_load_translate(load, from, err);
		if (rc < 0)
			(void)ol_wrap(err, rc, "image %.255s",
				from->tag_count ? from->tags[0] : from->config);
	}
	return rc;
}
