/*
 * A document is lines: key = value, [table], [[array of tables]]. Who may add to a table depends on
 * how it came about (ol_toml_origin):
 *
 *	            may be headed later    headers below it    dotted keys
 *	IMPLIED     once                   yes                 no
 *	HEADED      no                     yes                 no (but its own body)
 *	DOTTED      no                     yes                 yes
 *	INLINE      no                     no                  no
 */
#include "fetch/toml.h"

#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "fetch/toml_priv.h"

struct document {
	ol_toml root; /* first: its address is the document's */
	ol_arena *arena;
};

/* The parts of a dotted key. */
struct path {
	const char *parts[OL_TOML_DEPTH_MAX];
	unsigned count;
};

unsigned ol_toml_line_here(ol_toml_reader *r)
{
	for (; r->counted < r->at; r->counted++)
		r->line += r->text.data[r->counted] == '\n';
	return r->line + 1;
}

int ol_toml_refuse(ol_toml_reader *r, const char *why)
{
	size_t start = r->at;

	while (start > 0 && r->text.data[start - 1] != '\n')
		start--;
	(void)ol_fail(r->err, OL_EINVAL, "line %u, column %zu: %s", ol_toml_line_here(r),
		r->at - start + 1, why);
	return OL_EINVAL;
}

static int too_deep(ol_toml_reader *r)
{
	(void)ol_fail(r->err, OL_ELIMIT, "line %u: nested deeper than %d levels",
		ol_toml_line_here(r), OL_TOML_DEPTH_MAX);
	return OL_ELIMIT;
}

static uint32_t hash_of(const char *key)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 16777619U;
	return hash;
}

static ol_toml *find(const ol_toml *table, const char *key)
{
	uint32_t hash = hash_of(key);

	for (ol_toml *member = table->first; member; member = member->next)
		if (member->hash == hash && strcmp(member->key, key) == 0)
			return member;
	return NULL;
}

/* key NULL: an element. */
static int add(ol_toml_reader *r, ol_toml *parent, const char *key, ol_toml **out)
{
	ol_toml *value;

	if (++r->values > OL_TOML_VALUES_MAX) {
		(void)ol_fail(r->err, OL_ELIMIT, "more than %d values", OL_TOML_VALUES_MAX);
		return OL_ELIMIT;
	}
	value = ol_arena_alloc(r->arena, sizeof *value);
	value->key = key;
	value->hash = key ? hash_of(key) : 0;
	value->line = ol_toml_line_here(r);
	if (parent->last)
		parent->last->next = value;
	else
		parent->first = value;
	parent->last = value;
	parent->count++;
	*out = value;
	return OL_OK;
}

static int add_table(
	ol_toml_reader *r, ol_toml *parent, const char *key, ol_toml_origin origin, ol_toml **out)
{
	int rc = add(r, parent, key, out);

	if (rc < 0)
		return rc;
	(*out)->type = OL_TOML_TABLE;
	(*out)->origin = origin;
	return OL_OK;
}

static void skip_blanks(ol_toml_reader *r)
{
	while (ol_toml_peek(r, 0) == ' ' || ol_toml_peek(r, 0) == '\t')
		r->at++;
}

static int skip_comment(ol_toml_reader *r)
{
	int c;

	if (ol_toml_peek(r, 0) != '#')
		return OL_OK;
	while ((c = ol_toml_peek(r, 0)) >= 0 && c != '\n' && !ol_toml_sees(r, "\r\n")) {
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return ol_toml_refuse(r, "a control character stands in a comment");
		r->at++;
	}
	return OL_OK;
}

static bool skip_newline(ol_toml_reader *r)
{
	size_t size = ol_toml_sees(r, "\r\n") ? 2 : ol_toml_peek(r, 0) == '\n';

	r->at += size;
	return size > 0;
}

/* Nothing but a comment may follow on the line. */
static int end_line(ol_toml_reader *r)
{
	int rc;

	skip_blanks(r);
	rc = skip_comment(r);
	if (rc < 0 || skip_newline(r) || ol_toml_peek(r, 0) < 0)
		return rc;
	return ol_toml_refuse(r, "something else follows on the line");
}

/* White space, comments and line ends, as between the elements of an array. */
static int skip_space(ol_toml_reader *r)
{
	int rc;

	do {
		skip_blanks(r);
		rc = skip_comment(r);
	} while (rc == OL_OK && skip_newline(r));
	return rc;
}

