#pragma once

/* What progress is made of: layers and other work, with rates. No locks and no terminal: progress.c
 * has both. */
#include <stdbool.h>
#include <stddef.h>

#include "base/event.h"
#include "base/str.h"
#include "cmd/progress.h"

#define OL_RATE_SAMPLES 16

/* Bytes over the last four seconds. */
typedef struct ol_rate {
	uint64_t at_ms[OL_RATE_SAMPLES], bytes[OL_RATE_SAMPLES];
	unsigned count, next;
} ol_rate;

typedef struct ol_progress_layer {
	bool known; /* an event told of it */
	ol_digest digest;
	ol_layer_state state;
	uint64_t done, total, resumed; /* bytes */
	/* why it is tried again, or where it was mounted from; safe for a terminal */
	char why[96];
	ol_rate rate;
	uint64_t told_ms; /* the last JSON line about it */
} ol_progress_layer;

typedef struct ol_progress_model {
	ol_progress_layer *layers; /* owned */
	size_t count;
	ol_rate rate; /* of all layers together */
	ol_progress_verb verb;
	uint64_t start_ms; /* set by whoever made it: times are told from here */
	bool task_on;
	char task[96]; /* other work, safe for a terminal */
	uint64_t task_done, task_total, task_start_ms;
	uint64_t told_ms; /* the last plain line about all of it */
} ol_progress_model;

typedef struct ol_progress_sum {
	size_t layers, finished, existing, failed;
	uint64_t done, total; /* bytes of the layers that are not there already */
	uint64_t fetched;     /* of done, what this command got */
} ol_progress_sum;

/* Docker's words for what a layer is at; for a terminal pull's differ. */
const char *ol_progress_word(ol_progress_verb verb, ol_layer_state state);
void ol_progress_model_done(ol_progress_model *model);
/* Takes a layer or progress event in; true when its layer's state changed. */
bool ol_progress_apply(ol_progress_model *model, const ol_event *event, uint64_t now_ms);
/* Samples the rates; called a few times a second. */
void ol_progress_tick(ol_progress_model *model, uint64_t now_ms);
ol_progress_sum ol_progress_sum_of(const ol_progress_model *model);
bool ol_progress_is_over(const ol_progress_model *model); /* every layer has come to its end */
uint64_t ol_rate_of(const ol_rate *rate);                 /* bytes a second; 0: unknown */

/* --- progress_draw.c: frames for a terminal --- */
typedef struct ol_screen {
	unsigned columns, lines;
	bool colour, utf8;
} ol_screen;
/* One frame: lines that end in \n, none wider than the screen, no more than it has. last: the frame
 * that stays. */
void ol_progress_draw(const ol_progress_model *model, const ol_screen *screen, uint64_t now_ms,
	bool last, ol_str *out);
/* Rows that text takes on a terminal of that many columns, after it may have been resized. */
unsigned ol_progress_rows(ol_view text, unsigned columns);

/* --- progress_lines.c: lines for pipes and programs --- */
/* What an event is worth in a pipe: nothing, or lines. changed: as ol_progress_apply said. */
void ol_progress_plain(ol_progress_model *model, const ol_event *event, bool changed,
	uint64_t now_ms, ol_str *out);
void ol_progress_json(ol_progress_model *model, const ol_event *event, bool changed,
	uint64_t now_ms, ol_str *out);
