#include "fetch/challenge.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/str.h"

/* Where reading stands. The current challenge is list[*count - 1] once `open`. */
struct cursor {
	ol_view text;
	size_t at;
	ol_challenge *list;
	size_t *count;
	bool open;
};

static bool more(const struct cursor *c)
{
	return c->at < c->text.size;
}

static char peek(const struct cursor *c)
{
	if (!more(c))
		return '\0';
	return c->text.data[c->at];
}

static bool is_tchar(char ch)
{
	return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	       (ch && strchr("!#$%&'*+-.^_`|~", ch));
}

static bool is_token68(char ch)
{
	return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	       (ch && strchr("-._~+/", ch));
}

static size_t skip_space(struct cursor *c)
{
	size_t first = c->at;

	while (peek(c) == ' ' || peek(c) == '\t')
		c->at++;
	return c->at - first;
}

static bool read_token(struct cursor *c, ol_view *out)
{
	size_t first = c->at;

	while (is_tchar(peek(c)))
		c->at++;
	*out = ol_view_from(c->text.data + first, c->at - first);
	return out->size > 0;
}

static bool read_quoted(struct cursor *c, ol_str *out)
{
	for (c->at++; more(c) && peek(c) != '"'; c->at++) {
		if (peek(c) == '\\')
			c->at++;
		if (!more(c) || ((unsigned char)peek(c) < 0x20 && peek(c) != '\t') ||
			peek(c) == 0x7f)
			return false;
		(void)ol_str_addc(out, peek(c));
	}
	if (!more(c))
		return false;
	c->at++;
	return true;
}

static bool read_bare(struct cursor *c, ol_str *out)
{
	size_t first = c->at;

	while (more(c) && (unsigned char)peek(c) > 0x20 && peek(c) != 0x7f && peek(c) != ',' &&
		peek(c) != '"')
		c->at++;
	(void)ol_buf_add(out, c->text.data + first, c->at - first);
	return c->at > first;
}

static bool same(ol_view a, const char *b)
{
	return a.size == strlen(b) && strncasecmp(a.data, b, a.size) == 0;
}

/* What comes after "name =". A parameter said twice keeps its first value. */
static bool read_value(struct cursor *c, ol_view name)
{
	ol_auto_str ol_str value = OL_STR(c->text.size);
	ol_challenge *challenge = &c->list[*c->count - 1];
	char **field = same(name, "realm")     ? &challenge->realm
		       : same(name, "service") ? &challenge->service
		       : same(name, "scope")   ? &challenge->scope
		       : same(name, "error")   ? &challenge->error
					       : NULL;

	(void)skip_space(c);
	if (!(peek(c) == '"' ? read_quoted(c, &value) : read_bare(c, &value)))
		return false;
	if (field && !*field)
		*field = ol_strdup(ol_str_text(&value));
	return true;
}

/* "YWJj==" right behind a scheme: a credential of a scheme we do not speak. */
static bool skip_token68(struct cursor *c)
{
	size_t at = c->at;

	while (at < c->text.size && is_token68(c->text.data[at]))
		at++;
	if (at == c->at)
		return false;
	while (at < c->text.size && c->text.data[at] == '=')
		at++;
	while (at < c->text.size && (c->text.data[at] == ' ' || c->text.data[at] == '\t'))
		at++;
	if (at < c->text.size && c->text.data[at] != ',')
		return false;
	c->at = at;
	return true;
}

static void begin(struct cursor *c, ol_view scheme)
{
	c->open = *c->count < OL_CHALLENGES_MAX;
	if (c->open)
		c->list[(*c->count)++] =
			(ol_challenge){ .scheme = same(scheme, "basic")    ? OL_AUTH_BASIC
						  : same(scheme, "bearer") ? OL_AUTH_BEARER
									   : OL_AUTH_OTHER };
}

/* A scheme with what follows it, or a further parameter of the challenge before. False: not the
 * grammar. */
static bool read_element(struct cursor *c)
{
	ol_view word;
	size_t start = c->at, space;

	if (!read_token(c, &word))
		return false;
	space = skip_space(c);
	if (peek(c) == '=' && c->open) {
		c->at++;
		return read_value(c, word);
	}
	if (peek(c) == '=' || (more(c) && peek(c) != ',' && space == 0)) {
		c->at = start;
		return false;
	}
	begin(c, word);
	if (!c->open) {
		c->at = c->text.size; /* more than anybody offers */
		return true;
	}
	if (!more(c) || peek(c) == ',' || skip_token68(c))
		return true;
	if (!read_token(c, &word))
		return false;
	(void)skip_space(c);
	if (peek(c) != '=')
		return false;
	c->at++;
	return read_value(c, word);
}

int ol_challenges_parse(ol_view line, ol_challenge *list, size_t *count, ol_error *err)
{
	struct cursor c = { .text = line, .list = list, .count = count };

	for (;;) {
		(void)skip_space(&c);
		if (!more(&c))
			return OL_OK;
		if (peek(&c) == ',') {
			c.at++;
			continue;
		}
		if (!read_element(&c))
			return ol_fail(err, OL_EINVAL,
				"WWW-Authenticate is not understood from byte %zu on", c.at);
		(void)skip_space(&c);
		if (more(&c) && peek(&c) != ',')
			return ol_fail(err, OL_EINVAL,
				"WWW-Authenticate is not understood from byte %zu on", c.at);
	}
}

void ol_challenges_done(ol_challenge *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].realm);
		free(list[i].service);
		free(list[i].scope);
		free(list[i].error);
	}
}