static bool is_bare(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

static int read_part(ol_toml_reader *r, const char **out)
{
	size_t size = 0;

	if (ol_toml_peek(r, 0) == '"' || ol_toml_peek(r, 0) == '\'')
		return ol_toml_read_string(r, false, out);
	while (is_bare(ol_toml_peek(r, size)))
		size++;
	if (size == 0)
		return ol_toml_refuse(r, "a key is expected");
	*out = ol_arena_strndup(r->arena, r->text.data + r->at, size);
	r->at += size;
	return OL_OK;
}

static int read_path(ol_toml_reader *r, struct path *path)
{
	path->count = 0;
	for (;;) {
		int rc;

		if (path->count + r->depth >= OL_TOML_DEPTH_MAX)
			return too_deep(r);
		skip_blanks(r);
		rc = read_part(r, &path->parts[path->count++]);
		if (rc < 0)
			return rc;
		skip_blanks(r);
		if (ol_toml_peek(r, 0) != '.')
			return OL_OK;
		r->at++;
	}
}

static int read_value(ol_toml_reader *r, ol_toml *value);

/* key = value, into table or what its dots lead to. */
static int read_pair(ol_toml_reader *r, ol_toml *table)
{
	struct path path = { 0 };
	ol_toml *value;
	int rc = read_path(r, &path);

	for (unsigned i = 0; rc == OL_OK && i + 1 < path.count; i++) {
		ol_toml *below = find(table, path.parts[i]);

		if (below && (below->type != OL_TOML_TABLE || below->origin != OL_TOML_DOTTED))
			return ol_toml_refuse(r, "the key is defined already");
		if (!below)
			rc = add_table(r, table, path.parts[i], OL_TOML_DOTTED, &below);
		table = below;
	}
	if (rc < 0)
		return rc;
	if (ol_toml_peek(r, 0) != '=')
		return ol_toml_refuse(r, "\"=\" is expected");
	if (find(table, path.parts[path.count - 1]))
		return ol_toml_refuse(r, "the key is defined already");
	r->at++;
	skip_blanks(r);
	rc = add(r, table, path.parts[path.count - 1], &value);
	return rc < 0 ? rc : read_value(r, value);
}

static int read_array(ol_toml_reader *r, ol_toml *array)
{
	int rc;

	array->type = OL_TOML_ARRAY;
	r->at++;
	for (;;) {
		ol_toml *element;

		rc = skip_space(r);
		if (rc < 0)
			return rc;
		if (ol_toml_peek(r, 0) == ']')
			break;
		rc = add(r, array, NULL, &element);
		if (rc == OL_OK)
			rc = read_value(r, element);
		if (rc == OL_OK)
			rc = skip_space(r);
		if (rc < 0)
			return rc;
		if (ol_toml_peek(r, 0) == ']')
			break;
		if (ol_toml_peek(r, 0) != ',')
			return ol_toml_refuse(r, "\",\" or \"]\" is expected");
		r->at++;
	}
	r->at++;
	return OL_OK;
}

/* On one line, without a comma at its end. */
static int read_inline(ol_toml_reader *r, ol_toml *table)
{
	int rc;

	table->type = OL_TOML_TABLE;
	table->origin = OL_TOML_INLINE;
	r->at++;
	skip_blanks(r);
	if (ol_toml_peek(r, 0) == '}') {
		r->at++;
		return OL_OK;
	}
	for (;;) {
		rc = read_pair(r, table);
		if (rc < 0)
			return rc;
		skip_blanks(r);
		if (ol_toml_peek(r, 0) == '}')
			break;
		if (ol_toml_peek(r, 0) != ',')
			return ol_toml_refuse(r, "\",\" or \"}\" is expected");
		r->at++;
	}
	r->at++;
	return OL_OK;
}

static int read_value(ol_toml_reader *r, ol_toml *value)
{
	int c = ol_toml_peek(r, 0), rc;

	if (c == '"' || c == '\'') {
		value->type = OL_TOML_STRING;
		return ol_toml_read_string(r, true, &value->text);
	}
	if (c != '[' && c != '{')
		return ol_toml_read_scalar(r, value);
	if (++r->depth >= OL_TOML_DEPTH_MAX)
		return too_deep(r);
	rc = c == '[' ? read_array(r, value) : read_inline(r, value);
	r->depth--;
	return rc;
}

/* The table that a header's parts but the last lead to. */
static int descend(ol_toml_reader *r, const struct path *path, ol_toml **table)
{
	for (unsigned i = 0; i + 1 < path->count; i++) {
		ol_toml *below = find(*table, path->parts[i]);
		int rc = OL_OK;

		if (!below)
			rc = add_table(r, *table, path->parts[i], OL_TOML_IMPLIED, &below);
		else if (below->type == OL_TOML_ARRAY && below->of_tables)
			below = below->last;
		else if (below->type != OL_TOML_TABLE || below->origin == OL_TOML_INLINE)
			rc = ol_toml_refuse(r, "a key above this table is something else already");
		if (rc < 0)
			return rc;
		*table = below;
	}
	return OL_OK;
}

static int open_table(ol_toml_reader *r, ol_toml *parent, const char *key, ol_toml **out)
{
	ol_toml *there = find(parent, key);

	if (!there)
		return add_table(r, parent, key, OL_TOML_HEADED, out);
	if (there->type != OL_TOML_TABLE || there->origin != OL_TOML_IMPLIED)
		return ol_toml_refuse(r, "the table is defined already");
	there->origin = OL_TOML_HEADED;
	*out = there;
	return OL_OK;
}

static int open_element(ol_toml_reader *r, ol_toml *parent, const char *key, ol_toml **out)
{
	ol_toml *array = find(parent, key);
	int rc = OL_OK;

	if (!array) {
		rc = add(r, parent, key, &array);
		if (rc == OL_OK) {
			array->type = OL_TOML_ARRAY;
			array->of_tables = true;
		}
	} else if (array->type != OL_TOML_ARRAY || !array->of_tables) {
		rc = ol_toml_refuse(r, "the key is defined already, and not by [[ ]]");
	}
	return rc < 0 ? rc : add_table(r, array, NULL, OL_TOML_HEADED, out);
}

/* [table] or [[array]]: *out is where the pairs that follow go. */
static int read_header(ol_toml_reader *r, ol_toml *root, ol_toml **out)
{
	const bool element = ol_toml_sees(r, "[[");
	struct path path = { 0 };
	ol_toml *parent = root;
	int rc;

	r->at += element ? 2 : 1;
	rc = read_path(r, &path);
	if (rc == OL_OK && !ol_toml_sees(r, element ? "]]" : "]"))
		rc = ol_toml_refuse(r, element ? "\"]]\" is expected" : "\"]\" is expected");
	if (rc == OL_OK)
		rc = descend(r, &path, &parent);
	if (rc < 0)
		return rc;
	rc = element ? open_element(r, parent, path.parts[path.count - 1], out)
		     : open_table(r, parent, path.parts[path.count - 1], out);
	r->at += element ? 2 : 1;
	return rc;
}

static int check_utf8(ol_toml_reader *r)
{
	for (size_t size; r->at < r->text.size; r->at += size) {
		size = ol_utf8_size(ol_view_from(r->text.data + r->at, r->text.size - r->at));
		if (size == 0)
			return ol_toml_refuse(r, "this is not UTF-8");
	}
	r->at = ol_view_starts(r->text, "\xef\xbb\xbf") ? 3 : 0;
	return OL_OK;
}

static int read_document(ol_toml_reader *r, ol_toml *root)
{
	ol_toml *table = root;
	int rc = check_utf8(r);

	while (rc == OL_OK) {
		rc = skip_space(r);
		if (rc < 0 || ol_toml_peek(r, 0) < 0)
			break;
		rc = ol_toml_peek(r, 0) == '[' ? read_header(r, root, &table) : read_pair(r, table);
		if (rc == OL_OK)
			rc = end_line(r);
	}
	return rc;
}

int ol_toml_parse(ol_view text, ol_toml **out, ol_error *err)
{
	struct document *document = ol_alloc(sizeof *document);
	ol_toml_reader reader = { .text = text, .err = err };
	int rc;

	document->arena = reader.arena = ol_arena_new();
	document->root = (ol_toml){ .type = OL_TOML_TABLE, .origin = OL_TOML_HEADED, .line = 1 };
	if (!text.data)
		reader.text = ol_view_of("");
	rc = read_document(&reader, &document->root);
	if (rc < 0) {
		ol_toml_free(&document->root);
		return rc;
	}
	*out = &document->root;
	return OL_OK;
}

void ol_toml_free(ol_toml *root)
{
	struct document *document = (struct document *)root;

	if (!root)
		return;
	ol_arena_free(document->arena);
	free(document);
}

ol_toml_type ol_toml_type_of(const ol_toml *value)
{
	return value->type;
}

const char *ol_toml_type_name(const ol_toml *value)
{
	static const char *const names[] = {
		[OL_TOML_STRING] = "a string",
		[OL_TOML_INTEGER] = "an integer",
		[OL_TOML_FLOAT] = "a float",
		[OL_TOML_BOOL] = "a boolean",
		[OL_TOML_DATE] = "a date or time",
		[OL_TOML_ARRAY] = "an array",
		[OL_TOML_TABLE] = "a table",
	};

	return value ? names[value->type] : "nothing";
}

unsigned ol_toml_line(const ol_toml *value)
{
	return value ? value->line : 0;
}

bool ol_toml_is_table(const ol_toml *value)
{
	return value && value->type == OL_TOML_TABLE;
}

bool ol_toml_is_array(const ol_toml *value)
{
	return value && value->type == OL_TOML_ARRAY;
}

const ol_toml *ol_toml_get(const ol_toml *table, const char *key)
{
	return ol_toml_is_table(table) ? find(table, key) : NULL;
}

size_t ol_toml_count(const ol_toml *value)
{
	return value ? value->count : 0;
}

const ol_toml *ol_toml_first(const ol_toml *value)
{
	return value ? value->first : NULL;
}

const ol_toml *ol_toml_next(const ol_toml *value)
{
	return value ? value->next : NULL;
}

const char *ol_toml_key(const ol_toml *value)
{
	return value ? value->key : NULL;
}

const char *ol_toml_text(const ol_toml *value)
{
	return value ? value->text : NULL;
}

int64_t ol_toml_int(const ol_toml *value, int64_t otherwise)
{
	return value && value->type == OL_TOML_INTEGER ? value->integer : otherwise;
}

double ol_toml_real(const ol_toml *value, double otherwise)
{
	if (value && value->type == OL_TOML_FLOAT)
		return value->real;
	return value && value->type == OL_TOML_INTEGER ? (double)value->integer : otherwise;
}

bool ol_toml_true(const ol_toml *value)
{
	return value && value->type == OL_TOML_BOOL && value->truth;
}

/* A member of that type, or NULL where there is none. */
static int get(const ol_toml *table, const char *key, ol_toml_type type, const ol_toml **out,
	ol_error *err)
{
	const ol_toml like = { .type = type };
	const ol_toml *value = ol_toml_get(table, key);

	*out = value;
	if (!value || value->type == type)
		return OL_OK;
	return ol_fail(err, OL_EINVAL, "line %u: %s is %s, and must be %s", value->line, key,
		ol_toml_type_name(value), ol_toml_type_name(&like));
}

int ol_toml_get_text(const ol_toml *table, const char *key, const char **out, ol_error *err)
{
	const ol_toml *value;
	int rc = get(table, key, OL_TOML_STRING, &value, err);

	if (rc == OL_OK && value)
		*out = value->text;
	return rc;
}

int ol_toml_get_bool(const ol_toml *table, const char *key, bool *out, ol_error *err)
{
	const ol_toml *value;
	int rc = get(table, key, OL_TOML_BOOL, &value, err);

	if (rc == OL_OK && value)
		*out = value->truth;
	return rc;
}

int ol_toml_get_table(const ol_toml *table, const char *key, const ol_toml **out, ol_error *err)
{
	const ol_toml *value;
	int rc = get(table, key, OL_TOML_TABLE, &value, err);

	if (rc == OL_OK && value)
		*out = value;
	return rc;
}

int ol_toml_get_texts(const ol_toml *table, const char *key, const ol_toml **out, ol_error *err)
{
	const ol_toml *value;
	int rc = get(table, key, OL_TOML_ARRAY, &value, err);

	for (const ol_toml *item = ol_toml_first(value); rc == OL_OK && item;
		item = ol_toml_next(item))
		if (item->type != OL_TOML_STRING)
			rc = ol_fail(err, OL_EINVAL, "line %u: %s holds %s, and only strings may",
				item->line, key, ol_toml_type_name(item));
	if (rc == OL_OK && value)
		*out = value;
	return rc;
}
