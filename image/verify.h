#pragma once

#include "image/session.h"
#include "store/gc.h"

/* check: every blob, layer, index, tree, row. OL_ECORRUPT when there were faults; each was told to
 * found. */
typedef struct ol_verify_options {
	bool quick;    /* presence and sizes */
	bool restart;  /* all of it, whatever an earlier, interrupted check has done */
	bool say_lazy; /* tells the listener how many layers are not whole yet */
	void (*found)(void *ctx, const ol_finding *finding);
	void *ctx;
} ol_verify_options;
int ol_verify(
	ol_session *session, const ol_verify_options *options, uint64_t *faults, ol_error *err);
