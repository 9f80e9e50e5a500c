#pragma once

/*
 * A route is what is known of the ways to one reference: its endpoints with their hosts. A walk is
 * one question asked along it, from way to way until one has the answer:
 *
 *	404, another refusal       the next way; this one is asked again for the next question
 *	429, 5xx, a cut            the next way; the host has its penalty, and until that is over it
 *	                           is passed over. If nobody else has the answer it is waited for
 *	not reached, stalled       the next way; the host is out: asked once, not once a blob
 *	401, 403                   the next way; this way is out
 *	bytes that lie             the next way; the host is out
 *
 * Nobody is put out who is the last: what is wrong with him is the question's answer. Only the last
 * way of a first pass, and every one of the second, is given patience.
 */
#include "fetch/exchange_priv.h"

typedef struct ol_way {
	const ol_endpoint *endpoint; /* of the route */
	ol_host *host;               /* lent */
	atomic_bool denied;          /* it did not let us in */
} ol_way;

typedef struct ol_route {
	struct ol_route *next;
	char *name; /* owned: the reference */
	ol_endpoints endpoints;
	ol_way *ways; /* owned; one for each endpoint, in order */
} ol_route;

/* Made at its first use, lent for the registry's life. Errors as ol_endpoints_find. Threads: any.
 */
int ol_route_get(ol_registry *registry, const ol_ref *ref, ol_route **out, ol_error *err);
/* The registry that ref names, for what mirrors are not asked for: pushing, logging in. */
int ol_route_itself(ol_registry *registry, const ol_ref *ref, ol_host **out, ol_error *err);
void ol_route_free_all(ol_registry *registry);

typedef enum ol_fault_kind {
	OL_FAULT_NONE,
	OL_FAULT_ABSENT,
	OL_FAULT_BUSY,
	OL_FAULT_DEAD,
	OL_FAULT_DENIED,
	OL_FAULT_LIED,
	OL_FAULT_OURS, /* canceled, or a callback's own refusal: nobody else is asked */
} ol_fault_kind;

typedef struct ol_fault {
	ol_fault_kind kind;
	uint64_t after_ms; /* how long it asks to be left alone; 0: it does not say */
} ol_fault;

/* rc: what ol_exchange answered. */
ol_fault ol_fault_of(int rc, const ol_reply *reply);

typedef struct ol_walk {
	ol_registry *registry;
	ol_route *route;
	unsigned capabilities; /* all of them are needed */
	const char *what;      /* lent: "blob sha256:…" */
	size_t at;
	bool second;   /* the pass over those that were busy */
	uint64_t busy; /* bits of ways that are for the second pass */
	unsigned asked;
	int rc; /* of the last that failed */
	ol_error err;
	ol_str reasons; /* owned */
	ol_way *way;    /* the one to ask now */
	bool last;      /* in this pass nobody is left behind it */
} ol_walk;

int ol_walk_begin(ol_walk *walk, ol_registry *registry, const ol_ref *ref, unsigned capabilities,
	const char *what, ol_error *err);
/* Goes to the next way: false when there is none. */
bool ol_walk_next(ol_walk *walk);
/* As much as the way at hand gets. */
ol_patience ol_walk_patience(const ol_walk *walk);
/* The way at hand failed. True: there may be others. */
bool ol_walk_failed(ol_walk *walk, int rc, ol_fault fault, const ol_error *err);
/* The end, after a failure or where none was left: the answer's code, and every way's reason. */
int ol_walk_refusal(ol_walk *walk, ol_error *err);
void ol_walk_end(ol_walk *walk);

/* Remembers that bytes of digest came this way; ol_registry_blame asks for it. */
void ol_route_note_giver(ol_registry *registry, const ol_digest *digest, ol_host *host);
