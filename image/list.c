/* `images`: every name and nameless image, with what its manifest and config say. */
#include "image/list.h"

#include <assert.h>
#include <fnmatch.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/list_priv.h"
#include "store/name.h"
#include "store/use.h"

uint64_t ol_layers_bytes(ol_store *store, const ol_config *config)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < config->diff_id_count; i++) {
		ol_layer_info layer;

		if (ol_layer_get(store, &config->diff_ids[i], false, &layer, NULL) == OL_OK)
			bytes += layer.tar_bytes;
	}
	return bytes;
}

int64_t ol_time_seconds(const char *text)
{
	struct timespec when;

	return ol_time_parse(ol_view_of(text), &when) ? when.tv_sec : 0;
}

/* A row with all that it lends from. */
struct entry {
	ol_image_row row;
	char *repository, *tag, *name, *repo; /* owned */
	ol_image image;                       /* owned */
};

struct list {
	ol_session *session;
	bool all;
	struct entry *entries; /* owned */
	size_t count, cap;
	ol_digest *used; /* owned: image IDs of containers, one each */
	size_t used_count, used_cap;
};

static void entry_done(struct entry *entry)
{
	free(entry->repository);
	free(entry->tag);
	free(entry->name);
	free(entry->repo);
	ol_image_done(&entry->image);
}

static unsigned containers_of(const struct list *list, const ol_digest *id)
{
	unsigned count = 0;

	for (size_t i = 0; i < list->used_count; i++)
		count += ol_digest_eq(&list->used[i], id);
	return count;
}

static void name_entry(struct entry *entry, const ol_name_info *info)
{
	ol_ref ref;

	entry->name = ol_strdup(info->name);
	entry->repo = ol_strdup(info->repo ? info->repo : "");
	if (*info->name && ol_ref_parse(info->name, &ref, NULL) == OL_OK) {
		entry->repository = ol_strdup(ol_ref_name_familiar(&ref).text);
		entry->tag = ol_strdup(*ref.tag ? ref.tag : "<none>");
	} else {
		/* Docker shows the repository of an image that was pulled by digest. */
		entry->repository =
			ol_strdup(*entry->repo && ol_ref_parse(entry->repo, &ref, NULL) == OL_OK
					  ? ol_ref_name_familiar(&ref).text
					  : "<none>");
		entry->tag = ol_strdup("<none>");
	}
}

/* Takes image. */
static void add(struct list *list, const ol_name_info *info, ol_image *image)
{
	struct entry entry = { .image = *image };

	assert(entry.image.config);
	*image = (ol_image){ 0 };
	name_entry(&entry, info);
	entry.row = (ol_image_row){
		.digest = info->root,
		.id = entry.image.config_digest,
		.manifest = entry.image.manifest,
		.platform = entry.image.config->platform,
		.created = ol_time_seconds(entry.image.config->created),
		.pulled = info->created,
		.size = ol_layers_bytes(list->session->store, entry.image.config),
		.containers = containers_of(list, &entry.image.config_digest),
	};
	OL_GROW(list->entries, list->count, list->cap);
	list->entries[list->count++] = entry;
}

/* One row per platform that is there. */
static void add_platforms(
	struct list *list, const ol_name_info *info, const ol_document *index, unsigned depth)
{
	for (size_t i = 0; depth < OL_INDEX_DEPTH_MAX && i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];
		ol_auto(ol_document_free) ol_document *document = NULL;
		ol_image image = { .root = info->root, .manifest = entry->digest };

		if (ol_descriptor_is_attestation(entry) ||
			ol_document_load(
				list->session->store, &entry->digest, NULL, &document, NULL) < 0)
			continue;
		if (document->kind == OL_DOCUMENT_INDEX) {
			add_platforms(list, info, document, depth + 1);
			continue;
		}
		image.config_digest = document->config.digest;
		if (!ol_document_is_image(document) ||
			ol_config_load(list->session->store, &image.config_digest, &image.config,
				NULL) < 0)
			continue;
		image.document = ol_steal(&document);
		add(list, info, &image);
	}
}

static int see_name(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct list *list = ctx;
	ol_auto(ol_document_free) ol_document *root = NULL;
	ol_image image = { 0 };
	int rc;

	if (list->all &&
		ol_document_load(list->session->store, &info->root, info->media_type, &root,
			NULL) == OL_OK &&
		root->kind == OL_DOCUMENT_INDEX) {
		add_platforms(list, info, root, 0);
		return OL_OK;
	}
	rc = ol_image_open(list->session, &info->root, NULL, &image, err);
	if (rc < 0) {
		/* One damaged image must not hide the others: it is told, and check says what to
		 * do. */
		ol_tell_text(&list->session->options.listener, OL_EVENT_WARNING,
			"%s cannot be read: %s",
			*info->name ? info->name : ol_digest_format(&info->root).text,
			err ? err->text : "");
		return OL_OK;
	}
	add(list, info, &image);
	return OL_OK;
}

static int see_container(void *ctx, const ol_container_info *info, ol_error *err)
{
	struct list *list = ctx;

	(void)err;
	OL_GROW(list->used, list->used_count, list->used_cap);
	list->used[list->used_count++] = info->config;
	return OL_OK;
}

