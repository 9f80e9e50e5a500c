/* TOML 1.0.0 "String" to "Local Time". */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "fetch/toml_priv.h"

/* Longer ones are no number and no date. */
#define WORD_MAX 256

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static int hex_value(int c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void add_utf8(ol_str *out, uint32_t c)
{
	if (c < 0x80) {
		(void)ol_str_addc(out, (char)c);
	} else if (c < 0x800) {
		(void)ol_str_addc(out, (char)(0xc0 | c >> 6));
		(void)ol_str_addc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		(void)ol_str_addc(out, (char)(0xe0 | c >> 12));
		(void)ol_str_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		(void)ol_str_addc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		(void)ol_str_addc(out, (char)(0xf0 | c >> 18));
		(void)ol_str_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		(void)ol_str_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		(void)ol_str_addc(out, (char)(0x80 | (c & 0x3f)));
	}
}

/* \uXXXX or \UXXXXXXXX, at the first digit. */
static int read_code(ol_toml_reader *r, unsigned digits, ol_str *out)
{
	uint32_t c = 0;

	for (unsigned i = 0; i < digits; i++) {
		int value = hex_value(ol_toml_peek(r, 0));

		if (value < 0)
			return ol_toml_refuse(r, "an escape has too few hexadecimal digits");
		c = c << 4 | (uint32_t)value;
		r->at++;
	}
	if (c == 0)
		return ol_toml_refuse(r, "a NUL character is refused");
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return ol_toml_refuse(r, "an escape is no Unicode character");
	add_utf8(out, c);
	return OL_OK;
}

/* A line that ends with a backslash goes on at the next character that is no white space. */
static bool skip_folded(ol_toml_reader *r)
{
	size_t ahead = 0;
	bool line = false;

	for (int c; (c = ol_toml_peek(r, ahead)) == ' ' || c == '\t' || c == '\n' || c == '\r';
		ahead++)
		line = line || c == '\n';
	/* Spaces alone do not make it one. */
	if (line)
		r->at += ahead;
	return line;
}

/* Behind the backslash. */
static int read_escape(ol_toml_reader *r, bool lines, ol_str *out)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	int c = ol_toml_peek(r, 0);
	const char *found = c > 0 ? strchr(from, c) : NULL;

	if (found) {
		r->at++;
		(void)ol_str_addc(out, to[found - from]);
		return OL_OK;
	}
	if (c == 'u' || c == 'U') {
		r->at++;
		return read_code(r, c == 'u' ? 4 : 8, out);
	}
	if (lines && skip_folded(r))
		return OL_OK;
	return ol_toml_refuse(r, "there is no such escape");
}

/* The end of a string of several lines: up to two quotes more belong to it. */
static bool at_end(ol_toml_reader *r, int quote, bool lines, ol_str *out)
{
	if (ol_toml_peek(r, 0) != quote)
		return false;
	if (!lines) {
		r->at++;
		return true;
	}
	if (ol_toml_peek(r, 1) != quote || ol_toml_peek(r, 2) != quote)
		return false;
	for (int more = 0; more < 2 && ol_toml_peek(r, 3) == quote; more++) {
		(void)ol_str_addc(out, (char)quote);
		r->at++;
	}
	r->at += 3;
	return true;
}

int ol_toml_read_string(ol_toml_reader *r, bool multi, const char **out)
{
	ol_auto_str ol_str text = OL_STR(r->text.size);
	const int quote = ol_toml_peek(r, 0);
	const bool lines = ol_toml_peek(r, 1) == quote && ol_toml_peek(r, 2) == quote;

	if (lines && !multi)
		return ol_toml_refuse(r, "a key cannot be a string of several lines");
	r->at += lines ? 3 : 1;
	if (lines && ol_toml_sees(r, "\r\n"))
		r->at += 2;
	else if (lines && ol_toml_peek(r, 0) == '\n')
		r->at++;
	while (!at_end(r, quote, lines, &text)) {
		int c = ol_toml_peek(r, 0), rc;

		if (c < 0)
			return ol_toml_refuse(r, "a string does not end");
		if (c == '\\' && quote == '"') {
			r->at++;
			rc = read_escape(r, lines, &text);
			if (rc < 0)
				return rc;
			continue;
		}
		if (!lines && (c == '\n' || c == '\r'))
			return ol_toml_refuse(r, "a string does not end on its line");
		if ((c < 0x20 && c != '\t' && c != '\n' && !ol_toml_sees(r, "\r\n")) || c == 0x7f)
			return ol_toml_refuse(r, "a control character stands in a string");
		(void)ol_str_addc(&text, (char)c);
		r->at++;
	}
	*out = ol_arena_strndup(r->arena, ol_str_text(&text), text.size);
	return OL_OK;
}

