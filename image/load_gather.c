/*
 * One image of the archive: its documents are put into the store, its layers must be there, as
 * the config says them. Of an index every platform is taken that is whole, or those asked for.
 *
 *	absent                           tolerated of a platform that is not the host's, as long as
 *	                                 one is whole
 *	another digest, size or DiffID   never
 */
#include <string.h>

#include "base/alloc.h"
#include "image/load_priv.h"

enum absence {
	ABSENT_NOTHING,
	ABSENT_MANIFEST, /* the platform is not there at all */
	ABSENT_PART,     /* its manifest is */
};

struct gathering {
	ol_load_state *load;
	ol_incoming *incoming;
	enum absence absent; /* what the last failure was about */
	int first_rc;        /* the first that was tolerated: told if nothing is whole */
	ol_error first;
};

/* Bytes of a document: from the archive, else from the store. Leased and put first. */
static int get_blob(
	struct gathering *g, const ol_digest *digest, size_t max, ol_buf *out, ol_error *err)
{
	ol_store *store = g->incoming->session->store;
	const ol_blob_path path = ol_blob_path_of(digest);
	int rc = ol_lease_add(g->incoming->lease, digest, err);

	g->absent = ABSENT_NOTHING;
	if (rc < 0)
		return rc;
	rc = ol_load_bytes(g->load, path.text, out, err);
	if (rc == OL_ENOTFOUND && ol_blob_exists(store, digest))
		return ol_blob_read(store, digest, max, out, err);
	if (rc == OL_ENOTFOUND) {
		g->absent = ABSENT_PART;
		return ol_fail(err, rc, "%s is neither in the archive nor in the store", path.text);
	}
	return rc == OL_OK ? ol_blob_put(store, digest, ol_buf_view(out), false, err) : rc;
}

static int get_document(struct gathering *g, const ol_digest *digest, const char *media_type,
	ol_document **out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	int rc = get_blob(g, digest, OL_MANIFEST_BYTES_MAX, &bytes, err);

	if (rc < 0)
		return rc;
	rc = ol_document_parse(ol_buf_view(&bytes), *media_type ? media_type : NULL, out, err);
	return rc < 0 ? ol_wrap(err, rc, "manifest %s", ol_digest_format(digest).text) : OL_OK;
}

static int get_config(void *ctx, const ol_descriptor *descriptor, ol_config **out, ol_error *err)
{
	struct gathering *g = ctx;
	ol_auto_buf ol_buf bytes = OL_BUF(OL_CONFIG_BYTES_MAX);
	int rc = get_blob(g, &descriptor->digest, OL_CONFIG_BYTES_MAX, &bytes, err);

	if (rc == OL_OK)
		rc = ol_config_parse(ol_buf_view(&bytes), out, err);
	return rc < 0 ? ol_wrap(err, rc, "config %s", ol_digest_format(&descriptor->digest).text)
		      : OL_OK;
}

static const char *name_of(ol_compression compression)
{
	static const char *const names[] = {
		[OL_COMPRESSION_UNKNOWN] = "anything",
		[OL_COMPRESSION_NONE] = "not compressed",
		[OL_COMPRESSION_GZIP] = "gzip",
		[OL_COMPRESSION_ZSTD] = "zstd",
	};

	return names[compression];
}

/* The archive's layer is the one that manifest and config mean. */
static int compare_layer(const ol_descriptor *layer, const ol_digest *diff_id,
	const ol_archive_file *file, ol_error *err)
{
	const ol_layer_taken *taken = file->layer;

	if (!ol_digest_eq(&taken->blob, &layer->digest) || taken->blob_size != layer->size)
		return ol_fail(err, OL_ECORRUPT,
			"%.200s: has %llu bytes of %s, the manifest says %llu", file->name,
			(unsigned long long)taken->blob_size, ol_digest_format(&taken->blob).text,
			(unsigned long long)layer->size);
	if (layer->media.compression != OL_COMPRESSION_UNKNOWN &&
		layer->media.compression != taken->compression)
		return ol_fail(err, OL_ECORRUPT,
			"%.255s: its media type says %s, but its bytes are %s", file->name,
			name_of(layer->media.compression), name_of(taken->compression));
	if (!ol_digest_eq(&taken->diff_id, diff_id))
		return ol_fail(err, OL_ECORRUPT, "%.200s: DiffID is %s, but the config says %s",
			file->name, ol_digest_format(&taken->diff_id).text,
			ol_digest_format(diff_id).text);
	return OL_OK;
}

static int check_layer(
	struct gathering *g, const ol_descriptor *layer, const ol_digest *diff_id, ol_error *err)
{
	ol_store *store = g->incoming->session->store;
	const ol_blob_path path = ol_blob_path_of(&layer->digest);
	ol_archive_file *file = NULL;
	int rc = ol_lease_add(g->incoming->lease, diff_id, err);

