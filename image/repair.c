/*
 * check --repair, as a story:
 *
 *	(the database, as the store was opened: store/rescue.c)
 *	relist    names that were lost come back from index.json
 *	check     what is damaged?
 *	images    each that is kept, top down                      mend_image.c, mend_layer.c
 *	rest      what was damaged and nothing needs goes
 *	settle    the store is everybody's again; index.json
 *	count     what is still wrong
 */
#include "image/repair.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "image/mend_priv.h"
#include "image/session_priv.h"
#include "image/verify.h"
#include "store/name.h"
#include "store/use.h"

ol_blob_state ol_blob_look(ol_store *store, const ol_digest *digest)
{
	ol_blob_info info;
	int rc = ol_blob_stat(store, digest, &info, NULL);

	if (rc == OL_ENOTFOUND)
		return OL_BLOB_ABSENT;
	return rc == OL_OK && ol_blob_exists(store, digest) ? OL_BLOB_SOUND : OL_BLOB_DAMAGED;
}

static ol_mend_item *find_item(ol_mend *mend, const char *kind, const ol_digest *digest)
{
	for (size_t i = 0; i < mend->count; i++)
		if (strcmp(mend->items[i].kind, kind) == 0 &&
			ol_digest_eq(&mend->items[i].digest, digest))
			return &mend->items[i];
	OL_GROW(mend->items, mend->count, mend->cap);
	mend->items[mend->count] = (ol_mend_item){ .kind = kind, .digest = *digest };
	return &mend->items[mend->count++];
}

static void tell(ol_mend *mend, bool mended, const char *what, const char *how)
{
	if (mend->mender && mend->mender->told)
		mend->mender->told(mend->mender->ctx, &(ol_mended){ what, how, mended });
}

void ol_mend_tell(
	ol_mend *mend, bool mended, const char *kind, const ol_digest *digest, const char *fmt, ...)
{
	ol_mend_item *item = find_item(mend, kind, digest);
	char what[200], how[700];
	va_list ap;

	if (item->told)
		return;
	item->told = true;
	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 loses sight of va_start */
	(void)vsnprintf(how, sizeof how, fmt, ap);
	va_end(ap);
	(void)snprintf(what, sizeof what, "%s %s", kind, ol_digest_format(digest).text);
	tell(mend, mended, what, how);
}

void ol_mend_see(ol_mend *mend, const ol_digest *digest)
{
	OL_GROW(mend->seen, mend->seen_count, mend->seen_cap);
	mend->seen[mend->seen_count++] = *digest;
}

static bool is_seen(const ol_mend *mend, const ol_digest *digest)
{
	for (size_t i = 0; i < mend->seen_count; i++)
		if (ol_digest_eq(&mend->seen[i], digest))
			return true;
	return false;
}

void ol_mend_give_up(ol_mend *mend, const ol_mend_root *root, const char *repo, const char *kind,
	const ol_digest *digest, const ol_error *why)
{
	const char *name = *root->name ? root->name : ol_digest_format(&root->root).text;

	if (!*repo)
		ol_mend_tell(mend, false, kind, digest,
			"cannot be fetched: load the archive it came from again: %s, %s %s", name,
			kind, ol_digest_format(digest).text);
	else
		ol_mend_tell(mend, false, kind, digest, "cannot be mended: %s",
			why && *why->text ? why->text : "it is damaged again");
}

static const char *kind_of(const char *text)
{
	static const char *const kinds[] = { "blob", "layer", "chain" };

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(kinds[i], text) == 0)
			return kinds[i];
	return NULL;
}

/* Rows and ties are mended by what comes anyway; what is left of them is counted at the end. */
static void note(void *ctx, const ol_finding *finding)
{
	const char *kind = kind_of(finding->kind);

	if (kind)
		(void)find_item(ctx, kind, &finding->digest);
}

struct roots {
	ol_mend_root *list; /* owned */
	size_t count, cap;
};

static void roots_done(struct roots *roots)
{
	for (size_t i = 0; i < roots->count; i++) {
		free(roots->list[i].media_type);
		free(roots->list[i].name);
		free(roots->list[i].repo);
	}
	free(roots->list);
}

/* A name that was given by tag has no repository: another of the same root may have. */
static int add_name(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct roots *roots = ctx;

	(void)err;
	OL_GROW(roots->list, roots->count, roots->cap);
	roots->list[roots->count++] = (ol_mend_root){
		.root = info->root,
		.listed = info->listed,
		.media_type = ol_strdup(info->media_type),
		.name = ol_strdup(info->name),
		.repo = ol_strdup(info->repo),
		.imported = info->imported,
		.has_row = true,
	};
	return OL_OK;
}

static void share_repos(struct roots *roots)
{
	for (size_t i = 0; i < roots->count; i++)
		for (size_t k = 0; k < roots->count && !*roots->list[i].repo; k++)
			if (ol_digest_eq(&roots->list[i].root, &roots->list[k].root) &&
				*roots->list[k].repo) {
				free(roots->list[i].repo);
				roots->list[i].repo = ol_strdup(roots->list[k].repo);
			}
}

