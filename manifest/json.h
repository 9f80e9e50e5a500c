#pragma once

/*
 * JSON, read and written only through here (jansson inside). Reading refuses duplicate keys, NUL in
 * strings, trailing bytes, what is not UTF-8, and documents deeper than OL_JSON_DEPTH_MAX or of
 * more than OL_JSON_VALUES_MAX values. A value lends; its document owns. A number that is not an
 * integer is read where a float is allowed, never as a size.
 *
 * Readers take NULL for "not there" and then answer as for a value of the wrong type, so they can
 * be chained: ol_json_text(ol_json_get(ol_json_get(root, "config"), "User")). A document that no
 * one changes may be read by many threads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "base/view.h"

typedef struct ol_json ol_json; /* a value; jansson's json_t */

/* Any value may stand at the top. The caller has capped text.size. OL_EINVAL says line, column and
 * why, OL_ELIMIT is for depth and number of values. */
int ol_json_parse(ol_view text, ol_json **out, ol_error *err);
void ol_json_free(ol_json *value); /* of the document, or of one made here */
OL_DEFINE_AUTO(ol_json, ol_json_free)

typedef enum ol_json_type {
	OL_JSON_NULL, /* NULL too */
	OL_JSON_OBJECT,
	OL_JSON_ARRAY,
	OL_JSON_STRING,
	OL_JSON_INTEGER,
	OL_JSON_REAL,
	OL_JSON_BOOL,
} ol_json_type;

/* Reading. A missing member and null are the same: not there. */
ol_json_type ol_json_type_of(const ol_json *value);
bool ol_json_is_object(const ol_json *value);
bool ol_json_is_array(const ol_json *value);
bool ol_json_is_string(const ol_json *value);
bool ol_json_is_number(const ol_json *value); /* integer or real */
bool ol_json_is_bool(const ol_json *value);
const ol_json *ol_json_get(
	const ol_json *object, const char *key); /* NULL when not there, or not an object */
bool ol_json_has(const ol_json *object, const char *key); /* a member that is null counts */
size_t ol_json_count(const ol_json *value);               /* members or elements; 0 for all else */
const ol_json *ol_json_at(
	const ol_json *array, size_t index); /* NULL past the end, or not an array */
const char *ol_json_text(
	const ol_json *value); /* NULL unless a string; NUL inside is refused at parsing */
int64_t ol_json_int(const ol_json *value, int64_t otherwise);
double ol_json_number(const ol_json *value, double otherwise);
bool ol_json_true(const ol_json *value);
/* Typed members: absent or null gives OL_OK and *out untouched; another type gives OL_EINVAL naming
 * key and type. */
int ol_json_get_text(const ol_json *object, const char *key, const char **out, ol_error *err);
int ol_json_get_int(const ol_json *object, const char *key, int64_t *out, ol_error *err);
int ol_json_get_bool(const ol_json *object, const char *key, bool *out, ol_error *err);
int ol_json_get_array(const ol_json *object, const char *key, const ol_json **out, ol_error *err);
int ol_json_get_object(const ol_json *object, const char *key, const ol_json **out, ol_error *err);
/* Members in the order they stand; start with *it = NULL. false at the end. */
bool ol_json_next(const ol_json *object, void **it, const char **key, const ol_json **value);

/* Writing: values are made, and handed to their parent (which then owns them). */
ol_json *ol_json_object(void);
ol_json *ol_json_array(void);
ol_json *ol_json_string(
	const char *text); /* NULL gives null; bytes that are not UTF-8 become U+FFFD */
ol_json *ol_json_integer(int64_t value);
ol_json *ol_json_real(double value); /* what is not finite gives null */
ol_json *ol_json_boolean(bool value);
ol_json *ol_json_null(void);
ol_json *ol_json_copy(const ol_json *value); /* deep */
/* A key that is there keeps its place and gets the new value. Keys are mended as strings are. */
void ol_json_set(ol_json *object, const char *key, ol_json *value);
void ol_json_set_text(ol_json *object, const char *key, const char *text);
void ol_json_set_int(ol_json *object, const char *key, int64_t value);
void ol_json_set_bool(ol_json *object, const char *key, bool value);
void ol_json_remove(ol_json *object, const char *key);
void ol_json_push(ol_json *array, ol_json *value);

typedef enum ol_json_style {
	OL_JSON_COMPACT, /* no spaces: also one line of a stream */
	OL_JSON_PRETTY,  /* four spaces, as docker inspect */
	OL_JSON_SORTED,  /* compact, keys sorted: for bytes that must be the same each time */
} ol_json_style;
/* Adds to out. Characters that could move a terminal's cursor are escaped, so the result may be
 * shown. OL_ELIMIT when out is full. */
int ol_json_format(const ol_json *value, ol_json_style style, ol_str *out, ol_error *err);
