#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/trace.h"
#include "fetch/proxy.h"
#include "fetch/transfer_job_priv.h"
#include "fetch/url.h"

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

int ol_job_refuse(ol_job *job, int rc)
{
	if (job->rc == OL_OK)
		job->rc = rc;
	return rc;
}

/* The empty line behind the headers: 1xx replies are followed by another set. */
static int headers_whole(ol_job *job)
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
	ol_job *job = ctx;
	ol_view line = ol_view_from(data, size * count);
	int rc;

	job->header_bytes += line.size;
	if (job->header_bytes > OL_HEADER_BYTES_MAX) {
		(void)ol_job_refuse(job, ol_fail(&job->err, OL_ELIMIT,
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
			(void)ol_job_refuse(job, rc);
		return rc < 0 ? 0 : size * count;
	}
	if (!job->whole) {
		(void)ol_str_addv(&job->reply->headers, line);
		(void)ol_str_addc(&job->reply->headers, '\n');
	}
	return size * count;
}

int ol_job_hand_on(ol_job *job)
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
	return rc < 0 ? ol_job_refuse(job, rc) : OL_OK;
}

/* A body that is kept: all of it for a success, the beginning for anything else. */
static int keep(ol_job *job, const char *data, size_t size)
{
	ol_buf *body = &job->reply->body;
	size_t max =
		is_success(job->reply->status) ? job->request->body_max : OL_ERROR_BODY_BYTES_MAX;

	body->max = max;
	if (size > max - body->size) {
		if (is_success(job->reply->status))
			return ol_job_refuse(job,
				ol_fail(&job->err, OL_ELIMIT,
					"the reply is larger than the %zu bytes allowed", max));
		size = max - body->size;
		job->enough = true;
	}
	return ol_job_refuse(job, ol_buf_add(body, data, size));
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	ol_job *job = ctx;
	size_t left = size * count;

	job->reply->body_bytes += left;
	if (!job->streamed)
		return keep(job, data, left) < 0 || job->enough ? CURL_WRITEFUNC_ERROR
								: size * count;
	job->was_active = true;
	while (left && !job->enough && job->rc == OL_OK) {
		size_t room = OL_SOCKET_BYTES - job->gathered;
		size_t part = left < room ? left : room;

		memcpy(job->slot->buffer + job->gathered, data, part);
		job->gathered += part;
		data += part;
		left -= part;
		if (job->gathered == OL_SOCKET_BYTES)
			(void)ol_job_hand_on(job);
	}
	return job->rc < 0 || job->enough ? CURL_WRITEFUNC_ERROR : size * count;
}

/* The next bytes of the payload. */
static size_t on_upload(char *data, size_t size, size_t count, void *ctx)
{
	ol_job *job = ctx;
	const ol_payload *payload = job->request->payload;
	uint64_t left = payload->size - job->sent;
	size_t part = size * count < left ? size * count : (size_t)left;
	int rc = OL_OK;

	if (part)
		rc = ol_source_read_at(
			payload->source, payload->start + job->sent, data, part, &job->err);
	if (rc < 0) {
		(void)ol_job_refuse(job, rc);
		return CURL_READFUNC_ABORT;
	}
	job->sent += part;
	if (part && payload->progress)
		payload->progress(payload->ctx, job->sent);
	return part;
}

