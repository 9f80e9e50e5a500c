#pragma once

/* Capabilities: names, sets, and what Docker gives by default. A set is a mask, bit n for
 * capability n. */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define OL_CAPABILITY_COUNT 41 /* CAP_CHOWN … CAP_CHECKPOINT_RESTORE, Linux 6.x */

static inline uint64_t ol_capability_bit(int capability)
{
	return (uint64_t)1 << capability;
}

const char *ol_capability_name(int capability); /* "CAP_CHOWN" */
/* "chown", "CHOWN", "CAP_CHOWN" → its number; -1 when there is none of that name. */
int ol_capability_find(const char *name);

/* What this process could hand on: permitted and in the bounding set. */
int ol_capability_held(uint64_t *out, ol_error *err);

/*
 * Docker's default set, changed by --cap-add and --cap-drop (names or ALL; lists ended by NULL, or
 * NULL), or everything when privileged; never one that is not in held. OL_EINVAL: no such name, or
 * one asked for by name that is not held.
 */
int ol_capability_choose(const char *const *add, const char *const *drop, bool privileged,
	uint64_t held, uint64_t *out, ol_error *err);
