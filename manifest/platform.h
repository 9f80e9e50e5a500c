#pragma once

/* Platforms and how they match: image-spec image-index.md "platform", containerd/platforms for the fallbacks. */
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

/* "linux/arm64/v8", "linux/amd64", "arm64", "linux". What is not said is the host's. */
int ol_platform_parse(const char *text, ol_platform *out, ol_error *err);
ol_platform_text ol_platform_format(const ol_platform *platform);
void ol_platform_normalise(ol_platform *platform);
/* This machine, with the variant its processor has (x86-64-v3, armv7 …). */
ol_platform ol_platform_host(void);
/* How well have serves want: 0 is the platform itself, larger numbers are fallbacks in order, -1 is no match. */
int ol_platform_match(const ol_platform *want, const ol_platform *have);
bool ol_platform_is_unknown(const ol_platform *platform); /* unknown/unknown: attestations */
