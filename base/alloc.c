#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"

static void *must(void *p, size_t size)
{
	if (p)
		return p;
	/* A crash at any line is safe for the store; carrying on without memory is not. */
	(void)fprintf(stderr, "orlop: out of memory (%zu bytes)\n", size);
	abort();
}

static size_t product(size_t count, size_t size)
{
	size_t total;

	if (ckd_mul(&total, count, size))
		must(NULL, SIZE_MAX);
	return total;
}

void *ol_alloc(size_t size)
{
	return must(calloc(1, size ? size : 1), size);
}

void *ol_alloc_array(size_t count, size_t size)
{
	return ol_alloc(product(count, size));
}

void *ol_realloc_array(void *array, size_t count, size_t size)
{
	size_t total = product(count, size);

	return must(realloc(array, total ? total : 1), total);
}

char *ol_strdup(const char *text)
{
	return text ? ol_strndup(text, strlen(text)) : NULL;
}

char *ol_strndup(const char *text, size_t size)
{
	char *copy = ol_alloc(size + 1);

	if (size)
		memcpy(copy, text, size);
	return copy;
}

void *ol_memdup(const void *data, size_t size)
{
	return ol_strndup(data, size);
}

char *ol_text(const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	int size;

	va_start(ap, fmt);
	size = vasprintf(&text, fmt, ap);
	va_end(ap);
	return must(size < 0 ? NULL : text, 0);
}

/* Blocks in a list, the one in use first. A large object gets a block of its own. */
struct block {
	struct block *next;
	size_t used, size;
	_Alignas(max_align_t) unsigned char data[];
};

struct ol_arena {
	struct block *blocks; /* owned */
};

#define ARENA_BLOCK_BYTES ((size_t)16 << 10)

ol_arena *ol_arena_new(void)
{
	return ol_alloc(sizeof(ol_arena));
}

void ol_arena_free(ol_arena *arena)
{
	if (!arena)
		return;
	while (arena->blocks) {
		struct block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
	free(arena);
}

void *ol_arena_alloc(ol_arena *arena, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct block *block = arena->blocks;
	size_t need;

	if (ckd_add(&need, size, align - 1))
		must(NULL, size);
	need &= ~(align - 1);
	if (!block || block->size - block->used < need) {
		size_t room = need > ARENA_BLOCK_BYTES ? need : ARENA_BLOCK_BYTES;

		block = ol_alloc(sizeof *block + room);
		block->size = room;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	block->used += need;
	return block->data + block->used - need;
}

char *ol_arena_strndup(ol_arena *arena, const char *text, size_t size)
{
	char *copy = ol_arena_alloc(arena, size + 1);

	if (size)
		memcpy(copy, text, size);
	return copy;
}

char *ol_arena_strdup(ol_arena *arena, const char *text)
{
	return text ? ol_arena_strndup(arena, text, strlen(text)) : NULL;
}
