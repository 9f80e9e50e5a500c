#pragma once

#include "snapshot/decode.h"
#include "snapshot/unpack.h"

/* Waits until no other stream is inside, or until given_up(ctx) (asked some times a second). A NULL
 * gate is always open. OL_ECANCELED. */
int ol_unpack_gate_enter(
	ol_unpack_gate *gate, bool (*given_up)(void *ctx), void *ctx, ol_error *err);
void ol_unpack_gate_leave(ol_unpack_gate *gate);

/*
 * unpack_index.c: the ztoc that is made while a layer is unpacked. All but new take NULL, and do
 * nothing then.
 *
 *	decode_stage   decoder, pace: zlib, which notes where inflating can begin, until it is what
 *	               the others wait for; then ISA-L goes on, and there will be no ztoc
 *	build_stage    push: the tar's members
 */
typedef struct ol_unpack_index ol_unpack_index;
ol_unpack_index *ol_unpack_index_new(const ol_unpack_options *options);
void ol_unpack_index_free(ol_unpack_index *index);
/* The decoder of a gzip stream, freed before the index is. */
int ol_unpack_index_decoder(ol_unpack_index *index, ol_decoder **out, ol_error *err);
/* Time has passed since the last call: waiting for input, or working. */
void ol_unpack_index_pace(ol_unpack_index *index, bool waited);
void ol_unpack_index_push(ol_unpack_index *index, const void *data, size_t size);
/* All is verified: writes the file and fills in out, or leaves out as it is. */
void ol_unpack_index_finish(ol_unpack_index *index, ol_unpacked *out);
