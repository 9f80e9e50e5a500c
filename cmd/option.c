#include "cmd/option.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "cmd/suggest.h"

typedef struct given {
	const ol_option *option;
	const char *text; /* lent from argv; "true" or "false" for a flag */
} given;

struct ol_args {
	const ol_option *const *tables; /* in the arena, the tables are lent */
	given *given;                   /* owned */
	size_t given_count, given_cap;
	const char **words; /* owned, ended by NULL */
	size_t word_count, word_cap;
	/* owned: the lists that were asked for, and what commands make of values */
	ol_arena *arena;
};

typedef struct scan {
	const ol_grammar *grammar;
	ol_args *args;
	char *const *argv;
	int count, at;
} scan;

bool ol_bool_parse(const char *text, bool *out)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		if (strcmp(text, yes[i]) == 0)
			return *out = true;
		if (strcmp(text, no[i]) == 0) {
			*out = false;
			return true;
		}
	}
	return false;
}

static const ol_option *find_name(const ol_option *const *tables, const char *name, size_t size)
{
	for (; *tables; tables++)
		for (const ol_option *o = *tables; o->name; o++)
			if (strlen(o->name) == size && memcmp(o->name, name, size) == 0)
				return o;
	return NULL;
}

static const ol_option *find_letter(const ol_option *const *tables, char letter)
{
	for (; *tables; tables++)
		for (const ol_option *o = *tables; o->name; o++)
			if (o->letter == letter)
				return o;
	return NULL;
}

static bool is_choice(const char *choices, const char *text)
{
	size_t size = strlen(text);

	for (const char *at = choices;; at++) {
		size_t length = strcspn(at, "|");

		if (length == size && memcmp(at, text, size) == 0)
			return true;
		at += length;
		if (!*at)
			return false;
	}
}

static int refuse(const ol_option *option, ol_error *err)
{
	if (option->letter)
		ol_fail(err, OL_EUNSUPPORTED, "-%c, --%s is not supported", option->letter,
			option->name);
	else
		ol_fail(err, OL_EUNSUPPORTED, "--%s is not supported", option->name);
	return ol_hint(err, OL_EUNSUPPORTED, "%s", option->help);
}

static int keep(ol_args *args, const ol_option *option, const char *text, ol_error *err)
{
	bool value;

	if (option->kind == OL_OPTION_FLAG && !ol_bool_parse(text, &value)) {
		ol_fail(err, OL_EINVAL,
			"invalid argument \"%s\" for \"--%s\" flag: it is true or false", text,
			option->name);
		return OL_EINVAL;
	}
	if (option->choices && !is_choice(option->choices, text)) {
		ol_fail(err, OL_EINVAL, "invalid argument \"%s\" for \"--%s\" flag", text,
			option->name);
		return ol_hint(err, OL_EINVAL, "it is one of %s", option->choices);
	}
	OL_GROW(args->given, args->given_count, args->given_cap);
	args->given[args->given_count++] = (given){ option, text };
	return OL_OK;
}

static int unknown_name(const scan *s, const char *name, size_t size, ol_error *err)
{
	const char *nearest = NULL;
	ol_suggestion best = ol_suggestion_for(name, size);

	ol_fail(err, OL_EINVAL, "unknown flag: --%.*s", (int)size, name);
	for (const ol_option *const *tables = s->grammar->tables; *tables; tables++)
		for (const ol_option *o = *tables; o->name; o++)
			if (o->kind != OL_OPTION_REFUSED)
				ol_suggestion_try(&best, o->name);
	nearest = ol_suggestion_text(&best);
	return nearest ? ol_hint(err, OL_EINVAL, "did you mean --%s?", nearest) : OL_EINVAL;
}

/* argv[at] is "--name" or "--name=value". */
static int long_option(scan *s, ol_error *err)
{
	const char *name = s->argv[s->at] + 2, *equals = strchr(name, '=');
	size_t size = equals ? (size_t)(equals - name) : strlen(name);
	const ol_option *option = find_name(s->grammar->tables, name, size);

	if (!option)
		return unknown_name(s, name, size, err);
	if (option->kind == OL_OPTION_REFUSED)
		return refuse(option, err);
	if (equals)
		return keep(s->args, option, equals + 1, err);
	if (option->kind == OL_OPTION_FLAG)
		return keep(s->args, option, "true", err);
	if (s->at + 1 >= s->count)
		return ol_fail(err, OL_EINVAL, "flag needs an argument: --%s", option->name);
	return keep(s->args, option, s->argv[++s->at], err);
}

