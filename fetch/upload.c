/*
 * A blob on its way into a registry:
 *
 *	HEAD ──200──▶ existed
 *	  │404
 *	POST ?mount=&from= ──201──▶ mounted
 *	  │202 Location           (refused: POST without)
 *	  ▼
 *	session ──PATCH a-b──▶ 202 Range ──▶ … ──PUT ?digest=──▶ 201 sent
 *	   ▲  ▲       │ cut, 5xx, 429: wait          │ cut: HEAD, it may have arrived
 *	   │  └─ GET Location: 204 Range says how far it came, and there it goes on
 *	   └──── 404 (or any refusal of GET): the session has ended, POST anew
 *
 * The Location of the latest reply is the one that counts. A small blob is the body of the PUT
 * alone. A registry that takes no PATCH gets everything in one PUT.
 */
#include "fetch/upload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/trace.h"
#include "fetch/access_priv.h"
#include "fetch/range.h"
#include "fetch/upload_priv.h"
#include "fetch/url.h"

/* A piece is what is lost at most where a registry does not say how far a cut one came; more in
 * flight makes nothing faster. */
#define PIECE_BYTES ((uint64_t)64 << 20)
/* The smallest piece, and a blob that costs less than the requests to send it in pieces: 4 MiB. */
#define PIECE_PART 16
/* Sessions that end without an error of ours: more is no accident. */
#define SESSIONS_MAX 4

struct upload {
	ol_registry *registry;
	ol_host *host;
	const ol_ref *ref;
	const ol_upload *want;
	ol_digest_text digest;
	char *what;        /* owned: for words */
	char *base;        /* owned: the URL that locations are relative to */
	char *location;    /* owned: of the session; NULL: none */
	ol_source *source; /* owned; NULL until it is needed */
	ol_patience patience;
	uint64_t offset; /* bytes the registry has */
	uint64_t piece, piece_least;
	uint64_t piece_min; /* the registry's */
	unsigned sessions, out_of_order;
	bool whole;  /* in one PUT */
	bool unsure; /* how far it came is to be asked */
	bool mounted;
};

enum verdict {
	DONE,
	AGAIN,
}; /* or a negative code */

static ol_ask ask_of(struct upload *upload, ol_method method)
{
	return (ol_ask){ .method = method,
		.host = upload->host,
		.repository = upload->ref->path,
		.url = upload->location,
		.body_max = OL_ERROR_BODY_BYTES_MAX,
		.decode = true,
		.stop = upload->want->stop,
		.patience = &upload->patience };
}

static int refuse(
	const struct upload *upload, const ol_ask *ask, const ol_reply *reply, ol_error *err)
{
	return ol_exchange_refusal(ask, reply, upload->what, err);
}

static void forget_session(struct upload *upload)
{
	free(upload->location);
	upload->location = NULL;
	upload->offset = 0;
	upload->unsure = false;
}

static bool is_plain(ol_view text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	return text.size > 0;
}

/* Where the session goes on. A registry behind a proxy that speaks TLS for it may call itself http:
 * what went to it encrypted does not go on in the clear. */
static int take_location(struct upload *upload, const ol_reply *reply, ol_error *err)
{
	ol_autofree char *text = NULL;
	ol_autofree char *next = NULL;
	const char *from = upload->location ? upload->location : upload->base;
	ol_host *host;
	ol_view header;
	int rc;

	if (!ol_reply_header(reply, "location", 0, &header) || !is_plain(header))
		return ol_fail(err, OL_EUNAVAILABLE, "%s does not say where an upload goes on",
			upload->host->name);
	text = ol_strndup(header.data, header.size);
	rc = ol_url_join(from, text, &next, err);
	if (rc == OL_OK && ol_url_is_https(from) && !ol_url_is_https(next)) {
		char *safe = ol_text("https%s", next + 4);

		free(next);
		next = safe;
	}
	if (rc == OL_OK)
		rc = ol_host_via(upload->registry, next, upload->host, &host, err);
	if (rc < 0)
		return ol_wrap(err, OL_EUNAVAILABLE, "%s leads an upload to something that is",
			upload->host->name);
	free(upload->location);
	upload->location = ol_steal(&next);
	return OL_OK;
}

