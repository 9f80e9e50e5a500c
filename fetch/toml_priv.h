#pragma once

/* What the two halves of the TOML reader share: toml.c knows tables, toml_scalar.c what stands in
 * them. */
#include "base/alloc.h"
#include "fetch/toml.h"

/* How a table came about, which decides who may add to it. */
typedef enum ol_toml_origin {
	OL_TOML_IMPLIED, /* by a header of a table below it */
	OL_TOML_HEADED,  /* by its own header */
	OL_TOML_DOTTED,  /* by a dotted key */
	OL_TOML_INLINE,  /* { … }: closed */
} ol_toml_origin;

struct ol_toml {
	ol_toml_type type;
	ol_toml_origin origin; /* of a table */
	bool of_tables;        /* an array made by [[headers]] */
	bool truth;
	unsigned line;
	uint32_t hash;    /* of key */
	const char *key;  /* arena; NULL for an element */
	const char *text; /* arena */
	int64_t integer;
	double real;
	ol_toml *first, *last, *next; /* arena */
	size_t count;
};

typedef struct ol_toml_reader {
	ol_view text;
	size_t at;
	ol_arena *arena; /* lent */
	size_t counted;  /* line ends before this are counted in line */
	unsigned line;
	size_t values;
	unsigned depth;
	ol_error *err;
} ol_toml_reader;

/* OL_EINVAL with the place, in front of why. */
int ol_toml_refuse(ol_toml_reader *reader, const char *why);
unsigned ol_toml_line_here(ol_toml_reader *reader);
/* The character at hand, or after some; -1 at the end. */
static inline int ol_toml_peek(const ol_toml_reader *reader, size_t ahead)
{
	return ahead < reader->text.size - reader->at
		       ? (unsigned char)reader->text.data[reader->at + ahead]
		       : -1;
}
static inline bool ol_toml_sees(const ol_toml_reader *reader, const char *text)
{
	return ol_view_starts(
		ol_view_from(reader->text.data + reader->at, reader->text.size - reader->at), text);
}

/* A string of any kind, at its opening quote. multi: those of several lines are allowed (a key's
 * are not). */
int ol_toml_read_string(ol_toml_reader *reader, bool multi, const char **out);
/* A number, date, time, true, false, inf or nan: into value. */
int ol_toml_read_scalar(ol_toml_reader *reader, ol_toml *value);