static void add_use(struct roots *roots, const ol_digest *root, const char *image)
{
	for (size_t i = 0; i < roots->count; i++)
		if (ol_digest_eq(&roots->list[i].root, root))
			return;
	OL_GROW(roots->list, roots->count, roots->cap);
	roots->list[roots->count++] = (ol_mend_root){ .root = *root,
		.media_type = ol_strdup(""),
		.name = ol_strdup(image ? image : ""),
		.repo = ol_strdup("") };
}

static int add_container(void *ctx, const ol_container_info *info, ol_error *err)
{
	(void)err;
	add_use(ctx, &info->root, info->image);
	return OL_OK;
}

static int add_mount(void *ctx, const ol_mount_info *info, ol_error *err)
{
	(void)err;
	add_use(ctx, &info->root, info->image);
	return OL_OK;
}

static int mend_images(ol_mend *mend, ol_error *err)
{
	__attribute__((cleanup(roots_done))) struct roots roots = { 0 };
	ol_store *store = mend->session->store;
	int rc = ol_name_each(store, add_name, &roots, err);

	if (rc == OL_OK)
		rc = ol_container_each(store, add_container, &roots, err);
	if (rc == OL_OK)
		rc = ol_mount_each(store, add_mount, &roots, err);
	share_repos(&roots);
	for (size_t i = 0; rc == OL_OK && i < roots.count; i++)
		rc = ol_mend_image(mend, &roots.list[i], err);
	return rc;
}

static bool is_sound(ol_store *store, const ol_mend_item *item)
{
	if (strcmp(item->kind, "blob") == 0)
		return ol_blob_look(store, &item->digest) == OL_BLOB_SOUND;
	return ol_layer_exists(store, &item->digest, strcmp(item->kind, "chain") == 0);
}

/* Found damaged, and no image has asked for it. */
static int mend_rest(ol_mend *mend, ol_error *err)
{
	ol_store *store = mend->session->store;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < mend->count; i++) {
		const ol_mend_item item = mend->items[i];

		if (item.told)
			continue;
		if (is_sound(store, &item)) {
			ol_mend_tell(mend, true, item.kind, &item.digest, "written anew");
			continue;
		}
		if (mend->blind || is_seen(mend, &item.digest)) {
			ol_mend_tell(mend, false, item.kind, &item.digest,
				"cannot be mended: where it came from is not known");
			continue;
		}
		rc = strcmp(item.kind, "blob") == 0 ? ol_blob_forget(store, &item.digest, err)
						    : ol_layer_forget(store, &item.digest,
							      strcmp(item.kind, "chain") == 0, err);
		if (rc == OL_OK)
			ol_mend_tell(
				mend, true, item.kind, &item.digest, "removed: nothing needs it");
		if (rc == OL_ENOTFOUND || rc == OL_EBUSY)
			rc = OL_OK;
	}
	return rc;
}

static int settle(ol_mend *mend, ol_error *err)
{
	ol_store *store = mend->session->store;
	bool listed = false;
	int64_t pruned = 0;
	int rc = ol_edges_prune(store, &pruned, err);

	if (rc == OL_OK && pruned)
		tell(mend, true, "rows of edges", "removed where their parent is gone");
	if (rc == OL_OK && mend->rebuilding)
		rc = ol_store_rebuilt(store, err);
	if (rc == OL_OK)
		rc = ol_store_relist(store, &listed, err);
	if (rc == OL_OK && listed)
		tell(mend, true, "index.json", "written anew");
	return rc;
}

static int repair(ol_mend *mend, const ol_repair_options *options, ol_error *err)
{
	ol_session *session = mend->session;
	const ol_verify_options check = {
		.quick = options->quick, .restart = options->restart, .found = note, .ctx = mend
	};
	uint64_t faults = 0;
	int rc = mend->rebuilding ? ol_names_relist(session, mend->mender, err) : OL_OK;

	if (rc == OL_OK)
		rc = ol_verify(session, &check, &faults, err);
	if (rc == OL_ECORRUPT && faults)
		rc = OL_OK;
	if (rc == OL_OK && (faults || mend->rebuilding))
		rc = mend_images(mend, err);
	if (rc == OL_OK)
		rc = mend_rest(mend, err);
	return rc == OL_OK ? settle(mend, err) : rc;
}

int ol_repair(ol_session *session, const ol_repair_options *options, uint64_t *left, ol_error *err)
{
	ol_auto(ol_lease_end) ol_lease *lease = NULL;
	ol_mend mend = { .session = session,
		.mender = options->mender,
		.rebuilding = ol_store_is_rebuilding(session->store) };
	const ol_verify_options again = { .quick = true };
	int rc = ol_lease_begin(session->store, "repair", &lease, err);

	mend.lease = lease;
	if (rc == OL_OK)
		rc = repair(&mend, options, err);
	free(mend.items);
	free(mend.seen);
	*left = 0;
	if (rc == OL_OK)
		rc = ol_verify(session, &again, left, err);
	return rc == OL_ECORRUPT && *left ? OL_OK : rc;
}
