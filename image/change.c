#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "image/change_priv.h"

/* The program that runs what is no JSON array. */
#define SHELL "/bin/sh"

/* The member "config" while it is changed: objects cannot be changed in place, so it is taken out
 * and put back. */
struct change {
	ol_json *inner;   /* owned */
	const char *name; /* of the instruction, upper case */
	ol_change_words words;
};

/* What ENV has set so far. */
static const char *variable(void *ctx, ol_view name)
{
	const struct change *change = ctx;
	const ol_json *env = ol_json_get(change->inner, "Env");

	for (size_t i = 0; i < ol_json_count(env); i++) {
		const char *entry = ol_json_text(ol_json_at(env, i));

		if (entry && strncmp(entry, name.data, name.size) == 0 && entry[name.size] == '=')
			return entry + name.size + 1;
	}
	return NULL;
}

/* The next word, expanded; *more is false at the end. */
static int next_word(struct change *change, ol_str *out, bool *more, ol_error *err)
{
	ol_view word;

	ol_buf_clear(out);
	*more = ol_change_word_next(&change->words, &word);
	return *more ? ol_change_word_expand(&change->words, word, out, err) : OL_OK;
}

/* NAME=value; the place of an earlier one is kept. */
static void set_env(struct change *change, const char *key, const char *value)
{
	const ol_json *env = ol_json_get(change->inner, "Env");
	ol_json *list = ol_json_array();
	ol_autofree char *entry = ol_text("%s=%s", key, value);
	size_t size = strlen(key);
	bool placed = false;

	for (size_t i = 0; i < ol_json_count(env); i++) {
		const char *old = ol_json_text(ol_json_at(env, i));
		bool same = old && strncmp(old, key, size) == 0 && old[size] == '=';

		ol_json_push(list, ol_json_string(same ? entry : old));
		placed = placed || same;
	}
	if (!placed)
		ol_json_push(list, ol_json_string(entry));
	ol_json_set(change->inner, "Env", list);
}

/* A member of an object that is made if it is not there. */
static void set_in(struct change *change, const char *object, const char *key, ol_json *value)
{
	const ol_json *old = ol_json_get(change->inner, object);
	ol_json *copy = old ? ol_json_copy(old) : ol_json_object();

	ol_json_set(copy, key, value);
	ol_json_set(change->inner, object, copy);
}

static void set_label(struct change *change, const char *key, const char *value)
{
	set_in(change, "Labels", key, ol_json_string(value));
}

/* --------------------------------------------------------------- CMD and ENTRYPOINT -- */

/* docker's rule: what is no JSON array is a line for the shell; an array of other things than text
 * is a mistake. */
static int exec_form(const char *text, ol_json **out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = NULL;

	if (*text != '[' || ol_json_parse(ol_view_of(text), &json, NULL) < 0)
		return OL_OK;
	if (!ol_json_is_array(json))
		return OL_OK;
	for (size_t i = 0; i < ol_json_count(json); i++)
		if (!ol_json_text(ol_json_at(json, i)))
			return ol_fail(err, OL_EINVAL,
				"when using JSON array syntax, arrays must be comprised of strings "
				"only");
	*out = ol_steal(&json);
	return OL_OK;
}

static int set_command(struct change *change, const char *member, ol_error *err)
{
	const char *text = change->words.rest;
	ol_json *list = NULL;
	int rc = exec_form(text, &list, err);

	if (rc < 0)
		return rc;
	if (!list) {
		list = ol_json_array();
		ol_json_push(list, ol_json_string(SHELL));
		ol_json_push(list, ol_json_string("-c"));
		ol_json_push(list, ol_json_string(text));
	}
	ol_json_set(change->inner, member, list);
	return OL_OK;
}

static int change_cmd(struct change *change, ol_error *err)
{
	return set_command(change, "Cmd", err);
}

static int change_entrypoint(struct change *change, ol_error *err)
{
	return set_command(change, "Entrypoint", err);
}

/* -------------------------------------------------------------------- ENV and LABEL -- */

typedef void (*set_pair)(struct change *change, const char *key, const char *value);

