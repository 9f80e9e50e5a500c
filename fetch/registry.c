#include "fetch/registry.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "fetch/blob_priv.h"
#include "fetch/registry_priv.h"

#define CONNECT_MS_DEFAULT    15000
#define STALL_SECONDS_DEFAULT 30
#define STALL_BYTES_DEFAULT   4096
#define CONNECTIONS_MAX       16

static void set_timing(ol_registry *registry, const ol_registry_timing *wish)
{
	ol_registry_timing *timing = &registry->timing;

	*timing = *wish;
	if (!timing->connect_ms)
		timing->connect_ms = CONNECT_MS_DEFAULT;
	if (!timing->stall_seconds)
		timing->stall_seconds = STALL_SECONDS_DEFAULT;
	if (!timing->stall_bytes_per_second)
		timing->stall_bytes_per_second = STALL_BYTES_DEFAULT;
	if (!timing->backoff_ms)
		timing->backoff_ms = OL_BACKOFF_MS_DEFAULT;
	if (!timing->backoff_max_ms)
		timing->backoff_max_ms = OL_BACKOFF_MAX_MS_DEFAULT;
}

int ol_registry_new(const ol_registry_options *options, ol_registry **out, ol_error *err)
{
	ol_registry *registry;
	ol_autofree char *agent = NULL;

	if (options->connections > CONNECTIONS_MAX)
		return ol_fail(err, OL_EINVAL, "%u connections are more than %d",
			options->connections, CONNECTIONS_MAX);
	agent = ol_text("orlop/%s%s%s", ORLOP_VERSION, options->user_agent ? " " : "",
		options->user_agent ? options->user_agent : "");
	registry = ol_alloc(sizeof *registry);
	pthread_mutex_init(&registry->lock, NULL);
	registry->plain_http = options->plain_http;
	registry->skip_tls_verify = options->skip_tls_verify;
	registry->cert_dir = ol_strdup(options->cert_dir);
	registry->creds = ol_strdup(options->creds);
	registry->authfile = ol_strdup(options->authfile);
	registry->retries = options->retries > 0   ? (unsigned)options->retries
			    : options->never_retry ? 0
						   : OL_RETRIES_DEFAULT;
	registry->connections = options->connections;
	registry->piece_bytes = options->piece_bytes;
	set_timing(registry, &options->timing);
	registry->cancel = options->cancel;
	if (options->listener)
		registry->listener = *options->listener;
	registry->transfer = ol_transfer_new(&registry->timing, agent, options->cancel);
	*out = registry;
	return OL_OK;
}

