#pragma once

/*
 * Progress: the listener that draws what library folders tell. On a terminal one bar a layer,
 * redrawn at most ten times a second; in a pipe a line for each change of state and one every few
 * seconds; or JSON lines (docs/progress.md). Nothing is shown of work that is done within half a
 * second, except layers.
 *
 * Events may come from any thread and never wait for the terminal: they change a model
 * (progress_model.h), a thread of its own draws it. That thread lives only while something is going
 * on: when the last layer is done it has drawn and ended before the event returns, so that a
 * container that starts next has the terminal for itself.
 */
#include "base/event.h"
#include "cmd/console.h"
#include "manifest/json.h"

typedef enum ol_progress_mode {
	OL_PROGRESS_AUTO, /* bars on a terminal, lines elsewhere */
	OL_PROGRESS_PLAIN,
	OL_PROGRESS_JSON,
	OL_PROGRESS_NONE, /* warnings only */
} ol_progress_mode;

/* What is done to the layers that are told of. */
typedef enum ol_progress_verb {
	OL_PROGRESS_PULLS,
	OL_PROGRESS_PUSHES,
	OL_PROGRESS_COPIES,
} ol_progress_verb;

typedef struct ol_progress ol_progress;

/* stream: where it goes, lent: stderr, or stdout for JSON lines that are the result. */
ol_progress *ol_progress_new(ol_console *console, ol_progress_mode mode, FILE *stream);
void ol_progress_free(ol_progress *progress); /* finishes it */
OL_DEFINE_AUTO(ol_progress, ol_progress_free)
ol_listener ol_progress_listener(ol_progress *progress);
void ol_progress_set_verb(
	ol_progress *progress, ol_progress_verb verb); /* before the first event */
/* Draws the last state and gives the terminal back; a later event starts it anew. */
void ol_progress_finish(ol_progress *progress);
bool ol_progress_is_json(const ol_progress *progress);
/* In JSON mode: one more line, of which event says what it is. Takes ownership of line. */
void ol_progress_line(ol_progress *progress, const char *event, ol_json *line);
/* "auto", "plain", "json", "none"; the option's table has checked it. NULL is auto. */
ol_progress_mode ol_progress_mode_of(const char *text);