/* argv[at] is "-abc", "-e VALUE", "-eVALUE" or "-e=VALUE". */
static int short_options(scan *s, ol_error *err)
{
	const char *word = s->argv[s->at];
	int rc = OL_OK;

	for (const char *p = word + 1; *p && rc == OL_OK; p++) {
		const ol_option *option = find_letter(s->grammar->tables, *p);

		if (!option && *p == 'h' && s->grammar->h_is_help)
			option = find_name(s->grammar->tables, "help", 4);
		if (!option)
			return ol_fail(
				err, OL_EINVAL, "unknown shorthand flag: '%c' in %s", *p, word);
		if (option->kind == OL_OPTION_REFUSED)
			return refuse(option, err);
		if (option->kind == OL_OPTION_FLAG && p[1] == '=')
			return keep(s->args, option, p + 2, err);
		if (option->kind == OL_OPTION_FLAG) {
			rc = keep(s->args, option, "true", err);
			continue;
		}
		if (p[1])
			return keep(s->args, option, p[1] == '=' ? p + 2 : p + 1, err);
		if (s->at + 1 >= s->count)
			return ol_fail(
				err, OL_EINVAL, "flag needs an argument: '%c' in %s", *p, word);
		return keep(s->args, option, s->argv[++s->at], err);
	}
	return rc;
}

static void add_word(ol_args *args, const char *word)
{
	if (args->word_count + 1 >= args->word_cap) {
		args->word_cap = args->word_cap ? args->word_cap * 2 : 8;
		args->words = ol_realloc_array(args->words, args->word_cap, sizeof *args->words);
	}
	args->words[args->word_count++] = word;
	args->words[args->word_count] = NULL;
}

static int scan_all(scan *s, ol_error *err)
{
	bool words_only = false;

	for (; s->at < s->count; s->at++) {
		const char *word = s->argv[s->at];
		int rc = OL_OK;

		if (words_only || word[0] != '-' || !word[1]) {
			add_word(s->args, word);
			if (s->grammar->options_end &&
				s->args->word_count >= s->grammar->options_end)
				words_only = true;
			continue;
		}
		if (strcmp(word, "--") == 0)
			words_only = true;
		else if (word[1] == '-')
			rc = long_option(s, err);
		else
			rc = short_options(s, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

/* The list may be gone when the options are asked for; the tables themselves are constants. */
static const ol_option *const *copy_tables(ol_arena *arena, const ol_option *const *tables)
{
	const ol_option **copy;
	size_t count = 0;

	while (tables[count])
		count++;
	copy = ol_arena_alloc(arena, (count + 1) * sizeof(const ol_option *));
	memcpy(copy, tables, count * sizeof(const ol_option *));
	return copy;
}

int ol_args_parse(
	const ol_grammar *grammar, int count, char *const *argv, ol_args **out, ol_error *err)
{
	ol_auto(ol_args_free) ol_args *args = ol_alloc(sizeof *args);
	scan s = { .grammar = grammar, .args = args, .argv = argv, .count = count };
	int rc;

	args->arena = ol_arena_new();
	args->tables = copy_tables(args->arena, grammar->tables);
	args->word_cap = 8;
	args->words = ol_alloc_array(args->word_cap, sizeof *args->words);
	rc = scan_all(&s, err);
	if (rc < 0)
		return rc;
	*out = ol_steal(&args);
	return OL_OK;
}

void ol_args_free(ol_args *args)
{
	if (!args)
		return;
	free(args->given);
	free(args->words);
	ol_arena_free(args->arena);
	free(args);
}

size_t ol_args_word_count(const ol_args *args)
{
	return args->word_count;
}

const char *ol_args_word(const ol_args *args, size_t index)
{
	return index < args->word_count ? args->words[index] : NULL;
}

const char *const *ol_args_words(const ol_args *args, size_t from)
{
	return args->words + (from < args->word_count ? from : args->word_count);
}

/* The last time an option was given, or NULL. */
static const given *last(const ol_args *args, const char *name)
{
	const ol_option *option = find_name(args->tables, name, strlen(name));

	assert(option);
	for (size_t i = args->given_count; i-- > 0;)
		if (args->given[i].option == option)
			return &args->given[i];
	return NULL;
}

bool ol_args_knows(const ol_args *args, const char *name)
{
	return find_name(args->tables, name, strlen(name)) != NULL;
}

bool ol_args_has(const ol_args *args, const char *name)
{
	return last(args, name) != NULL;
}

bool ol_args_flag(const ol_args *args, const char *name)
{
	const given *g = last(args, name);
	bool value = false;

	return g && ol_bool_parse(g->text, &value) && value;
}

const char *ol_args_text(const ol_args *args, const char *name)
{
	const given *g = last(args, name);

	return g ? g->text : NULL;
}

const char *const *ol_args_list(const ol_args *args, const char *name)
{
	const given *end = last(args, name);
	const char **list = ol_arena_alloc(args->arena, (args->given_count + 1) * sizeof *list);
	size_t count = 0;

	for (const given *g = args->given; end && g <= end; g++)
		if (g->option == end->option)
			list[count++] = g->text;
	return list;
}

ol_arena *ol_args_arena(const ol_args *args)
{
	return args->arena;
}
