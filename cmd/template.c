#include "cmd/template.h"

#include <assert.h>

#include "cmd/template_priv.h"

/*
 * The parser: text outside {{ }} becomes NODE_TEXT, each action a node; blocks (if, range) hold
 * lists of nodes until their else and end. Pipelines are commands joined by |, commands are a
 * function and its operands, or one operand.
 */

typedef struct parser {
	ol_view text;
	size_t at;
	int flags;
	ol_arena *arena;
	tok tok;   /* the word looked at */
	bool trim; /* the last action ended with -}} */
	unsigned depth;
} parser;

/* How a list of nodes ended. */
typedef enum ending {
	ENDING_TEXT, /* of the template */
	ENDING_END,
	ENDING_ELSE, /* the word after else is looked at */
} ending;

static int advance(parser *p, ol_error *err)
{
	return ol_template_word(p->text, &p->at, p->arena, &p->tok, err);
}

static int unexpected(const parser *p, const char *where, ol_error *err)
{
	size_t size = p->at - p->tok.at;

	return ol_fail(err, OL_EINVAL, "template: byte %zu: unexpected \"%.*s\" in %s", p->tok.at,
		(int)(size > 40 ? 40 : size), p->text.data + p->tok.at, where);
}

static int pipeline_of(parser *p, tok_kind end, bool range, pipeline **out, ol_error *err);

/* The fields that follow an operand, .A.B, without a space before them; first: the word looked at
 * is one, space or not. */
static int fields_of(parser *p, operand *o, bool first, ol_error *err)
{
	const char **list = NULL;
	size_t count = 0, cap = 0;
	int rc = OL_OK;

	for (; rc == OL_OK && p->tok.kind == TOK_FIELD && (first || !p->tok.spaced);
		first = false) {
		if (count + 1 >= cap) {
			const char **more =
				ol_arena_alloc(p->arena, (cap ? cap * 2 : 8) * sizeof *more);

			if (count)
				memcpy(more, list, count * sizeof *more);
			list = more;
			cap = cap ? cap * 2 : 8;
		}
		list[count++] = ol_arena_strndup(p->arena, p->tok.text.data, p->tok.text.size);
		rc = advance(p, err);
	}
	o->fields = list;
	return rc;
}

static int unknown_function(const parser *p, ol_error *err)
{
	ol_fail(err, OL_EUNSUPPORTED, "template: function \"%.*s\" is not supported",
		(int)(p->tok.text.size > 60 ? 60 : p->tok.text.size), p->tok.text.data);
	return ol_hint(err, OL_EUNSUPPORTED,
		"there are: json join split index len println upper lower truncate eq ne and or "
		"not; range, if");
}

static int named_operand(parser *p, operand *o, ol_error *err)
{
	if (ol_view_is(p->tok.text, "true") || ol_view_is(p->tok.text, "false")) {
		o->kind = OPERAND_BOOL;
		o->integer = p->tok.text.size == 4;
		return OL_OK;
	}
	if (ol_view_is(p->tok.text, "nil")) {
		o->kind = OPERAND_NIL;
		return OL_OK;
	}
	o->kind = OPERAND_CALL;
	o->function = ol_template_function(p->tok.text);
	return o->function ? OL_OK : unknown_function(p, err);
}

/* The operand at the word looked at. OL_ENOTFOUND without words in err: no operand starts here. */
static int operand_of(parser *p, operand **out, ol_error *err)
{
	operand *o = ol_arena_alloc(p->arena, sizeof *o);
	int rc = OL_OK;

	o->at = p->tok.at;
	o->text = p->tok.text;
	switch (p->tok.kind) {
	case TOK_FIELD: /* .A is dot's A: the field is read below */
		o->kind = OPERAND_DOT;
		*out = o;
		return fields_of(p, o, true, err);
	case TOK_DOT:
		o->kind = OPERAND_DOT;
		break;
	case TOK_VAR:
		o->kind = OPERAND_VAR;
		break;
	case TOK_STRING:
		o->kind = OPERAND_STRING;
		break;
	case TOK_INT:
		o->kind = OPERAND_INT;
		o->integer = p->tok.integer;
		break;
	case TOK_FLOAT:
		o->kind = OPERAND_FLOAT;
		o->real = p->tok.real;
		break;
	case TOK_NAME:
		rc = named_operand(p, o, err);
		break;
	case TOK_OPEN:
		o->kind = OPERAND_PIPELINE;
		rc = advance(p, err);
		if (rc == OL_OK)
			rc = pipeline_of(p, TOK_CLOSE, false, (pipeline **)&o->inner, err);
		break;
	case TOK_END:
	case TOK_CLOSE:
	case TOK_PIPE:
	case TOK_DECLARE:
	case TOK_COMMA:
		return OL_ENOTFOUND;
	}
	if (rc == OL_OK)
		rc = advance(p, err);
	if (rc == OL_OK && (o->kind == OPERAND_VAR || o->kind == OPERAND_PIPELINE))
		rc = fields_of(p, o, false, err);
	else if (rc == OL_OK && p->tok.kind == TOK_FIELD && !p->tok.spaced)
		rc = unexpected(p, "operand", err);
	*out = o;
	return rc;
}

