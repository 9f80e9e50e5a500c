#pragma once

/*
 * A job is one request on its way through libcurl: its handle and headers, what its callbacks know.
 * It lives on the stack of the thread that waits for it. Between submission and `done` it belongs
 * to the transfer thread, apart from `done` and `next`, which the transfer's lock guards.
 *
 * libcurl calls back with 16 KiB at most, so pieces of a body are gathered in a buffer per
 * connection and handed on when it is full or the socket is drained.
 */
#include <curl/curl.h>

#include "fetch/transfer_priv.h"

/* What one read of a socket may bring, and what is gathered before it is handed on. Measured on
 * loopback: 512 KiB is no faster, and a connection has two of these. */
#define OL_SOCKET_BYTES ((size_t)256 << 10)
/* What is read of a payload at once: registries behind TLS are much slower with less. */
#define OL_UPLOAD_BYTES ((size_t)1 << 20)

/* An easy handle with its buffer, reused. */
typedef struct ol_slot {
	struct ol_slot *next;
	CURL *easy;   /* owned */
	char *buffer; /* owned: OL_SOCKET_BYTES, made at first use */
} ol_slot;

typedef struct ol_job {
	struct ol_job *next;
	const ol_request *request;
	ol_reply *reply;
	bool done;
	int rc;
	ol_error err;

	ol_slot *slot;
	struct curl_slist *headers; /* owned */
	char curl_error[CURL_ERROR_SIZE];
	size_t header_bytes, gathered;
	uint64_t sent; /* bytes of the payload that libcurl took */
	bool whole;    /* the reply's headers are all there */
	bool streamed, enough;
	bool was_active; /* its body got bytes in this turn */
} ol_job;

/* Sets the easy handle of job->slot up. Failures are in job->rc. */
void ol_job_prepare(ol_job *job, const ol_registry_timing *timing, const char *user_agent);
/* Hands what was gathered to the request's body. */
int ol_job_hand_on(ol_job *job);
/* The first refusal stays. */
int ol_job_refuse(ol_job *job, int rc);
/* libcurl is through with it, or we are: sets the reply's outcome, and rc with its words. */
void ol_job_conclude(ol_job *job, CURLcode code);
