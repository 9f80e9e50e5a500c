#include "cmd/template_priv.h"

/*
 * The evaluation: nodes in order, with dot and the variables in scope. JSON cannot say which
 * objects are structs, where a missing member is a typing mistake, and which are maps, where a
 * missing key is an answer; so the members that are maps in Docker's types are known by name.
 */

typedef struct binding {
	ol_view name;
	value value;
	struct binding *next;
} binding;

static bool is_map_member(const char *name)
{
	static const char *const maps[] = { "Labels", "Annotations", "Volumes", "ExposedPorts" };

	for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
		if (strcmp(name, maps[i]) == 0)
			return true;
	return false;
}

value ol_template_value_of(const ol_json *json)
{
	value v = { .kind = VALUE_NONE };

	if (ol_json_is_object(json) || ol_json_is_array(json)) {
		v.kind = VALUE_TREE;
		v.tree = json;
	} else if (ol_json_is_string(json)) {
		v.kind = VALUE_STRING;
		v.text = ol_view_of(ol_json_text(json));
	} else if (ol_json_is_bool(json)) {
		v.kind = VALUE_BOOL;
		v.boolean = ol_json_true(json);
	} else if (ol_json_is_number(json)) {
		v.real = ol_json_number(json, 0);
		v.integer = ol_json_int(json, 0);
		v.kind = (double)v.integer == v.real ? VALUE_INT : VALUE_FLOAT;
	}
	return v;
}

bool ol_template_truth(const value *v)
{
	switch (v->kind) {
	case VALUE_NONE:
		return false;
	case VALUE_TREE:
		return ol_json_count(v->tree) > 0;
	case VALUE_STRING:
		return v->text.size > 0;
	case VALUE_INT:
		return v->integer != 0;
	case VALUE_FLOAT:
		return v->real != 0; /* exactly zero is false, as in Go */
	case VALUE_BOOL:
		return v->boolean;
	}
	return false;
}

static int too_long(ol_error *err)
{
	return ol_fail(err, OL_ELIMIT, "template: it takes too long or makes too much");
}

/* One step of work: nested ranges multiply. */
static int step(run *r, ol_error *err)
{
	return ++r->steps > OL_TEMPLATE_STEPS_MAX ? too_long(err) : OL_OK;
}

int ol_template_keep(run *r, ol_str *text, value *out, ol_error *err)
{
	int rc = ol_str_error(text, err);

	if (rc < 0)
		return rc;
	r->bytes += text->size;
	if (r->bytes > OL_TEMPLATE_OUTPUT_MAX)
		return too_long(err);
	*out = (value){ .kind = VALUE_STRING,
		.text = ol_view_from(
			ol_arena_strndup(r->arena, ol_str_text(text), text->size), text->size) };
	return OL_OK;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of an object, sorted as Go walks its maps; owned by the run. */
static const char **sorted_keys(run *r, const ol_json *object, size_t *count)
{
	const char **keys = ol_arena_alloc(r->arena, (ol_json_count(object) + 1) * sizeof *keys);
	void *it = NULL;
	const ol_json *member;

	*count = 0;
	while (ol_json_next(object, &it, &keys[*count], &member))
		++*count;
	qsort(keys, *count, sizeof *keys, compare_keys);
	return keys;
}

/* fmt's %v of a map or slice: map[a:1 b:2], [a b]. */
static int print_tree(run *r, const ol_json *tree, ol_str *out, ol_error *err)
{
	bool object = ol_json_is_object(tree);
	size_t count = ol_json_count(tree);
	const char **keys = object ? sorted_keys(r, tree, &count) : NULL;
	int rc = ol_str_add(out, object ? "map[" : "[");

	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		value v = ol_template_value_of(
			object ? ol_json_get(tree, keys[i]) : ol_json_at(tree, i));

		if (i)
			(void)ol_str_addc(out, ' ');
		if (object)
			(void)ol_str_addf(out, "%s:", keys[i]);
		rc = step(r, err);
		if (rc < 0)
			return rc;
		rc = v.kind == VALUE_NONE ? ol_str_add(out, "<nil>")
					  : ol_template_print(r, &v, out, err);
	}
	(void)ol_str_addc(out, ']');
	return rc < 0 ? rc : ol_str_error(out, err);
}

