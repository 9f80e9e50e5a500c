#include <ctype.h>

#include "cmd/template_priv.h"

/* The functions of templates: text/template's own (index, len, println, eq …) and docker/cli's
 * (json, join, split …). */

static int wrong_type(const char *name, const char *wants, ol_error *err)
{
	return ol_fail(err, OL_EINVAL, "template: %s: wants %s", name, wants);
}

/* JSON of any value, without spaces. */
static int call_json(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	ol_auto_str ol_str s = OL_STR(OL_TEMPLATE_OUTPUT_MAX);
	ol_auto(ol_json_free) ol_json *made = NULL;
	const value *v = &args[0];
	int rc;

	(void)count;
	switch (v->kind) {
	case VALUE_NONE:
		made = ol_json_null();
		break;
	case VALUE_TREE:
		made = ol_json_copy(v->tree);
		break;
	case VALUE_STRING: {
		ol_autofree char *text = ol_strndup(v->text.data, v->text.size);

		made = ol_json_string(text);
		break;
	}
	case VALUE_INT:
		made = ol_json_integer(v->integer);
		break;
	case VALUE_FLOAT:
		made = ol_json_real(v->real);
		break;
	case VALUE_BOOL:
		made = ol_json_boolean(v->boolean);
		break;
	}
	rc = ol_json_format(made, OL_JSON_COMPACT, &s, err);
	return rc < 0 ? rc : ol_template_keep(r, &s, out, err);
}

static int call_join(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	ol_auto_str ol_str s = OL_STR(OL_TEMPLATE_OUTPUT_MAX);

	(void)count;
	if (args[0].kind == VALUE_NONE) {
		*out = (value){ .kind = VALUE_STRING, .text = ol_view_of("") };
		return OL_OK;
	}
	if (args[0].kind != VALUE_TREE || !ol_json_is_array(args[0].tree) ||
		args[1].kind != VALUE_STRING)
		return wrong_type("join", "a list and a string", err);
	for (size_t i = 0; i < ol_json_count(args[0].tree); i++) {
		value element = ol_template_value_of(ol_json_at(args[0].tree, i));
		int rc;

		if (i)
			(void)ol_str_addv(&s, args[1].text);
		rc = ol_template_print(r, &element, &s, err);
		if (rc < 0)
			return rc;
	}
	return ol_template_keep(r, &s, out, err);
}

static int call_split(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	ol_view rest = args[0].text, by = args[1].text;
	ol_json *list;

	(void)count;
	if (args[0].kind != VALUE_STRING || args[1].kind != VALUE_STRING || by.size == 0)
		return wrong_type("split", "two strings, the second not empty", err);
	list = ol_json_array();
	ol_json_push(r->trees, list);
	for (;;) {
		const char *end = rest.size ? memmem(rest.data, rest.size, by.data, by.size) : NULL;
		ol_autofree char *part =
			ol_strndup(rest.data, end ? (size_t)(end - rest.data) : rest.size);

		ol_json_push(list, ol_json_string(part));
		r->steps++;
		if (!end)
			break;
		rest = ol_view_from(end + by.size, rest.size - (size_t)(end - rest.data) - by.size);
	}
	*out = ol_template_value_of(list);
	(void)err;
	return OL_OK;
}

/* One step into a map or list. */
static int index_once(value *v, const value *key, ol_error *err)
{
	if (v->kind == VALUE_NONE)
		return ol_fail(
			err, OL_EINVAL, "template: error calling index: index of untyped nil");
	if (v->kind != VALUE_TREE)
		return ol_fail(
			err, OL_EINVAL, "template: error calling index: can't index this value");
	if (ol_json_is_object(v->tree)) {
		ol_autofree char *name = NULL;
		const ol_json *member;

		if (key->kind != VALUE_STRING)
			return wrong_type("index", "a string for a map", err);
		name = ol_strndup(key->text.data, key->text.size);
		member = ol_json_get(v->tree, name);
		/* Docker's maps hold strings: a key that is not there gives an empty one. */
		*v = member ? ol_template_value_of(member)
			    : (value){ .kind = VALUE_STRING, .text = ol_view_of("") };
		return OL_OK;
	}
	if (key->kind != VALUE_INT)
		return wrong_type("index", "a number for a list", err);
	if (key->integer < 0 || (uint64_t)key->integer >= ol_json_count(v->tree))
		return ol_fail(err, OL_EINVAL,
			"template: error calling index: index out of range: %lld",
			(long long)key->integer);
	*v = ol_template_value_of(ol_json_at(v->tree, (size_t)key->integer));
	return OL_OK;
}

static int call_index(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	value v = args[0];
	int rc = OL_OK;

	(void)r;
	for (size_t i = 1; rc == OL_OK && i < count; i++)
		rc = index_once(&v, &args[i], err);
	*out = v;
	return rc;
}

static int call_len(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	(void)r;
	(void)count;
	if (args[0].kind != VALUE_STRING && args[0].kind != VALUE_TREE)
		return wrong_type("len", "a string, list or map", err);
	*out = (value){ .kind = VALUE_INT,
		.integer = (int64_t)(args[0].kind == VALUE_STRING ? args[0].text.size
								  : ol_json_count(args[0].tree)) };
	return OL_OK;
}

