#include "manifest/json_scan.h"

#include <string.h>

void ol_json_scan_init(ol_json_scan *scan, ol_view input, size_t string_bytes_max)
{
	*scan = (ol_json_scan){ .input = input, .text = OL_BUF(string_bytes_max) };
}

void ol_json_scan_done(ol_json_scan *scan)
{
	ol_buf_done(&scan->text);
}

static int refuse(const ol_json_scan *scan, const char *why, ol_error *err)
{
	return ol_fail(err, OL_EINVAL, "not JSON at byte %zu: %s", scan->at, why);
}

/* The byte that comes next; -1 at the end. */
static int peek(const ol_json_scan *scan)
{
	return scan->at < scan->input.size ? (unsigned char)scan->input.data[scan->at] : -1;
}

static void skip_space(ol_json_scan *scan)
{
	int c;

	while ((c = peek(scan)) == ' ' || c == '\t' || c == '\n' || c == '\r')
		scan->at++;
}

static int read_hex4(ol_json_scan *scan, unsigned *out, ol_error *err)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++) {
		int c = peek(scan);

		if (c >= '0' && c <= '9')
			value = value << 4 | (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value << 4 | (unsigned)((c | 0x20) - 'a' + 10);
		else
			return refuse(scan, "\\u wants four hex digits", err);
		scan->at++;
	}
	*out = value;
	return OL_OK;
}

/* At the digits of a \u. A surrogate must have its other half. */
static int read_code_point(ol_json_scan *scan, unsigned *out, ol_error *err)
{
	unsigned low = 0;
	int rc = read_hex4(scan, out, err);

	if (rc < 0)
		return rc;
	if (*out == 0)
		return refuse(scan, "a NUL in a string", err);
	if (*out < 0xd800 || *out > 0xdfff)
		return OL_OK;
	if (*out > 0xdbff || peek(scan) != '\\')
		return refuse(scan, "half a surrogate pair", err);
	scan->at++;
	if (peek(scan) != 'u')
		return refuse(scan, "half a surrogate pair", err);
	scan->at++;
	rc = read_hex4(scan, &low, err);
	if (rc < 0)
		return rc;
	if (low < 0xdc00 || low > 0xdfff)
		return refuse(scan, "half a surrogate pair", err);
	*out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
	return OL_OK;
}

static int add_code_point(ol_buf *text, unsigned code)
{
	char bytes[4];
	size_t size;

	if (code < 0x80) {
		bytes[0] = (char)code;
		size = 1;
	} else if (code < 0x800) {
		bytes[0] = (char)(0xc0 | code >> 6);
		bytes[1] = (char)(0x80 | (code & 0x3f));
		size = 2;
	} else if (code < 0x10000) {
		bytes[0] = (char)(0xe0 | code >> 12);
		bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (code & 0x3f));
		size = 3;
	} else {
		bytes[0] = (char)(0xf0 | code >> 18);
		bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
		bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[3] = (char)(0x80 | (code & 0x3f));
		size = 4;
	}
	return ol_buf_add(text, bytes, size);
}

/* Behind a backslash. */
static int read_escape(ol_json_scan *scan, ol_error *err)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const int c = peek(scan);
	const char *found = c > 0 ? strchr(from, c) : NULL;
	unsigned code = 0;
	int rc;

	if (found) {
		scan->at++;
		(void)ol_str_addc(&scan->text, to[found - from]);
		return OL_OK;
	}
	if (c != 'u')
		return refuse(scan, "no such escape", err);
	scan->at++;
	rc = read_code_point(scan, &code, err);
	if (rc == OL_OK)
		(void)add_code_point(&scan->text, code);
	return rc;
}

/* How many bytes from here on stand for themselves, one each: most of most strings. */
static size_t plain_run(const ol_json_scan *scan)
{
	const unsigned char *at = (const unsigned char *)scan->input.data + scan->at;
	const size_t left = scan->input.size - scan->at;
	size_t size = 0;

	while (size < left && at[size] >= 0x20 && at[size] < 0x7f && at[size] != '"' &&
		at[size] != '\\')
		size++;
	return size;
}