static int change_pair(struct change *change, ol_view word, set_pair set, ol_error *err)
{
	ol_auto_str ol_str key = OL_STR(OL_CONFIG_BYTES_MAX), value = OL_STR(OL_CONFIG_BYTES_MAX);
	const char *equals = memchr(word.data, '=', word.size);
	ol_view left, right;
	int rc;

	if (!equals)
		return ol_fail(err, OL_EINVAL,
			"Syntax error - can't find = in \"%.*s\". Must be of the form: name=value",
			(int)(word.size > 100 ? 100 : word.size), word.data);
	left = ol_view_from(word.data, (size_t)(equals - word.data));
	right = ol_view_from(equals + 1, word.size - left.size - 1);
	rc = ol_change_word_expand(&change->words, left, &key, err);
	if (rc == OL_OK)
		rc = ol_change_word_expand(&change->words, right, &value, err);
	if (rc < 0)
		return rc;
	if (key.size == 0)
		return ol_fail(err, OL_EINVAL, "%s names can not be blank", change->name);
	set(change, ol_str_text(&key), ol_str_text(&value));
	return OL_OK;
}

/* The old form: a name, and the rest of the line as it stands but for variables and quotes. */
static int change_old_pair(struct change *change, ol_view name, set_pair set, ol_error *err)
{
	ol_auto_str ol_str value = OL_STR(OL_CONFIG_BYTES_MAX);
	ol_autofree char *key = ol_strndup(name.data, name.size);
	const char *rest = change->words.rest;
	int rc;

	rest += strspn(rest, " \t");
	if (!*rest)
		return ol_fail(err, OL_EINVAL, "%s must have two arguments", change->name);
	rc = ol_change_word_expand(&change->words, ol_view_of(rest), &value, err);
	if (rc == OL_OK)
		set(change, key, ol_str_text(&value));
	return rc;
}

static int change_pairs(struct change *change, set_pair set, ol_error *err)
{
	ol_view word;
	int rc = OL_OK;

	if (!ol_change_word_next(&change->words, &word))
		return ol_fail(err, OL_EINVAL, "%s requires at least one argument", change->name);
	if (!memchr(word.data, '=', word.size))
		return change_old_pair(change, word, set, err);
	do
		rc = change_pair(change, word, set, err);
	while (rc == OL_OK && ol_change_word_next(&change->words, &word));
	return rc;
}

static int change_env(struct change *change, ol_error *err)
{
	return change_pairs(change, set_env, err);
}

static int change_label(struct change *change, ol_error *err)
{
	return change_pairs(change, set_label, err);
}

/* ------------------------------------------------------------------ EXPOSE and VOLUME -- */

static bool parse_port(ol_view text, unsigned *out)
{
	unsigned value = 0;

	if (text.size == 0 || text.size > 5)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (unsigned)(text.data[i] - '0');
	}
	*out = value;
	return value <= 65535;
}

/* In lower case; NULL for one there is none of. */
static const char *protocol_of(const char *text)
{
	static const char *const protocols[] = { "tcp", "udp", "sctp" };

	for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
		if (strcasecmp(text, protocols[i]) == 0)
			return protocols[i];
	return NULL;
}

/* "80", "8000-8010". */
static bool parse_range(ol_view text, unsigned *first, unsigned *last)
{
	const char *dash = memchr(text.data, '-', text.size);
	ol_view from = { text.data, dash ? (size_t)(dash - text.data) : text.size };
	ol_view to = dash ? ol_view_from(dash + 1, text.size - from.size - 1) : from;

	return parse_port(from, first) && parse_port(to, last) && *first <= *last;
}

/* "80", "53/udp", "8000-8010/tcp". */
static int expose(const char *text, ol_json *ports, ol_error *err)
{
	const char *slash = strchr(text, '/');
	const char *protocol = protocol_of(slash ? slash + 1 : "tcp");
	ol_view range = { text, slash ? (size_t)(slash - text) : strlen(text) };
	unsigned first = 0, last = 0;

	if (!protocol || !parse_range(range, &first, &last))
		return ol_fail(err, OL_EINVAL, "Invalid containerPort: %.100s", text);
	for (unsigned port = first; port <= last; port++) {
		ol_autofree char *key = ol_text("%u/%s", port, protocol);

		ol_json_set(ports, key, ol_json_object());
	}
	return OL_OK;
}