/* A function with its operands, or one operand. */
static int command_of(parser *p, bool first, command **out, ol_error *err)
{
	command *c = ol_arena_alloc(p->arena, sizeof *c);
	operand **tail = &c->operands;
	size_t count = 0;

	c->at = p->tok.at;
	for (;;) {
		operand *o = NULL;
		int rc = operand_of(p, &o, err);

		if (rc == OL_ENOTFOUND)
			break;
		if (rc < 0)
			return rc;
		if (!c->function && count == 0 && o->kind == OPERAND_CALL) {
			c->function = o->function;
			continue;
		}
		*tail = o;
		tail = &o->next;
		count++;
	}
	if (count + !first > OL_TEMPLATE_ARGS_MAX)
		return ol_fail(err, OL_ELIMIT, "template: byte %zu: more than %d arguments", c->at,
			OL_TEMPLATE_ARGS_MAX);
	if (!c->function && count == 0)
		return p->tok.kind == TOK_END || p->tok.kind == TOK_CLOSE
			       ? ol_fail(err, OL_EINVAL, "template: byte %zu: missing value",
					 p->tok.at)
			       : unexpected(p, "command", err);
	if (!c->function && (count > 1 || !first))
		return ol_fail(err, OL_EINVAL,
			"template: byte %zu: a value is not a function: it takes no arguments",
			c->at);
	*out = c;
	return OL_OK;
}

/* "$x :=", "$i, $e :=" of a range; without it nothing is read. */
static int declaration(parser *p, bool range, pipeline *pipe, ol_error *err)
{
	parser ahead = *p;
	ol_view vars[2];
	size_t count = 0;
	int rc = OL_OK;

	while (rc == OL_OK && ahead.tok.kind == TOK_VAR && count < 2) {
		vars[count++] = ahead.tok.text;
		rc = advance(&ahead, err);
		if (rc == OL_OK && ahead.tok.kind == TOK_COMMA && count == 1) {
			rc = advance(&ahead, err);
			continue;
		}
		break;
	}
	if (rc < 0)
		return rc;
	if (count == 0 || ahead.tok.kind != TOK_DECLARE)
		return OL_OK;
	*p = ahead;
	for (size_t i = 0; i < count; i++)
		if (vars[i].size == 0)
			return ol_fail(err, OL_EINVAL, "template: byte %zu: $ cannot be declared",
				p->tok.at);
	if (count == 2 && !range)
		return ol_fail(err, OL_EINVAL,
			"template: byte %zu: two variables belong to a range", p->tok.at);
	memcpy(pipe->vars, vars, count * sizeof vars[0]);
	pipe->var_count = count;
	return advance(p, err);
}

static int pipeline_of(parser *p, tok_kind end, bool range, pipeline **out, ol_error *err)
{
	pipeline *pipe = ol_arena_alloc(p->arena, sizeof *pipe);
	command **tail = &pipe->commands;
	int rc;

	if (++p->depth > OL_TEMPLATE_DEPTH_MAX)
		return ol_fail(err, OL_ELIMIT, "template: byte %zu: nested too deeply", p->tok.at);
	rc = end == TOK_END ? declaration(p, range, pipe, err) : OL_OK;
	while (rc == OL_OK) {
		rc = command_of(p, tail == &pipe->commands, tail, err);
		if (rc < 0)
			return rc;
		tail = &(*tail)->next;
		if (p->tok.kind != TOK_PIPE)
			break;
		rc = advance(p, err);
	}
	if (rc == OL_OK && p->tok.kind != end)
		rc = end == TOK_CLOSE
			     ? ol_fail(err, OL_EINVAL, "template: byte %zu: unclosed left paren",
				       p->tok.at)
			     : unexpected(p, "command", err);
	p->depth--;
	*out = pipe;
	return rc;
}

