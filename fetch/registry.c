#include "fetch/registry.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "fetch/blob_priv.h"
#include "fetch/registry_priv.h"
#include "fetch/route_priv.h"

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
	pthread_mutex_init(&registry->route_lock, NULL);
	registry->plain_http = options->plain_http;
	registry->http_first = options->http_first;
	registry->skip_tls_verify = options->skip_tls_verify;
	registry->cert_dir = ol_strdup(options->cert_dir);
	registry->creds = ol_strdup(options->creds);
	registry->authfile = ol_strdup(options->authfile);
	registry->hosts_dir = ol_strdup(options->hosts_dir);
	registry->registries_conf = ol_strdup(options->registries_conf);
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
	free(registry->hosts_dir);
	free(registry->registries_conf);
	ol_route_free_all(registry);
	pthread_mutex_destroy(&registry->route_lock);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

bool ol_registry_found_http(ol_registry *registry)
{
	bool found = false;

	pthread_mutex_lock(&registry->lock);
	for (ol_host *host = registry->hosts; host && !found; host = host->next)
		found = ol_host_found_http(host);
	pthread_mutex_unlock(&registry->lock);
	return found;
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

/* One question for a manifest: to the way at hand of its walk. */
struct question {
	ol_registry *registry;
	const ol_ref *ref;
	char *what;                        /* owned: "manifest for app:1.4" */
	char name[OL_DIGEST_TEXT_MAX + 1]; /* tag or digest */
	ol_walk walk;
	ol_patience patience;
	char *path; /* owned */
	ol_ask ask;
	ol_reply reply; /* owned: the last */
};

static void question_done(struct question *question)
{
	ol_reply_done(&question->reply);
	ol_walk_end(&question->walk);
	free(question->path);
	free(question->what);
}

/* digest NULL: what the reference says. */
static int question_begin(struct question *question, ol_registry *registry, const ol_ref *ref,
	const ol_digest *digest, ol_error *err)
{
	const ol_digest *asked = digest                           ? digest
				 : ol_digest_is_set(&ref->digest) ? &ref->digest
								  : NULL;

	*question = (struct question){ .registry = registry, .ref = ref };
	(void)snprintf(question->name, sizeof question->name, "%s",
		asked ? ol_digest_format(asked).text : ref->tag);
	question->what = ol_text("manifest for %s%s%s", ol_ref_name_familiar(ref).text,
		asked ? "@" : ":", question->name);
	/* What a digest means needs nobody's trust. */
	return ol_walk_begin(&question->walk, registry, ref,
		asked ? OL_CAN_PULL : OL_CAN_PULL | OL_CAN_RESOLVE, question->what, err);
}

/* Turns to the way at hand. */
static void question_aim(struct question *question)
{
	const ol_way *way = question->walk.way;

	free(question->path);
	question->path = ol_text("/v2/%s/manifests/%s", way->endpoint->repository, question->name);
	question->patience = ol_walk_patience(&question->walk);
	question->ask = (ol_ask){ .host = way->host,
		.repository = way->endpoint->repository,
		.path = question->path,
		.accept = ol_media_accept_manifests(),
		.body_max = OL_MANIFEST_BYTES_MAX,
		.decode = true,
		.patience = &question->patience };
}

static int put(struct question *question, ol_method method, ol_error *err)
{
	ol_reply_done(&question->reply);
	question->ask.method = method;
	return ol_exchange(question->registry, &question->ask, &question->reply, err);
}

static int get_manifest(
	struct question *question, ol_buf *body, ol_resolved *out, ol_fault *fault, ol_error *err)
{
	const ol_reply *reply = &question->reply;
	int rc = put(question, OL_METHOD_GET, err);

	*fault = ol_fault_of(rc, reply);
	if (rc == OL_OK && reply->status != 200)
		rc = ol_exchange_refusal(&question->ask, reply, question->what, err);
	if (rc < 0)
		return rc;
	set_media_type(reply, out);
	out->size = reply->body.size;
	ol_buf_clear(body);
	rc = ol_buf_add(body, reply->body.data, reply->body.size);
	return rc < 0 ? ol_str_error(body, err) : OL_OK;
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

/* What a GET says, hashed. */
static int resolve_by_get(
	struct question *question, ol_buf *body, ol_resolved *out, ol_fault *fault, ol_error *err)
{
	const ol_digest *asked = &question->ref->digest;
	ol_algorithm algorithm = ol_digest_is_set(asked) ? asked->algorithm : OL_SHA256;
	int rc = get_manifest(question, body, out, fault, err);

	if (rc == OL_OK)
		out->digest = ol_digest_of(algorithm, body->data, body->size);
	return rc;
}

/* What a HEAD says, or a GET from registries whose HEAD says too little. */
static int resolve_by_head(
	struct question *question, ol_resolved *out, ol_fault *fault, ol_error *err)
{
	ol_auto_buf ol_buf body = OL_BUF(OL_MANIFEST_BYTES_MAX);
	int rc = put(question, OL_METHOD_HEAD, err);

	*fault = ol_fault_of(rc, &question->reply);
	if (rc < 0 || told_by_head(&question->reply, out))
		return rc;
	/* Who is busy, and not the last to be asked, is not asked twice. */
	if (fault->kind == OL_FAULT_BUSY && !question->walk.last && !question->walk.second)
		return ol_exchange_refusal(&question->ask, &question->reply, question->what, err);
	/* A HEAD has no body to say why: 404 included, which some answer to every HEAD. */
	question->patience = ol_walk_patience(&question->walk);
	return resolve_by_get(question, &body, out, fault, err);
}

/* What one way says. body NULL: only what the name means is wanted. */
static int resolve_there(
	struct question *question, ol_buf *body, ol_resolved *out, ol_fault *fault, ol_error *err)
{
	const ol_digest *asked = &question->ref->digest;
	int rc;

	question_aim(question);
	rc = body ? resolve_by_get(question, body, out, fault, err)
		  : resolve_by_head(question, out, fault, err);
	if (rc < 0 || !ol_digest_is_set(asked) || ol_digest_eq(asked, &out->digest))
		return rc;
	/* It may name the same bytes by another algorithm; the bytes will tell. */
	if (asked->algorithm != out->digest.algorithm) {
		out->digest = *asked;
		return OL_OK;
	}
	fault->kind = OL_FAULT_LIED;
	return ol_digest_check(asked, &out->digest, err);
}

static int resolve(
	ol_registry *registry, const ol_ref *ref, ol_buf *body, ol_resolved *out, ol_error *err)
{
	struct question question;
	int rc = question_begin(&question, registry, ref, NULL, err);
	bool found = false;

	while (rc == OL_OK && !found && ol_walk_next(&question.walk)) {
		ol_resolved resolved = { 0 };
		ol_fault fault = { 0 };
		ol_error why = { 0 };
		int there = resolve_there(&question, body, &resolved, &fault, &why);

		found = there == OL_OK;
		if (found)
			*out = resolved;
		else if (!ol_walk_failed(&question.walk, there, fault, &why))
			break;
	}
	if (rc == OL_OK && !found)
		rc = ol_walk_refusal(&question.walk, err);
	question_done(&question);
	return rc;
}

int ol_registry_resolve(ol_registry *registry, const ol_ref *ref, ol_resolved *out, ol_error *err)
{
	return resolve(registry, ref, NULL, out, err);
}

int ol_registry_get_named(
	ol_registry *registry, const ol_ref *ref, ol_buf *body, ol_resolved *out, ol_error *err)
{
	int rc = resolve(registry, ref, body, out, err);

	if (rc < 0)
		ol_buf_clear(body);
	return rc;
}

static int get_manifest_there(struct question *question, const ol_digest *digest, ol_buf *body,
	ol_resolved *out, ol_fault *fault, ol_error *err)
{
	int rc;

	question_aim(question);
	rc = get_manifest(question, body, out, fault, err);
	if (rc < 0)
		return rc;
	out->digest = ol_digest_of(digest->algorithm, body->data, body->size);
	rc = ol_digest_check(digest, &out->digest, err);
	if (rc == OL_OK)
		return rc;
	fault->kind = OL_FAULT_LIED;
	return ol_wrap(err, rc, "%s", question->what);
}

int ol_registry_get_manifest(ol_registry *registry, const ol_ref *ref, const ol_digest *digest,
	ol_buf *body, ol_resolved *out, ol_error *err)
{
	struct question question;
	int rc = question_begin(&question, registry, ref, digest, err);
	bool found = false;

	ol_buf_clear(body);
	while (rc == OL_OK && !found && ol_walk_next(&question.walk)) {
		ol_resolved resolved = { 0 };
		ol_fault fault = { 0 };
		ol_error why = { 0 };
		int there = get_manifest_there(&question, digest, body, &resolved, &fault, &why);

		found = there == OL_OK;
		if (found && out)
			*out = resolved;
		if (!found && !ol_walk_failed(&question.walk, there, fault, &why))
			break;
	}
	if (rc == OL_OK && !found)
		rc = ol_walk_refusal(&question.walk, err);
	question_done(&question);
	if (rc < 0)
		ol_buf_clear(body);
	return rc;
}

/* NOLINTNEXTLINE(readability-function-size): ranges and their count are one parameter in two. */
int ol_registry_get_blob(ol_registry *registry, const ol_ref *ref, const ol_descriptor *blob,
	const ol_fetch_range *ranges, size_t range_count, const ol_blob_target *target,
	ol_error *err)
{
	ol_autofree char *what = ol_text("blob %s", ol_digest_format(&blob->digest).text);
	const ol_blob_ask ask = { .ref = ref,
		.blob = blob,
		.what = what,
		.ranges = ranges,
		.range_count = range_count,
		.target = target };

	return ol_blob_fetch(registry, &ask, err);
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

	if (blob->size > max)
		return ol_fail(err, OL_ELIMIT, "blob %s is larger than %zu bytes",
			ol_digest_format(&blob->digest).text, max);
	do {
		ol_buf_clear(body);
		rc = ol_registry_get_blob(registry, ref, blob, &all, 1, &target, err);
		if (rc < 0)
			return rc;
		got = ol_digest_of(blob->digest.algorithm, body->data, body->size);
		rc = ol_digest_check(&blob->digest, &got, err);
	} while (rc < 0 && ol_registry_blame(registry, ref, &blob->digest));
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
	ol_ref ref = { 0 };
	int rc;

	if (strlen(host) >= sizeof ref.domain)
		return ol_fail(err, OL_EINVAL, "a host's name is not so long");
	(void)snprintf(ref.domain, sizeof ref.domain, "%s", host);
	rc = ol_route_itself(registry, &ref, &ask.host, err);
	if (rc == OL_OK)
		rc = ol_exchange(registry, &ask, &reply, err);
	if (rc == OL_OK && reply.status != 200)
		rc = ol_exchange_refusal(&ask, &reply, NULL, err);
	ol_reply_done(&reply);
	return rc;
}
