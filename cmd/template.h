#pragma once

/*
 * Templates: the part of Go's text/template that Docker's --format is used with, over JSON values.
 *
 *	{{.A.B}} {{$}} {{$x := .A}} {{.A | upper}} {{(index .L 0).B}} {{- trimmed -}}
 *	{{range .L}}…{{else}}…{{end}} {{range $i, $e := .L}}…{{end}}
 *	{{if p}}…{{else if q}}…{{else}}…{{end}}
 *	{{json .A}} {{join .L ", "}} {{index .M "key" 0}} {{println .A .B}}
 *
 * Functions: json join split index len println upper lower truncate eq ne and or not. Anything else
 * is refused by name. Missing members of an object are refused too, as a mistyped name would be; a
 * key of one of Docker's maps (Labels …) may be missing.
 */
#include <stdbool.h>

#include "base/str.h"
#include "manifest/json.h"

/* A template is typed by the user or stands in a script: larger ones, deeper ones and larger
 * results are accidents. */
#define OL_TEMPLATE_BYTES_MAX  ((size_t)64 << 10)
#define OL_TEMPLATE_DEPTH_MAX  32
#define OL_TEMPLATE_OUTPUT_MAX ((size_t)16 << 20)
#define OL_TEMPLATE_STEPS_MAX                                                                      \
	((size_t)4 << 20) /* nested ranges multiply: what one run may evaluate */

typedef struct ol_template ol_template;

typedef enum ol_template_flags {
	/* outside {{}}, \t and \n are a tab and a newline, as in Docker's --format of lists */
	OL_TEMPLATE_ESCAPES = 1,
} ol_template_flags;

/* The template owns a copy of the text. OL_EINVAL and OL_EUNSUPPORTED say at which byte
 * it stopped. */
int ol_template_parse(ol_view text, int flags, ol_template **out, ol_error *err);
void ol_template_free(ol_template *templ);
OL_DEFINE_AUTO(ol_template, ol_template_free)

/* Adds the result to out (whose cap holds). headings: functions give their first argument, so that
 * a row of column headings comes out as Docker's tables have it. */
int ol_template_run(
	const ol_template *templ, const ol_json *data, bool headings, ol_str *out, ol_error *err);