/* Digits of a base with single underscores between them: how many characters, 0 if it is not that.
 * They are added to out. */
static size_t digits_of(const char *p, int base, char *out, size_t *used)
{
	size_t i = 0;

	for (;; i++) {
		int value = hex_value((unsigned char)p[i]);

		if (p[i] == '_' && i > 0 && p[i - 1] != '_')
			continue;
		if (value < 0 || value >= base)
			break;
		out[(*used)++] = p[i];
	}
	return i > 0 && p[i - 1] == '_' ? 0 : i;
}

static int read_based(ol_toml_reader *r, const char *word, ol_toml *value)
{
	const int base = word[1] == 'x' ? 16 : word[1] == 'o' ? 8 : 2;
	char digits[WORD_MAX];
	size_t used = 0, size = digits_of(word + 2, base, digits, &used);

	digits[used] = '\0';
	if (size == 0 || word[2 + size])
		return ol_toml_refuse(r, "a number has a wrong digit");
	errno = 0;
	value->integer = strtoll(digits, NULL, base);
	value->type = OL_TOML_INTEGER;
	return errno ? ol_toml_refuse(r, "an integer has more than 64 bits") : OL_OK;
}

static int read_number(ol_toml_reader *r, const char *word, ol_toml *value)
{
	const char *p = word;
	char clean[WORD_MAX];
	size_t used = 0, size;
	bool real = false;

	if (*p == '+' || *p == '-')
		clean[used++] = *p++;
	size = digits_of(p, 10, clean, &used);
	if (size == 0 || (size > 1 && p[0] == '0'))
		return ol_toml_refuse(r, "this is no value");
	p += size;
	if (*p == '.') {
		real = true;
		clean[used++] = *p++;
		size = digits_of(p, 10, clean, &used);
		if (size == 0)
			return ol_toml_refuse(r, "a number ends at its point");
		p += size;
	}
	if (*p == 'e' || *p == 'E') {
		real = true;
		clean[used++] = *p++;
		if (*p == '+' || *p == '-')
			clean[used++] = *p++;
		size = digits_of(p, 10, clean, &used);
		if (size == 0)
			return ol_toml_refuse(r, "a number has no exponent");
		p += size;
	}
	if (*p)
		return ol_toml_refuse(r, "a number has a wrong digit");
	clean[used] = '\0';
	errno = 0;
	value->type = real ? OL_TOML_FLOAT : OL_TOML_INTEGER;
	if (real)
		value->real = strtod(clean, NULL); /* too large is infinity, as IEEE 754 has it */
	else
		value->integer = strtoll(clean, NULL, 10);
	return !real && errno ? ol_toml_refuse(r, "an integer has more than 64 bits") : OL_OK;
}

/* So many digits, as a number; -1 where they are not. */
static int fixed(const char **p, int digits)
{
	int number = 0;

	for (int i = 0; i < digits; i++) {
		if (!is_digit((unsigned char)(*p)[i]))
			return -1;
		number = number * 10 + ((*p)[i] - '0');
	}
	*p += digits;
	return number;
}

static bool take(const char **p, char c)
{
	if (**p != c)
		return false;
	++*p;
	return true;
}

static bool is_date(const char **p)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = fixed(p, 4), month, day;
	bool leap;

	if (year < 0 || !take(p, '-'))
		return false;
	month = fixed(p, 2);
	if (month < 1 || month > 12 || !take(p, '-'))
		return false;
	day = fixed(p, 2);
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