void ol_registry_free(ol_registry *registry)
{
	if (!registry)
		return;
	ol_transfer_free(registry->transfer);
	while (registry->hosts) {
		ol_host *next = registry->hosts->next;

		ol_host_free(registry->hosts);
		registry->hosts = next;
	}
	if (registry->creds)
		explicit_bzero(registry->creds, strlen(registry->creds));
	free(registry->creds);
	free(registry->cert_dir);
	free(registry->authfile);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

/* Content-Type without its parameters. */
static void set_media_type(const ol_reply *reply, ol_resolved *out)
{
	ol_view type;

	out->media_type[0] = '\0';
	if (!ol_reply_header(reply, "content-type", 0, &type))
		return;
	for (size_t i = 0; i < type.size; i++)
		if (type.data[i] == ';' || type.data[i] == ' ') {
			type.size = i;
			break;
		}
	if (type.size < sizeof out->media_type)
		(void)snprintf(
			out->media_type, sizeof out->media_type, "%.*s", (int)type.size, type.data);
}

struct question {
	ol_patience patience;
	char *path; /* owned */
	char *what; /* owned */
	ol_ask ask;
};

static void question_done(struct question *question)
{
	free(question->path);
	free(question->what);
}

static int manifest_question(ol_registry *registry, const ol_ref *ref, const ol_digest *digest,
	struct question *question, ol_error *err)
{
	const ol_digest *asked = digest                           ? digest
				 : ol_digest_is_set(&ref->digest) ? &ref->digest
								  : NULL;
	ol_digest_text text = asked ? ol_digest_format(asked) : (ol_digest_text){ "" };
	ol_host *host;
	int rc = ol_host_get(registry, ref->domain, &host, err);

	if (rc < 0)
		return rc;
	question->patience = ol_registry_patience(registry);
	question->path = ol_text("/v2/%s/manifests/%s", ref->path, asked ? text.text : ref->tag);
	question->what = ol_text("manifest for %s%s%s", ol_ref_name_familiar(ref).text,
		asked ? "@" : ":", asked ? text.text : ref->tag);
	question->ask = (ol_ask){ .host = host,
		.repository = ref->path,
		.path = question->path,
		.accept = ol_media_accept_manifests(),
		.body_max = OL_MANIFEST_BYTES_MAX,
		.decode = true,
		.patience = &question->patience };
	return OL_OK;
}

static int get_manifest(ol_registry *registry, struct question *question, ol_buf *body,
	ol_resolved *out, ol_error *err)
{
	ol_reply reply;
	int rc;

	question->ask.method = OL_METHOD_GET;
	rc = ol_exchange(registry, &question->ask, &reply, err);
	if (rc == OL_OK && reply.status != 200)
		rc = ol_exchange_refusal(&question->ask, &reply, question->what, err);
	if (rc == OL_OK) {
		set_media_type(&reply, out);
		out->size = reply.body.size;
		rc = ol_buf_add(body, reply.body.data, reply.body.size);
		if (rc < 0)
			rc = ol_str_error(body, err);
	}
	ol_reply_done(&reply);
	return rc;
}

/* True when a HEAD told all there is to know. */
static bool told_by_head(const ol_reply *reply, ol_resolved *out)
{
	ol_view digest;

	if (reply->status != 200 || reply->content_length == UINT64_MAX ||
		reply->content_length == 0 ||
		!ol_reply_header(reply, "docker-content-digest", 0, &digest) ||
		ol_digest_parse(digest, &out->digest, NULL) < 0)
		return false;
	out->size = reply->content_length;
	set_media_type(reply, out);
	return true;
}

/* What a GET says, hashed: for registries whose HEAD says too little. */
static int resolve_by_get(ol_registry *registry, const ol_ref *ref, struct question *question,
	ol_resolved *out, ol_error *err)
{
	ol_auto_buf ol_buf body = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_algorithm algorithm = ol_digest_is_set(&ref->digest) ? ref->digest.algorithm : OL_SHA256;
	ol_resolved resolved = { 0 };
	int rc = get_manifest(registry, question, &body, &resolved, err);

	if (rc < 0)
		return rc;
	resolved.digest = ol_digest_of(algorithm, body.data, body.size);
	*out = resolved;
	return OL_OK;
}

int ol_registry_resolve(ol_registry *registry, const ol_ref *ref, ol_resolved *out, ol_error *err)
{
	struct question question = { 0 };
	ol_resolved resolved = { 0 };
	ol_reply reply = { 0 };
	int rc = manifest_question(registry, ref, NULL, &question, err);

	if (rc == OL_OK) {
		question.ask.method = OL_METHOD_HEAD;
		rc = ol_exchange(registry, &question.ask, &reply, err);
	}
	if (rc == OL_OK && !told_by_head(&reply, &resolved)) {
		/* A HEAD has no body to say why: 404 included, which some answer to every HEAD. */
		question.patience = ol_registry_patience(registry);
		rc = resolve_by_get(registry, ref, &question, &resolved, err);
	}
	ol_reply_done(&reply);
	question_done(&question);
	if (rc < 0)
		return rc;
	if (ol_digest_is_set(&ref->digest) && !ol_digest_eq(&ref->digest, &resolved.digest)) {
		/* It may name the same bytes by another algorithm; the bytes will tell. */
		if (ref->digest.algorithm == resolved.digest.algorithm)
			return ol_digest_check(&ref->digest, &resolved.digest, err);
		resolved.digest = ref->digest;
	}
	*out = resolved;
	return OL_OK;
}

int ol_registry_get_manifest(ol_registry *registry, const ol_ref *ref, const ol_digest *digest,
	ol_buf *body, ol_resolved *out, ol_error *err)
{
	struct question question = { 0 };
	ol_resolved resolved = { 0 };
	int rc = manifest_question(registry, ref, digest, &question, err);

	ol_buf_clear(body);
	if (rc == OL_OK)
		rc = get_manifest(registry, &question, body, &resolved, err);
	if (rc == OL_OK) {
		resolved.digest = ol_digest_of(digest->algorithm, body->data, body->size);
		rc = ol_digest_check(digest, &resolved.digest, err);
		if (rc < 0)
			rc = ol_wrap(err, rc, "%s", question.what);
	}
	question_done(&question);
	if (rc < 0) {
		ol_buf_clear(body);
		return rc;
	}
	if (out)
		*out = resolved;
	return OL_OK;
}

/* NOLINTNEXTLINE(readability-function-size): ranges and their count are one parameter in two. */
int ol_registry_get_blob(ol_registry *registry, const ol_ref *ref, const ol_descriptor *blob,
	const ol_fetch_range *ranges, size_t range_count, const ol_blob_target *target,
	ol_error *err)
{
	ol_digest_text digest = ol_digest_format(&blob->digest);
	ol_autofree char *path = ol_text("/v2/%s/blobs/%s", ref->path, digest.text);
	ol_autofree char *what = ol_text("blob %s", digest.text);
	ol_blob_ask ask = { .repository = ref->path,
		.path = path,
		.what = what,
		.size = blob->size,
		.ranges = ranges,
		.range_count = range_count,
		.target = target };
	int rc = ol_host_get(registry, ref->domain, &ask.host, err);

	if (rc < 0)
		return rc;
	rc = ol_blob_fetch(registry, &ask, err);
	if (rc == OL_ECORRUPT)
		return ol_wrap(err, rc, "%s", what);
	return rc;
}

static int write_to_buf(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	ol_buf *body = ctx;

	/* One range over one connection comes in order. */
	if (offset != body->size)
		return ol_fail(err, OL_ECORRUPT, "bytes out of order");
	return ol_buf_add(body, data, size) < 0 ? ol_str_error(body, err) : OL_OK;
}

int ol_registry_get_small_blob(ol_registry *registry, const ol_ref *ref, const ol_descriptor *blob,
	size_t max, ol_buf *body, ol_error *err)
{
	ol_fetch_range all = { 0, blob->size };
	ol_blob_target target = { write_to_buf, body };
	ol_digest got;
	int rc;

	ol_buf_clear(body);
	if (blob->size > max)
		return ol_fail(err, OL_ELIMIT, "blob %s is larger than %zu bytes",
			ol_digest_format(&blob->digest).text, max);
	rc = ol_registry_get_blob(registry, ref, blob, &all, 1, &target, err);
	if (rc < 0)
		return rc;
	got = ol_digest_of(blob->digest.algorithm, body->data, body->size);
	rc = ol_digest_check(&blob->digest, &got, err);
	if (rc < 0) {
		ol_buf_clear(body);
		return ol_wrap(err, rc, "blob %s", ol_digest_short(&blob->digest).text);
	}
	return OL_OK;
}

int ol_registry_ping(ol_registry *registry, const char *host, ol_error *err)
{
	ol_patience patience = ol_registry_patience(registry);
	ol_ask ask = { .method = OL_METHOD_GET,
		.repository = "",
		.path = "/v2/",
		.body_max = OL_ERROR_BODY_BYTES_MAX,
		.decode = true,
		.patience = &patience };
	ol_reply reply = { 0 };
	int rc = ol_host_get(registry, host, &ask.host, err);

	if (rc == OL_OK)
		rc = ol_exchange(registry, &ask, &reply, err);
	if (rc == OL_OK && reply.status != 200)
		rc = ol_exchange_refusal(&ask, &reply, NULL, err);
	ol_reply_done(&reply);
	return rc;
}
