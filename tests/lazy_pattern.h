#pragma once

/* Payloads of tests: every byte follows from where it is, and none is zero. */
#include <stddef.h>
#include <stdint.h>

static inline void pattern_fill(unsigned char *bytes, uint64_t offset, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		uint64_t at = offset + i;

		bytes[i] = (unsigned char)(1 + (at ^ (at >> 8) * 7 ^ (at >> 16) * 13) % 255);
	}
}

/* The first byte that is not the pattern's; size if all are. */
static inline size_t pattern_differs(const unsigned char *bytes, uint64_t offset, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char want;

		pattern_fill(&want, offset + i, 1);
		if (bytes[i] != want)
			return i;
	}
	return size;
}
