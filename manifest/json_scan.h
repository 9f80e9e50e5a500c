#pragma once

/*
 * JSON too large for a tree: tables of contents have a million values, and a tree of them takes a
 * hundred times what is wanted of it. The text is passed over once, token by token, with memory
 * for one string. RFC 8259; refused as in json.h: NUL in strings, what is not UTF-8, trailing
 * bytes, documents deeper than OL_JSON_DEPTH_MAX. Duplicate keys are the caller's to refuse.
 *
 *	rc = ol_json_scan_next(&scan, &token, err);   … until token.type is OL_JSON_TOKEN_END
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/str.h"

typedef enum ol_json_token_type {
	OL_JSON_TOKEN_OBJECT, /* { */
	OL_JSON_TOKEN_OBJECT_END,
	OL_JSON_TOKEN_ARRAY, /* [ */
	OL_JSON_TOKEN_ARRAY_END,
	OL_JSON_TOKEN_KEY, /* text */
	OL_JSON_TOKEN_STRING,
	OL_JSON_TOKEN_INTEGER, /* in int64_t's range */
	OL_JSON_TOKEN_REAL,    /* any other number: its value is not kept */
	OL_JSON_TOKEN_BOOL,    /* integer is 0 or 1 */
	OL_JSON_TOKEN_NULL,
	OL_JSON_TOKEN_END,
} ol_json_token_type;

typedef struct ol_json_token {
	ol_json_token_type type;
	ol_view text; /* of a key or string, terminated; lent until the next call */
	int64_t integer;
} ol_json_token;

typedef struct ol_json_scan {
	ol_view input; /* lent */
	size_t at;
	size_t depth;
	bool in_object[OL_JSON_DEPTH_MAX];
	enum {
		OL_JSON_WANTS_VALUE,
		OL_JSON_WANTS_KEY,
		OL_JSON_WANTS_FIRST, /* a key or value, or the end of what was just opened */
		OL_JSON_WANTS_COMMA, /* or the end */
	} wants;
	ol_buf text;
} ol_json_scan;

/* string_bytes_max: of one string, unescaped. */
void ol_json_scan_init(ol_json_scan *scan, ol_view input, size_t string_bytes_max);
void ol_json_scan_done(ol_json_scan *scan);
/* OL_EINVAL says at which byte and why; OL_ELIMIT. After a failure only done is allowed. */
int ol_json_scan_next(ol_json_scan *scan, ol_json_token *out, ol_error *err);
/* Passes over the value that token began: to its end if it is an object or array, else nothing. */
int ol_json_scan_skip(ol_json_scan *scan, const ol_json_token *token, ol_error *err);
