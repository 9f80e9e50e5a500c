#pragma once

#include "image/session.h"
#include "store/mend.h"

/*
 * check --repair: the session was opened with a mender, which has seen to the database; this sees
 * to the rest. Just what is damaged is mended, each thing by the least that does it, and told with
 * what was done:
 *
 *	a row that was lost      made again from blobs, manifests, layers, index.json
 *	an index                 written anew from its tar
 *	a tree                   extracted anew from its compressed layer
 *	a chain                  completed anew
 *	a tar, a blob            one fetch of it alone from where it came from
 *	what nothing needs       removed
 *
 * What came from an archive cannot be fetched: what to load is told. *left counts the faults that
 * remain, those included: no error code stands for them. OL_ECANCELED.
 */
typedef struct ol_repair_options {
	bool quick, restart; /* of the check that comes first: as in ol_verify_options */
	const ol_mender *mender;
} ol_repair_options;
int ol_repair(ol_session *session, const ol_repair_options *options, uint64_t *left, ol_error *err);
