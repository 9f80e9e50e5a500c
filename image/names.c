/* tag, untag, pin, rmi: names come and go; the image goes with its last one. */
#include "image/names.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/expose.h"
#include "image/session_priv.h"
#include "store/gc.h"
#include "store/name.h"
#include "store/use.h"

/* The row of any name of a root: what it says of the root goes for a new name too. */
struct sibling {
	ol_name_info row; /* owned strings */
	bool found;
};

static int copy_row(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct sibling *sibling = ctx;

	(void)err;
	if (sibling->found)
		return OL_OK;
	sibling->found = true;
	sibling->row = *info;
	/* What belongs to the root comes by itself (ol_name_set). */
	sibling->row.name = sibling->row.repo = sibling->row.summary = NULL;
	sibling->row.media_type = ol_strdup(info->media_type);
	sibling->row.listed_media_type = ol_strdup(info->listed_media_type);
	return OL_OK;
}

int ol_tag(ol_session *session, const char *source, const char *target, ol_error *err)
{
	struct sibling sibling = { 0 };
	ol_image image = { 0 };
	ol_ref_string name;
	ol_ref ref;
	int rc = ol_ref_parse(target, &ref, err);

	if (rc < 0)
		return rc;
	if (ol_digest_is_set(&ref.digest))
		return ol_fail(
			err, OL_EINVAL, "%.255s has a digest: a name to give has none", target);
	rc = ol_image_find(session, source, NULL, &image, err);
	if (rc < 0)
		return rc;
	rc = ol_name_each_of(session->store, &image.root, copy_row, &sibling, err);
	if (rc == OL_OK && !sibling.found)
		rc = ol_fail(err, OL_ENOTFOUND, "No such image: %.255s", source);
	name = ol_ref_format(&ref);
	if (rc == OL_OK) {
		ol_name_info row = sibling.row;

		row.name = name.text;
		row.repo = "";
		row.created = ol_unix_now();
		rc = ol_name_set(session->store, &row, err);
	}
	ol_name_info_done(&sibling.row);
	ol_image_done(&image);
	return rc;
}

int ol_untag(ol_session *session, const char *name, ol_error *err)
{
	ol_ref ref;
	int rc = ol_ref_parse(name, &ref, err);

	if (rc < 0)
		return rc;
	rc = ol_name_remove(session->store, ol_ref_format(&ref).text, true, err);
	return rc == OL_ENOTFOUND ? ol_fail(err, rc, "No such image: %.255s", name) : rc;
}

/* All names of one root, and who uses its image. */
struct owners {
	const ol_digest *config; /* lent */
	char **names;            /* owned */
	size_t count, cap;
	bool pinned;
	char *container; /* owned; the short id of one that uses it */
	char *mount;     /* owned; where it is mounted, or was, and what was written is kept */
	bool mounted;
	bool gone; /* a mount of it waits for a sweep */
};

static int see_name(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct owners *owners = ctx;

	(void)err;
	owners->pinned = owners->pinned || info->pinned;
	if (!*info->name)
		return OL_OK;
	OL_GROW(owners->names, owners->count, owners->cap);
	owners->names[owners->count++] = ol_strdup(info->name);
	return OL_OK;
}

static int see_container(void *ctx, const ol_container_info *info, ol_error *err)
{
	struct owners *owners = ctx;

	(void)err;
	if (!owners->container && ol_digest_eq(&info->config, owners->config))
		owners->container = ol_strndup(info->id, 12);
	return OL_OK;
}

static int see_mount(void *ctx, const ol_mount_info *info, ol_mount_state state, ol_error *err)
{
	struct owners *owners = ctx;

	(void)err;
	if (owners->mount || !ol_digest_eq(&info->config, owners->config))
		return OL_OK;
	if (state == OL_MOUNT_GONE && !info->writable) {
		owners->gone = true;
		return OL_OK;
	}
	owners->mount = ol_strdup(info->target);
	owners->mounted = state != OL_MOUNT_GONE && state != OL_MOUNT_UNMOUNTED;
	return OL_OK;
}

static void owners_done(struct owners *owners)
{
	for (size_t i = 0; i < owners->count; i++)
		free(owners->names[i]);
	free(owners->names);
	free(owners->container);
	free(owners->mount);
}

struct removal {
	ol_session *session;
	const ol_remove_options *options;
	void (*call)(void *ctx, const ol_removed *removed);
	void *ctx;
};

static void say(const struct removal *removal, bool untagged, const char *text)
{
	if (removal->call)
		removal->call(removal->ctx, &(ol_removed){ .untagged = untagged, .text = text });
}