/* A connection was dead: the same once more. */
static int on_rewind(void *ctx, curl_off_t offset, int origin)
{
	ol_job *job = ctx;

	if (job->request->payload->once || origin != SEEK_SET || offset < 0 ||
		(uint64_t)offset > job->request->payload->size)
		return CURL_SEEKFUNC_FAIL;
	job->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static void set_payload(ol_job *job)
{
	const ol_payload *payload = job->request->payload;
	CURL *easy = job->slot->easy;

	(void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	(void)curl_easy_setopt(
		easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)(payload ? payload->size : 0));
	(void)curl_easy_setopt(easy, CURLOPT_READDATA, job);
	(void)curl_easy_setopt(easy, CURLOPT_SEEKDATA, job);
	if (!payload)
		return;
	(void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
	(void)curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
	if (payload->size > OL_SOCKET_BYTES)
		(void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)OL_UPLOAD_BYTES);
}

/* What is written takes its time behind the last byte: a registry may hash or move all of a blob
 * before it answers. */
static long stall_seconds(ol_method method, const ol_registry_timing *timing)
{
	static const unsigned times[] = {
		[OL_METHOD_GET] = 1,
		[OL_METHOD_HEAD] = 1,
		[OL_METHOD_POST] = 2,
		[OL_METHOD_PUT] = 10,
		[OL_METHOD_PATCH] = 2,
		[OL_METHOD_DELETE] = 1,
	};

	return (long)timing->stall_seconds * times[method];
}

/* Bodies and what goes with them. */
static void set_method(ol_job *job)
{
	const ol_request *request = job->request;
	CURL *easy = job->slot->easy;

	switch (request->method) {
	case OL_METHOD_GET:
		break;
	case OL_METHOD_HEAD:
		(void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		break;
	case OL_METHOD_POST:
		(void)curl_easy_setopt(
			easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->form.size);
		(void)curl_easy_setopt(
			easy, CURLOPT_POSTFIELDS, request->form.size ? request->form.data : "");
		break;
	case OL_METHOD_PATCH:
		(void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PATCH");
		set_payload(job);
		break;
	case OL_METHOD_PUT:
		set_payload(job);
		break;
	case OL_METHOD_DELETE:
		(void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE");
		break;
	}
}

/* We decide, not libcurl: what `orlop auth explain` says is then what happens. */
static const char *proxy_of(const ol_request *request)
{
	const char *why;

	return request->proxy ? request->proxy : ol_proxy_for(request->url, &why);
}

static void set_proxy(CURL *easy, const ol_request *request)
{
	const char *proxy = proxy_of(request);

	(void)curl_easy_setopt(easy, CURLOPT_PROXY, proxy ? proxy : "");
	(void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
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

static void add_header(ol_job *job, const char *text)
{
	struct curl_slist *list = curl_slist_append(job->headers, text);

	if (list)
		job->headers = list;
	else if (job->rc == OL_OK)
		job->rc = ol_fail(&job->err, OL_ESYSTEM, "no memory for a request");
}

static void set_headers(ol_job *job)
{
	const ol_request *request = job->request;

	if (request->authorization) {
		ol_autofree char *line = ol_text("Authorization: %s", request->authorization);

		add_header(job, line);
		explicit_bzero(line, strlen(line));
	}
	if (!request->decode)
		add_header(job, "Accept-Encoding: identity");
	/* Who asks for a body has let us in already: no wait for 100 (Continue). */
	if (request->payload)
		add_header(job, "Expect:");
	for (size_t i = 0; request->headers && request->headers[i]; i++)
		add_header(job, request->headers[i]);
	(void)curl_easy_setopt(job->slot->easy, CURLOPT_HTTPHEADER, job->headers);
}

void ol_job_prepare(ol_job *job, const ol_registry_timing *timing, const char *user_agent)
{
	const ol_request *request = job->request;
	CURL *easy = job->slot->easy;

	(void)curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
	(void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, job->curl_error);
	(void)curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
		(long)(request->http1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
	(void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)OL_SOCKET_BYTES);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(request->connect_ms ? request->connect_ms : timing->connect_ms));
	(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)timing->stall_bytes_per_second);
	(void)curl_easy_setopt(
		easy, CURLOPT_LOW_SPEED_TIME, stall_seconds(request->method, timing));
	(void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, job);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
	if (request->decode)
		(void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "identity");
	set_method(job);
	set_proxy(easy, request);
	set_tls(easy, request->tls);
	set_headers(job);
}

static ol_outcome outcome_of(CURLcode code, const ol_job *job)
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

/* The words of a failure: libcurl's own, which name hosts but neither queries nor headers. Of a
 * proxy that it cannot use, though, they have all, password and all. */
static int explain(ol_job *job, CURLcode code)
{
	const char *text = job->curl_error[0] ? job->curl_error : curl_easy_strerror(code);
	const char *proxy = proxy_of(job->request);
	ol_auto_str ol_str safe = OL_STR(400);

	if (job->reply->outcome == OL_OUTCOME_STALLED)
		return ol_fail(&job->err, OL_EUNAVAILABLE, "the connection stalled");
	if (proxy && strchr(proxy, '@') && strchr(text, '@')) {
		ol_autofree char *shown = ol_proxy_shown(proxy);

		(void)ol_str_addf(&safe, "the proxy ");
		(void)ol_str_add_safe(&safe, ol_view_of(shown));
		(void)ol_str_addf(&safe, " cannot be used");
	} else {
		(void)ol_str_add_safe(&safe, ol_view_of(text));
	}
	return ol_fail(&job->err, OL_EUNAVAILABLE, "%s", ol_str_text(&safe));
}

void ol_job_conclude(ol_job *job, CURLcode code)
{
	if (job->rc == OL_OK && job->streamed)
		(void)ol_job_hand_on(job);
	job->reply->outcome = outcome_of(code, job);
	if (job->rc < 0)
		job->reply->outcome =
			job->rc == OL_ECANCELED ? OL_OUTCOME_CANCELED : OL_OUTCOME_REFUSED;
	else if (job->enough)
		job->reply->outcome = OL_OUTCOME_REPLY;
	else if (job->reply->outcome != OL_OUTCOME_REPLY)
		job->rc = explain(job, code);
	if (ol_trace_on("fetch")) {
		static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH",
			"DELETE" };
		ol_autofree char *shown = ol_url_shown(job->request->url);

		ol_trace("fetch", "%s %s: %ld, %llu bytes%s%s", methods[job->request->method],
			shown, job->reply->status,
			(unsigned long long)job->reply->body_bytes + job->sent,
			job->rc < 0 ? ", " : "", job->rc < 0 ? job->err.text : "");
	}
}
