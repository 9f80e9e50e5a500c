/*
 * The thread turns around four steps until it is told to end:
 *
 *	take what was submitted → curl_multi_perform → hand pieces of bodies on → finish what is
 *done → poll
 *
 * A job lives on the stack of the thread that waits for it. Between submission and `done` it
 *belongs to the transfer thread, apart from `done` and `next`, which the lock guards. libcurl calls
 *back with 16 KiB at most, so pieces are gathered in a buffer per connection and handed on when it
 *is full or the socket is drained.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/trace.h"
#include "fetch/transfer_priv.h"
#include "fetch/url.h"

/* What one read of a socket may bring, and what is gathered before it is handed on. */
#define SOCKET_BYTES ((size_t)512 << 10)
/* The multi handle keeps so many idle connections: a pull talks to few hosts. */
#define CONNECTIONS_KEPT 32L
#define POLL_MS          1000

/* An easy handle with its buffer, reused. */
struct slot {
	struct slot *next;
	CURL *easy;   /* owned */
	char *buffer; /* owned: SOCKET_BYTES, made at first use */
};

struct job {
	struct job *next;
	const ol_request *request;
	ol_reply *reply;
	bool done;
	int rc;
	ol_error err;

	struct slot *slot;
	struct curl_slist *headers; /* owned */
	char curl_error[CURL_ERROR_SIZE];
	size_t header_bytes, gathered;
	bool whole; /* the reply's headers are all there */
	bool streamed, enough;
	bool was_active; /* its body got bytes in this turn */
};

struct ol_transfer {
	ol_registry_timing timing;
	char *user_agent; /* owned */
	const ol_cancel *cancel;

	pthread_mutex_t lock; /* guards what follows, down to the thread's own */
	pthread_cond_t changed;
	struct job *submitted;
	bool started, ending;
	pthread_t thread;

	CURLM *multi; /* owned; made before the thread starts, then the thread's own (but for
			 wake-ups) */
	struct job *active;
	struct slot *slots; /* idle ones */
};

void ol_reply_done(ol_reply *reply)
{
	ol_buf_done(&reply->headers);
	ol_buf_done(&reply->body);
}

bool ol_reply_header(const ol_reply *reply, const char *name, size_t index, ol_view *value)
{
	const char *p = ol_str_text(&reply->headers);
	size_t size = strlen(name);

	while (*p) {
		const char *end = strchrnul(p, '\n');

		if (strncasecmp(p, name, size) == 0 && p[size] == ':' && index-- == 0) {
			p += size + 1;
			while (p < end && (*p == ' ' || *p == '\t'))
				p++;
			while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
				end--;
			*value = ol_view_from(p, (size_t)(end - p));
			return true;
		}
		p = *end ? end + 1 : end;
	}
	return false;
}

static bool is_success(long status)
{
	return status == 200 || status == 206;
}

static int refuse(struct job *job, int rc)
{
	if (job->rc == OL_OK)
		job->rc = rc;
	return rc;
}

