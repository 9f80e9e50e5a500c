#pragma once

/* The parsed form of a template, shared by its parser (template.c), its lexer (template_lex.c) and
 * its evaluation (template_run.c). */
#include "base/alloc.h"
#include "cmd/template.h"

/* --- words inside {{ }} --- */

typedef enum tok_kind {
	TOK_END,    /* }} */
	TOK_DOT,    /* . alone */
	TOK_FIELD,  /* .Name: text is Name */
	TOK_VAR,    /* $ or $name: text is the name without $ */
	TOK_NAME,   /* a function or keyword */
	TOK_STRING, /* text is the unquoted string */
	TOK_INT,
	TOK_FLOAT,
	TOK_OPEN,    /* ( */
	TOK_CLOSE,   /* ) */
	TOK_PIPE,    /* | */
	TOK_DECLARE, /* := */
	TOK_COMMA,
} tok_kind;

typedef struct tok {
	tok_kind kind;
	size_t at;   /* byte in the template */
	bool spaced; /* white space stands before it */
	ol_view text;
	int64_t integer;
	double real;
} tok;

/* Reads the word at *at; text ends before "}}" is looked for, so the end of text is an error.
 * Unquoted strings go to the arena. */
int ol_template_word(ol_view text, size_t *at, ol_arena *arena, tok *out, ol_error *err);

/* --- the tree; all of it lies in the template's arena --- */

typedef struct pipeline pipeline;

typedef enum operand_kind {
	OPERAND_DOT,
	OPERAND_VAR,
	OPERAND_STRING,
	OPERAND_INT,
	OPERAND_FLOAT,
	OPERAND_BOOL,
	OPERAND_NIL,
	OPERAND_PIPELINE,
	OPERAND_CALL, /* a function's name without arguments, as an operand */
} operand_kind;

struct function;

typedef struct operand {
	operand_kind kind;
	size_t at;
	ol_view text; /* of a string or variable */
	int64_t integer;
	double real;
	const pipeline *inner;
	const struct function *function;
	const char *const *fields; /* ended by NULL: .A.B after it */
	struct operand *next;
} operand;

typedef struct command {
	const struct function *function; /* NULL: the only operand is the value */
	size_t at;
	operand *operands;
	struct command *next;
} command;

struct pipeline {
	ol_view vars[2]; /* declared: $x :=, or $i, $e := of a range */
	size_t var_count;
	command *commands;
};

typedef enum node_kind {
	NODE_TEXT,
	NODE_VALUE,
	NODE_IF,
	NODE_RANGE,
} node_kind;

typedef struct node {
	node_kind kind;
	ol_view text;
	pipeline *pipe;
	struct node *body, *otherwise;
	struct node *next;
} node;

struct ol_template {
	ol_arena *arena; /* owned: text and tree */
	node *root;
};

/* --- values while it runs --- */

typedef enum value_kind {
	VALUE_NONE, /* <no value> */
	VALUE_TREE, /* an object or array */
	VALUE_STRING,
	VALUE_INT,
	VALUE_FLOAT,
	VALUE_BOOL,
} value_kind;

typedef struct value {
	value_kind kind;
	const ol_json *tree; /* lent */
	bool is_map;         /* tree: an object whose keys are data, not members */
	ol_view text;
	int64_t integer;
	double real;
	bool boolean;
} value;

typedef struct run {
	ol_arena *arena; /* owned: strings made on the way */
	ol_json *trees;  /* owned: an array of the trees made on the way */
	ol_str *out;
	bool headings;
	size_t steps, depth, bytes;
	value root;
	struct binding *vars; /* innermost first */
} run;

value ol_template_value_of(const ol_json *json);
bool ol_template_truth(const value *v);
int ol_template_print(run *r, const value *v, ol_str *out, ol_error *err);
/* Text made on the way, counted against OL_TEMPLATE_OUTPUT_MAX. */
int ol_template_keep(run *r, ol_str *text, value *out, ol_error *err);

typedef struct function {
	const char *name;
	size_t args_min, args_max;
	int (*call)(run *r, const value *args, size_t count, value *out, ol_error *err);
} function;
#define OL_TEMPLATE_ARGS_MAX 16
const function *ol_template_function(ol_view name); /* NULL when there is none */
