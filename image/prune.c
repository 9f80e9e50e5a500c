/* prune: a list of what could go is made first, then each is removed as rmi and rm do: what came
 * into use meanwhile stays. Of images only the names are removed one by one; one collection
 * follows. */
#include "image/prune.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/list.h"
#include "image/names.h"
#include "image/run.h"
#include "image/session_priv.h"
#include "image/until.h"
#include "image/usage.h"
#include "store/gc.h"
#include "store/use.h"

struct texts {
	char **list; /* owned */
	size_t count, cap;
};

static void texts_done(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->list[i]);
	free(texts->list);
}

static void texts_add(struct texts *texts, const char *text)
{
	OL_GROW(texts->list, texts->count, texts->cap);
	texts->list[texts->count++] = ol_strdup(text);
}

struct pruning {
	const ol_prune_options *options;
	const ol_prune_listener *listener;
	struct texts images;
};

static void tell(
	const ol_prune_listener *listener, ol_prune_kind kind, const char *text, const char *why)
{
	if (listener->call)
		listener->call(listener->ctx, &(ol_prune_event){ kind, text, why });
}

static int see_image(void *ctx, const ol_image_row *row, ol_error *err)
{
	struct pruning *pruning = ctx;
	const ol_digest_text root = ol_digest_format(&row->digest);
	const char *text = *row->name ? row->name : root.text;

	(void)err;
	if (row->containers > 0)
		return OL_OK; /* in use: nobody expects it to go */
	if (row->pinned)
		tell(pruning->listener, OL_PRUNE_KEPT, text, "it is pinned");
	else if (row->imported && !pruning->options->imported)
		tell(pruning->listener, OL_PRUNE_KEPT, text,
			"it was loaded or imported and may exist nowhere else");
	else
		texts_add(&pruning->images, text);
	return OL_OK;
}

static void on_removed(void *ctx, const ol_removed *removed)
{
	tell(ctx, removed->untagged ? OL_PRUNE_UNTAGGED : OL_PRUNE_DELETED, removed->text, NULL);
}

static int remove_images(ol_session *session, const struct pruning *pruning, ol_error *err)
{
	const ol_remove_options options = { .gc_follows = true };
	ol_prune_listener listener = *pruning->listener;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < pruning->images.count; i++) {
		ol_error failure = { 0 };

		rc = ol_cancel_check(session->options.cancel, err);
		if (rc < 0)
			break;
		rc = ol_remove_image(session, pruning->images.list[i], &options, on_removed,
			&listener, &failure);
		/* A mount has it, a container was made of it, somebody else removed it. */
		if (rc == OL_EBUSY)
			tell(pruning->listener, OL_PRUNE_KEPT, pruning->images.list[i],
				"it is in use");
		if (rc == OL_EBUSY || rc == OL_ENOTFOUND)
			rc = OL_OK;
		if (rc < 0 && err)
			*err = failure;
	}
	return rc;
}

/* The filters of `images`, and dangling=true where nothing else was asked for. dangling=false asks
 * for all, in docker's words. */
static const char **list_filters(const ol_prune_options *options)
{
	size_t count = 0, kept = 0;
	bool said = options->all;
	const char **out;

	while (options->filters && options->filters[count])
		count++;
	out = ol_alloc_array(count + 2, sizeof *out);
	for (size_t i = 0; i < count; i++) {
		const char *filter = options->filters[i];

		said = said || strncmp(filter, "dangling=", 9) == 0;
		if (strcmp(filter, "dangling=false") != 0 && strcmp(filter, "dangling=0") != 0)
			out[kept++] = filter;
	}
	if (!said)
		out[kept++] = "dangling=true";
	out[kept] = NULL;
	return out;
}

static int check_filters(const char *const *filters, const char *const *known, ol_error *err)
{
	for (const char *const *f = filters; f && *f; f++) {
		const char *const *k = known;

		while (*k && strncmp(*f, *k, strlen(*k)) != 0)
			k++;
		if (!*k)
			return ol_fail(
				err, OL_EINVAL, "invalid filter '%.*s'", (int)strcspn(*f, "="), *f);
	}
	return OL_OK;
}

int ol_prune_images(ol_session *session, const ol_prune_options *options,
	const ol_prune_listener *listener, uint64_t *reclaimed, ol_error *err)
{
	static const char *const known[] = { "until=", "label=", "label!=", "dangling=", NULL };
	ol_autofree const char **filters = list_filters(options);
	struct pruning pruning = { .options = options, .listener = listener };
	ol_gc_result gone = { 0 };
	int rc = check_filters(options->filters, known, err);

	if (rc == OL_OK)
		rc = ol_list_images(session, &(ol_list_options){ .filters = filters }, see_image,
			&pruning, err);
	if (rc == OL_OK)
		rc = remove_images(session, &pruning, err);
	if (rc == OL_OK && pruning.images.count > 0)
		rc = ol_gc(session->store, session->options.cancel, &gone, err);
	*reclaimed += gone.bytes;
	texts_done(&pruning.images);
	return rc;
}

struct stopped {
	struct texts ids;
	int64_t until; /* 0: not asked */
};

static int see_container(void *ctx, const ol_container_info *info, ol_error *err)
{
	struct stopped *stopped = ctx;

	(void)err;
	if (info->state != OL_CONTAINER_RUNNING &&
		(!stopped->until || info->created < stopped->until))
		texts_add(&stopped->ids, info->id);
	return OL_OK;
}

static int remove_container(ol_session *session, const char *id, const ol_prune_listener *listener,
	uint64_t *reclaimed, ol_error *err)
{
	const uint64_t disk = ol_usage_container(session, id);
	int rc = ol_remove_container(session, id, false, err);

	if (rc == OL_EBUSY || rc == OL_ENOTFOUND)
		return OL_OK; /* it was started, or somebody was faster */
	if (rc < 0)
		return rc;
	*reclaimed += disk;
	tell(listener, OL_PRUNE_CONTAINER, id, NULL);
	return OL_OK;
}

int ol_prune_containers(ol_session *session, const ol_prune_options *options,
	const ol_prune_listener *listener, uint64_t *reclaimed, ol_error *err)
{
	static const char *const known[] = { "until=", "label=", "label!=", NULL };
	struct stopped stopped = { 0 };
	bool labels = false;
	int rc = check_filters(options->filters, known, err);

	for (const char *const *f = options->filters; rc == OL_OK && f && *f; f++) {
		/* A container has no labels: none has that one, all lack it. */
		labels = labels || strncmp(*f, "label=", 6) == 0;
		if (strncmp(*f, "until=", 6) == 0 &&
			!ol_until_parse(*f + strlen("until="), ol_unix_now(), &stopped.until))
			rc = ol_fail(err, OL_EINVAL,
				"invalid filter %s: it is a time (RFC 3339) or how long ago (24h)",
				*f);
	}
	if (rc == OL_OK && !labels)
		rc = ol_container_each(session->store, see_container, &stopped, err);
	for (size_t i = 0; rc == OL_OK && i < stopped.ids.count; i++)
		rc = remove_container(session, stopped.ids.list[i], listener, reclaimed, err);
	texts_done(&stopped.ids);
	return rc;
}
