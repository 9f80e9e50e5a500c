#include <ctype.h>
#include <errno.h>

#include "cmd/template_priv.h"

/* Words inside {{ }}: text/template's lexer, less what the subset does without. */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* NUL past the end. */
static char byte_at(ol_view text, size_t at)
{
	return (char)(at < text.size ? text.data[at] : 0);
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static int add_utf8(ol_str *out, uint32_t c)
{
	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return OL_EINVAL;
	if (c < 0x80) {
		(void)ol_str_addc(out, (char)c);
	} else if (c < 0x800) {
		(void)ol_str_addc(out, (char)(0xc0 | c >> 6));
		(void)ol_str_addc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		if (c < 0x10000) {
			(void)ol_str_addc(out, (char)(0xe0 | c >> 12));
		} else {
			(void)ol_str_addc(out, (char)(0xf0 | c >> 18));
			(void)ol_str_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		(void)ol_str_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		(void)ol_str_addc(out, (char)(0x80 | (c & 0x3f)));
	}
	return OL_OK;
}

/* count digits of a base at *at. */
static bool digits(ol_view text, size_t *at, size_t count, uint32_t base, uint32_t *out)
{
	uint32_t number = 0;

	for (size_t i = 0; i < count; i++, ++*at) {
		char c = byte_at(text, *at);
		uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
				 : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
				 : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
							: 99;

		if (digit >= base)
			return false;
		number = number * base + digit;
	}
	*out = number;
	return true;
}

/* Go's escapes, after the backslash. */
static int escape(ol_view text, size_t *at, ol_str *out)
{
	static const char from[] = "abfnrtv\\\"", to[] = "\a\b\f\n\r\t\v\\\"";
	static const struct {
		char letter;
		size_t count;
	} numbers[] = { { 'x', 2 }, { 'u', 4 }, { 'U', 8 } };
	char c = byte_at(text, *at);
	const char *simple = c ? strchr(from, c) : NULL;
	uint32_t number;

	if (simple) {
		++*at;
		return ol_str_addc(out, to[simple - from]);
	}
	if (c >= '0' && c <= '7') {
		if (!digits(text, at, 3, 8, &number) || number > 255)
			return OL_EINVAL;
		return ol_str_addc(out, (char)number);
	}
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		if (numbers[i].letter != c)
			continue;
		++*at;
		if (!digits(text, at, numbers[i].count, 16, &number))
			return OL_EINVAL;
		return c == 'x' ? ol_str_addc(out, (char)number) : add_utf8(out, number);
	}
	return OL_EINVAL;
}

static int quoted(ol_view text, size_t *at, ol_arena *arena, tok *out, ol_error *err)
{
	ol_auto_str ol_str s = OL_STR(OL_TEMPLATE_BYTES_MAX);
	size_t start = (*at)++;

	for (;;) {
		char c = byte_at(text, *at);

		if (c == '\n' || *at >= text.size)
			return ol_fail(err, OL_EINVAL,
				"template: byte %zu: unterminated quoted string", start);
		++*at;
		if (c == '"')
			break;
		if (c != '\\')
			(void)ol_str_addc(&s, c);
		else if (escape(text, at, &s) < 0)
			return ol_fail(err, OL_EINVAL,
				"template: byte %zu: unknown escape in a string", *at);
	}
	out->kind = TOK_STRING;
	out->text = ol_view_from(ol_arena_strndup(arena, ol_str_text(&s), s.size), s.size);
	return OL_OK;
}

static int raw_string(ol_view text, size_t *at, tok *out, ol_error *err)
{
	size_t start = ++*at;

	while (*at < text.size && text.data[*at] != '`')
		++*at;
	if (*at >= text.size)
		return ol_fail(err, OL_EINVAL, "template: byte %zu: unterminated raw quoted string",
			start - 1);
	out->kind = TOK_STRING;
	out->text = ol_view_from(text.data + start, *at - start);
	++*at;
	return OL_OK;
}

static int number(ol_view text, size_t *at, tok *out, ol_error *err)
{
	size_t start = *at, size;
	char buffer[40], *end;
	bool real = false;

	for (; *at < text.size; ++*at) {
		char c = text.data[*at];
		bool sign = (c == '-' || c == '+') &&
			    (*at == start || strchr("eE", text.data[*at - 1]));

		if (!sign && !is_name(c) && c != '.')
			break;
	}
	size = *at - start;
	if (size >= sizeof buffer)
		return ol_fail(err, OL_EINVAL, "template: byte %zu: bad number", start);
	memcpy(buffer, text.data + start, size);
	buffer[size] = '\0';
	real = strpbrk(buffer, ".eE") && strncmp(buffer, "0x", 2) != 0;
	errno = 0;
	out->kind = real ? TOK_FLOAT : TOK_INT;
	if (real)
		out->real = strtod(buffer, &end);
	else
		out->integer = strtoll(buffer, &end, 0);
	if (errno || *end || end == buffer)
		return ol_fail(
			err, OL_EINVAL, "template: byte %zu: bad number \"%s\"", start, buffer);
	return OL_OK;
}

/* A run of name characters from at; how many. */
static size_t name_size(ol_view text, size_t at)
{
	size_t end = at;

	while (end < text.size && is_name(text.data[end]))
		end++;
	return end - at;
}

static int mark(ol_view text, size_t *at, tok *out, ol_error *err)
{
	static const struct {
		const char *text;
		tok_kind kind;
	} marks[] = { { "}}", TOK_END }, { "(", TOK_OPEN }, { ")", TOK_CLOSE }, { "|", TOK_PIPE },
		{ ":=", TOK_DECLARE }, { ",", TOK_COMMA } };
	ol_view rest = ol_view_from(text.data + *at, text.size - *at);

	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		if (ol_view_starts(rest, marks[i].text)) {
			out->kind = marks[i].kind;
			*at += strlen(marks[i].text);
			return OL_OK;
		}
	return ol_fail(
		err, OL_EINVAL, "template: byte %zu: unexpected \"%c\"", *at, text.data[*at]);
}

int ol_template_word(ol_view text, size_t *at, ol_arena *arena, tok *out, ol_error *err)
{
	size_t start = *at;
	char c, next;

	*out = (tok){ 0 };
	while (*at < text.size && is_space(text.data[*at]))
		++*at;
	out->spaced = *at > start;
	out->at = *at;
	if (*at >= text.size)
		return ol_fail(err, OL_EINVAL, "template: unclosed action");
	c = text.data[*at];
	next = byte_at(text, *at + 1);
	/* " -}}" trims what follows: the caller looks at the bytes before. */
	if (out->spaced && c == '-' &&
		ol_view_starts(ol_view_from(text.data + *at, text.size - *at), "-}}")) {
		*at += 3;
		out->kind = TOK_END;
		return OL_OK;
	}
	if (c == '"')
		return quoted(text, at, arena, out, err);
	if (c == '`')
		return raw_string(text, at, out, err);
	if (isdigit((unsigned char)c) ||
		((c == '-' || c == '+' || c == '.') && isdigit((unsigned char)next)))
		return number(text, at, out, err);
	if (c == '.' || c == '$') {
		size_t size = name_size(text, *at + 1);

		out->kind = c == '$' ? TOK_VAR : size ? TOK_FIELD : TOK_DOT;
		out->text = ol_view_from(text.data + *at + 1, size);
		*at += 1 + size;
		return OL_OK;
	}
	if (is_name(c)) {
		out->kind = TOK_NAME;
		out->text = ol_view_from(text.data + *at, name_size(text, *at));
		*at += out->text.size;
		return OL_OK;
	}
	return mark(text, at, out, err);
}