	if (rc == OL_OK)
		rc = ol_lease_add(g->incoming->lease, &layer->digest, err);
	if (rc < 0)
		return rc;
	/* Of a folder nothing is read that is not needed. */
	if (g->load->dir_fd >= 0 && ol_layer_is_usable(store, diff_id, &layer->digest))
		return OL_OK;
	rc = ol_load_layer(g->load, path.text, &file, err);
	if (rc == OL_OK)
		rc = compare_layer(layer, diff_id, file, err);
	if (rc == OL_OK) {
		g->load->unused -= file->fresh && !file->used;
		file->used = true;
		return OL_OK;
	}
	if (rc != OL_ENOTFOUND)
		return rc;
	if (ol_layer_is_usable(store, diff_id, NULL))
		return OL_OK;
	g->absent = ABSENT_PART;
	(void)ol_fail(err, rc, "%s (DiffID %s) is neither in the archive nor in the store",
		path.text, ol_digest_format(diff_id).text);
	return ol_hint(err, rc,
		"an archive of what changed needs the image it was made against: load that one "
		"first");
}

static int check_layers(struct gathering *g, const ol_incoming_image *image, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < image->config->diff_id_count; i++) {
		rc = check_layer(g, &image->document->layers[i], &image->config->diff_ids[i], err);
		if (rc < 0)
			(void)ol_wrap(
				err, rc, "layer %zu of %zu", i + 1, image->config->diff_id_count);
	}
	return rc;
}

static void drop_last(ol_incoming *incoming)
{
	ol_incoming_image *last = &incoming->images[--incoming->count];

	ol_document_free(last->document);
	ol_config_free(last->config);
}

/* Takes document. OL_ENOTFOUND with nothing absent: it is not for the platform that is wanted. */
static int add_manifest(struct gathering *g, const ol_digest *digest, ol_document *document,
	const ol_platform *want, ol_error *err)
{
	const size_t count = g->incoming->count;
	int rc = ol_incoming_add(g->incoming, digest, document, want,
		&(ol_incoming_source){ .get_config = get_config, .ctx = g }, err);

	if (rc < 0 || g->incoming->count == count)
		return rc;
	rc = check_layers(g, &g->incoming->images[count], err);
	if (rc < 0)
		drop_last(g->incoming);
	return rc;
}

static int add_from_index(struct gathering *g, const ol_document *index, const ol_platform *want,
	unsigned depth, ol_error *err);

static int add_entry(struct gathering *g, const ol_descriptor *entry, const ol_platform *want,
	unsigned depth, ol_error *err)
{
	ol_document *document = NULL;
	int rc = get_document(g, &entry->digest, entry->media_type, &document, err);

	if (rc < 0) {
		if (g->absent == ABSENT_PART)
			g->absent = ABSENT_MANIFEST;
		return rc;
	}
	if (document->kind == OL_DOCUMENT_MANIFEST)
		return add_manifest(
			g, &entry->digest, document, entry->has_platform ? NULL : want, err);
	rc = add_from_index(g, document, want, depth + 1, err);
	ol_document_free(document);
	return rc;
}

/* What an index says of its images (signed statements of how they were made) may be absent, and is
 * never run; what the archive has of it may exist nowhere else and is kept, whole or not at all. */
static int keep_attestation(struct gathering *g, const ol_descriptor *entry, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_autofree ol_digest *parts = NULL;
	int rc = get_document(g, &entry->digest, entry->media_type, &document, err);

	if (rc < 0 || document->kind != OL_DOCUMENT_MANIFEST)
		return rc == OL_ENOTFOUND ? OL_OK : rc;
	parts = ol_alloc_array(document->layer_count + 1, sizeof *parts);
	parts[0] = document->config.digest;
	for (size_t i = 0; i < document->layer_count; i++)
		parts[i + 1] = document->layers[i].digest;
	for (size_t i = 0; rc == OL_OK && i <= document->layer_count; i++) {
		ol_auto_buf ol_buf bytes = OL_BUF(OL_CONFIG_BYTES_MAX);

		rc = get_blob(g, &parts[i], OL_CONFIG_BYTES_MAX, &bytes, err);
	}
	if (rc == OL_OK)
		rc = ol_blob_set_edges(g->incoming->session->store, &entry->digest, parts,
			document->layer_count + 1, err);
	return rc == OL_ENOTFOUND ? OL_OK : rc;
}

/* What is absent of another platform than the host's is no matter, if one is whole. */
static int tolerate(struct gathering *g, const ol_descriptor *entry, const ol_descriptor *native,
	int rc, const ol_error *error)
{
	if (rc == OL_EUNSUPPORTED) {
		ol_tell_text(&g->incoming->session->options.listener, OL_EVENT_NOTE,
			"passed over: %s %s", ol_digest_format(&entry->digest).text, error->text);
		return OL_OK;
	}
	if (rc != OL_ENOTFOUND || g->absent == ABSENT_NOTHING ||
		(g->absent == ABSENT_PART && entry == native))
		return rc;
	if (g->first_rc == OL_OK) {
		g->first_rc = rc;
		g->first = *error;
	}
	return OL_OK;
}