static void say_untagged(const struct removal *removal, const char *name)
{
	ol_ref ref;

	say(removal, true,
		ol_ref_parse(name, &ref, NULL) == OL_OK ? ol_ref_format_familiar(&ref).text : name);
}

static int refuse(const struct owners *owners, const char *name, ol_error *err)
{
	if (owners->container) {
		ol_fail(err, OL_EBUSY, "unable to remove %.255s: container %s is using it", name,
			owners->container);
		return ol_hint(err, OL_EBUSY,
			"remove the container with `orlop rm %s`, or force it with -f",
			owners->container);
	}
	if (owners->mount) {
		ol_fail(err, OL_EBUSY, "unable to remove %.255s: %s %.200s", name,
			owners->mounted ? "it is mounted at"
					: "what was written over it is kept for",
			owners->mount);
		return ol_hint(err, OL_EBUSY,
			"end that with `orlop umount%s %.120s`, or force it with -f",
			owners->mounted ? "" : " --rm", owners->mount);
	}
	ol_fail(err, OL_EBUSY, "unable to remove %.255s: it is pinned", name);
	return ol_hint(err, OL_EBUSY, "`orlop unpin` it, or force it with -f");
}

static int untag(const struct removal *removal, const char *name, ol_error *err)
{
	int rc = ol_name_remove(removal->session->store, name, false, err);

	if (rc == OL_OK)
		say_untagged(removal, name);
	return rc;
}

/* The last name goes: so does the image, and what only it needed. */
static int drop(const struct removal *removal, const ol_image *image, const struct owners *owners,
	ol_error *err)
{
	ol_session *session = removal->session;
	ol_gc_result gone = { 0 };
	int rc = ol_name_remove_root(session->store, &image->root, err);

	for (size_t i = 0; rc == OL_OK && i < owners->count; i++)
		say_untagged(removal, owners->names[i]);
	if (rc == OL_ENOTFOUND)
		rc = OL_OK;
	if (rc == OL_OK && owners->gone)
		rc = ol_sweep_mounts(session, err);
	if (rc == OL_OK && !removal->options->gc_follows)
		rc = ol_gc_image(session->store, &image->root, session->options.cancel, &gone, err);
	if (rc == OL_OK)
		say(removal, false, ol_digest_format(&image->config_digest).text);
	return rc;
}

static int remove_found(const struct removal *removal, const char *name, const ol_image *image,
	struct owners *owners, ol_error *err)
{
	ol_store *store = removal->session->store;
	const ol_ref_string full = ol_ref_format(&image->ref);
	const bool by_tag = image->has_ref && !ol_digest_is_set(&image->ref.digest);
	const bool force = removal->options->force;
	int rc;

	owners->config = &image->config_digest;
	rc = ol_name_each_of(store, &image->root, see_name, owners, err);
	if (rc == OL_OK)
		rc = ol_container_each(store, see_container, owners, err);
	if (rc == OL_OK)
		rc = ol_list_mounts(removal->session, see_mount, owners, err);
	if (rc < 0)
		return rc;
	/* A name of several just goes, whoever uses the image. */
	if (by_tag && owners->count > 1)
		return untag(removal, full.text, err);
	if ((owners->container || owners->mount || owners->pinned) && !force)
		return refuse(owners, name, err);
	if (!by_tag && owners->count > 1 && !force) {
		ol_fail(err, OL_EBUSY, "unable to remove %.255s: it has %zu names", name,
			owners->count);
		return ol_hint(err, OL_EBUSY, "remove them one by one, or all with -f");
	}
	return drop(removal, image, owners, err);
}

int ol_remove_image(ol_session *session, const char *name, const ol_remove_options *options,
	void (*call)(void *ctx, const ol_removed *removed), void *ctx, ol_error *err)
{
	const struct removal removal = {
		.session = session, .options = options, .call = call, .ctx = ctx
	};
	struct owners owners = { 0 };
	ol_image image = { 0 };
	int rc = ol_image_find(session, name, NULL, &image, err);

	if (rc < 0)
		return rc;
	rc = remove_found(&removal, name, &image, &owners, err);
	owners_done(&owners);
	ol_image_done(&image);
	return rc;
}

int ol_pin(ol_session *session, const char *name, bool pinned, ol_error *err)
{
	ol_image image = { 0 };
	int rc = ol_image_find(session, name, NULL, &image, err);

	if (rc < 0)
		return rc;
	rc = ol_name_pin(session->store, &image.root, pinned, err);
	ol_image_done(&image);
	return rc == OL_ENOTFOUND ? ol_fail(err, rc, "No such image: %.255s", name) : rc;
}
