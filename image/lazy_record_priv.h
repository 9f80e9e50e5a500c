#pragma once

/*
 * `orlop run --record`: which bytes of its layers' blobs a container's start asks for.
 *
 *	run     begin: an empty <run dir>/lazy/<hex>.record for each lazy layer
 *	worker  a line for each read that it serves, until the time in the first one is over
 *	run     end, once the container has: lines by time ─▶ profile ─▶ attached to the manifest
 *
 *	<deadline>\n                 milliseconds of the monotonic clock: a file means this boot
 *	<when> <start> <end>\n …     bytes of the blob
 */
#include "image/session_priv.h"
#include "store/layer.h"

/* Reads that come later are no start's. */
#define OL_RECORD_MS 30000

/* layers: as they are mounted. OL_EINVAL: none of them is lazy, so that nobody would see the reads.
 */
int ol_lazy_record_begin(
	ol_session *session, const ol_layer_info *layers, size_t count, ol_error *err);
/* Collects what was recorded, keeps it as the profile of manifest, and ends the recording. *ranges:
 * how many; 0: nothing was asked for, and what was attached before stays. */
int ol_lazy_record_end(ol_session *session, const ol_digest *manifest, const ol_layer_info *layers,
	size_t count, size_t *ranges, ol_error *err);
