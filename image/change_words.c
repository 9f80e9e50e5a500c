/*
 * Words of a Dockerfile's line (Dockerfile reference, "Environment replacement"):
 *
 *	'…'         as it stands
 *	"…"         \" \$ \\ lose their backslash, variables are replaced
 *	\x          x
 *	$name ${name} ${name:-else} ${name:+instead}
 */
#include <ctype.h>
#include <string.h>

#include "image/change_priv.h"

/* ${a:-${b:-…}} may be nested so deep. */
#define DEPTH_MAX 16

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

bool ol_change_word_next(ol_change_words *words, ol_view *out)
{
	const char *at = words->rest;
	char quote = 0;

	while (is_space(*at))
		at++;
	out->data = at;
	for (; *at && (quote || !is_space(*at)); at++) {
		if (*at == '\\' && quote != '\'' && at[1])
			at++;
		else if (quote && *at == quote)
			quote = 0;
		else if (!quote && (*at == '\'' || *at == '"'))
			quote = *at;
	}
	out->size = (size_t)(at - out->data);
	words->rest = at;
	return out->size > 0;
}

struct expansion {
	const ol_change_words *words;
	ol_view in; /* what is still to come */
	ol_str *out;
	unsigned depth;
};

static int expand(struct expansion *e, ol_error *err);

static bool is_name(char c, bool first)
{
	return c == '_' || (first ? isalpha((unsigned char)c) : isalnum((unsigned char)c));
}

static ol_view take_name(struct expansion *e)
{
	ol_view name = { e->in.data, 0 };

	while (name.size < e->in.size && is_name(name.data[name.size], name.size == 0))
		name.size++;
	e->in = ol_view_from(e->in.data + name.size, e->in.size - name.size);
	return name;
}

/* Up to the brace that closes, and past it. */
static bool take_braced(struct expansion *e, ol_view *out)
{
	unsigned open = 1;

	for (size_t i = 0; i < e->in.size; i++) {
		char c = e->in.data[i];

		if (c == '\\')
			i++;
		else if (c == '{')
			open++;
		else if (c == '}' && --open == 0) {
			*out = ol_view_from(e->in.data, i);
			e->in = ol_view_from(e->in.data + i + 1, e->in.size - i - 1);
			return true;
		}
	}
	return false;
}

/* ":-word" or ":+word". */
static int expand_otherwise(
	const struct expansion *e, const char *value, ol_view how, ol_error *err)
{
	struct expansion inner = { e->words, { how.data + 2, 0 }, e->out, e->depth + 1 };
	bool has = value && *value;

	if (how.size < 2 || how.data[0] != ':' || (how.data[1] != '-' && how.data[1] != '+'))
		return ol_fail(err, OL_EINVAL, "unsupported modifier in a substitution: \"%.*s\"",
			(int)how.size, how.data);
	inner.in.size = how.size - 2;
	if (how.data[1] == '-' && has)
		return ol_str_add(e->out, value);
	return how.data[1] == '+' && !has ? OL_OK : expand(&inner, err);
}

/* in stands after the dollar sign. */
static int expand_variable(struct expansion *e, ol_error *err)
{
	struct expansion braced = *e;
	const char *value;
	ol_view name, inside;

	if (e->in.size == 0 || (e->in.data[0] != '{' && !is_name(e->in.data[0], true)))
		return ol_str_addc(e->out, '$');
	if (e->in.data[0] != '{') {
		name = take_name(e);
		value = e->words->variable(e->words->ctx, name);
		return value ? ol_str_add(e->out, value) : OL_OK;
	}
	e->in = ol_view_from(e->in.data + 1, e->in.size - 1);
	if (!take_braced(e, &inside))
		return ol_fail(err, OL_EINVAL, "a \"${\" that is not closed");
	braced.in = inside;
	name = take_name(&braced);
	if (name.size == 0)
		return ol_fail(err, OL_EINVAL, "a \"${}\" without a name");
	value = e->words->variable(e->words->ctx, name);
	if (braced.in.size > 0)
		return expand_otherwise(e, value, braced.in, err);
	return value ? ol_str_add(e->out, value) : OL_OK;
}

/* The backslash was taken; in double quotes it stays before all but ", $ and itself. */
static int expand_escape(struct expansion *e, bool quoted)
{
	char c;

	if (e->in.size == 0)
		return ol_str_addc(e->out, '\\');
	c = e->in.data[0];
	e->in = ol_view_from(e->in.data + 1, e->in.size - 1);
	if (quoted && c != '"' && c != '$' && c != '\\')
		(void)ol_str_addc(e->out, '\\');
	return ol_str_addc(e->out, c);
}

static int expand(struct expansion *e, ol_error *err)
{
	char quote = 0;
	int rc = OL_OK;

	if (e->depth > DEPTH_MAX)
		return ol_fail(err, OL_EINVAL, "variables are nested more than %d deep", DEPTH_MAX);
	while (rc == OL_OK && e->in.size > 0) {
		char c = e->in.data[0];

		e->in = ol_view_from(e->in.data + 1, e->in.size - 1);
		if (quote != '\'' && c == '\\')
			rc = expand_escape(e, quote == '"');
		else if (quote != '\'' && c == '$')
			rc = expand_variable(e, err);
		else if (quote && c == quote)
			quote = 0;
		else if (!quote && (c == '\'' || c == '"'))
			quote = c;
		else
			rc = ol_str_addc(e->out, c);
	}
	if (rc == OL_OK && quote)
		return ol_fail(err, OL_EINVAL, "a %c that is not closed", quote);
	return rc;
}

int ol_change_word_expand(const ol_change_words *words, ol_view word, ol_str *out, ol_error *err)
{
	struct expansion e = { .words = words, .in = word, .out = out };
	int rc = expand(&e, err);

	return rc < 0 && out->rc == OL_OK ? rc : ol_str_error(out, err);
}