static int change_expose(struct change *change, ol_error *err)
{
	ol_auto_str ol_str word = OL_STR(OL_CONFIG_BYTES_MAX);
	const ol_json *old = ol_json_get(change->inner, "ExposedPorts");
	ol_auto(ol_json_free) ol_json *ports = old ? ol_json_copy(old) : ol_json_object();
	bool more = true;
	int rc = next_word(change, &word, &more, err);

	if (rc == OL_OK && !more)
		return ol_fail(err, OL_EINVAL, "EXPOSE requires at least one argument");
	while (rc == OL_OK && more) {
		rc = expose(ol_str_text(&word), ports, err);
		if (rc == OL_OK)
			rc = next_word(change, &word, &more, err);
	}
	if (rc == OL_OK)
		ol_json_set(change->inner, "ExposedPorts", ol_steal(&ports));
	return rc;
}

static int add_volume(struct change *change, const char *path, ol_error *err)
{
	if (!*path)
		return ol_fail(err, OL_EINVAL, "VOLUME specified can not be an empty string");
	set_in(change, "Volumes", path, ol_json_object());
	return OL_OK;
}

static int change_volume(struct change *change, ol_error *err)
{
	ol_auto_str ol_str word = OL_STR(OL_CONFIG_BYTES_MAX);
	ol_auto(ol_json_free) ol_json *list = NULL;
	bool more = true;
	int rc = exec_form(change->words.rest, &list, err);

	for (size_t i = 0; rc == OL_OK && list && i < ol_json_count(list); i++)
		rc = add_volume(change, ol_json_text(ol_json_at(list, i)), err);
	if (rc < 0 || list)
		return rc;
	rc = next_word(change, &word, &more, err);
	while (rc == OL_OK && more) {
		rc = add_volume(change, ol_str_text(&word), err);
		if (rc == OL_OK)
			rc = next_word(change, &word, &more, err);
	}
	return rc;
}

/* ------------------------------------------------------------- USER, WORKDIR, STOPSIGNAL -- */

/* The one argument. */
static int only_word(struct change *change, ol_str *out, ol_error *err)
{
	ol_view rest;
	bool more;
	int rc = next_word(change, out, &more, err);

	if (rc == OL_OK && (!more || ol_change_word_next(&change->words, &rest)))
		return ol_fail(err, OL_EINVAL, "%s requires exactly one argument", change->name);
	return rc;
}

static int set_word(struct change *change, const char *member, ol_error *err)
{
	ol_auto_str ol_str word = OL_STR(OL_CONFIG_BYTES_MAX);
	int rc = only_word(change, &word, err);

	if (rc == OL_OK)
		ol_json_set_text(change->inner, member, ol_str_text(&word));
	return rc;
}

static int change_user(struct change *change, ol_error *err)
{
	return set_word(change, "User", err);
}

static int change_stop_signal(struct change *change, ol_error *err)
{
	return set_word(change, "StopSignal", err);
}

/* Go's path.Join: "." and empty parts go, ".." takes one away. */
static void join_path(ol_str *out, const char *path)
{
	while (*path) {
		size_t size = strcspn(path, "/");
		ol_view part = { path, size };

		path += size;
		path += *path ? 1 : 0;
		if (size == 0 || ol_view_is(part, "."))
			continue;
		if (!ol_view_is(part, "..")) {
			(void)ol_str_addc(out, '/');
			(void)ol_str_addv(out, part);
			continue;
		}
		while (out->size > 0 && out->data[--out->size] != '/')
			continue;
		if (out->data)
			out->data[out->size] = '\0';
	}
}