static void take_piece_min(struct upload *upload, const ol_reply *reply)
{
	ol_view header;

	upload->piece_min = 0;
	if (ol_reply_header(reply, "oci-chunk-min-length", 0, &header))
		(void)ol_length_parse(header, &upload->piece_min, NULL);
	if (upload->piece < upload->piece_min)
		upload->piece = upload->piece_min;
}

/* POST, with a wish to mount or without. A refusal of the wish is none of the upload. */
static int begin_session(struct upload *upload, const char *mount_from, ol_error *err)
{
	ol_autofree char *path =
		mount_from ? ol_text("/v2/%s/blobs/uploads/?mount=%s&from=%s", upload->ref->path,
				     upload->digest.text, mount_from)
			   : ol_text("/v2/%s/blobs/uploads/", upload->ref->path);
	ol_ask ask = ask_of(upload, OL_METHOD_POST);
	ol_reply reply;
	int rc;

	ask.url = NULL;
	ask.path = path;
	ask.content_type = "application/octet-stream";
	rc = ol_exchange(upload->registry, &ask, &reply, err);
	free(upload->base);
	upload->base = ol_host_url(upload->host, path);
	if (rc == OL_OK && reply.status == 202) {
		rc = take_location(upload, &reply, err);
		take_piece_min(upload, &reply);
	} else if (rc == OL_OK && mount_from && reply.status == 201) {
		upload->mounted = true;
	} else if (rc == OL_OK && !(mount_from && reply.status >= 400 && reply.status < 500 &&
					  reply.status != 429)) {
		rc = refuse(upload, &ask, &reply, err);
	}
	ol_reply_done(&reply);
	return rc;
}

/* How far it came: the reply's Range. A reply without one leaves it as it is. */
static bool take_offset(struct upload *upload, const ol_reply *reply)
{
	uint64_t offset;
	ol_view header;

	if (!ol_reply_header(reply, "range", 0, &header) ||
		ol_upload_range_parse(header, &offset, NULL) < 0 || offset > upload->want->size)
		return false;
	upload->offset = offset;
	return true;
}

static int ask_how_far(struct upload *upload, ol_error *err)
{
	ol_ask ask = ask_of(upload, OL_METHOD_GET);
	const uint64_t before = upload->offset;
	ol_reply reply;
	int rc = ol_exchange(upload->registry, &ask, &reply, err);

	upload->unsure = false;
	if (rc == OL_OK) {
		const bool alive = reply.status >= 200 && reply.status < 300;

		/* A location that is not said again is still the old one. */
		if (alive)
			(void)take_location(upload, &reply, NULL);
		if (!alive && (ol_retry_status(reply.status) || reply.status == 401))
			rc = refuse(upload, &ask, &reply, err);
		else if (!alive || !take_offset(upload, &reply))
			forget_session(upload);
		if (upload->offset > before)
			ol_patience_renew(&upload->patience);
	}
	ol_reply_done(&reply);
	return rc;
}

/* A reply that asks for time, or none: AGAIN once it may be tried again. */
static int wait(
	struct upload *upload, const ol_ask *ask, const ol_reply *reply, int rc, ol_error *err)
{
	bool again = false;
	ol_error waiting = { 0 };
	int waited = ol_exchange_wait(upload->registry, ask, reply, &again, &waiting);

	if (waited < 0 && err)
		*err = waiting;
	if (waited < 0)
		return waited;
	if (!again)
		return rc < 0 ? rc : refuse(upload, ask, reply, err);
	upload->unsure = true;
	return AGAIN;
}

static int begin_anew(
	struct upload *upload, const ol_ask *ask, const ol_reply *reply, ol_error *err)
{
	forget_session(upload);
	if (upload->sessions >= SESSIONS_MAX)
		return refuse(upload, ask, reply, err);
	return AGAIN;
}