/* The empty line behind the headers: 1xx replies are followed by another set. */
static int headers_whole(struct job *job)
{
	const ol_request *request = job->request;
	long status = 0;
	curl_off_t length = -1;

	(void)curl_easy_getinfo(job->slot->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(job->slot->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (status < 200)
		return OL_OK;
	job->whole = true;
	job->reply->status = status;
	job->reply->content_length = length >= 0 ? (uint64_t)length : UINT64_MAX;
	job->streamed = request->body && is_success(status);
	if (job->streamed && request->accept)
		return request->accept(request->ctx, job->reply, &job->err);
	return OL_OK;
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
	struct job *job = ctx;
	ol_view line = ol_view_from(data, size * count);
	int rc;

	job->header_bytes += line.size;
	if (job->header_bytes > OL_HEADER_BYTES_MAX) {
		(void)refuse(job, ol_fail(&job->err, OL_ELIMIT,
					  "the reply's headers are larger than %zu bytes",
					  OL_HEADER_BYTES_MAX));
		return 0;
	}
	while (line.size && (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r'))
		line.size--;
	if (ol_view_starts(line, "HTTP/")) {
		ol_buf_clear(&job->reply->headers);
		return size * count;
	}
	if (line.size == 0) {
		rc = job->whole ? OL_OK
				: headers_whole(job); /* trailers end with an empty line as well */
		if (rc < 0)
			(void)refuse(job, rc);
		return rc < 0 ? 0 : size * count;
	}
	if (!job->whole) {
		(void)ol_str_addv(&job->reply->headers, line);
		(void)ol_str_addc(&job->reply->headers, '\n');
	}
	return size * count;
}

static int hand_on(struct job *job)
{
	size_t size = job->gathered;
	int rc;

	job->gathered = 0;
	if (size == 0 || job->enough || job->rc < 0)
		return job->rc;
	job->reply->handed_bytes += size;
	rc = job->request->body(job->request->ctx, job->slot->buffer, size, &job->err);
	if (rc == OL_BODY_ENOUGH)
		job->enough = true;
	return rc < 0 ? refuse(job, rc) : OL_OK;
}

/* A body that is kept: all of it for a success, the beginning for anything else. */
static int keep(struct job *job, const char *data, size_t size)
{
	ol_buf *body = &job->reply->body;
	size_t max =
		is_success(job->reply->status) ? job->request->body_max : OL_ERROR_BODY_BYTES_MAX;

	body->max = max;
	if (size > max - body->size) {
		if (is_success(job->reply->status))
			return refuse(job,
				ol_fail(&job->err, OL_ELIMIT,
					"the reply is larger than the %zu bytes allowed", max));
		size = max - body->size;
		job->enough = true;
	}
	return refuse(job, ol_buf_add(body, data, size));
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct job *job = ctx;
	size_t left = size * count;

	job->reply->body_bytes += left;
	if (!job->streamed)
		return keep(job, data, left) < 0 || job->enough ? CURL_WRITEFUNC_ERROR
								: size * count;
	job->was_active = true;
	while (left && !job->enough && job->rc == OL_OK) {
		size_t room = SOCKET_BYTES - job->gathered;
		size_t part = left < room ? left : room;

		memcpy(job->slot->buffer + job->gathered, data, part);
		job->gathered += part;
		data += part;
		left -= part;
		if (job->gathered == SOCKET_BYTES)
			(void)hand_on(job);
	}
	return job->rc < 0 || job->enough ? CURL_WRITEFUNC_ERROR : size * count;
}

/* Go's tools, docker among them, take HTTP_PROXY in both cases, and never send loopback through a
 * proxy; libcurl reads only the lower case (a CGI program can be tricked by a "Proxy:" header,
 * which is why we look). */
static void set_proxy(CURL *easy, const char *url)
{
	const char *proxy = getenv("http_proxy");

	if (ol_url_is_loopback(url)) {
		(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
		return;
	}
	if (!proxy && !getenv("REQUEST_METHOD"))
		proxy = getenv("HTTP_PROXY");
	if (proxy && *proxy && !ol_url_is_https(url))
		(void)curl_easy_setopt(easy, CURLOPT_PROXY, proxy);
}

static void set_tls(CURL *easy, const ol_tls *tls)
{
	if (!tls)
		return;
	(void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->skip_verify ? 0L : 1L);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->skip_verify ? 0L : 2L);
	(void)curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file);
	(void)curl_easy_setopt(easy, CURLOPT_CAPATH, tls->ca_path);
	if (tls->authorities.size) {
		struct curl_blob blob = { tls->authorities.data, tls->authorities.size,
			CURL_BLOB_NOCOPY };

		(void)curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (tls->cert) {
		(void)curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->cert);
		(void)curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->key);
	}
}

static void add_header(struct job *job, const char *text)
{
	struct curl_slist *list = curl_slist_append(job->headers, text);

	if (list)
		job->headers = list;
	else if (job->rc == OL_OK)
		job->rc = ol_fail(&job->err, OL_ESYSTEM, "no memory for a request");
}

static void set_headers(struct job *job)
{
	const ol_request *request = job->request;

	if (request->authorization) {
		ol_autofree char *line = ol_text("Authorization: %s", request->authorization);

		add_header(job, line);
		explicit_bzero(line, strlen(line));
	}
	if (!request->decode)
		add_header(job, "Accept-Encoding: identity");
	for (size_t i = 0; request->headers && request->headers[i]; i++)
		add_header(job, request->headers[i]);
	(void)curl_easy_setopt(job->slot->easy, CURLOPT_HTTPHEADER, job->headers);
}

static void set_options(ol_transfer *transfer, struct job *job)
{
	const ol_request *request = job->request;
	CURL *easy = job->slot->easy;

	(void)curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
	(void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, job->curl_error);
	(void)curl_easy_setopt(easy, CURLOPT_USERAGENT, transfer->user_agent);
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
		(long)(request->http1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
	(void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)SOCKET_BYTES);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)transfer->timing.connect_ms);
	(void)curl_easy_setopt(
		easy, CURLOPT_LOW_SPEED_LIMIT, (long)transfer->timing.stall_bytes_per_second);
	(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)transfer->timing.stall_seconds);
	(void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, job);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
	if (request->decode)
		(void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "identity");
	if (request->method == OL_METHOD_HEAD)
		(void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (request->method == OL_METHOD_POST) {
		(void)curl_easy_setopt(
			easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->form.size);
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->form.data);
	}
	set_proxy(easy, request->url);
	set_tls(easy, request->tls);
	set_headers(job);
}

