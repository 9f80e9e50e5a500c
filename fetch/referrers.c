#include "fetch/referrers.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "fetch/upload_priv.h"

/* One page is a document; all are kept until the last has come, so that what one endpoint said is
 * forgotten when the next one is asked. */
struct list {
	struct page {
		ol_document *document; /* owned */
	} * pages;                     /* owned */
	size_t count, cap;
	size_t bytes; /* of all */
};

static void list_done(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		ol_document_free(list->pages[i].document);
	free(list->pages);
	*list = (struct list){ 0 };
}

static int list_add(struct list *list, ol_view body, ol_error *err)
{
	ol_document *page = NULL;
	int rc;

	list->bytes += body.size;
	if (list->bytes > OL_REFERRERS_BYTES_MAX || list->count >= OL_REFERRER_PAGES_MAX)
		return ol_fail(err, OL_ELIMIT, "the list of referrers has no end");
	rc = ol_document_parse(body, OL_MEDIA_OCI_INDEX, &page, err);
	if (rc == OL_OK && page->kind != OL_DOCUMENT_INDEX)
		rc = ol_fail(err, OL_ECORRUPT, "it is no index");
	if (rc < 0) {
		ol_document_free(page);
		return ol_wrap(err, rc, "the list of referrers");
	}
	OL_GROW(list->pages, list->count, list->cap);
	list->pages[list->count++].document = page;
	return OL_OK;
}

/* A query's value: RFC 3986 "Unreserved Characters" as they are. */
static char *escape(const char *text)
{
	char *out = ol_alloc(3 * strlen(text) + 1), *at = out;

	for (; *text; text++) {
		const unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr("-._~", c)) {
			*at++ = (char)c;
			continue;
		}
		*at++ = '%';
		*at++ = "0123456789ABCDEF"[c >> 4];
		*at++ = "0123456789ABCDEF"[c & 15];
	}
	return out;
}

struct question {
	ol_registry *registry;
	const ol_digest *subject;
	const char *artifact_type;
	const char *what;
};

/* 404 by the specification; what registries from before it say to a path they do not know differs.
 */
static bool is_unknown(long status)
{
	return status == 400 || status == 404 || status == 405 || status == 501;
}

/* All pages that one way has. *fault: of the request that failed. */
static int ask_way(const struct question *q, const ol_walk *walk, struct list *list,
	ol_fault *fault, ol_error *err)
{
	const ol_way *way = walk->way;
	ol_autofree char *type = q->artifact_type ? escape(q->artifact_type) : NULL;
	ol_autofree char *path = ol_text("/v2/%s/referrers/%s%s%s", way->endpoint->repository,
		ol_digest_format(q->subject).text, type ? "?artifactType=" : "", type ? type : "");
	ol_autofree char *url = NULL;
	ol_patience patience = ol_walk_patience(walk);
	ol_ask ask = { .method = OL_METHOD_GET,
		.host = way->host,
		.repository = way->endpoint->repository,
		.path = path,
		.accept = OL_MEDIA_OCI_INDEX,
		.body_max = OL_MANIFEST_BYTES_MAX,
		.decode = true,
		.patience = &patience };
	int rc;

	do {
		ol_reply reply;

		ask.url = url;
		rc = ol_exchange(q->registry, &ask, &reply, err);
		*fault = ol_fault_of(rc, &reply);
		if (rc == OL_OK && is_unknown(reply.status))
			rc = ol_fail(err, OL_ENOTFOUND, "%s: it does not list them", q->what);
		else if (rc == OL_OK && reply.status != 200)
			rc = ol_exchange_refusal(&ask, &reply, q->what, err);
		if (rc == OL_OK) {
			rc = list_add(list, ol_buf_view(&reply.body), err);
			if (rc == OL_OK)
				rc = ol_reply_next_page(
					&ask, &reply, "the list of referrers", &url, err);
			if (rc < 0)
				fault->kind = OL_FAULT_ABSENT; /* others may have better words */
		}
		ol_reply_done(&reply);
	} while (rc == OL_OK && url);
	return rc;
}

static int ask_api(const struct question *q, const ol_ref *ref, struct list *list, ol_error *err)
{
	ol_walk walk;
	int rc = ol_walk_begin(&walk, q->registry, ref, OL_CAN_REFER, q->what, err);
	bool found = false;

	if (rc < 0)
		return rc;
	while (!found && ol_walk_next(&walk)) {
		ol_fault fault = { 0 };
		ol_error why = { 0 };
		int there;

		list_done(list);
		there = ask_way(q, &walk, list, &fault, &why);
		found = there == OL_OK;
		if (!found && !ol_walk_failed(&walk, there, fault, &why))
			break;
	}
	rc = found ? OL_OK : ol_walk_refusal(&walk, err);
	ol_walk_end(&walk);
	return rc;
}

/* For registries without the API: a tag, which who pushes keeps. */
static int ask_tag(const struct question *q, const ol_ref *ref, struct list *list, ol_error *err)
{
	ol_auto_buf ol_buf body = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_ref tagged = *ref;
	ol_resolved resolved;
	int rc;

	list_done(list);
	tagged.digest = (ol_digest){ 0 };
	ol_referrers_tag(q->subject, tagged.tag);
	rc = ol_registry_resolve(q->registry, &tagged, &resolved, err);
	if (rc == OL_ENOTFOUND)
		return OL_OK;
	if (rc == OL_OK)
		rc = ol_registry_get_manifest(
			q->registry, &tagged, &resolved.digest, &body, NULL, err);
	if (rc == OL_OK)
		rc = list_add(list, ol_buf_view(&body), err);
	/* An image may have the tag: then there is no list. */
	return rc == OL_ECORRUPT || rc == OL_EUNSUPPORTED ? OL_OK : rc;
}

static int tell(const struct list *list, const char *type, const ol_referrer_handler *handler,
	ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < list->count; i++)
		for (size_t k = 0; rc == OL_OK && k < list->pages[i].document->manifest_count;
			k++) {
			const ol_descriptor *entry = &list->pages[i].document->manifests[k];
			const ol_referrer referrer = { .digest = entry->digest,
				.size = entry->size,
				.media_type = entry->media_type,
				.artifact_type = entry->artifact_type,
				.annotations = entry->annotations,
				.annotation_count = entry->annotation_count };

			/* A filter that was asked for need not have been applied. */
			if (ol_digest_is_set(&entry->digest) &&
				(!type || (entry->artifact_type &&
						  strcmp(type, entry->artifact_type) == 0)))
				rc = handler->call(handler->ctx, &referrer, err);
		}
	return rc;
}

int ol_registry_referrers(ol_registry *registry, const ol_ref *ref, const ol_digest *subject,
	const char *artifact_type, const ol_referrer_handler *handler, ol_error *err)
{
	ol_autofree char *what = ol_text("referrers of %s", ol_digest_format(subject).text);
	const struct question q = { registry, subject, artifact_type, what };
	struct list list = { 0 };
	int rc = ask_api(&q, ref, &list, err);

	/* 404 by the specification; what older registries say to a path they do not know differs.
	 */
	if (rc == OL_ENOTFOUND || rc == OL_EUNSUPPORTED || rc == OL_EINVAL)
		rc = ask_tag(&q, ref, &list, err);
	if (rc == OL_OK)
		rc = tell(&list, artifact_type, handler, err);
	list_done(&list);
	return rc;
}
