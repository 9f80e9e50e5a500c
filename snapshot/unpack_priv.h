#pragma once

#include "snapshot/unpack.h"

/* Waits until no other stream is inside, or until given_up(ctx) (asked some times a second). A NULL
 * gate is always open. OL_ECANCELED. */
int ol_unpack_gate_enter(
	ol_unpack_gate *gate, bool (*given_up)(void *ctx), void *ctx, ol_error *err);
void ol_unpack_gate_leave(ol_unpack_gate *gate);
