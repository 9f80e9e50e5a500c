#include "base/digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

static const struct {
	const char *name;
	size_t size;
} algorithms[] = {
	[OL_ALGORITHM_NONE] = { "", 0 },
	[OL_SHA256] = { "sha256", 32 },
	[OL_SHA512] = { "sha512", 64 },
};

const char *ol_algorithm_name(ol_algorithm algorithm)
{
	return algorithms[algorithm].name;
}

size_t ol_algorithm_size(ol_algorithm algorithm)
{
	return algorithms[algorithm].size;
}

/* The value of a lower-case hex digit plus 1; 0: it is none. */
static const uint8_t nibbles[256] = {
	['0'] = 1,
	['1'] = 2,
	['2'] = 3,
	['3'] = 4,
	['4'] = 5,
	['5'] = 6,
	['6'] = 7,
	['7'] = 8,
	['8'] = 9,
	['9'] = 10,
	['a'] = 11,
	['b'] = 12,
	['c'] = 13,
	['d'] = 14,
	['e'] = 15,
	['f'] = 16,
};

int ol_hex_parse(ol_view hex, uint8_t *bytes, size_t size)
{
	const unsigned char *p = (const unsigned char *)hex.data;

	if (hex.size != 2 * size)
		return OL_EINVAL;
	for (size_t i = 0; i < size; i++) {
		const unsigned high = nibbles[p[2 * i]], low = nibbles[p[2 * i + 1]];

		if (!high || !low)
			return OL_EINVAL;
		bytes[i] = (uint8_t)((high - 1) << 4 | (low - 1));
	}
	return OL_OK;
}

void ol_hex_format(const uint8_t *bytes, size_t size, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * size] = '\0';
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* algorithm ::= component (separator component)*, component ::= [a-z0-9]+, separator ::= [+._-] */
static bool is_algorithm(ol_view v)
{
	bool after_component = false;

	for (size_t i = 0; i < v.size; i++) {
		if (is_lower_or_digit(v.data[i]))
			after_component = true;
		else if (after_component && v.data[i] && strchr("+._-", v.data[i]))
			after_component = false;
		else
			return false;
	}
	return after_component;
}

/* encoded ::= [a-zA-Z0-9=_-]+ */
static bool is_encoded(ol_view v)
{
	for (size_t i = 0; i < v.size; i++) {
		char c = v.data[i];

		if (!is_lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '=' && c != '_' &&
			c != '-')
			return false;
	}
	return v.size > 0;
}

/* What is refused comes from outside and is shown on a terminal. */
static int refuse(int code, const char *what, ol_view text, const char *why, ol_error *err)
{
	ol_auto_str ol_str safe = OL_STR(1024);

	if (text.size > 160)
		text.size = 160;
	(void)ol_str_add_safe(&safe, text);
	return ol_fail(err, code, "%s \"%s\" %s", what, ol_str_text(&safe), why);
}

int ol_digest_parse(ol_view text, ol_digest *out, ol_error *err)
{
	const char *colon = text.size ? memchr(text.data, ':', text.size) : NULL;
	ol_digest digest = { 0 };
	ol_view name, encoded;

	/* What nearly all are; every row of the store brings some. */
	if (ol_view_starts(text, "sha256:") &&
		ol_hex_parse(ol_view_from(text.data + 7, text.size - 7), digest.bytes, 32) ==
			OL_OK) {
		digest.algorithm = OL_SHA256;
		*out = digest;
		return OL_OK;
	}
	digest = (ol_digest){ 0 };
	if (!colon)
		return refuse(OL_EINVAL, "digest", text, "has no colon", err);
	name = ol_view_from(text.data, (size_t)(colon - text.data));
	encoded = ol_view_from(colon + 1, text.size - name.size - 1);
	if (!is_algorithm(name) || !is_encoded(encoded))
		return refuse(OL_EINVAL, "digest", text, "is not well formed", err);
	for (ol_algorithm a = OL_SHA256; a <= OL_SHA512; a++) {
		char why[64];

		if (!ol_view_is(name, algorithms[a].name))
			continue;
		(void)snprintf(why, sizeof why, "is not %zu lower-case hex digits",
			2 * algorithms[a].size);
		if (ol_hex_parse(encoded, digest.bytes, algorithms[a].size) < 0)
			return refuse(OL_EINVAL, "digest", text, why, err);
		digest.algorithm = a;
		*out = digest;
		return OL_OK;
	}
	return refuse(OL_EUNSUPPORTED, "digest algorithm", name, "cannot be verified here", err);
}

