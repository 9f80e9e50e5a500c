#pragma once

/* Platforms and how they match: image-spec image-index.md "platform", containerd/platforms for the
 * fallbacks. */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/view.h"

/* A plain value, always normalised (x86_64 → amd64, arm → arm/v7 …). */
typedef struct ol_platform {
	char os[32], architecture[32], variant[16], os_version[64]; /* "" where unknown */
} ol_platform;

typedef struct ol_platform_text {
	char text[96];
} ol_platform_text;

/* "linux/arm64/v8", "linux/amd64", "arm64", "linux". An os or architecture that is not said is the
 * host's, and with the architecture its variant. A single word must be one that is known; OL_EINVAL
 * says what is wrong. */
int ol_platform_parse(const char *text, ol_platform *out, ol_error *err);
/* "linux/amd64", with the variant where there is one. The fields may come from outside: escape them
 * for a terminal. */
ol_platform_text ol_platform_format(const ol_platform *platform);
/* In place: lower case, one name for each architecture, no variant where it is the common one. ""
 * stays "". */
void ol_platform_normalise(ol_platform *platform);
/* This machine, with the variant its processor has (amd64/v3, arm/v7 …). */
ol_platform ol_platform_host(void);
/* How well have serves want (both normalised): 0 is the platform itself, larger numbers are
 * fallbacks in order, -1 is no match. amd64/vN runs v(N-1) … v1 and 386; arm/vN runs down to v5;
 * arm64/v9.x runs v9.(x-1) … v9, v8.(x+5) … v8 and then arm/v8 … v5. os_version matters where both
 * say it. */
int ol_platform_match(const ol_platform *want, const ol_platform *have);
bool ol_platform_is_unknown(const ol_platform *platform); /* unknown/unknown: attestations */