/* Replies that PATCH and PUT have in common. */
static int after_refusal(
	struct upload *upload, const ol_ask *ask, const ol_reply *reply, ol_error *err)
{
	if (ol_retry_status(reply->status))
		return wait(upload, ask, reply, OL_OK, err);
	switch (reply->status) {
	case 404:
	case 410:
		return begin_anew(upload, ask, reply, err);
	case 416:
		/* It may have more or less than we think; who says so again and again wants
		 * all at once. */
		if (!take_offset(upload, reply))
			upload->unsure = true;
		(void)take_location(upload, reply, NULL);
		if (++upload->out_of_order < 3)
			return AGAIN;
		if (upload->whole)
			return refuse(upload, ask, reply, err);
		upload->whole = true;
		return begin_anew(upload, ask, reply, err);
	default: /* statuses are many, and the rest are refusals */
		return refuse(upload, ask, reply, err);
	}
}

static int after_patch(
	struct upload *upload, const ol_ask *ask, const ol_reply *reply, uint64_t to, ol_error *err)
{
	uint64_t floor =
		upload->piece_least > upload->piece_min ? upload->piece_least : upload->piece_min;
	int rc;

	if (reply->status >= 200 && reply->status < 300) {
		rc = take_location(upload, reply, err);
		if (rc < 0)
			return rc;
		if (!take_offset(upload, reply))
			upload->offset = to;
		if (upload->offset > to)
			return begin_anew(upload, ask, reply, err);
		if (upload->offset == to)
			upload->out_of_order = 0;
		else if (++upload->out_of_order > 3)
			return ol_fail(err, OL_EUNAVAILABLE, "%s takes fewer bytes than are sent",
				upload->host->name);
		ol_patience_renew(&upload->patience);
		return AGAIN;
	}
	if ((reply->status == 405 || reply->status == 501) && !upload->whole) {
		upload->whole = true;
		return begin_anew(upload, ask, reply, err);
	}
	if (reply->status == 413 && upload->piece > floor) {
		upload->piece = floor;
		upload->unsure = true;
		return AGAIN;
	}
	return after_refusal(upload, ask, reply, err);
}

/* The transfer thread's view of a part that is on its way. */
struct part {
	const struct upload *upload;
	uint64_t start;
};

static void on_sent(void *ctx, uint64_t sent)
{
	const struct part *part = ctx;
	const ol_upload *want = part->upload->want;

	if (want->progress)
		want->progress(want->ctx, part->start + sent);
}

/* OL_OK: whatever came is in reply. AGAIN: it was cut. */
static int send_part(
	struct upload *upload, ol_ask *ask, uint64_t to, ol_reply *reply, ol_error *err)
{
	struct part part = { upload, upload->offset };
	ol_payload payload = { .source = upload->source,
		.start = upload->offset,
		.size = to - upload->offset,
		.once = true,
		.progress = on_sent,
		.ctx = &part };
	char range[64];
	int rc;

	(void)snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, upload->offset, to - 1);
	ask->content_type = "application/octet-stream";
	ask->once = true;
	if (payload.size) {
		ask->payload = &payload;
		ask->http1 = payload.size > upload->piece_least;
		if (ask->method == OL_METHOD_PATCH || upload->offset > 0)
			ask->content_range = range;
	}
	rc = ol_exchange(upload->registry, ask, reply, err);
	ask->payload = NULL;
	ask->content_range = NULL;
	if (rc < 0 && (reply->outcome == OL_OUTCOME_CUT || reply->outcome == OL_OUTCOME_STALLED))
		return wait(upload, ask, reply, rc, err);
	return rc;
}

/* At least `least` and at most `most` bytes behind the offset are there to be sent, fewer only at
 * the blob's end: *to is behind the last. */
static int make_ready(
	struct upload *upload, uint64_t least, uint64_t most, uint64_t *to, ol_error *err)
{
	const ol_upload *want = upload->want;
	uint64_t left = want->size - upload->offset;
	int rc = OL_OK;

	if (most > left)
		most = left;
	if (least > most)
		least = most;
	if (!upload->source)
		rc = want->open(want->ctx, &upload->source, err);
	*to = upload->offset + most;
	if (rc == OL_OK && want->ready)
		rc = want->ready(want->ctx, upload->offset, least, to, err);
	return rc;
}

