#pragma once

/*
 * Lists (`images`, `ps`, `history` …): rows of members, shown as a table, through a template, as
 * JSON lines, as one JSON array, or as ids alone, by --format, --json, --quiet. --format and its
 * members are Docker's; --json is ours: whole values, numbers as numbers.
 */
#include "cmd/command.h"

typedef struct ol_column {
	const char *field, *heading; /* field NULL ends */
} ol_column;

typedef struct ol_listing_shape {
	const ol_column *columns; /* all members there are, with their headings */
	const char *table;        /* the template of the usual table */
	const char *id;           /* the member that --quiet shows */
} ol_listing_shape;

typedef struct ol_listing ol_listing;

/* --format, --json and --quiet, for a command's table of options. */
#define OL_LISTING_OPTIONS                                                                         \
	{ .name = "format",                                                                        \
		.kind = OL_OPTION_TEXT,                                                            \
		.value = "FORMAT",                                                                 \
		.help = "table, json (a line each), or a template: '{{.ID}}', 'table "             \
			"{{.ID}}\\t{{.Size}}'",                                                    \
		.otherwise = "table" },                                                            \
		{ .name = "json",                                                                  \
			.kind = OL_OPTION_FLAG,                                                    \
			.help = "One JSON array with whole values, for programs" },                \
	{                                                                                          \
		.name = "no-trunc", .kind = OL_OPTION_FLAG, .help = "Do not shorten values"        \
	}

/* The same for a command that shows one document (ol_show_document). example: a template. */
#define OL_DOCUMENT_OPTIONS(example)                                                               \
	{ .name = "format",                                                                        \
		.letter = 'f',                                                                     \
		.kind = OL_OPTION_TEXT,                                                            \
		.value = "FORMAT",                                                                 \
		.help = "json, or a template: '" example "'" },                                    \
	{                                                                                          \
		.name = "json", .kind = OL_OPTION_FLAG, .help = "One JSON object, for programs"    \
	}

int ol_listing_open(
	ol_context *ctx, const ol_listing_shape *shape, ol_listing **out, ol_error *err);
void ol_listing_free(ol_listing *listing);
OL_DEFINE_AUTO(ol_listing, ol_listing_free)
bool ol_listing_is_json(const ol_listing *listing); /* --json: rows are to be whole values */
/* --json or --no-trunc: values are not to be shortened. */
bool ol_listing_is_whole(const ol_listing *listing);
/* May this member of a row be shown? One that cannot need not be made: a list of thousands is
 * quicker without. */
bool ol_listing_wants(const ol_listing *listing, const char *field);
/* Takes ownership of row. */
int ol_listing_add(ol_listing *listing, ol_json *row, ol_error *err);
/* Shows what was not shown yet. */
int ol_listing_end(ol_listing *listing, ol_error *err);
/* A list of what the store has, from open to end: fill adds the rows. What is asked for is looked
 * at before the store is opened. */
int ol_listing_show(ol_context *ctx, const ol_listing_shape *shape,
	int (*fill)(ol_context *ctx, ol_session *session, ol_listing *listing, ol_error *err),
	ol_error *err);

/* One document (`info`, `version`), or an array of them (`inspect`): through --format, or as JSON.
 * human shows it otherwise; NULL: JSON is what people see too. document is lent. */
int ol_show_document(ol_context *ctx, const ol_json *document,
	void (*human)(ol_console *console, const ol_json *document), ol_error *err);
/* The documents of an array one by one through a template; "json" is compact JSON. */
int ol_show_each(ol_context *ctx, const ol_json *array, const char *format, ol_error *err);

/* Cells that several lists have. */
void ol_row_set_time(
	ol_json *row, const char *since_field, const char *at_field, int64_t unix_seconds);
typedef struct ol_when_text {
	char text[48];
} ol_when_text;
ol_when_text ol_when_local(int64_t unix_seconds); /* "2025-01-02 03:04:05 +0000 UTC" */
ol_when_text ol_when_rfc3339(int64_t unix_seconds);
ol_when_text ol_when_since(int64_t unix_seconds); /* "3 weeks ago"; "N/A" for 0 */