static int add_all(struct gathering *g, const ol_document *index, unsigned depth, ol_error *err)
{
	const ol_platform host = ol_platform_host();
	ol_autofree const ol_descriptor **candidates =
		ol_alloc_array(index->manifest_count + 1, sizeof(void *));
	const ol_descriptor *native =
		ol_index_candidates(index, &host, candidates) ? candidates[0] : NULL;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];
		ol_error error = { 0 };

		if (!ol_digest_is_set(&entry->digest) || entry->artifact_type)
			continue;
		if (ol_descriptor_is_attestation(entry)) {
			rc = keep_attestation(g, entry, err);
			continue;
		}
		rc = add_entry(g, entry, NULL, depth, &error);
		if (rc < 0)
			rc = tolerate(g, entry, native, rc, &error);
		if (rc < 0 && err)
			*err = error;
	}
	return rc;
}

/* The best entry that says its platform; else the first of those that do not whose
 * config serves. */
static int add_best(struct gathering *g, const ol_document *index, const ol_platform *want,
	unsigned depth, ol_error *err)
{
	ol_autofree const ol_descriptor **candidates =
		ol_alloc_array(index->manifest_count + 1, sizeof(void *));
	const size_t count = ol_index_candidates(index, want, candidates);
	const ol_descriptor *none;
	int rc = OL_ENOTFOUND;

	g->absent = ABSENT_NOTHING;
	if (count > 0 && candidates[0]->has_platform)
		return add_entry(g, candidates[0], want, depth, err);
	for (size_t i = 0; rc == OL_ENOTFOUND && i < count; i++)
		rc = add_entry(g, candidates[i], want, depth, err);
	return count > 0 ? rc : ol_index_choose(index, want, &none, err);
}

static int add_from_index(struct gathering *g, const ol_document *index, const ol_platform *want,
	unsigned depth, ol_error *err)
{
	if (depth >= OL_INDEX_DEPTH_MAX)
		return ol_fail(
			err, OL_ELIMIT, "indexes are nested more than %d deep", OL_INDEX_DEPTH_MAX);
	return want ? add_best(g, index, want, depth, err) : add_all(g, index, depth, err);
}

/* A manifest is one platform's, whichever is wanted. Takes root. */
static int add_single(struct gathering *g, ol_document *root, ol_error *err)
{
	const ol_load_options *o = g->load->options;
	const ol_platform *have;
	bool wanted = o->platform_count == 0;
	int rc = add_manifest(g, &g->incoming->resolved.digest, root, NULL, err);

	if (rc < 0)
		return rc;
	have = &g->incoming->images[0].platform;
	for (size_t i = 0; i < o->platform_count; i++)
		wanted = wanted || ol_platform_match(&o->platforms[i], have) >= 0;
	if (wanted)
		return OL_OK;
	g->absent = ABSENT_NOTHING;
	rc = ol_fail(err, OL_ENOTFOUND, "is for %s", ol_platform_format(have).text);
	drop_last(g->incoming);
	return rc;
}

/* Those platforms of an index that are wanted and that it has. */
static int add_platforms(struct gathering *g, const ol_document *index, ol_error *err)
{
	const ol_load_options *o = g->load->options;
	ol_error error = { 0 };
	int rc = OL_OK;

	for (size_t i = 0; i < o->platform_count; i++) {
		rc = add_from_index(g, index, &o->platforms[i], 0, &error);
		if (rc < 0 && (rc != OL_ENOTFOUND || g->absent != ABSENT_NOTHING))
			break;
		rc = OL_OK;
	}
	if (o->platform_count == 0)
		rc = add_from_index(g, index, NULL, 0, &error);
	if (rc == OL_OK && g->incoming->count == 0 && g->first_rc < 0) {
		error = g->first;
		rc = g->first_rc;
		g->absent = ABSENT_PART;
	} else if (rc == OL_OK && g->incoming->count == 0) {
		if (!*error.text)
			(void)ol_fail(&error, OL_ENOTFOUND, "the index lists no image");
		rc = OL_ENOTFOUND;
		g->absent = ABSENT_NOTHING;
	}
	if (rc < 0 && err)
		*err = error;
	return rc;
}

int ol_load_gather(ol_load_state *load, const ol_load_image *image, ol_incoming *incoming,
	bool *none, ol_error *err)
{
	struct gathering g = { .load = load, .incoming = incoming };
	ol_resolved *resolved = &incoming->resolved;
	ol_document *root = NULL;
	int rc;

	*none = false;
	resolved->digest = image->root;
	rc = get_document(&g, &image->root, image->media_type, &root, err);
	if (rc < 0)
		return rc;
	(void)snprintf(resolved->media_type, sizeof resolved->media_type, "%s", root->media_type);
	if (root->kind == OL_DOCUMENT_MANIFEST) {
		rc = add_single(&g, root, err);
	} else {
		incoming->root = root;
		rc = add_platforms(&g, root, err);
	}
	*none = rc == OL_ENOTFOUND && g.absent == ABSENT_NOTHING;
	return rc;
}