/* At a quote: the string's bytes into scan->text. */
static int read_string(ol_json_scan *scan, ol_error *err)
{
	int rc = OL_OK;

	ol_buf_clear(&scan->text);
	scan->at++;
	while (rc == OL_OK && peek(scan) != '"') {
		const char *at = scan->input.data + scan->at;
		const int c = peek(scan);
		size_t size = plain_run(scan);

		if (c < 0)
			return refuse(scan, "a string without an end", err);
		if (c < 0x20)
			return refuse(scan, "a control character in a string", err);
		if (c == '\\') {
			scan->at++;
			rc = read_escape(scan, err);
			continue;
		}
		if (size == 0)
			size = ol_utf8_size((ol_view){ at, scan->input.size - scan->at });
		if (size == 0)
			return refuse(scan, "what is not UTF-8", err);
		(void)ol_buf_add(&scan->text, at, size);
		scan->at += size;
	}
	scan->at++;
	if (rc == OL_OK)
		rc = ol_str_error(&scan->text, err);
	return rc;
}

static size_t skip_digits(ol_json_scan *scan)
{
	const size_t from = scan->at;
	int c;

	while ((c = peek(scan)) >= '0' && c <= '9')
		scan->at++;
	return scan->at - from;
}

/* number = [ "-" ] int [ frac ] [ exp ] */
static int read_number(ol_json_scan *scan, ol_json_token *out, ol_error *err)
{
	const char *const text = scan->input.data + scan->at;
	const size_t from = scan->at;
	bool negative = peek(scan) == '-', whole = true;
	uint64_t value = 0;
	size_t digits, begin;

	scan->at += negative;
	begin = scan->at;
	digits = skip_digits(scan);
	if (digits == 0 || (digits > 1 && scan->input.data[begin] == '0'))
		return refuse(scan, "no number", err);
	if (peek(scan) == '.') {
		whole = false;
		scan->at++;
		if (skip_digits(scan) == 0)
			return refuse(scan, "a fraction without digits", err);
	}
	if ((peek(scan) | 0x20) == 'e') {
		whole = false;
		scan->at++;
		scan->at += peek(scan) == '+' || peek(scan) == '-';
		if (skip_digits(scan) == 0)
			return refuse(scan, "an exponent without digits", err);
	}
	whole = whole && digits <= 19;
	for (size_t i = begin - from; whole && i < scan->at - from; i++)
		value = value * 10 + (uint64_t)(text[i] - '0'); /* 19 digits fit */
	whole = whole && value <= (uint64_t)INT64_MAX + negative;
	out->type = whole ? OL_JSON_TOKEN_INTEGER : OL_JSON_TOKEN_REAL;
	if (whole)
		out->integer = negative ? (int64_t)(0 - value) : (int64_t)value;
	return OL_OK;
}

static int read_word(ol_json_scan *scan, ol_json_token *out, ol_error *err)
{
	static const struct {
		const char *word;
		ol_json_token token;
	} words[] = {
		{ "true", { .type = OL_JSON_TOKEN_BOOL, .integer = 1 } },
		{ "false", { .type = OL_JSON_TOKEN_BOOL, .integer = 0 } },
		{ "null", { .type = OL_JSON_TOKEN_NULL } },
	};
	const ol_view rest = { scan->input.data + scan->at, scan->input.size - scan->at };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (ol_view_starts(rest, words[i].word)) {
			*out = words[i].token;
			scan->at += strlen(words[i].word);
			return OL_OK;
		}
	return refuse(scan, "no value", err);
}

