#pragma once

/*
 * Digests: "algorithm:encoded", image-spec descriptor.md "Digests". sha256 and sha512 can be
 * verified; any other algorithm is OL_EUNSUPPORTED.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/view.h"

typedef enum ol_algorithm {
	OL_ALGORITHM_NONE = 0, /* an ol_digest of zeros is "no digest" */
	OL_SHA256,
	OL_SHA512,
} ol_algorithm;

#define OL_DIGEST_BYTES_MAX 64
#define OL_DIGEST_TEXT_MAX  (7 + 2 * OL_DIGEST_BYTES_MAX + 1)
#define OL_DIGEST_HEX_MAX   (2 * OL_DIGEST_BYTES_MAX + 1)

/* A plain value: copy it, compare it with ol_digest_eq. */
typedef struct ol_digest {
	ol_algorithm algorithm;
	uint8_t bytes[OL_DIGEST_BYTES_MAX]; /* 32 or 64 are used, the rest are zero */
} ol_digest;

typedef struct ol_digest_text {
	char text[OL_DIGEST_TEXT_MAX];
} ol_digest_text;

/* OL_EINVAL: not the grammar (upper-case hex included). OL_EUNSUPPORTED: grammar, but an algorithm
 * we cannot verify. */
int ol_digest_parse(ol_view text, ol_digest *out, ol_error *err);
/* "sha256:<hex>", by value so that it can be used in an argument: ol_digest_format(&d).text; "" for
 * no digest. */
ol_digest_text ol_digest_format(const ol_digest *digest);
/* The hex part alone. */
ol_digest_text ol_digest_hex(const ol_digest *digest);
/* The first 12 hex digits, as docker shows ids. */
ol_digest_text ol_digest_short(const ol_digest *digest);
const char *ol_algorithm_name(ol_algorithm algorithm); /* "sha256" */
size_t ol_algorithm_size(ol_algorithm algorithm);      /* bytes */
bool ol_digest_eq(const ol_digest *a, const ol_digest *b);
static inline bool ol_digest_is_set(const ol_digest *d)
{
	return d->algorithm != OL_ALGORITHM_NONE;
}

/* Hashing as bytes pass. For one thread at a time. */
typedef struct ol_hasher ol_hasher;

ol_hasher *ol_hasher_new(ol_algorithm algorithm);
void ol_hasher_free(ol_hasher *hasher);
OL_DEFINE_AUTO(ol_hasher, ol_hasher_free)
void ol_hasher_update(ol_hasher *hasher, const void *data, size_t size);
/* The digest of all bytes so far; the hasher then starts anew. */
ol_digest ol_hasher_final(ol_hasher *hasher);
/* A second hasher in the same state: to know the digest of a prefix and go on. */
ol_hasher *ol_hasher_copy(const ol_hasher *hasher);

ol_digest ol_digest_of(ol_algorithm algorithm, const void *data, size_t size);
/* OL_ECORRUPT names both digests when the bytes are not what was promised. */
int ol_digest_check(const ol_digest *want, const ol_digest *got, ol_error *err);

int ol_hex_parse(ol_view hex, uint8_t *bytes,
	size_t size); /* exactly 2 * size lower-case digits, or OL_EINVAL */
void ol_hex_format(const uint8_t *bytes, size_t size, char *hex); /* 2 * size digits and a NUL */
