/*
 * `images`: every name and nameless image, with what its summary says (image/summary.h), or, where
 * it has none or it does not say enough, its manifest and config.
 */
#include "image/list.h"

#include <assert.h>
#include <fnmatch.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/list_priv.h"
#include "image/summary.h"
#include "image/until.h"
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
	char *repository, *tag, *name; /* owned */
	ol_config *config;             /* owned; NULL: nobody asks for it, or it has no labels */
};

struct list {
	ol_session *session;
	ol_platform want;
	bool all, labels;
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
	ol_config_free(entry->config);
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
	const char *text = *info->name ? info->name : info->repo ? info->repo : "";
	ol_ref ref;

	entry->name = ol_strdup(info->name);
	/* Docker shows the repository of an image that was pulled by digest. */
	if (*text && ol_ref_parse(text, &ref, NULL) == OL_OK) {
		entry->repository = ol_strdup(ol_ref_name_familiar(&ref).text);
		entry->tag = ol_strdup(*info->name && *ref.tag ? ref.tag : "<none>");
	} else {
		entry->repository = ol_strdup("<none>");
		entry->tag = ol_strdup("<none>");
	}
}

/* Takes config, which may be NULL. */
static void add(struct list *list, const ol_name_info *info, const ol_summary_entry *facts,
	ol_config *config)
{
	struct entry *entry;

	OL_GROW(list->entries, list->count, list->cap);
	entry = &list->entries[list->count++];
	*entry = (struct entry){ .config = config };
	name_entry(entry, info);
	entry->row = (ol_image_row){
		.digest = info->root,
		.id = facts->config,
		.manifest = facts->manifest,
		.platform = facts->platform,
		.created = facts->created,
		.pulled = info->created,
		.size = facts->size,
		.containers = containers_of(list, &facts->config),
		.pinned = info->pinned,
		.imported = info->imported,
	};
}

/* Takes the image, as its documents say it is. */
static void add_image(struct list *list, const ol_name_info *info, ol_image *image)
{
	ol_config *config = ol_steal(&image->config);

	assert(config);
	add(list, info,
		&(ol_summary_entry){
			.platform = config->platform,
			.manifest = image->manifest,
			.config = image->config_digest,
			.created = ol_time_seconds(config->created),
			.size = ol_layers_bytes(list->session->store, config),
		},
		config);
	ol_image_done(image);
}

/* False: this one must be looked at closely. */
static bool add_facts(struct list *list, const ol_name_info *info, const ol_summary_entry *facts)
{
	ol_config *config = NULL;

	if (list->labels && facts->labels &&
		ol_config_load(list->session->store, &facts->config, &config, NULL) < 0)
		return false;
	add(list, info, facts, config);
	return true;
}

static bool add_summary(struct list *list, const ol_name_info *info)
{
	ol_summary summary = { 0 };
	const ol_summary_entry *one;
	bool done = false;

	if (ol_summary_parse(info->summary, &summary, NULL) < 0)
		return false;
	one = ol_summary_choose(&summary, &list->want);
	if (list->all && summary.count > 1) {
		done = true;
		for (size_t i = 0; done && i < summary.count; i++)
			done = add_facts(list, info, &summary.entries[i]) || i > 0;
	} else if (one) {
		done = add_facts(list, info, one);
	}
	ol_summary_done(&summary);
	return done;
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
		add_image(list, info, &image);
	}
}

static int see_name(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct list *list = ctx;
	ol_auto(ol_document_free) ol_document *root = NULL;
	ol_image image = { 0 };
	int rc;

	if (add_summary(list, info))
		return OL_OK;
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
	add_image(list, info, &image);
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

	for (size_t i = 0; config && i < config->label_count; i++) {
		const ol_pair *label = &config->labels[i];

		if (strlen(label->key) == key_size && memcmp(label->key, wanted, key_size) == 0 &&
			(!wanted[key_size] || strcmp(label->value, wanted + key_size + 1) == 0))
			return true;
	}
	return false;
}

/* What a list of filters comes to, once looked up. */
struct criteria {
	int dangling, pinned, imported, used; /* -1: not asked */
	int64_t before, since, until;
	const ol_list_options *options;
};

static int read_bool(const char *key, const char *value, int *out, ol_error *err)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0 && strcmp(value, "1") != 0 &&
		strcmp(value, "0") != 0)
		return ol_fail(
			err, OL_EINVAL, "invalid filter %s=%s: it is true or false", key, value);
	*out = *value == 't' || *value == '1';
	return OL_OK;
}

static int read_image(struct list *list, const char *value, int64_t *created, ol_error *err)
{
	ol_image image = { 0 };
	int rc = ol_image_find(list->session, value, NULL, &image, err);

	if (rc < 0)
		return rc;
	*created = ol_time_seconds(image.config->created);
	ol_image_done(&image);
	return OL_OK;
}