/* The word looked at is "}}": what follows is text. */
static void end_action(parser *p)
{
	p->trim =
		p->tok.kind == TOK_END && p->text.data[p->at - 3] == '-' && p->tok.at == p->at - 3;
}

static bool keyword_is(const parser *p, const char *word)
{
	return p->tok.kind == TOK_NAME && ol_view_is(p->tok.text, word);
}

static int list_of(parser *p, node **out, ending *how, ol_error *err);

static int block_of(parser *p, node_kind kind, node **out, ol_error *err)
{
	node *n = ol_arena_alloc(p->arena, sizeof *n);
	ending how;
	int rc = advance(p, err);

	n->kind = kind;
	*out = n;
	if (++p->depth > OL_TEMPLATE_DEPTH_MAX)
		return ol_fail(err, OL_ELIMIT, "template: byte %zu: nested too deeply", p->tok.at);
	if (rc == OL_OK)
		rc = pipeline_of(p, TOK_END, kind == NODE_RANGE, &n->pipe, err);
	if (rc < 0)
		return rc;
	end_action(p);
	rc = list_of(p, &n->body, &how, err);
	if (rc == OL_OK && how == ENDING_ELSE && kind == NODE_IF && keyword_is(p, "if")) {
		/* {{else if}}: the rest is a block of its own, which reads our end. */
		rc = block_of(p, NODE_IF, &n->otherwise, err);
		p->depth--;
		return rc;
	}
	if (rc == OL_OK && how == ENDING_ELSE) {
		if (p->tok.kind != TOK_END)
			return unexpected(p, "else", err);
		end_action(p);
		rc = list_of(p, &n->otherwise, &how, err);
		if (rc == OL_OK && how == ENDING_ELSE)
			return ol_fail(
				err, OL_EINVAL, "template: byte %zu: a second else", p->tok.at);
	}
	if (rc == OL_OK && how == ENDING_TEXT)
		return ol_fail(err, OL_EINVAL, "template: unexpected end: %s lacks {{end}}",
			kind == NODE_IF ? "if" : "range");
	p->depth--;
	return rc;
}

static int refuse_keyword(const parser *p, ol_error *err)
{
	static const char *const others[] = { "with", "define", "template", "block", "break",
		"continue", "call", "print", "printf" };

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (keyword_is(p, others[i])) {
			ol_fail(err, OL_EUNSUPPORTED, "template: \"%s\" is not supported",
				others[i]);
			return ol_hint(err, OL_EUNSUPPORTED,
				"there are: json join split index len println upper lower truncate "
				"eq ne and or not; range, if");
		}
	return OL_OK;
}

