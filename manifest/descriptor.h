#pragma once

#include "base/digest.h"
#include "manifest/json.h"
#include "manifest/mediatype.h"
#include "manifest/platform.h"

typedef struct ol_annotation {
	const char *key, *value;
} ol_annotation;

/* image-spec descriptor.md. Strings belong to the document it was parsed from. */
typedef struct ol_descriptor {
	const char *media_type; /* as written, never NULL */
	ol_media media;
	/* Unset for an algorithm that cannot be verified: only in entries of an index and in
	 * subjects. Such content may be neither fetched nor used. */
	ol_digest digest;
	uint64_t size;
	const char *const *urls; /* NULL, or ended by NULL */
	const ol_annotation *annotations;
	size_t annotation_count;
	const char *artifact_type; /* or NULL */
	bool has_platform;
	ol_platform platform; /* normalised, but the words are anybody's */
	ol_view data;         /* decoded and verified inline content, or size 0 with data NULL */
} ol_descriptor;

/* NULL when there is none. */
const char *ol_descriptor_annotation(const ol_descriptor *descriptor, const char *key);

/* One of ours, to be written: media type, digest and size. */
ol_json *ol_descriptor_json(const char *media_type, const ol_digest *digest, uint64_t size);
/* What an index says of an image's platform. */
ol_json *ol_platform_json(const ol_platform *platform);
