#include "fetch/range.h"

#include <strings.h>

#include "base/ckd.h"

/* 1*DIGIT that fits; the cursor stands behind it. */
static bool number(ol_view text, size_t *at, uint64_t *out)
{
	size_t first = *at;
	uint64_t value = 0;

	for (; *at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9'; (*at)++)
		if (ckd_mul(&value, value, (uint64_t)10) ||
			ckd_add(&value, value, (uint64_t)(text.data[*at] - '0')))
			return false;
	*out = value;
	return *at > first;
}

static bool literal(ol_view text, size_t *at, char c)
{
	if (*at >= text.size || text.data[*at] != c)
		return false;
	(*at)++;
	return true;
}

static bool span(ol_view text, size_t *at, ol_content_range *range)
{
	uint64_t last;

	if (literal(text, at, '*')) {
		range->unsatisfied = true;
		return true;
	}
	return number(text, at, &range->start) && literal(text, at, '-') &&
	       number(text, at, &last) && last >= range->start &&
	       !ckd_add(&range->end, last, (uint64_t)1);
}

int ol_content_range_parse(ol_view text, ol_content_range *out, ol_error *err)
{
	ol_content_range range = { 0 };
	size_t at = 0;
	bool good = false;

	if (text.size > 6 && strncasecmp(text.data, "bytes ", 6) == 0) {
		at = 6;
		good = span(text, &at, &range) && literal(text, &at, '/');
	}
	if (good && !literal(text, &at, '*'))
		good = range.has_total = number(text, &at, &range.total);
	if (!good || at != text.size || (range.unsatisfied && !range.has_total) ||
		(range.has_total && !range.unsatisfied && range.end > range.total))
		return ol_fail(err, OL_EINVAL, "not a Content-Range (byte %zu)", at);
	*out = range;
	return OL_OK;
}

int ol_upload_range_parse(ol_view text, uint64_t *offset, ol_error *err)
{
	uint64_t first = 0, last = 0;
	size_t at = 0;

	if (text.size >= 6 && strncasecmp(text.data, "bytes", 5) == 0 &&
		(text.data[5] == '=' || text.data[5] == ' '))
		at = 6;
	if (!number(text, &at, &first) || first != 0 || !literal(text, &at, '-') ||
		!number(text, &at, &last) || at != text.size || ckd_add(&last, last, (uint64_t)1))
		return ol_fail(err, OL_EINVAL, "not the Range of an upload (byte %zu)", at);
	*offset = last == 1 ? 0 : last;
	return OL_OK;
}

int ol_length_parse(ol_view text, uint64_t *out, ol_error *err)
{
	uint64_t length = 0;
	size_t at = 0;

	if (!number(text, &at, &length) || at != text.size)
		return ol_fail(err, OL_EINVAL, "not a length (byte %zu)", at);
	*out = length;
	return OL_OK;
}