static int patch(struct upload *upload, ol_error *err)
{
	ol_ask ask = ask_of(upload, OL_METHOD_PATCH);
	ol_reply reply = { 0 };
	uint64_t to;
	int rc = make_ready(upload,
		upload->piece_min > upload->piece_least ? upload->piece_min : upload->piece_least,
		upload->piece, &to, err);

	if (rc < 0)
		return rc;
	rc = send_part(upload, &ask, to, &reply, err);
	if (rc == OL_OK)
		rc = after_patch(upload, &ask, &reply, to, err);
	ol_reply_done(&reply);
	return rc;
}

static bool says(const ol_reply *reply, const char *code)
{
	return reply->body.size && memmem(reply->body.data, reply->body.size, code, strlen(code));
}

int ol_reply_check_digest(
	const ol_reply *reply, const char *host, const ol_digest *want, ol_error *err)
{
	ol_digest got;
	ol_view header;

	/* It may name the bytes by another algorithm: that cannot be compared. */
	if (!ol_reply_header(reply, "docker-content-digest", 0, &header) ||
		ol_digest_parse(header, &got, NULL) < 0 || got.algorithm != want->algorithm ||
		ol_digest_eq(&got, want))
		return OL_OK;
	return ol_fail(err, OL_ECORRUPT, "%s keeps it as %s", host, ol_digest_format(&got).text);
}

static int after_put(struct upload *upload, const ol_ask *ask, const ol_reply *reply, ol_error *err)
{
	if (reply->status == 200 || reply->status == 201 || reply->status == 204) {
		int rc = ol_reply_check_digest(
			reply, upload->host->name, &upload->want->digest, err);

		return rc < 0 ? ol_wrap(err, rc, "%s", upload->what) : DONE;
	}
	if (reply->status == 400 && says(reply, "DIGEST_INVALID")) {
		ol_fail(err, OL_ECORRUPT, "%s found that the bytes of %s have another digest",
			upload->host->name, upload->what);
		return ol_hint(err, OL_ECORRUPT, "`orlop check` finds out whether it is the store");
	}
	/* A session that was cut may be beyond repair: once more, all of it. */
	if (reply->status == 400 && upload->sessions < 2)
		return begin_anew(upload, ask, reply, err);
	return after_refusal(upload, ask, reply, err);
}

/* The last request, with all bytes that were not sent yet. */
static int put(struct upload *upload, ol_error *err)
{
	ol_autofree char *url = ol_text("%s%cdigest=%s", upload->location,
		strchr(upload->location, '?') ? '&' : '?', upload->digest.text);
	ol_ask ask = ask_of(upload, OL_METHOD_PUT);
	ol_reply reply = { 0 };
	uint64_t to = upload->offset;
	bool arrived;
	int rc = make_ready(upload, upload->want->size, upload->want->size, &to, err);

	if (rc == OL_OK && to != upload->want->size)
		rc = ol_fail(err, OL_ECORRUPT, "ends at byte %" PRIu64, to);
	if (rc < 0)
		return rc;
	ask.url = url;
	rc = send_part(upload, &ask, to, &reply, err);
	arrived = (rc == AGAIN || (rc == OL_OK && reply.status == 404)) &&
		  ol_registry_has_blob(
			  upload->registry, upload->ref, &upload->want->digest, NULL) == OL_OK;
	if (arrived)
		rc = DONE; /* and only the answer did not */
	else if (rc == OL_OK)
		rc = after_put(upload, &ask, &reply, err);
	ol_reply_done(&reply);
	return rc;
}

static int step(struct upload *upload, ol_error *err)
{
	int rc = OL_OK;

	if (!upload->location) {
		upload->sessions++;
		rc = begin_session(upload, NULL, err);
		if (rc < 0)
			return rc;
	}
	if (upload->unsure) {
		rc = ask_how_far(upload, err);
		return rc < 0 ? rc : AGAIN;
	}
	if (upload->whole || upload->offset == upload->want->size)
		return put(upload, err);
	return patch(upload, err);
}

