/* `df`: what is there, for whom, and what would be given back. */
#include "image/usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/measure.h"
#include "image/list_priv.h"
#include "store/survey.h"
#include "store/use.h"

static ol_measure measure_container(ol_store *store, const char *id)
{
	ol_autofree char *path = ol_text("containers/%s", id);
	ol_measure sum = { 0 };

	(void)ol_measure_tree(ol_store_root_fd(store), path, &sum, NULL);
	return sum;
}

uint64_t ol_usage_container(ol_session *session, const char *id)
{
	return measure_container(session->store, id).disk;
}

/* An image under one of its names. */
struct owned {
	ol_digest root;
	uint64_t size;
	bool used; /* by a container or mount */
};

struct totals {
	ol_store *store; /* lent */
	ol_usage_row images, containers, mounts;
	struct owned *list; /* owned */
	size_t count, cap;
	ol_digest *mounted; /* owned: image IDs */
	size_t mounted_count, mounted_cap;
};

static int see_container(void *ctx, const ol_container_info *info, ol_error *err)
{
	struct totals *totals = ctx;
	const ol_measure sum = measure_container(totals->store, info->id);
	ol_usage_row *row = &totals->containers;

	(void)err;
	row->total++;
	row->active += info->state == OL_CONTAINER_RUNNING;
	row->size += sum.bytes;
	row->disk += sum.disk;
	row->reclaimable += info->state == OL_CONTAINER_RUNNING ? 0 : sum.disk;
	return OL_OK;
}

static int see_mount(void *ctx, const ol_mount_info *info, ol_error *err)
{
	struct totals *totals = ctx;
	const ol_measure sum = measure_container(totals->store, info->id);
	ol_usage_row *row = &totals->mounts;

	(void)err;
	row->total++;
	row->active += info->users > 0;
	row->size += sum.bytes;
	row->disk += sum.disk;
	OL_GROW(totals->mounted, totals->mounted_count, totals->mounted_cap);
	totals->mounted[totals->mounted_count++] = info->config;
	return OL_OK;
}

static int see_image(void *ctx, const ol_image_row *row, ol_error *err)
{
	struct totals *totals = ctx;
	bool used = row->containers > 0;

	(void)err;
	for (size_t i = 0; !used && i < totals->mounted_count; i++)
		used = ol_digest_eq(&totals->mounted[i], &row->id);
	OL_GROW(totals->list, totals->count, totals->cap);
	totals->list[totals->count++] =
		(struct owned){ .root = row->digest, .size = row->size, .used = used };
	return OL_OK;
}

static int by_root(const void *a, const void *b)
{
	return memcmp(&((const struct owned *)a)->root, &((const struct owned *)b)->root,
		sizeof(ol_digest));
}

/* Several names of a root are one image. */
static void count_images(struct totals *totals)
{
	if (totals->count)
		qsort(totals->list, totals->count, sizeof *totals->list, by_root);
	for (size_t i = 0; i < totals->count; i++) {
		const struct owned *one = &totals->list[i];

		if (i > 0 && ol_digest_eq(&one->root, &one[-1].root))
			continue;
		totals->images.total++;
		totals->images.active += one->used;
		totals->images.size += one->size;
	}
}

static int count_all(ol_session *session, struct totals *totals, ol_error *err)
{
	int rc = ol_container_each(session->store, see_container, totals, err);

	if (rc == OL_OK)
		rc = ol_mount_each(session->store, see_mount, totals, err);
	if (rc == OL_OK)
		rc = ol_list_images(session, &(ol_list_options){ 0 }, see_image, totals, err);
	count_images(totals);
	return rc;
}

static int tell_rows(const struct totals *totals, const ol_survey *survey,
	int (*call)(void *ctx, const ol_usage_row *row, ol_error *err), void *ctx, ol_error *err)
{
	ol_usage_row rows[] = {
		totals->images,
		totals->containers,
		totals->mounts,
		{ .total = survey->layers.count,
			.active = survey->layers_active,
			.size = survey->layers.bytes,
			.disk = survey->layers.disk,
			.shared = survey->layers_shared,
			.reclaimable = survey->garbage },
		{ .total = survey->kept.count,
			.size = survey->kept.bytes,
			.disk = survey->kept.disk },
		{ .total = survey->ingests.count,
			.size = survey->ingests.bytes,
			.disk = survey->ingests.disk,
			.reclaimable = survey->ingests.disk },
	};
	static const char *const types[] = { "Images", "Containers", "Mounts", "Layers", "Blobs",
		"Downloads" };
	int rc = OL_OK;

	rows[0].disk = survey->documents.disk + survey->layers.disk + survey->kept.disk;
	rows[0].shared = survey->layers_shared;
	rows[0].reclaimable = survey->unprotected;
	for (size_t i = 0; rc == OL_OK && i < sizeof rows / sizeof rows[0]; i++) {
		rows[i].type = types[i];
		rc = call(ctx, &rows[i], err);
	}
	return rc;
}

int ol_usage(ol_session *session, int (*call)(void *ctx, const ol_usage_row *row, ol_error *err),
	void *ctx, ol_error *err)
{
	struct totals totals = { .store = session->store };
	ol_survey survey = { 0 };
	int rc = count_all(session, &totals, err);

	if (rc == OL_OK)
		rc = ol_survey_take(session->store, &survey, err);
	free(totals.list);
	free(totals.mounted);
	return rc < 0 ? rc : tell_rows(&totals, &survey, call, ctx, err);
}

struct parts {
	ol_survey_image *images; /* owned; by root */
	size_t count;
	int (*call)(void *ctx, const ol_image_row *row, uint64_t shared, uint64_t unique,
		ol_error *err);
	void *ctx;
};

static int by_image_root(const void *a, const void *b)
{
	return memcmp(&((const ol_survey_image *)a)->root, &((const ol_survey_image *)b)->root,
		sizeof(ol_digest));
}

static int tell_parts(void *ctx, const ol_image_row *row, ol_error *err)
{
	const struct parts *parts = ctx;
	const ol_survey_image key = { .root = row->digest };
	const ol_survey_image *found =
		parts->count ? bsearch(&key, parts->images, parts->count, sizeof key, by_image_root)
			     : NULL;

	/* One that has come since the survey is shown without. */
	return parts->call(
		parts->ctx, row, found ? found->shared : 0, found ? found->unique : 0, err);
}

int ol_usage_images(ol_session *session,
	int (*call)(void *ctx, const ol_image_row *row, uint64_t shared, uint64_t unique,
		ol_error *err),
	void *ctx, ol_error *err)
{
	struct parts parts = { .call = call, .ctx = ctx };
	int rc = ol_survey_images(session->store, &parts.images, &parts.count, err);

	if (rc == OL_OK && parts.count)
		qsort(parts.images, parts.count, sizeof *parts.images, by_image_root);
	if (rc == OL_OK)
		rc = ol_list_images(session, &(ol_list_options){ 0 }, tell_parts, &parts, err);
	free(parts.images);
	return rc;
}
