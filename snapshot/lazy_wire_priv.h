#pragma once

/*
 * What holder, worker and commands say to each other: packets of one size over SOCK_SEQPACKET
 * sockets of this machine, in its own byte order, some with descriptors (SCM_RIGHTS).
 *
 *	command ─▶ holder   HELLO, WATCH, UNWATCH, WAKE       each answered: OK, NEED or FAILED
 *	holder  ─▶ worker   LAYER, ASK, GONE, WAKE, END, KEEP
 *	worker  ─▶ holder   ANSWER, DONE, IDLE
 *	worker  ─▶ a holder that goes on in another's place: ADOPT, LAYER, ASK, OK
 *
 * A packet of another size, version or kind, with other descriptors than its kind has, or with
 * values out of bounds is refused.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/view.h"

typedef enum ol_wire_kind {
	OL_WIRE_HELLO = 1, /* OK: text is the engine's name */
	OL_WIRE_WATCH,   /* digest; with payload and state: it is not watched yet. OK: the device's
			  * descriptor. NEED: bring payload and state */
	OL_WIRE_UNWATCH, /* digest: a mount of it ended */
	OL_WIRE_WAKE,    /* look for lazy layers in the store */
	OL_WIRE_OK,
	OL_WIRE_NEED,
	OL_WIRE_FAILED, /* sys: an ol_code; text: why */
	OL_WIRE_LAYER,  /* digest; payload and state */
	OL_WIRE_ASK,    /* slot, handle, digest, start, end */
	OL_WIRE_GONE,   /* digest: not mounted any more */
	OL_WIRE_END,    /* the worker is to end */
	OL_WIRE_KEEP,   /* text: the engine; its descriptors, and last the control socket */
	OL_WIRE_ANSWER, /* slot; sys: errno, 0: it is there */
	OL_WIRE_DONE,   /* digest: all of it is there */
	OL_WIRE_IDLE,   /* nothing is left to do */
	OL_WIRE_ADOPT,  /* as KEEP */
	OL_WIRE_KINDS,
} ol_wire_kind;

#define OL_WIRE_FDS_MAX  4
#define OL_WIRE_TEXT_MAX 256

typedef struct ol_wire {
	uint32_t magic; /* these two are set by ol_wire_send */
	uint16_t version;
	uint16_t kind; /* ol_wire_kind */
	int32_t sys;
	uint32_t algorithm; /* of the digest */
	uint64_t slot, handle, start, end;
	uint8_t digest[OL_DIGEST_BYTES_MAX];
	char text[OL_WIRE_TEXT_MAX]; /* terminated; printable */
} ol_wire;

ol_digest ol_wire_digest(const ol_wire *wire);
void ol_wire_set_digest(ol_wire *wire, const ol_digest *digest);
void ol_wire_set_text(ol_wire *wire, const char *text); /* cut short where it is too long */

/* Checks what came; fd_count: descriptors with it. OL_ECORRUPT; OL_EUNSUPPORTED: another version's.
 */
int ol_wire_parse(ol_view bytes, size_t fd_count, ol_wire *out, ol_error *err);

/* A packet with its descriptors, which are the caller's. */
typedef struct ol_wire_packet {
	ol_wire wire;
	int fds[OL_WIRE_FDS_MAX]; /* -1 from fd_count on */
	size_t fd_count;
} ol_wire_packet;
void ol_wire_packet_done(ol_wire_packet *packet); /* closes what was not stolen */

/* OL_EBUSY: would have to wait, and wait is false. OL_EUNAVAILABLE: the other end is gone. */
int ol_wire_send(int socket_fd, const ol_wire *wire, const int *fds, size_t fd_count, bool wait,
	ol_error *err);
/* The same; OL_ECORRUPT as ol_wire_parse. out is to be done with after OL_OK only. */
int ol_wire_receive(int socket_fd, bool wait, ol_wire_packet *out, ol_error *err);
