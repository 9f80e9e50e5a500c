#pragma once

/*
 * Small allocations cannot fail: they abort with a message. A size that came from outside passes a
 * bound of base/limits.h first. All memory is returned zeroed and is given back with free().
 */
#include <stdarg.h>
#include <stddef.h>

#include "base/error.h"
#include "base/own.h"

void *ol_alloc(size_t size);
void *ol_alloc_array(size_t count, size_t size);
/* Grows or makes an array; what lies past the old end is not zeroed. */
void *ol_realloc_array(void *array, size_t count, size_t size);
char *ol_strdup(const char *text); /* NULL gives NULL */
char *ol_strndup(const char *text, size_t size);
void *ol_memdup(const void *data, size_t size);
char *ol_text(const char *fmt, ...) OL_PRINTF(1, 2); /* printf into new memory */

/* Many small objects that die together. Not for threads to share. */
typedef struct ol_arena ol_arena;

ol_arena *ol_arena_new(void);
void ol_arena_free(ol_arena *arena);
OL_DEFINE_AUTO(ol_arena, ol_arena_free)
void *ol_arena_alloc(ol_arena *arena, size_t size); /* zeroed, aligned for any type */
char *ol_arena_strdup(ol_arena *arena, const char *text);
char *ol_arena_strndup(ol_arena *arena, const char *text, size_t size);

/* Makes room for one more in a growing array: doubles *cap when count has reached it. Use it as
 * OL_GROW(list, count, cap) before list[count++] = …. */
#define OL_GROW(list, count, cap)                                                                  \
	do {                                                                                       \
		if ((count) == (cap)) {                                                            \
			(cap) = (cap) ? (cap)*2 : 8;                                               \
			(list) = ol_realloc_array((list), (cap), sizeof *(list));                  \
		}                                                                                  \
	} while (0)
