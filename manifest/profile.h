#pragma once

/*
 * What a start needs: ranges of compressed bytes of an image's layers, in the order in which they
 * were asked for. `orlop run --record` writes it; it is attached to the image's manifest
 * (store/attached.h), and published with its index as media type OL_PROFILE_MEDIA_TYPE.
 *
 *	{"version": 1, "ranges": [["sha256:…", 0, 1048576], …]}      blob, start, end (exclusive)
 */
#include "base/digest.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "base/view.h"

#define OL_PROFILE_MEDIA_TYPE "application/vnd.orlop.start-profile.v1+json"
#define OL_PROFILE_KIND       "profile"

typedef struct ol_profile_range {
	ol_digest blob;
	uint64_t start, end;
} ol_profile_range;

typedef struct ol_profile {
	ol_profile_range *ranges; /* owned */
	size_t count, cap;
} ol_profile;

/* OL_ECORRUPT, OL_ELIMIT, OL_EUNSUPPORTED (another version). */
int ol_profile_parse(ol_view json, ol_profile *out, ol_error *err);
int ol_profile_format(const ol_profile *profile, ol_buf *out, ol_error *err);
/* What is there is not added again; what goes on where the last range ends makes that one larger.
 * Past OL_PROFILE_RANGES_MAX it is left out: what is missed then is fetched when it is read. */
void ol_profile_add(ol_profile *profile, const ol_profile_range *range);
void ol_profile_done(ol_profile *profile);