static int open_bracket(ol_json_scan *scan, bool object, ol_json_token *out, ol_error *err)
{
	if (scan->depth == OL_JSON_DEPTH_MAX)
		return ol_fail(
			err, OL_ELIMIT, "JSON is nested deeper than %d levels", OL_JSON_DEPTH_MAX);
	scan->in_object[scan->depth++] = object;
	scan->wants = OL_JSON_WANTS_FIRST;
	scan->at++;
	out->type = object ? OL_JSON_TOKEN_OBJECT : OL_JSON_TOKEN_ARRAY;
	return OL_OK;
}

static int close_bracket(ol_json_scan *scan, ol_json_token *out)
{
	out->type =
		scan->in_object[--scan->depth] ? OL_JSON_TOKEN_OBJECT_END : OL_JSON_TOKEN_ARRAY_END;
	scan->wants = OL_JSON_WANTS_COMMA;
	scan->at++;
	return OL_OK;
}

static int read_key(ol_json_scan *scan, ol_json_token *out, ol_error *err)
{
	int rc;

	if (peek(scan) != '"')
		return refuse(scan, "a key was expected", err);
	rc = read_string(scan, err);
	if (rc < 0)
		return rc;
	skip_space(scan);
	if (peek(scan) != ':')
		return refuse(scan, "a colon was expected", err);
	scan->at++;
	scan->wants = OL_JSON_WANTS_VALUE;
	*out = (ol_json_token){ .type = OL_JSON_TOKEN_KEY, .text = ol_buf_view(&scan->text) };
	return OL_OK;
}

static int read_value(ol_json_scan *scan, ol_json_token *out, ol_error *err)
{
	const int c = peek(scan);
	int rc;

	if (c == '{' || c == '[')
		return open_bracket(scan, c == '{', out, err);
	scan->wants = OL_JSON_WANTS_COMMA;
	if (c == '"') {
		rc = read_string(scan, err);
		*out = (ol_json_token){ .type = OL_JSON_TOKEN_STRING,
			.text = ol_buf_view(&scan->text) };
		return rc;
	}
	if (c == '-' || (c >= '0' && c <= '9'))
		return read_number(scan, out, err);
	return read_word(scan, out, err);
}

/* Between two members or elements, or behind the last. */
static int read_separator(ol_json_scan *scan, bool *closes, ol_error *err)
{
	const bool object = scan->in_object[scan->depth - 1];
	const int c = peek(scan);

	*closes = c == (object ? '}' : ']');
	if (*closes)
		return OL_OK;
	if (scan->wants == OL_JSON_WANTS_COMMA) {
		if (c != ',')
			return refuse(scan, "a comma or the end was expected", err);
		scan->at++;
		skip_space(scan);
	}
	scan->wants = object ? OL_JSON_WANTS_KEY : OL_JSON_WANTS_VALUE;
	return OL_OK;
}

int ol_json_scan_next(ol_json_scan *scan, ol_json_token *out, ol_error *err)
{
	bool closes = false;
	int rc;

	*out = (ol_json_token){ .type = OL_JSON_TOKEN_END };
	skip_space(scan);
	if (scan->depth == 0 && scan->wants == OL_JSON_WANTS_COMMA)
		return peek(scan) < 0 ? OL_OK : refuse(scan, "more behind the end", err);
	if (scan->wants == OL_JSON_WANTS_COMMA || scan->wants == OL_JSON_WANTS_FIRST) {
		rc = read_separator(scan, &closes, err);
		if (rc < 0)
			return rc;
		if (closes)
			return close_bracket(scan, out);
	}
	return scan->wants == OL_JSON_WANTS_KEY ? read_key(scan, out, err)
						: read_value(scan, out, err);
}

int ol_json_scan_skip(ol_json_scan *scan, const ol_json_token *token, ol_error *err)
{
	const size_t depth = scan->depth;
	ol_json_token passed;
	int rc = OL_OK;

	if (token->type != OL_JSON_TOKEN_OBJECT && token->type != OL_JSON_TOKEN_ARRAY)
		return OL_OK;
	while (rc == OL_OK && scan->depth >= depth)
		rc = ol_json_scan_next(scan, &passed, err);
	return rc;
}