static struct slot *take_slot(ol_transfer *transfer)
{
	struct slot *slot = transfer->slots;

	if (slot) {
		transfer->slots = slot->next;
		curl_easy_reset(slot->easy);
		return slot;
	}
	slot = ol_alloc(sizeof *slot);
	slot->easy = curl_easy_init();
	return slot;
}

static void free_slot(struct slot *slot)
{
	curl_easy_cleanup(slot->easy);
	free(slot->buffer);
	free(slot);
}

static void give_back(ol_transfer *transfer, struct job *job)
{
	curl_slist_free_all(job->headers);
	job->headers = NULL;
	if (!job->slot)
		return;
	job->slot->next = transfer->slots;
	transfer->slots = job->slot;
	job->slot = NULL;
}

/* The job is its caller's again. */
static void finish(ol_transfer *transfer, struct job *job)
{
	give_back(transfer, job);
	pthread_mutex_lock(&transfer->lock);
	job->done = true;
	pthread_cond_broadcast(&transfer->changed);
	pthread_mutex_unlock(&transfer->lock);
}

static void start_job(ol_transfer *transfer, struct job *job)
{
	job->slot = take_slot(transfer);
	if (job->slot->easy) {
		if (job->request->body && !job->slot->buffer)
			job->slot->buffer = ol_alloc(SOCKET_BYTES);
		set_options(transfer, job);
	}
	if (job->rc == OL_OK && (!job->slot->easy || curl_multi_add_handle(transfer->multi,
							     job->slot->easy) != CURLM_OK))
		job->rc = ol_fail(&job->err, OL_ESYSTEM, "cannot start a transfer");
	if (job->rc < 0) {
		job->reply->outcome = OL_OUTCOME_REFUSED;
		finish(transfer, job);
		return;
	}
	job->next = transfer->active;
	transfer->active = job;
}

