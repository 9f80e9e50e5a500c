#pragma once

/*
 * Options: rows of a table, and the parser that holds argv against it. The grammar is Docker's
 * (Go's pflag):
 *
 *	--name value  --name=value  -n value  -nvalue  -n=value  -it  --flag  --flag=false  --
 *
 * Options stand before or after the words, except that a command may say after how many words they
 * end (`run` ends them at the image, so that the rest belongs to the container).
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

typedef enum ol_option_kind {
	OL_OPTION_FLAG, /* true or false */
	OL_OPTION_TEXT, /* one value: the last one given counts */
	OL_OPTION_LIST, /* every value counts, in order */
	/* Docker has it, orlop does not: refused by name, with help as the hint */
	OL_OPTION_REFUSED
} ol_option_kind;

typedef struct ol_option {
	const char *name; /* long name without dashes; NULL ends a table */
	char letter;      /* short name, or 0 */
	ol_option_kind kind;
	const char *value;   /* what help calls the value: "PATH"; NULL for a flag */
	const char *help;    /* one line, no full stop */
	const char *choices; /* the values there are, "auto|plain|json|none"; NULL: any */
	/* "file", "dir": how a shell completes the value; NULL: it does not */
	const char *completes;
	const char *otherwise; /* the default as help shows it; NULL: none to tell */
} ol_option;

/* A parsed command line. Text is lent from argv. */
typedef struct ol_args ol_args;

typedef struct ol_grammar {
	const ol_option *const *tables; /* ended by NULL; earlier ones win a letter */
	unsigned options_end; /* after that many words all that follows is words; 0: never */
	bool h_is_help;       /* -h means --help where no table has the letter */
} ol_grammar;

/* Parses argv[0..count). OL_EINVAL and OL_EUNSUPPORTED: Docker's words for what is wrong; the hint
 * names the nearest option. */
int ol_args_parse(
	const ol_grammar *grammar, int count, char *const *argv, ol_args **out, ol_error *err);
void ol_args_free(ol_args *args);
OL_DEFINE_AUTO(ol_args, ol_args_free)

size_t ol_args_word_count(const ol_args *args);
const char *ol_args_word(const ol_args *args, size_t index);        /* NULL past the end */
const char *const *ol_args_words(const ol_args *args, size_t from); /* the rest, ended by NULL */

/* Asking for an option that no table has is our own mistake: it asserts. */
bool ol_args_flag(const ol_args *args, const char *name);
bool ol_args_has(const ol_args *args, const char *name); /* it was given, whatever its value */
const char *ol_args_text(const ol_args *args, const char *name); /* NULL when not given */
const char *const *ol_args_list(
	const ol_args *args, const char *name); /* ended by NULL; empty when not given */

bool ol_args_knows(const ol_args *args, const char *name); /* some table has it */
/* Where commands keep what they make of the values: it dies with args. */
ol_arena *ol_args_arena(const ol_args *args);

/* Go's strconv.ParseBool: 1 t T true TRUE True and their opposites; false if it is neither. */
bool ol_bool_parse(const char *text, bool *out);