int ol_template_print(run *r, const value *v, ol_str *out, ol_error *err)
{
	switch (v->kind) {
	case VALUE_NONE:
		(void)ol_str_add(out, "<no value>");
		break;
	case VALUE_TREE: /* depth is bounded by OL_JSON_DEPTH_MAX */
		return print_tree(r, v->tree, out, err);
	case VALUE_STRING:
		(void)ol_str_addv(out, v->text);
		break;
	case VALUE_INT:
		(void)ol_str_addf(out, "%lld", (long long)v->integer);
		break;
	case VALUE_FLOAT:
		(void)ol_str_addf(out, "%.15g", v->real);
		break;
	case VALUE_BOOL:
		(void)ol_str_add(out, v->boolean ? "true" : "false");
		break;
	}
	return ol_str_error(out, err);
}

static int field(value *v, const char *name, ol_error *err)
{
	const ol_json *member;

	if (v->kind == VALUE_NONE)
		return OL_OK;
	if (v->kind != VALUE_TREE || !ol_json_is_object(v->tree))
		return ol_fail(err, OL_EINVAL,
			"template: .%.80s: there are no fields in a value of this type", name);
	member = ol_json_get(v->tree, name);
	if (!member && !v->is_map && !ol_json_has(v->tree, name))
		return ol_fail(
			err, OL_EINVAL, "template: map has no entry for key \"%.80s\"", name);
	*v = ol_template_value_of(member);
	v->is_map = is_map_member(name);
	return OL_OK;
}

static int run_pipeline(run *r, const pipeline *pipe, const value *dot, value *out, ol_error *err);
static int run_call(
	run *r, const command *c, const value *dot, const value *piped, value *out, ol_error *err);

static int run_var(run *r, ol_view name, value *out, ol_error *err)
{
	if (name.size == 0) {
		*out = r->root;
		return OL_OK;
	}
	for (const binding *b = r->vars; b; b = b->next)
		if (b->name.size == name.size && memcmp(b->name.data, name.data, name.size) == 0) {
			*out = b->value;
			return OL_OK;
		}
	return ol_fail(err, OL_EINVAL, "template: undefined variable \"$%.*s\"",
		(int)(name.size > 80 ? 80 : name.size), name.data);
}

static int run_operand(run *r, const operand *o, const value *dot, value *out, ol_error *err)
{
	int rc = step(r, err);

	*out = (value){ .kind = VALUE_NONE };
	if (rc < 0)
		return rc;
	switch (o->kind) {
	case OPERAND_DOT:
		*out = *dot;
		break;
	case OPERAND_VAR:
		rc = run_var(r, o->text, out, err);
		break;
	case OPERAND_STRING:
		*out = (value){ .kind = VALUE_STRING, .text = o->text };
		break;
	case OPERAND_INT:
		*out = (value){ .kind = VALUE_INT, .integer = o->integer };
		break;
	case OPERAND_FLOAT:
		*out = (value){ .kind = VALUE_FLOAT, .real = o->real };
		break;
	case OPERAND_BOOL:
		*out = (value){ .kind = VALUE_BOOL, .boolean = o->integer != 0 };
		break;
	case OPERAND_NIL:
		break;
	case OPERAND_PIPELINE:
		rc = run_pipeline(r, o->inner, dot, out, err);
		break;
	case OPERAND_CALL:
		rc = run_call(
			r, &(command){ .function = o->function, .at = o->at }, dot, NULL, out, err);
		break;
	}
	for (const char *const *name = o->fields; rc == OL_OK && name && *name; name++)
		rc = field(out, *name, err);
	return rc;
}

static int run_call(
	run *r, const command *c, const value *dot, const value *piped, value *out, ol_error *err)
{
	value args[OL_TEMPLATE_ARGS_MAX];
	size_t count = 0;
	int rc = OL_OK;

	for (const operand *o = c->operands; rc == OL_OK && o; o = o->next)
		rc = run_operand(r, o, dot, &args[count++], err);
	if (rc < 0)
		return rc;
	if (piped)
		args[count++] = *piped;
	if (count < c->function->args_min || count > c->function->args_max)
		return ol_fail(err, OL_EINVAL, "template: wrong number of arguments for %s: %zu",
			c->function->name, count);
	if (r->headings && count) {
		*out = args[0];
		return OL_OK;
	}
	return c->function->call(r, args, count, out, err);
}