/* The registry need not keep what nobody will end. */
static void cancel_session(struct upload *upload)
{
	ol_patience none = { 0 };
	ol_ask ask = ask_of(upload, OL_METHOD_DELETE);
	ol_reply reply;

	if (!upload->location)
		return;
	ask.patience = &none;
	ask.stop = NULL;
	(void)ol_exchange(upload->registry, &ask, &reply, NULL);
	ol_reply_done(&reply);
}

static int send_all(struct upload *upload, ol_error *err)
{
	int rc = OL_OK;

	if (upload->want->mount_from) {
		rc = begin_session(upload, upload->want->mount_from, err);
		if (rc < 0 || upload->mounted)
			return rc;
		upload->sessions += upload->location != NULL;
	}
	do {
		rc = ol_cancel_check(upload->registry->cancel, err);
		if (rc == OL_OK)
			rc = step(upload, err);
	} while (rc == AGAIN);
	/* Who cannot be reached need not be told. */
	if (rc < 0 && rc != OL_EUNAVAILABLE && rc != OL_ECANCELED)
		cancel_session(upload);
	return rc;
}

int ol_registry_has_blob(
	ol_registry *registry, const ol_ref *ref, const ol_digest *digest, ol_error *err)
{
	ol_digest_text text = ol_digest_format(digest);
	ol_autofree char *path = ol_text("/v2/%s/blobs/%s", ref->path, text.text);
	ol_patience patience = ol_registry_patience(registry);
	ol_ask ask = { .method = OL_METHOD_HEAD,
		.repository = ref->path,
		.path = path,
		.body_max = OL_ERROR_BODY_BYTES_MAX,
		.plain_redirect = true,
		.patience = &patience };
	ol_reply reply = { 0 };
	int rc = ol_route_itself(registry, ref, &ask.host, err);

	if (rc == OL_OK)
		rc = ol_exchange(registry, &ask, &reply, err);
	if (rc == OL_OK && reply.status != 200) {
		/* A HEAD has no body to say why. What is refused here is refused again, in words,
		 * when the blob is sent. */
		if (ol_retry_status(reply.status))
			rc = ol_exchange_refusal(&ask, &reply, "blob", err);
		else
			rc = ol_fail(err, OL_ENOTFOUND, "blob %s not found", text.text);
	}
	ol_reply_done(&reply);
	return rc;
}

/* One token for everything a push asks for. */
static void widen_access(const struct upload *upload)
{
	ol_access *access = ol_access_get(upload->host, upload->ref->path);
	ol_autofree char *own = ol_text("repository:%s:pull,push", upload->ref->path);
	ol_autofree char *other = upload->want->mount_from
					  ? ol_text("repository:%s:pull", upload->want->mount_from)
					  : NULL;

	ol_access_widen(access, own);
	if (other)
		ol_access_widen(access, other);
}

int ol_registry_put_blob(ol_registry *registry, const ol_ref *ref, const ol_upload *want,
	ol_upload_end *out, ol_error *err)
{
	struct upload upload = { .registry = registry,
		.ref = ref,
		.want = want,
		.digest = ol_digest_format(&want->digest),
		.patience = ol_registry_patience(registry),
		.piece = registry->piece_bytes ? registry->piece_bytes : PIECE_BYTES };
	int rc = ol_route_itself(registry, ref, &upload.host, err);

	if (rc < 0)
		return rc;
	upload.piece_least = upload.piece / PIECE_PART;
	upload.whole = want->size <= upload.piece_least;
	widen_access(&upload);
	rc = ol_registry_has_blob(registry, ref, &want->digest, err);
	if (rc != OL_ENOTFOUND) {
		if (rc == OL_OK)
			*out = OL_UPLOAD_EXISTED;
		return rc;
	}
	upload.what = ol_text("blob %s", upload.digest.text);
	rc = send_all(&upload, err);
	if (rc == OL_OK)
		*out = upload.mounted ? OL_UPLOAD_MOUNTED : OL_UPLOAD_SENT;
	ol_source_close(upload.source);
	free(upload.what);
	free(upload.base);
	free(upload.location);
	return rc;
}
