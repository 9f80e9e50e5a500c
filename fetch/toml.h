#pragma once

/*
 * TOML 1.0.0, read only: all of its grammar, into a tree that one root owns. Beyond the grammar it
 * refuses what no configuration file means: a NUL in a string, nesting deeper than
 * OL_TOML_DEPTH_MAX, more values than OL_TOML_VALUES_MAX.
 *
 * Readers take NULL for "not there" and then answer as for a value of another type, so they can be
 * chained. A tree that no one changes may be read by many threads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/view.h"

typedef enum ol_toml_type {
	OL_TOML_STRING,
	OL_TOML_INTEGER,
	OL_TOML_FLOAT,
	OL_TOML_BOOL,
	OL_TOML_DATE, /* all four kinds; text as it stands in the file */
	OL_TOML_ARRAY,
	OL_TOML_TABLE,
} ol_toml_type;

typedef struct ol_toml ol_toml; /* a value */

/* The caller has capped text.size. OL_EINVAL says "line L, column C: why", OL_ELIMIT is for depth
 * and number of values. *out is the table of the top. */
int ol_toml_parse(ol_view text, ol_toml **out, ol_error *err);
void ol_toml_free(ol_toml *root); /* of a document: never a value inside */
OL_DEFINE_AUTO(ol_toml, ol_toml_free)

ol_toml_type ol_toml_type_of(const ol_toml *value);  /* not for NULL */
const char *ol_toml_type_name(const ol_toml *value); /* "a string", "nothing" for NULL */
unsigned ol_toml_line(const ol_toml *value);         /* where it stands; 0 for NULL */
bool ol_toml_is_table(const ol_toml *value);
bool ol_toml_is_array(const ol_toml *value);
const ol_toml *ol_toml_get(const ol_toml *table, const char *key); /* NULL: not there */
size_t ol_toml_count(const ol_toml *value); /* elements or members; 0 for all else */
/* Elements, or a table's members, in the order they stand: first NULL at the end of an empty one.
 */
const ol_toml *ol_toml_first(const ol_toml *value);
const ol_toml *ol_toml_next(const ol_toml *value);
const char *ol_toml_key(const ol_toml *value);  /* a member's; NULL for an element */
const char *ol_toml_text(const ol_toml *value); /* of a string or date; else NULL */
int64_t ol_toml_int(const ol_toml *value, int64_t otherwise);
double ol_toml_real(const ol_toml *value, double otherwise); /* of a float or integer */
bool ol_toml_true(const ol_toml *value);

/* Typed members: absent gives OL_OK and *out untouched; another type OL_EINVAL with line and
 * key. */
int ol_toml_get_text(const ol_toml *table, const char *key, const char **out, ol_error *err);
int ol_toml_get_bool(const ol_toml *table, const char *key, bool *out, ol_error *err);
int ol_toml_get_table(const ol_toml *table, const char *key, const ol_toml **out, ol_error *err);
/* An array of strings. */
int ol_toml_get_texts(const ol_toml *table, const char *key, const ol_toml **out, ol_error *err);