static ol_outcome outcome_of(CURLcode code, const struct job *job)
{
	switch (code) {
	case CURLE_OK:
		return OL_OUTCOME_REPLY;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_PROXY:
		return OL_OUTCOME_UNREACHED;
	case CURLE_SSL_CONNECT_ERROR:
		return OL_OUTCOME_NOT_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return OL_OUTCOME_CERTIFICATE;
	case CURLE_OPERATION_TIMEDOUT: {
		curl_off_t connected = 0;

		(void)curl_easy_getinfo(job->slot->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
		return connected ? OL_OUTCOME_STALLED : OL_OUTCOME_UNREACHED;
	}
	default: /* of libcurl's hundred codes those above lead somewhere else */
		return OL_OUTCOME_CUT;
	}
}

/* The words of a failure: libcurl's own, which name hosts but neither queries nor headers. */
static int explain(struct job *job, CURLcode code)
{
	const char *text = job->curl_error[0] ? job->curl_error : curl_easy_strerror(code);
	ol_auto_str ol_str safe = OL_STR(400);

	(void)ol_str_add_safe(&safe, ol_view_of(text));
	if (job->reply->outcome == OL_OUTCOME_STALLED)
		return ol_fail(&job->err, OL_EUNAVAILABLE, "the connection stalled");
	return ol_fail(&job->err, OL_EUNAVAILABLE, "%s", ol_str_text(&safe));
}

static void end_job(ol_transfer *transfer, struct job *job, CURLcode code)
{
	struct job **link = &transfer->active;

	while (*link != job)
		link = &(*link)->next;
	*link = job->next;
	if (job->rc == OL_OK && job->streamed)
		(void)hand_on(job);
	job->reply->outcome = outcome_of(code, job);
	if (job->rc < 0)
		job->reply->outcome =
			job->rc == OL_ECANCELED ? OL_OUTCOME_CANCELED : OL_OUTCOME_REFUSED;
	else if (job->enough)
		job->reply->outcome = OL_OUTCOME_REPLY;
	else if (job->reply->outcome != OL_OUTCOME_REPLY)
		job->rc = explain(job, code);
	if (ol_trace_on("fetch")) {
		ol_autofree char *shown = ol_url_shown(job->request->url);
		static const char *const methods[] = { "GET", "HEAD", "POST" };

		ol_trace("fetch", "%s %s: %ld, %llu bytes%s%s", methods[job->request->method],
			shown, job->reply->status, (unsigned long long)job->reply->body_bytes,
			job->rc < 0 ? ", " : "", job->rc < 0 ? job->err.text : "");
	}
	(void)curl_multi_remove_handle(transfer->multi, job->slot->easy);
	finish(transfer, job);
}

static void drop_unwanted(ol_transfer *transfer, bool all)
{
	struct job *next;

	for (struct job *job = transfer->active; job; job = next) {
		next = job->next;
		if (!all && !(job->request->stop && atomic_load(job->request->stop)))
			continue;
		(void)refuse(job, ol_fail(&job->err, OL_ECANCELED, "canceled"));
		end_job(transfer, job, CURLE_OK);
	}
}

static void hand_on_all(ol_transfer *transfer)
{
	for (struct job *job = transfer->active; job; job = job->next)
		if (job->was_active) {
			job->was_active = false;
			(void)hand_on(job);
		}
}

static void finish_done(ol_transfer *transfer)
{
	CURLMsg *message;
	int left;
	struct job *next;

	while ((message = curl_multi_info_read(transfer->multi, &left))) {
		struct job *job = NULL;
		CURLcode code = message->data.result;

		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&job);
		end_job(transfer, job, code);
	}
	/* What a callback outside of libcurl's turn has ended. */
	for (struct job *job = transfer->active; job; job = next) {
		next = job->next;
		if (job->rc < 0 || job->enough)
			end_job(transfer, job, CURLE_OK);
	}
}

static bool take_submitted(ol_transfer *transfer)
{
	struct job *job, *next;
	bool ending;

	pthread_mutex_lock(&transfer->lock);
	job = transfer->submitted;
	transfer->submitted = NULL;
	ending = transfer->ending;
	pthread_mutex_unlock(&transfer->lock);
	for (; job; job = next) {
		next = job->next;
		start_job(transfer, job);
	}
	return !ending;
}

