#pragma once

/* The nearest of several names to one that was mistyped: fewest letters changed, added, dropped or
 * swapped. */
#include <stddef.h>

typedef struct ol_suggestion {
	const char *typed;
	size_t size;
	const char *best; /* lent; the first of the nearest */
	size_t distance;
} ol_suggestion;

ol_suggestion ol_suggestion_for(const char *typed, size_t size);
void ol_suggestion_try(ol_suggestion *suggestion, const char *name);
/* NULL when nothing is near enough to be meant. */
const char *ol_suggestion_text(const ol_suggestion *suggestion);