/* The action whose first word is looked at. */
static int action(parser *p, node **out, ending *how, ol_error *err)
{
	int rc;

	if (keyword_is(p, "if"))
		return block_of(p, NODE_IF, out, err);
	if (keyword_is(p, "range"))
		return block_of(p, NODE_RANGE, out, err);
	if (keyword_is(p, "end") || keyword_is(p, "else")) {
		*how = keyword_is(p, "end") ? ENDING_END : ENDING_ELSE;
		rc = advance(p, err);
		if (rc == OL_OK && *how == ENDING_END && p->tok.kind != TOK_END)
			return unexpected(p, "end", err);
		if (rc == OL_OK && *how == ENDING_END)
			end_action(p);
		return rc;
	}
	rc = refuse_keyword(p, err);
	if (rc < 0)
		return rc;
	*out = ol_arena_alloc(p->arena, sizeof **out);
	(*out)->kind = NODE_VALUE;
	rc = pipeline_of(p, TOK_END, false, &(*out)->pipe, err);
	if (rc == OL_OK)
		end_action(p);
	return rc;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Text up to the next {{, trimmed where its neighbours ask for it; \t and \n replaced where flags
 * say so. */
static node *text_node(parser *p, size_t start, size_t end, bool trim_end)
{
	node *n;
	char *text;
	size_t size = 0;

	while (p->trim && start < end && is_space(p->text.data[start]))
		start++;
	while (trim_end && end > start && is_space(p->text.data[end - 1]))
		end--;
	if (start == end)
		return NULL;
	text = ol_arena_strndup(p->arena, p->text.data + start, end - start);
	for (size_t i = 0; i < end - start; i++) {
		char c = text[i], next = text[i + 1];

		if ((p->flags & OL_TEMPLATE_ESCAPES) && c == '\\' && (next == 't' || next == 'n')) {
			c = next == 't' ? '\t' : '\n';
			i++;
		}
		text[size++] = c;
	}
	n = ol_arena_alloc(p->arena, sizeof *n);
	n->kind = NODE_TEXT;
	n->text = ol_view_from(text, size);
	return n;
}

/* {{/ * … * /}}: true when one was read. */
static int comment(parser *p, bool *was, ol_error *err)
{
	ol_view rest = ol_view_from(p->text.data + p->at, p->text.size - p->at);
	const char *end;

	*was = false;
	if (!ol_view_starts(rest, "/*"))
		return OL_OK;
	end = rest.size < 4 ? NULL : memmem(rest.data + 2, rest.size - 2, "*/", 2);
	if (!end)
		return ol_fail(err, OL_EINVAL, "template: byte %zu: unclosed comment", p->at);
	p->at = (size_t)(end + 2 - p->text.data);
	if (advance(p, err) < 0 || p->tok.kind != TOK_END ||
		(p->tok.spaced && p->text.data[p->tok.at] != '-'))
		return ol_fail(err, OL_EINVAL,
			"template: byte %zu: a comment ends before its action", p->at);
	end_action(p);
	*was = true;
	return OL_OK;
}

/* Text up to the next action, into which the parser then looks; *open is false when there
 * is none. */
static node *text_before_action(parser *p, bool *open)
{
	ol_view rest = ol_view_from(p->text.data + p->at, p->text.size - p->at);
	const char *found = rest.size ? memmem(rest.data, rest.size, "{{", 2) : NULL;
	size_t end = found ? (size_t)(found - p->text.data) : p->text.size;
	bool trims = found && end + 3 < p->text.size && p->text.data[end + 2] == '-' &&
		     is_space(p->text.data[end + 3]);
	node *text = text_node(p, p->at, end, trims);

	*open = found != NULL;
	if (found)
		p->at = end + (trims ? 4 : 2);
	return text;
}

/* Nodes until the text ends, or else or end. */
static int list_of(parser *p, node **out, ending *how, ol_error *err)
{
	node **tail = out;

	for (;;) {
		ending here = ENDING_TEXT;
		bool open, was_comment = false;
		node *text = text_before_action(p, &open);
		int rc;

		*tail = text;
		tail = text ? &text->next : tail;
		if (!open) {
			*how = ENDING_TEXT;
			return OL_OK;
		}
		rc = comment(p, &was_comment, err);
		if (rc == OL_OK && was_comment)
			continue;
		if (rc == OL_OK)
			rc = advance(p, err);
		if (rc == OL_OK)
			rc = action(p, tail, &here, err);
		if (rc < 0)
			return rc;
		if (here != ENDING_TEXT) {
			*how = here;
			return OL_OK;
		}
		assert(*tail); /* what is neither else nor end is a node */
		tail = &(*tail)->next;
	}
}

int ol_template_parse(ol_view text, int flags, ol_template **out, ol_error *err)
{
	ol_auto(ol_template_free) ol_template *t = NULL;
	parser p = { .flags = flags };
	ending how;
	int rc;

	if (text.size > OL_TEMPLATE_BYTES_MAX)
		return ol_fail(
			err, OL_ELIMIT, "template: larger than %zu bytes", OL_TEMPLATE_BYTES_MAX);
	t = ol_alloc(sizeof *t);
	t->arena = p.arena = ol_arena_new();
	p.text = ol_view_from(ol_arena_strndup(t->arena, text.data, text.size), text.size);
	rc = list_of(&p, &t->root, &how, err);
	if (rc == OL_OK && how != ENDING_TEXT)
		rc = ol_fail(err, OL_EINVAL, "template: unexpected {{%s}}",
			how == ENDING_END ? "end" : "else");
	if (rc < 0)
		return rc;
	*out = ol_steal(&t);
	return OL_OK;
}

void ol_template_free(ol_template *t)
{
	if (!t)
		return;
	ol_arena_free(t->arena);
	free(t);
}