static void *serve(void *ctx)
{
	ol_transfer *transfer = ctx;

	while (take_submitted(transfer)) {
		bool canceled = ol_cancel_fired(transfer->cancel);
		struct curl_waitfd extra = { .fd = ol_cancel_fd(transfer->cancel),
			.events = CURL_WAIT_POLLIN };
		unsigned extras =
			extra.fd >= 0 && !canceled ? 1 : 0; /* once fired it is readable for ever */
		int running = 0;

		drop_unwanted(transfer, canceled);
		(void)curl_multi_perform(transfer->multi, &running);
		hand_on_all(transfer);
		finish_done(transfer);
		(void)curl_multi_poll(transfer->multi, &extra, extras, POLL_MS, NULL);
	}
	return NULL;
}

/* libcurl wants one call in the life of a process; this is the process's state, not a handle's. */
static void init_curl(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int start_thread(ol_transfer *transfer, ol_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int sys;

	if (transfer->started)
		return OL_OK;
	(void)pthread_once(&once, init_curl);
	if (!transfer->multi)
		transfer->multi = curl_multi_init();
	if (!transfer->multi)
		return ol_fail(err, OL_ESYSTEM, "libcurl does not start");
	(void)curl_multi_setopt(transfer->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	sys = pthread_create(&transfer->thread, NULL, serve, transfer);
	if (sys)
		return ol_fail(
			err, OL_ESYSTEM, "cannot start the transfer thread: %s", strerror(sys));
	transfer->started = true;
	return OL_OK;
}

ol_transfer *ol_transfer_new(
	const ol_registry_timing *timing, const char *user_agent, const ol_cancel *cancel)
{
	ol_transfer *transfer = ol_alloc(sizeof *transfer);

	transfer->timing = *timing;
	transfer->user_agent = ol_strdup(user_agent);
	transfer->cancel = cancel;
	pthread_mutex_init(&transfer->lock, NULL);
	pthread_cond_init(&transfer->changed, NULL);
	return transfer;
}

void ol_transfer_free(ol_transfer *transfer)
{
	if (!transfer)
		return;
	if (transfer->started) {
		pthread_mutex_lock(&transfer->lock);
		transfer->ending = true;
		pthread_mutex_unlock(&transfer->lock);
		ol_transfer_wake(transfer);
		(void)pthread_join(transfer->thread, NULL);
	}
	while (transfer->slots) {
		struct slot *next = transfer->slots->next;

		free_slot(transfer->slots);
		transfer->slots = next;
	}
	if (transfer->multi)
		(void)curl_multi_cleanup(transfer->multi);
	pthread_cond_destroy(&transfer->changed);
	pthread_mutex_destroy(&transfer->lock);
	free(transfer->user_agent);
	free(transfer);
}

void ol_transfer_wake(ol_transfer *transfer)
{
	pthread_mutex_lock(&transfer->lock);
	if (transfer->multi)
		(void)curl_multi_wakeup(transfer->multi);
	pthread_mutex_unlock(&transfer->lock);
}

int ol_transfer_run(
	ol_transfer *transfer, const ol_request *request, ol_reply *reply, ol_error *err)
{
	struct job job = { .request = request, .reply = reply };
	int rc;

	*reply = (ol_reply){ .outcome = OL_OUTCOME_REFUSED,
		.content_length = UINT64_MAX,
		.headers = OL_STR(OL_HEADER_BYTES_MAX * 2),
		.body = OL_BUF(request->body_max) };
	pthread_mutex_lock(&transfer->lock);
	rc = start_thread(transfer, err);
	if (rc == OL_OK) {
		job.next = transfer->submitted;
		transfer->submitted = &job;
		(void)curl_multi_wakeup(transfer->multi);
		while (!job.done)
			pthread_cond_wait(&transfer->changed, &transfer->lock);
		rc = job.rc;
		if (rc < 0 && err)
			*err = job.err;
	}
	pthread_mutex_unlock(&transfer->lock);
	return rc;
}