static void bind(run *r, ol_view name, const value *v)
{
	binding *b = ol_arena_alloc(r->arena, sizeof *b);

	*b = (binding){ name, *v, r->vars };
	r->vars = b;
}

/* Declares no variables: whoever runs it knows how long they live. */
static int run_pipeline(run *r, const pipeline *pipe, const value *dot, value *out, ol_error *err)
{
	value piped = { .kind = VALUE_NONE };
	int rc = OL_OK;

	for (const command *c = pipe->commands; rc == OL_OK && c; c = c->next) {
		value v = { .kind = VALUE_NONE };

		rc = c->function ? run_call(r, c, dot, c == pipe->commands ? NULL : &piped, &v, err)
				 : run_operand(r, c->operands, dot, &v, err);
		piped = v;
	}
	*out = piped;
	return rc;
}

static int run_list(run *r, const node *list, const value *dot, ol_error *err);

static int run_range(run *r, const node *n, const value *dot, ol_error *err)
{
	struct binding *outer = r->vars;
	value over;
	size_t count;
	const char **keys = NULL;
	int rc = run_pipeline(r, n->pipe, dot, &over, err);

	if (rc < 0)
		return rc;
	if (!ol_template_truth(&over))
		return run_list(r, n->otherwise, dot, err);
	if (over.kind != VALUE_TREE)
		return ol_fail(err, OL_EINVAL, "template: range can't iterate over this value");
	count = ol_json_count(over.tree);
	if (ol_json_is_object(over.tree))
		keys = sorted_keys(r, over.tree, &count);
	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		value element = ol_template_value_of(
			keys ? ol_json_get(over.tree, keys[i]) : ol_json_at(over.tree, i));
		value index = keys ? (value){ .kind = VALUE_STRING, .text = ol_view_of(keys[i]) }
				   : (value){ .kind = VALUE_INT, .integer = (int64_t)i };

		if (n->pipe->var_count == 2)
			bind(r, n->pipe->vars[0], &index);
		if (n->pipe->var_count)
			bind(r, n->pipe->vars[n->pipe->var_count - 1], &element);
		rc = step(r, err);
		if (rc == OL_OK)
			rc = run_list(r, n->body, &element, err);
		r->vars = outer;
	}
	return rc;
}

static int run_if(run *r, const node *n, const value *dot, ol_error *err)
{
	struct binding *outer = r->vars;
	value v;
	int rc = run_pipeline(r, n->pipe, dot, &v, err);

	if (rc < 0)
		return rc;
	if (n->pipe->var_count)
		bind(r, n->pipe->vars[0], &v);
	rc = run_list(r, ol_template_truth(&v) ? n->body : n->otherwise, dot, err);
	r->vars = outer;
	return rc;
}

static int run_value(run *r, const node *n, const value *dot, ol_error *err)
{
	value v;
	int rc = run_pipeline(r, n->pipe, dot, &v, err);

	if (rc < 0)
		return rc;
	if (!n->pipe->var_count)
		return ol_template_print(r, &v, r->out, err);
	bind(r, n->pipe->vars[0], &v);
	return OL_OK;
}

static int run_list(run *r, const node *list, const value *dot, ol_error *err)
{
	struct binding *outer = r->vars;
	int rc = OL_OK;

	for (const node *n = list; rc == OL_OK && n; n = n->next) {
		rc = step(r, err);
		if (rc < 0)
			break;
		switch (n->kind) {
		case NODE_TEXT:
			(void)ol_str_addv(r->out, n->text);
			rc = ol_str_error(r->out, err);
			break;
		case NODE_VALUE:
			rc = run_value(r, n, dot, err);
			break;
		case NODE_IF:
			rc = run_if(r, n, dot, err);
			break;
		case NODE_RANGE:
			rc = run_range(r, n, dot, err);
			break;
		}
	}
	r->vars = outer;
	return rc;
}

int ol_template_run(
	const ol_template *t, const ol_json *data, bool headings, ol_str *out, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_auto(ol_json_free) ol_json *trees = ol_json_array();
	run r = { .arena = arena,
		.trees = trees,
		.out = out,
		.headings = headings,
		.root = ol_template_value_of(data) };

	return run_list(&r, t->root, &r.root, err);
}
