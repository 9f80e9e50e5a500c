/*
 * Docker's oldest layout: no manifest.json, but `repositories`, and for each layer <id>/json, which
 * names its parent, and <id>/layer.tar. The config is made of them.
 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "image/archive_docker_priv.h"
#include "image/load_priv.h"

/* The layers of one image, base first. */
struct lineage {
	ol_docker_v1 *layers; /* owned */
	char (*ids)[65];      /* owned */
	ol_digest *diff_ids;  /* owned */
	size_t count;
};

static void lineage_done(struct lineage *line)
{
	for (size_t i = 0; i < line->count; i++)
		ol_docker_v1_done(&line->layers[i]);
	free(line->layers);
	free(line->ids);
	free(line->diff_ids);
}

static int read_layer(ol_load_state *load, struct lineage *line, const char *id, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_CONFIG_BYTES_MAX);
	ol_autofree char *json = ol_text("%s/json", id), *tar = ol_text("%s/layer.tar", id);
	ol_archive_file *file = NULL;
	ol_docker_v1 v1 = { 0 };
	int rc = ol_load_bytes(load, json, &bytes, err);

	if (rc < 0)
		return rc;
	rc = ol_docker_v1_parse(ol_buf_view(&bytes), &v1, err);
	if (rc < 0)
		return ol_wrap(err, rc, "%s", json);
	line->layers[line->count] = v1;
	(void)snprintf(line->ids[line->count], sizeof line->ids[0], "%s", id);
	line->count++;
	rc = ol_load_layer(load, tar, &file, err);
	if (rc < 0)
		return rc;
	assert(file && file->layer);
	line->diff_ids[line->count - 1] = file->layer->diff_id;
	return OL_OK;
}

static void reverse(struct lineage *line)
{
	for (size_t i = 0, k = line->count; i + 1 < k; i++) {
		const ol_docker_v1 v1 = line->layers[i];
		const ol_digest diff_id = line->diff_ids[i];
		char id[65];

		k--;
		memcpy(id, line->ids[i], sizeof id);
		line->layers[i] = line->layers[k];
		line->diff_ids[i] = line->diff_ids[k];
		memcpy(line->ids[i], line->ids[k], sizeof id);
		line->layers[k] = v1;
		line->diff_ids[k] = diff_id;
		memcpy(line->ids[k], id, sizeof id);
	}
}

/* From the top to the base; a circle ends at the bound. */
static int read_lineage(ol_load_state *load, const char *top, struct lineage *line, ol_error *err)
{
	char id[65];
	int rc = OL_OK;

	line->layers = ol_alloc_array(OL_LAYERS_MAX, sizeof *line->layers);
	line->ids = ol_alloc_array(OL_LAYERS_MAX, sizeof *line->ids);
	line->diff_ids = ol_alloc_array(OL_LAYERS_MAX, sizeof *line->diff_ids);
	(void)snprintf(id, sizeof id, "%s", top);
	while (rc == OL_OK && *id) {
		if (line->count == OL_LAYERS_MAX)
			return ol_fail(err, OL_ELIMIT,
				"layer %s has more than %d parents, or they lead in a circle", top,
				OL_LAYERS_MAX);
		rc = read_layer(load, line, id, err);
		if (rc == OL_OK)
			(void)snprintf(id, sizeof id, "%s", line->layers[line->count - 1].parent);
	}
	if (rc == OL_OK)
		reverse(line);
	return rc;
}

static int add_config(
	ol_load_state *load, const struct lineage *line, ol_blob_path *path, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(OL_CONFIG_BYTES_MAX);
	ol_archive_file file = { .kind = OL_ARCHIVE_DOCUMENT };
	int rc = ol_docker_v1_config(line->layers, line->diff_ids, line->count, &text, err);

	if (rc < 0)
		return rc;
	file.digest = ol_digest_of(OL_SHA256, text.data, text.size);
	*path = ol_blob_path_of(&file.digest);
	file.name = ol_strdup(path->text);
	file.size = text.size;
	file.bytes = ol_buf_steal(&text);
	return ol_archive_files_add(&load->files, file, err);
}

static int read_image(ol_load_state *load, const ol_docker_name *name, ol_error *err)
{
	struct lineage line = { 0 };
	ol_autofree char **paths = ol_alloc_array(OL_LAYERS_MAX, sizeof *paths);
	ol_blob_path config;
	int rc = read_lineage(load, name->top, &line, err);

	for (size_t i = 0; rc == OL_OK && i < line.count; i++)
		paths[i] = ol_text("%s/layer.tar", line.ids[i]);
	if (rc == OL_OK)
		rc = add_config(load, &line, &config, err);
	if (rc == OL_OK)
		rc = ol_load_translate(load,
			&(ol_docker_image){ .config = config.text,
				.layers = (const char *const *)paths,
				.layer_count = line.count,
				.tags = &name->reference,
				.tag_count = 1 },
			err);
	for (size_t i = 0; i < line.count; i++)
		free(paths[i]);
	lineage_done(&line);
	return rc;
}

int ol_load_read_repositories(ol_load_state *load, ol_error *err)
{
	ol_auto(ol_docker_names_free) ol_docker_names *names = NULL;
	ol_auto_buf ol_buf bytes = OL_BUF(OL_ARCHIVE_DOCUMENT_BYTES_MAX);
	int rc = ol_load_bytes(load, "repositories", &bytes, err);

	if (rc == OL_OK)
		rc = ol_docker_names_parse(ol_buf_view(&bytes), &names, err);
	for (size_t i = 0; rc == OL_OK && i < names->count; i++) {
		rc = read_image(load, &names->names[i], err);
		if (rc < 0)
			(void)ol_wrap(err, rc, "image %.255s", names->names[i].reference);
	}
	return rc;
}
