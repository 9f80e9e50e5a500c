#pragma once

/*
 * One HTTP request and its reply, over one thread that owns libcurl's multi handle. Any thread may
 * call ol_transfer_run; it blocks until the reply is whole, has failed, or is not wanted any more.
 *
 * Redirects, credentials and retries are not known here: see exchange_priv.h.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/str.h"
#include "base/stream.h"
#include "fetch/registry.h"
#include "fetch/tls_priv.h"

typedef struct ol_transfer ol_transfer;

/* timing: filled in, no zeros. cancel is lent for life. Starts nothing. */
ol_transfer *ol_transfer_new(
	const ol_registry_timing *timing, const char *user_agent, const ol_cancel *cancel);
void ol_transfer_free(ol_transfer *transfer);
OL_DEFINE_AUTO(ol_transfer, ol_transfer_free)

typedef enum ol_method {
	OL_METHOD_GET,
	OL_METHOD_HEAD,
	OL_METHOD_POST,
	OL_METHOD_PUT,
	OL_METHOD_PATCH,
	OL_METHOD_DELETE,
} ol_method;

/* What a PUT or PATCH carries: a part of a source, read on the transfer thread and so never waited
 * for. */
typedef struct ol_payload {
	ol_source *source;    /* lent */
	uint64_t start, size; /* of the part */
	/* Where a connection turns out to be dead libcurl sends all of it again, unless this is
	 * set: then it is OL_OUTCOME_CUT. */
	bool once;
	/* bytes of the part that are on their way; it may go back; or NULL */
	void (*progress)(void *ctx, uint64_t sent);
	void *ctx;
} ol_payload;

/* What became of a request, as far as the next step depends on it. */
typedef enum ol_outcome {
	OL_OUTCOME_REPLY,       /* whole, or as much as was wanted */
	OL_OUTCOME_UNREACHED,   /* no connection: name, route, refused, timed out */
	OL_OUTCOME_NOT_TLS,     /* connected, but the other side speaks no TLS */
	OL_OUTCOME_CERTIFICATE, /* its certificate, or ours, was not accepted */
	OL_OUTCOME_CUT,         /* the connection ended before the reply did */
	OL_OUTCOME_STALLED,     /* too few bytes a second */
	/* by us: a bound, or a callback's negative return; rc and err say why */
	OL_OUTCOME_REFUSED,
	OL_OUTCOME_CANCELED,
} ol_outcome;

typedef struct ol_reply {
	ol_outcome outcome;
	long status;             /* 0 where none came */
	ol_str headers;          /* owned: "name: value\n" each */
	uint64_t content_length; /* UINT64_MAX: not said */
	/* owned; of a streamed reply empty; of an error reply perhaps its beginning only */
	ol_buf body;
	uint64_t body_bytes;   /* that came */
	uint64_t handed_bytes; /* of those, handed to the request's body */
} ol_reply;

void ol_reply_done(ol_reply *reply);
/* The index-th header of that name, without white space around it; false when there is
 * none. Lent. */
bool ol_reply_header(const ol_reply *reply, const char *name, size_t index, ol_view *value);

#define OL_BODY_ENOUGH 1

typedef struct ol_request {
	ol_method method;
	const char *url;
	const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
	const char *authorization;  /* the header's value, or NULL: a secret */
	ol_view form;               /* of POST: urlencoded, a secret */
	const ol_payload *payload;  /* of PUT and PATCH; NULL: an empty body */
	const ol_tls *tls;
	const char *proxy;   /* instead of the environment's; or NULL */
	unsigned connect_ms; /* 0: as all others */
	bool decode;         /* undo a Content-Encoding */
	bool http1;          /* a connection of its own rather than a stream of a shared one */
	size_t body_max;     /* of body where it is not streamed: OL_ELIMIT past it */

	/* Where the body of a 200 or 206 goes; NULL: into reply.body. On the transfer thread, in
	 * large pieces. accept: the headers are there. Both may refuse (negative) and body may say
	 * OL_BODY_ENOUGH. */
	int (*accept)(void *ctx, const ol_reply *reply, ol_error *err);
	int (*body)(void *ctx, const void *data, size_t size, ol_error *err);
	void *ctx;
	/* becomes true: nobody wants the rest (after ol_transfer_wake); or NULL */
	const atomic_bool *stop;
} ol_request;

/* OL_OK: the reply is whole, whatever its status. Else reply->outcome says what happened and err
 * why; what came before stays in reply. The caller frees reply either way. */
int ol_transfer_run(
	ol_transfer *transfer, const ol_request *request, ol_reply *reply, ol_error *err);
/* Makes the thread look at every stop flag. */
void ol_transfer_wake(ol_transfer *transfer);
