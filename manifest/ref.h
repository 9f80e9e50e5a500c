#pragma once

/*
 * References: what a user types for an image, with Docker's normalisation. Grammar and rules:
 * distribution/reference; image-spec "org.opencontainers.image.ref.name" is another grammar and not
 * meant here.
 *
 *	alpine               → docker.io/library/alpine:latest
 *	reg.example/app:1.4  → reg.example/app:1.4
 *	app@sha256:…         → docker.io/library/app@sha256:…  (no tag is added)
 */
#include <stdbool.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/view.h"

#define OL_REF_TEXT_MAX (OL_REFERENCE_NAME_MAX + 1 + OL_TAG_MAX + 1 + OL_DIGEST_TEXT_MAX)

/* A plain value, always normalised. */
typedef struct ol_ref {
	char domain[OL_REFERENCE_NAME_MAX + 1]; /* "docker.io", "127.0.0.1:5000" */
	char path[OL_REFERENCE_NAME_MAX + 1];   /* "library/alpine" */
	char tag[OL_TAG_MAX + 1];               /* "" where only a digest was given */
	ol_digest digest; /* unset where none was given; it decides over the tag */
} ol_ref;

typedef struct ol_ref_string {
	char text[OL_REF_TEXT_MAX + 1];
} ol_ref_string;

/* OL_EINVAL with the reason and, for upper case and bare image ids, a hint. */
int ol_ref_parse(const char *text, ol_ref *out, ol_error *err);
ol_ref_string ol_ref_format(const ol_ref *ref); /* canonical: docker.io/library/alpine:latest */
ol_ref_string ol_ref_format_familiar(const ol_ref *ref); /* as docker shows it: alpine:latest */
ol_ref_string ol_ref_name(const ol_ref *ref);            /* canonical without tag and digest */
ol_ref_string ol_ref_name_familiar(
	const ol_ref *ref); /* familiar without tag and digest: "alpine" */
