#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Text or bytes that belong to someone else: a pointer and a length, owning nothing. */
typedef struct ol_view {
	const char *data;
	size_t size;
} ol_view;

static inline ol_view ol_view_of(const char *text)
{
	return (ol_view){ text, strlen(text) };
}

static inline ol_view ol_view_from(const void *data, size_t size)
{
	return (ol_view){ data, size };
}

static inline bool ol_view_is(ol_view v, const char *text)
{
	size_t size = strlen(text);

	return v.size == size && (size == 0 || memcmp(v.data, text, size) == 0);
}

static inline bool ol_view_starts(ol_view v, const char *text)
{
	size_t size = strlen(text);

	return v.size >= size && memcmp(v.data, text, size) == 0;
}

static inline bool ol_view_ends(ol_view v, const char *text)
{
	size_t size = strlen(text);

	return v.size >= size && memcmp(v.data + v.size - size, text, size) == 0;
}