static int change_workdir(struct change *change, ol_error *err)
{
	ol_auto_str ol_str path = OL_STR(OL_CONFIG_BYTES_MAX), word = OL_STR(OL_CONFIG_BYTES_MAX);
	const char *before = ol_json_text(ol_json_get(change->inner, "WorkingDir"));
	/* Names of folders may hold spaces: the whole line is the path. */
	const char *rest = change->words.rest;
	int rc = ol_change_word_expand(&change->words, ol_view_of(rest), &word, err);

	if (rc < 0)
		return rc;
	if (*ol_str_text(&word) != '/' && before)
		join_path(&path, before);
	join_path(&path, ol_str_text(&word));
	if (path.size == 0)
		(void)ol_str_addc(&path, '/');
	rc = ol_str_error(&path, err);
	if (rc == OL_OK)
		ol_json_set_text(change->inner, "WorkingDir", ol_str_text(&path));
	return rc;
}

/* ------------------------------------------------------------------------ one change -- */

static const struct instruction {
	const char *name;
	int (*apply)(struct change *change, ol_error *err);
} instructions[] = {
	{ "CMD", change_cmd },
	{ "ENTRYPOINT", change_entrypoint },
	{ "ENV", change_env },
	{ "EXPOSE", change_expose },
	{ "LABEL", change_label },
	{ "STOPSIGNAL", change_stop_signal },
	{ "USER", change_user },
	{ "VOLUME", change_volume },
	{ "WORKDIR", change_workdir },
};

static const struct instruction *find_instruction(ol_view name)
{
	for (size_t i = 0; i < sizeof instructions / sizeof instructions[0]; i++)
		if (strlen(instructions[i].name) == name.size &&
			strncasecmp(instructions[i].name, name.data, name.size) == 0)
			return &instructions[i];
	return NULL;
}

/* Spaces at both ends mean nothing. */
static char *trimmed(const char *text)
{
	size_t size;

	text += strspn(text, " \t");
	size = strlen(text);
	while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
		size--;
	return ol_strndup(text, size);
}

/* A config is JSON: other bytes than UTF-8 would not come out as they went in. */
static bool is_text(const char *text)
{
	ol_view rest = ol_view_of(text);

	while (rest.size > 0) {
		size_t size = ol_utf8_size(rest);

		if (size == 0 || *rest.data == '\n' || *rest.data == '\r')
			return false;
		rest = ol_view_from(rest.data + size, rest.size - size);
	}
	return true;
}

static int refuse(const char *text, ol_view name, ol_error *err)
{
	if (name.size == 0)
		return ol_fail(err, OL_EINVAL, "\"%.100s\" is not a valid change command", text);
	ol_fail(err, OL_EINVAL, "%.*s is not a valid change command",
		(int)(name.size > 100 ? 100 : name.size), name.data);
	return ol_hint(err, OL_EINVAL,
		"there are CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and "
		"WORKDIR");
}

int ol_change_apply(ol_json *config, const char *text, ol_error *err)
{
	ol_autofree char *line = trimmed(text);
	const ol_json *inner = ol_json_get(config, "config");
	struct change change = { 0 };
	const struct instruction *instruction;
	ol_view name = { line, 0 };
	int rc;

	while (isalpha((unsigned char)name.data[name.size]))
		name.size++;
	instruction = find_instruction(name);
	if (!instruction)
		return refuse(line, name, err);
	change.name = instruction->name;
	change.words =
		(ol_change_words){ .rest = line + name.size, .variable = variable, .ctx = &change };
	if (*change.words.rest && !strchr(" \t=", *change.words.rest))
		return refuse(line, ol_view_from(line, strcspn(line, " \t=")), err);
	change.words.rest += *change.words.rest ? 1 : 0;
	change.words.rest += strspn(change.words.rest, " \t");
	if (!is_text(line))
		return ol_fail(err, OL_EINVAL, "a change is one line of UTF-8");
	if (!*change.words.rest)
		return ol_fail(err, OL_EINVAL, "%s requires at least one argument", change.name);
	change.inner = inner ? ol_json_copy(inner) : ol_json_object();
	rc = instruction->apply(&change, err);
	if (rc < 0) {
		ol_json_free(change.inner);
		return rc;
	}
	ol_json_set(config, "config", change.inner);
	return OL_OK;
}