static int read_filter(struct list *list, const char *filter, struct criteria *c, ol_error *err)
{
	const struct {
		const char *key;
		int *flag;
	} flags[] = { { "dangling", &c->dangling }, { "pinned", &c->pinned },
		{ "imported", &c->imported }, { "containers", &c->used } };
	const char *value = strchr(filter, '=');
	const ol_view key = { filter, value ? (size_t)(value - filter) : 0 };

	if (!value)
		return ol_fail(
			err, OL_EINVAL, "invalid argument \"%s\": a filter is KEY=VALUE", filter);
	value++;
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (ol_view_is(key, flags[i].key))
			return read_bool(flags[i].key, value, flags[i].flag, err);
	if (ol_view_is(key, "label") || ol_view_is(key, "label!")) {
		list->labels = true;
		return OL_OK;
	}
	if (ol_view_is(key, "reference"))
		return OL_OK;
	if (ol_view_is(key, "until")) {
		if (!ol_until_parse(value, ol_unix_now(), &c->until))
			return ol_fail(err, OL_EINVAL,
				"invalid filter until=%s: it is a time (RFC 3339) or how long ago "
				"(24h)",
				value);
		return OL_OK;
	}
	if (ol_view_is(key, "before"))
		return read_image(list, value, &c->before, err);
	if (ol_view_is(key, "since"))
		return read_image(list, value, &c->since, err);
	return ol_fail(err, OL_EINVAL, "invalid filter '%.*s'", (int)key.size, filter);
}

static bool is_asked(int asked, bool is)
{
	return asked < 0 || (asked == 1) == is;
}

/* Filters of one key are alternatives, filters of different keys all hold; labels all hold. */
static bool passes(const struct entry *entry, const struct criteria *c)
{
	const ol_image_row *row = &entry->row;
	bool reference_asked = false, reference = false;

	if (c->options->match && !matches_reference(entry, c->options->match))
		return false;
	if (!is_asked(c->dangling, !*entry->name) || !is_asked(c->pinned, row->pinned) ||
		!is_asked(c->imported, row->imported) || !is_asked(c->used, row->containers > 0))
		return false;
	if ((c->before && row->created >= c->before) || (c->since && row->created <= c->since) ||
		(c->until && row->created >= c->until))
		return false;
	for (const char *const *f = c->options->filters; f && *f; f++) {
		if (strncmp(*f, "reference=", 10) == 0) {
			reference_asked = true;
			reference = reference || matches_reference(entry, *f + 10);
		} else if ((strncmp(*f, "label=", 6) == 0 &&
				   !matches_label(entry->config, *f + 6)) ||
			   (strncmp(*f, "label!=", 7) == 0 &&
				   matches_label(entry->config, *f + 7))) {
			return false;
		}
	}
	return !reference_asked || reference;
}

/* The entries that pass, in the order they are shown in. */
static int show(struct list *list, const struct criteria *criteria,
	int (*call)(void *ctx, const ol_image_row *row, ol_error *err), void *ctx, ol_error *err)
{
	int rc = OL_OK;

	if (list->count)
		qsort(list->entries, list->count, sizeof *list->entries, newest_first);
	for (size_t i = 0; rc == OL_OK && i < list->count; i++) {
		struct entry *entry = &list->entries[i];

		entry->row.repository = entry->repository;
		entry->row.tag = entry->tag;
		entry->row.name = entry->name;
		entry->row.config = entry->config;
		if (passes(entry, criteria))
			rc = call(ctx, &entry->row, err);
	}
	return rc;
}

int ol_list_images(ol_session *session, const ol_list_options *options,
	int (*call)(void *ctx, const ol_image_row *row, ol_error *err), void *ctx, ol_error *err)
{
	struct list list = { .session = session, .all = options->all, .labels = options->labels };
	struct criteria criteria = {
		.dangling = -1, .pinned = -1, .imported = -1, .used = -1, .options = options
	};
	int rc = ol_platform_wanted(NULL, &list.want, err);

	if (rc == OL_OK)
		rc = ol_container_each(session->store, see_container, &list, err);
	for (const char *const *f = options->filters; rc == OL_OK && f && *f; f++)
		rc = read_filter(&list, *f, &criteria, err);
	if (rc == OL_OK)
		rc = ol_name_each(session->store, see_name, &list, err);
	if (rc == OL_OK)
		rc = show(&list, &criteria, call, ctx, err);
	for (size_t i = 0; i < list.count; i++)
		entry_done(&list.entries[i]);
	free(list.entries);
	free(list.used);
	return rc;
}
