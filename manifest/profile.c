#include "manifest/profile.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "manifest/json_scan.h"

#define VERSION 1

struct parser {
	ol_json_scan scan;
	ol_profile profile;
	bool has_version, has_ranges;
};

static int refuse(ol_error *err, const char *why)
{
	return ol_fail(err, OL_ECORRUPT, "start profile: %s", why);
}

/* What the scanner refuses is the document's fault. */
static int next(struct parser *self, ol_json_token *token, ol_error *err)
{
	const int rc = ol_json_scan_next(&self->scan, token, err);

	return rc < 0 ? ol_wrap(err, rc == OL_EINVAL ? OL_ECORRUPT : rc, "start profile") : OL_OK;
}

static int expect(struct parser *self, ol_json_token_type type, ol_json_token *token, ol_error *err)
{
	const int rc = next(self, token, err);

	return rc < 0 || token->type == type ? rc : refuse(err, "is not of its form");
}

static int read_number(struct parser *self, uint64_t *out, ol_error *err)
{
	ol_json_token token;
	int rc = expect(self, OL_JSON_TOKEN_INTEGER, &token, err);

	if (rc < 0)
		return rc;
	if (token.integer < 0 || (uint64_t)token.integer > OL_DESCRIPTOR_BYTES_MAX)
		return refuse(err, "an offset is out of range");
	*out = (uint64_t)token.integer;
	return OL_OK;
}

/* Behind its '['. */
static int read_range(struct parser *self, ol_error *err)
{
	ol_profile *profile = &self->profile;
	ol_profile_range range = { 0 };
	ol_json_token token;
	int rc = expect(self, OL_JSON_TOKEN_STRING, &token, err);

	if (rc == OL_OK && ol_digest_parse(token.text, &range.blob, NULL) < 0)
		return refuse(err, "a blob is no digest");
	if (rc == OL_OK)
		rc = read_number(self, &range.start, err);
	if (rc == OL_OK)
		rc = read_number(self, &range.end, err);
	if (rc == OL_OK)
		rc = expect(self, OL_JSON_TOKEN_ARRAY_END, &token, err);
	if (rc < 0)
		return rc;
	if (range.start >= range.end)
		return refuse(err, "a range is empty");
	if (profile->count == OL_PROFILE_RANGES_MAX)
		return ol_fail(err, OL_ELIMIT, "start profile: more than %zu ranges",
			OL_PROFILE_RANGES_MAX);
	OL_GROW(profile->ranges, profile->count, profile->cap);
	profile->ranges[profile->count++] = range;
	return OL_OK;
}

static int read_ranges(struct parser *self, ol_error *err)
{
	ol_json_token token;
	int rc = expect(self, OL_JSON_TOKEN_ARRAY, &token, err);

	while (rc == OL_OK && (rc = next(self, &token, err)) == OL_OK &&
		token.type != OL_JSON_TOKEN_ARRAY_END)
		rc = token.type == OL_JSON_TOKEN_ARRAY ? read_range(self, err)
						       : refuse(err, "is not of its form");
	return rc;
}

static int read_version(struct parser *self, ol_error *err)
{
	ol_json_token token;
	int rc = expect(self, OL_JSON_TOKEN_INTEGER, &token, err);

	if (rc == OL_OK && token.integer != VERSION)
		return ol_fail(err, OL_EUNSUPPORTED,
			"start profile: version %" PRId64 " is not known", token.integer);
	return rc;
}

static int read_member(struct parser *self, ol_view key, ol_error *err)
{
	const bool version = ol_view_is(key, "version"), ranges = ol_view_is(key, "ranges");
	bool *has = version ? &self->has_version : &self->has_ranges;
	ol_json_token token;
	int rc;

	if (!version && !ranges) {
		rc = next(self, &token, err);
		if (rc == OL_OK)
			rc = ol_json_scan_skip(&self->scan, &token, err);
		return rc < 0 ? ol_wrap(err, rc == OL_EINVAL ? OL_ECORRUPT : rc, "start profile")
			      : OL_OK;
	}
	if (*has)
		return refuse(err, "a member stands twice");
	*has = true;
	return version ? read_version(self, err) : read_ranges(self, err);
}

static int read_document(struct parser *self, ol_error *err)
{
	ol_json_token token;
	int rc = expect(self, OL_JSON_TOKEN_OBJECT, &token, err);

	while (rc == OL_OK && (rc = next(self, &token, err)) == OL_OK &&
		token.type != OL_JSON_TOKEN_OBJECT_END)
		rc = read_member(self, token.text, err);
	if (rc == OL_OK)
		rc = expect(self, OL_JSON_TOKEN_END, &token, err);
	if (rc == OL_OK && (!self->has_version || !self->has_ranges))
		rc = refuse(err, "version or ranges are not there");
	return rc;
}

int ol_profile_parse(ol_view json, ol_profile *out, ol_error *err)
{
	struct parser self = { 0 };
	int rc;

	if (json.size > OL_PROFILE_BYTES_MAX)
		return ol_fail(
			err, OL_ELIMIT, "start profile: more than %zu bytes", OL_PROFILE_BYTES_MAX);
	ol_json_scan_init(&self.scan, json, OL_DIGEST_TEXT_MAX);
	rc = read_document(&self, err);
	ol_json_scan_done(&self.scan);
	if (rc < 0) {
		ol_profile_done(&self.profile);
		return rc;
	}
	*out = self.profile;
	return OL_OK;
}

int ol_profile_format(const ol_profile *profile, ol_buf *out, ol_error *err)
{
	(void)ol_str_addf(out, "{\"version\": %d, \"ranges\": [", VERSION);
	for (size_t i = 0; i < profile->count; i++) {
		const ol_profile_range *range = &profile->ranges[i];

		(void)ol_str_addf(out, "%s[\"%s\", %" PRIu64 ", %" PRIu64 "]", i ? ", " : "",
			ol_digest_format(&range->blob).text, range->start, range->end);
	}
	(void)ol_str_add(out, "]}");
	return ol_str_error(out, err);
}

static bool holds(const ol_profile_range *have, const ol_profile_range *range)
{
	return ol_digest_eq(&have->blob, &range->blob) && have->start <= range->start &&
	       range->end <= have->end;
}

void ol_profile_add(ol_profile *profile, const ol_profile_range *range)
{
	ol_profile_range *last = profile->count ? &profile->ranges[profile->count - 1] : NULL;

	for (size_t i = 0; i < profile->count; i++)
		if (holds(&profile->ranges[i], range))
			return;
	if (last && ol_digest_eq(&last->blob, &range->blob) && last->end == range->start) {
		last->end = range->end;
		return;
	}
	if (profile->count == OL_PROFILE_RANGES_MAX)
		return;
	OL_GROW(profile->ranges, profile->count, profile->cap);
	assert(profile->ranges); /* OL_GROW made room */
	profile->ranges[profile->count++] = *range;
}

void ol_profile_done(ol_profile *profile)
{
	free(profile->ranges);
	*profile = (ol_profile){ 0 };
}