static bool is_time(const char **p)
{
	int hour = fixed(p, 2), minute, second;

	if (hour < 0 || hour > 23 || !take(p, ':'))
		return false;
	minute = fixed(p, 2);
	if (minute < 0 || minute > 59 || !take(p, ':'))
		return false;
	second = fixed(p, 2);
	if (second < 0 || second > 60)
		return false;
	if (!take(p, '.'))
		return true;
	if (!is_digit((unsigned char)**p))
		return false;
	while (is_digit((unsigned char)**p))
		++*p;
	return true;
}

static bool is_offset(const char **p)
{
	int hour, minute;

	if (take(p, 'Z') || take(p, 'z'))
		return true;
	if (!take(p, '+') && !take(p, '-'))
		return false;
	hour = fixed(p, 2);
	if (hour < 0 || hour > 23 || !take(p, ':'))
		return false;
	minute = fixed(p, 2);
	return minute >= 0 && minute <= 59;
}

/* RFC 3339, with what TOML lets be left out. */
static bool is_moment(const char *p)
{
	if (p[0] && p[1] && p[2] == ':')
		return is_time(&p) && !*p;
	if (!is_date(&p))
		return false;
	if (!*p)
		return true;
	if (*p != 'T' && *p != 't' && *p != ' ')
		return false;
	p++;
	return is_time(&p) && (!*p || (is_offset(&p) && !*p));
}

static bool looks_like_moment(const char *word)
{
	for (int i = 0; i < 5 && word[i]; i++)
		if (!is_digit((unsigned char)word[i]))
			return (i == 4 && word[i] == '-') || (i == 2 && word[i] == ':');
	return false;
}

static bool in_word(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c > 0 && strchr("+-._:", c));
}

/* What stands up to the next separator; a date and a time may be parted by one space. */
static int read_word(ol_toml_reader *r, char *word)
{
	size_t size = 0;

	while (in_word(ol_toml_peek(r, size)) ||
		(size == 10 && ol_toml_peek(r, size) == ' ' && ol_toml_peek(r, 4) == '-' &&
			is_digit(ol_toml_peek(r, size + 1)))) {
		if (size + 1 >= WORD_MAX)
			return ol_toml_refuse(r, "this is no value");
		word[size] = (char)ol_toml_peek(r, size);
		size++;
	}
	word[size] = '\0';
	return (int)size;
}

static const struct {
	const char *word;
	ol_toml_type type;
	bool truth;
	double real;
} words[] = {
	{ "true", OL_TOML_BOOL, true, 0 },
	{ "false", OL_TOML_BOOL, false, 0 },
	{ "inf", OL_TOML_FLOAT, false, __builtin_inf() },
	{ "+inf", OL_TOML_FLOAT, false, __builtin_inf() },
	{ "-inf", OL_TOML_FLOAT, false, -__builtin_inf() },
	{ "nan", OL_TOML_FLOAT, false, __builtin_nan("") },
	{ "+nan", OL_TOML_FLOAT, false, __builtin_nan("") },
	{ "-nan", OL_TOML_FLOAT, false, -__builtin_nan("") },
};

int ol_toml_read_scalar(ol_toml_reader *r, ol_toml *value)
{
	char word[WORD_MAX];
	int size = read_word(r, word);
	int rc = OL_OK;

	if (size < 0)
		return size;
	if (size == 0)
		return ol_toml_refuse(r, "a value is missing");
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(word, words[i].word) == 0) {
			value->type = words[i].type;
			value->truth = words[i].truth;
			value->real = words[i].real;
			r->at += (size_t)size;
			return OL_OK;
		}
	if (looks_like_moment(word)) {
		if (!is_moment(word))
			return ol_toml_refuse(r, "this is no date or time");
		value->type = OL_TOML_DATE;
		value->text = ol_arena_strdup(r->arena, word);
	} else if (word[0] == '0' && word[1] && strchr("xob", word[1])) {
		rc = read_based(r, word, value);
	} else {
		rc = read_number(r, word, value);
	}
	r->at += (size_t)size;
	return rc;
}