static int newest_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int by_name;

	if (x->row.created != y->row.created)
		return x->row.created < y->row.created ? 1 : -1;
	by_name = strcmp(x->repository, y->repository);
	return by_name ? by_name : strcmp(x->tag, y->tag);
}

/* "debian", "debian:12", "*:latest", "host/…/app:1.*": against the familiar and the canonical name,
 * as docker does. */
static bool matches_reference(const struct entry *entry, const char *pattern)
{
	ol_autofree char *familiar = ol_text("%s:%s", entry->repository, entry->tag);

	if (fnmatch(pattern, entry->repository, FNM_PATHNAME) == 0 ||
		fnmatch(pattern, familiar, FNM_PATHNAME) == 0)
		return true;
	return *entry->name && fnmatch(pattern, entry->name, FNM_PATHNAME) == 0;
}

static bool matches_label(const ol_config *config, const char *wanted)
{
	size_t key_size = strcspn(wanted, "=");

	for (size_t i = 0; i < config->label_count; i++) {
		const ol_pair *label = &config->labels[i];

		if (strlen(label->key) == key_size && memcmp(label->key, wanted, key_size) == 0 &&
			(!wanted[key_size] || strcmp(label->value, wanted + key_size + 1) == 0))
			return true;
	}
	return false;
}

/* What a label filter asks, if it is one. */
static bool has_labels(const ol_config *config, const char *filter)
{
	if (strncmp(filter, "label=", 6) == 0)
		return matches_label(config, filter + 6);
	return strncmp(filter, "label!=", 7) != 0 || !matches_label(config, filter + 7);
}

/* What a list of filters comes to, once looked up. */
struct criteria {
	int dangling; /* -1: not asked */
	int64_t before, since, until;
	const ol_list_options *options;
};

static int read_filter(struct list *list, const char *filter, struct criteria *c, ol_error *err)
{
	const char *value = strchr(filter, '=');
	size_t size = value ? (size_t)(value - filter) : 0;
	ol_view key = { filter, size };
	ol_image image = { 0 };
	struct timespec when;
	int rc;

	if (!value)
		return ol_fail(
			err, OL_EINVAL, "invalid argument \"%s\": a filter is KEY=VALUE", filter);
	value++;
	if (ol_view_is(key, "dangling")) {
		if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
			return ol_fail(err, OL_EINVAL,
				"invalid filter dangling=%s: it is true or false", value);
		c->dangling = strcmp(value, "true") == 0;
		return OL_OK;
	}
	if (ol_view_is(key, "reference") || ol_view_is(key, "label") || ol_view_is(key, "label!"))
		return OL_OK;
	if (ol_view_is(key, "until")) {
		if (!ol_time_parse(ol_view_of(value), &when))
			return ol_fail(err, OL_EINVAL,
				"invalid filter until=%s: it is a time as in RFC 3339", value);
		c->until = when.tv_sec;
		return OL_OK;
	}
	if (!ol_view_is(key, "before") && !ol_view_is(key, "since"))
		return ol_fail(err, OL_EINVAL, "invalid filter '%.*s'", (int)size, filter);
	rc = ol_image_find(list->session, value, NULL, &image, err);
	if (rc < 0)
		return rc;
	*(ol_view_is(key, "before") ? &c->before : &c->since) =
		ol_time_seconds(image.config->created);
	ol_image_done(&image);
	return OL_OK;
}

/* Filters of one key are alternatives, filters of different keys all hold; labels all hold. */
static bool passes(const struct entry *entry, const struct criteria *c)
{
	bool reference_asked = false, reference = false;

	if (c->options->match && !matches_reference(entry, c->options->match))
		return false;
	if (c->dangling >= 0 && c->dangling != !*entry->name)
		return false;
	if ((c->before && entry->row.created >= c->before) ||
		(c->since && entry->row.created <= c->since) ||
		(c->until && entry->row.created >= c->until))
		return false;
	for (const char *const *f = c->options->filters; f && *f; f++) {
		if (strncmp(*f, "reference=", 10) == 0) {
			reference_asked = true;
			reference = reference || matches_reference(entry, *f + 10);
		} else if (!has_labels(entry->image.config, *f)) {
			return false;
		}
	}
	return !reference_asked || reference;
}

int ol_list_images(ol_session *session, const ol_list_options *options,
	int (*call)(void *ctx, const ol_image_row *row, ol_error *err), void *ctx, ol_error *err)
{
	struct list list = { .session = session, .all = options->all };
	struct criteria criteria = { .dangling = -1, .options = options };
	int rc = ol_container_each(session->store, see_container, &list, err);

	for (const char *const *f = options->filters; rc == OL_OK && f && *f; f++)
		rc = read_filter(&list, *f, &criteria, err);
	if (rc == OL_OK)
		rc = ol_name_each(session->store, see_name, &list, err);
	if (list.count)
		qsort(list.entries, list.count, sizeof *list.entries, newest_first);
	for (size_t i = 0; rc == OL_OK && i < list.count; i++) {
		struct entry *entry = &list.entries[i];

		entry->row.repository = entry->repository;
		entry->row.tag = entry->tag;
		entry->row.name = entry->name;
		entry->row.config = entry->image.config;
		if (passes(entry, &criteria))
			rc = call(ctx, &entry->row, err);
	}
	for (size_t i = 0; i < list.count; i++)
		entry_done(&list.entries[i]);
	free(list.entries);
	free(list.used);
	return rc;
}
