#include "cmd/suggest.h"

#include <stdbool.h>
#include <stdint.h>

/* Longer names are not looked at: no option or command has them. */
#define NAME_MAX_SIZE 32

static size_t least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment: edits between a and b, a swap of neighbours being one. */
static size_t distance_of(const char *a, size_t a_size, const char *b, size_t b_size)
{
	size_t d[NAME_MAX_SIZE + 1][NAME_MAX_SIZE + 1];

	for (size_t i = 0; i <= a_size; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= b_size; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= a_size; i++)
		for (size_t j = 1; j <= b_size; j++) {
			bool same = a[i - 1] == b[j - 1];

			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + !same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	return d[a_size][b_size];
}

ol_suggestion ol_suggestion_for(const char *typed, size_t size)
{
	return (ol_suggestion){ .typed = typed, .size = size, .distance = SIZE_MAX };
}

void ol_suggestion_try(ol_suggestion *s, const char *name)
{
	size_t size = strlen(name), distance;

	if (s->size > NAME_MAX_SIZE || size > NAME_MAX_SIZE)
		return;
	/* The start of a name means it, however much is missing. */
	if (s->size >= 3 && size > s->size && memcmp(name, s->typed, s->size) == 0)
		distance = 1;
	else
		distance = distance_of(s->typed, s->size, name, size);
	if (distance < s->distance) {
		s->distance = distance;
		s->best = name;
	}
}

const char *ol_suggestion_text(const ol_suggestion *s)
{
	/* Two mistakes in a short word make any other. */
	size_t allowed = s->size < 2 ? 0 : s->size < 5 ? 1 : 2;

	return s->best && s->distance <= allowed ? s->best : NULL;
}