static int call_println(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	ol_auto_str ol_str s = OL_STR(OL_TEMPLATE_OUTPUT_MAX);
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		if (i)
			(void)ol_str_addc(&s, ' ');
		rc = ol_template_print(r, &args[i], &s, err);
	}
	(void)ol_str_addc(&s, '\n');
	return rc < 0 ? rc : ol_template_keep(r, &s, out, err);
}

static int change_case(run *r, const value *v, int (*change)(int c), value *out, ol_error *err)
{
	ol_auto_str ol_str s = OL_STR(OL_TEMPLATE_OUTPUT_MAX);

	for (size_t i = 0; i < v->text.size; i++) {
		unsigned char c = (unsigned char)v->text.data[i];

		(void)ol_str_addc(&s, (char)(c < 0x80 ? change(c) : c));
	}
	return ol_template_keep(r, &s, out, err);
}

static int call_upper(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	(void)count;
	return args[0].kind == VALUE_STRING ? change_case(r, &args[0], toupper, out, err)
					    : wrong_type("upper", "a string", err);
}

static int call_lower(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	(void)count;
	return args[0].kind == VALUE_STRING ? change_case(r, &args[0], tolower, out, err)
					    : wrong_type("lower", "a string", err);
}

static int call_truncate(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	(void)r;
	(void)count;
	if (args[0].kind != VALUE_STRING || args[1].kind != VALUE_INT || args[1].integer < 0)
		return wrong_type("truncate", "a string and a length", err);
	*out = args[0];
	if ((uint64_t)args[1].integer < out->text.size) {
		out->text.size = (size_t)args[1].integer;
		/* Never in the middle of a character. */
		while (out->text.size &&
			((unsigned char)out->text.data[out->text.size] & 0xc0) == 0x80)
			out->text.size--;
	}
	return OL_OK;
}

static int equal(const value *a, const value *b, bool *same, ol_error *err)
{
	*same = false;
	if (a->kind == VALUE_NONE || b->kind == VALUE_NONE) {
		*same = a->kind == b->kind;
		return OL_OK;
	}
	if (a->kind != b->kind)
		return ol_fail(err, OL_EINVAL,
			"template: error calling eq: incompatible types for comparison");
	switch (a->kind) {
	case VALUE_NONE:
	case VALUE_TREE:
		return ol_fail(err, OL_EINVAL, "template: error calling eq: non-comparable type");
	case VALUE_STRING:
		*same = a->text.size == b->text.size &&
			memcmp(a->text.data, b->text.data, a->text.size) == 0;
		break;
	case VALUE_INT:
		*same = a->integer == b->integer;
		break;
	case VALUE_FLOAT:
		*same = a->real == b->real;
		break;
	case VALUE_BOOL:
		*same = a->boolean == b->boolean;
		break;
	}
	return OL_OK;
}

/* The first is equal to one of the others. */
static int call_eq(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	bool same = false;

	(void)r;
	for (size_t i = 1; i < count && !same; i++) {
		int rc = equal(&args[0], &args[i], &same, err);

		if (rc < 0)
			return rc;
	}
	*out = (value){ .kind = VALUE_BOOL, .boolean = same };
	return OL_OK;
}

static int call_ne(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	int rc = call_eq(r, args, count, out, err);

	out->boolean = !out->boolean;
	return rc;
}

/* The first that decides, else the last. */
static value deciding(const value *args, size_t count, bool decides)
{
	for (size_t i = 0; i < count; i++)
		if (ol_template_truth(&args[i]) == decides)
			return args[i];
	return args[count - 1];
}

static int call_and(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	(void)r;
	(void)err;
	*out = deciding(args, count, false);
	return OL_OK;
}

static int call_or(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	(void)r;
	(void)err;
	*out = deciding(args, count, true);
	return OL_OK;
}

static int call_not(run *r, const value *args, size_t count, value *out, ol_error *err)
{
	(void)r;
	(void)count;
	(void)err;
	*out = (value){ .kind = VALUE_BOOL, .boolean = !ol_template_truth(&args[0]) };
	return OL_OK;
}

const function *ol_template_function(ol_view name)
{
	static const function functions[] = {
		{ "json", 1, 1, call_json },
		{ "join", 2, 2, call_join },
		{ "split", 2, 2, call_split },
		{ "index", 1, OL_TEMPLATE_ARGS_MAX, call_index },
		{ "len", 1, 1, call_len },
		{ "println", 0, OL_TEMPLATE_ARGS_MAX, call_println },
		{ "upper", 1, 1, call_upper },
		{ "lower", 1, 1, call_lower },
		{ "truncate", 2, 2, call_truncate },
		{ "eq", 2, OL_TEMPLATE_ARGS_MAX, call_eq },
		{ "ne", 2, 2, call_ne },
		{ "and", 1, OL_TEMPLATE_ARGS_MAX, call_and },
		{ "or", 1, OL_TEMPLATE_ARGS_MAX, call_or },
		{ "not", 1, 1, call_not },
	};

	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
		if (ol_view_is(name, functions[i].name))
			return &functions[i];
	return NULL;
}