ol_digest_text ol_digest_hex(const ol_digest *digest)
{
	ol_digest_text out = { "" };

	ol_hex_format(digest->bytes, algorithms[digest->algorithm].size, out.text);
	return out;
}

ol_digest_text ol_digest_short(const ol_digest *digest)
{
	ol_digest_text out = ol_digest_hex(digest);

	out.text[12] = '\0';
	return out;
}

ol_digest_text ol_digest_format(const ol_digest *digest)
{
	ol_digest_text out = { "" };
	size_t used = strlen(algorithms[digest->algorithm].name);

	if (digest->algorithm == OL_ALGORITHM_NONE)
		return out;
	memcpy(out.text, algorithms[digest->algorithm].name, used);
	out.text[used] = ':';
	ol_hex_format(digest->bytes, algorithms[digest->algorithm].size, out.text + used + 1);
	return out;
}

bool ol_digest_eq(const ol_digest *a, const ol_digest *b)
{
	return a->algorithm == b->algorithm &&
	       memcmp(a->bytes, b->bytes, algorithms[a->algorithm].size) == 0;
}

struct ol_hasher {
	EVP_MD_CTX *ctx; /* owned */
	ol_algorithm algorithm;
};

static void begin(ol_hasher *hasher)
{
	const EVP_MD *md = hasher->algorithm == OL_SHA512 ? EVP_sha512() : EVP_sha256();
	int ok = EVP_DigestInit_ex(hasher->ctx, md, NULL);

	assert(ok == 1);
}

ol_hasher *ol_hasher_new(ol_algorithm algorithm)
{
	ol_hasher *hasher = ol_alloc(sizeof *hasher);

	assert(algorithm != OL_ALGORITHM_NONE);
	hasher->algorithm = algorithm;
	hasher->ctx = EVP_MD_CTX_new();
	assert(hasher->ctx);
	begin(hasher);
	return hasher;
}

void ol_hasher_free(ol_hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->ctx);
	free(hasher);
}

void ol_hasher_update(ol_hasher *hasher, const void *data, size_t size)
{
	int ok = EVP_DigestUpdate(hasher->ctx, data, size);

	assert(ok == 1);
}

ol_digest ol_hasher_final(ol_hasher *hasher)
{
	ol_digest digest = { .algorithm = hasher->algorithm };
	unsigned size = 0;
	int ok = EVP_DigestFinal_ex(hasher->ctx, digest.bytes, &size);

	assert(ok == 1 && size == algorithms[hasher->algorithm].size);
	begin(hasher);
	return digest;
}

ol_hasher *ol_hasher_copy(const ol_hasher *hasher)
{
	ol_hasher *copy = ol_hasher_new(hasher->algorithm);
	int ok = EVP_MD_CTX_copy_ex(copy->ctx, hasher->ctx);

	assert(ok == 1);
	return copy;
}

ol_digest ol_digest_of(ol_algorithm algorithm, const void *data, size_t size)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(algorithm);

	ol_hasher_update(hasher, data, size);
	return ol_hasher_final(hasher);
}

int ol_digest_check(const ol_digest *want, const ol_digest *got, ol_error *err)
{
	if (ol_digest_eq(want, got))
		return OL_OK;
	return ol_fail(err, OL_ECORRUPT, "digest is %s, not %s", ol_digest_format(got).text,
		ol_digest_format(want).text);
}
