/*
 * Zeros are held back until it is known whether they are a hole; all else is hashed in runs as long
 * as they come, for a call to the hash costs more than a few bytes do.
 *
 *	… data │ zeros │ data │ zeros … ─▶ 1 KiB or more: ends the chunk, and is one of its own
 *	                               └─▶ less: data
 */
#include <assert.h>
#include <isa-l/crc64.h>
#include <string.h>

#include "snapshot/chunker_priv.h"

#define HOLE_BYTES  1024
#define WINDOW      64
#define CHAR_OFFSET 31
#define SPLIT_MASK  0xffffU

static const unsigned char zeros[4096];

struct ol_chunker {
	uint64_t chunk_bytes;
	ol_scan *scan;      /* lent */
	ol_hasher *hasher;  /* owned: of the chunk */
	ol_hasher *whole;   /* owned: of the file, from its second chunk on; else NULL */
	uint64_t at, first; /* bytes of the file; of them, before the chunk */
	uint64_t pending;   /* zeros held back, not counted yet */
	size_t chunks;      /* of the file */
	uint64_t crc64;
	/* the rolling sum */
	uint32_t sum, sums;
	unsigned char window[WINDOW];
	unsigned place;
};

ol_chunker *ol_chunker_new(uint64_t chunk_bytes)
{
	ol_chunker *self = ol_alloc(sizeof *self);

	self->chunk_bytes = chunk_bytes;
	self->hasher = ol_hasher_new(OL_SHA256);
	return self;
}

void ol_chunker_free(ol_chunker *self)
{
	if (!self)
		return;
	ol_hasher_free(self->hasher);
	ol_hasher_free(self->whole);
	free(self);
}

void ol_chunker_begin(ol_chunker *self, ol_scan *scan)
{
	self->scan = scan;
	self->at = self->first = self->pending = self->crc64 = 0;
	self->chunks = 0;
	self->sum = WINDOW * CHAR_OFFSET;
	self->sums = WINDOW * (WINDOW - 1) * CHAR_OFFSET;
	self->place = 0;
	memset(self->window, 0, sizeof self->window);
}

/* Whether a chunk ends behind this byte. */
static bool roll(ol_chunker *self, unsigned char byte)
{
	const unsigned char drop = self->window[self->place];

	self->sum += (uint32_t)byte - drop;
	self->sums += self->sum - WINDOW * ((uint32_t)drop + CHAR_OFFSET);
	self->window[self->place] = byte;
	self->place = (self->place + 1) % WINDOW;
	return (self->sums & SPLIT_MASK) == SPLIT_MASK;
}

static void add(ol_chunker *self, const unsigned char *data, size_t size)
{
	if (size == 0)
		return;
	ol_hasher_update(self->hasher, data, size);
	if (self->whole)
		ol_hasher_update(self->whole, data, size);
	if (!self->chunk_bytes)
		self->crc64 = crc64_iso_refl(self->crc64, data, size);
	self->at += size;
}

static void cut(ol_chunker *self, bool hole)
{
	ol_scan *scan = self->scan;
	ol_digest digest;

	if (self->at == self->first)
		return;
	if (!self->whole)
		self->whole = ol_hasher_copy(self->hasher);
	digest = ol_hasher_final(self->hasher);
	OL_GROW(scan->chunks, scan->chunk_count, scan->chunk_cap);
	scan->chunks[scan->chunk_count] = (ol_scan_chunk){
		.offset = self->first, .size = self->at - self->first, .zeros = hole
	};
	memcpy(scan->chunks[scan->chunk_count++].sha256, digest.bytes, 32);
	self->first = self->at;
	self->chunks++;
}

/* Rolls over bytes whose first `added` were added; gives how many are now. */
static size_t roll_run(
	ol_chunker *self, const unsigned char *data, size_t from, size_t to, size_t added)
{
	for (size_t i = from; i < to; i++) {
		const bool full =
			self->at + (i + 1 - added) - self->first >= OL_SCAN_CHUNK_BYTES_MAX;

		if (roll(self, data[i]) || full) {
			add(self, data + added, i + 1 - added);
			cut(self, false);
			added = i + 1;
		}
	}
	return added;
}

/* The zeros held back are all there are. */
static void settle(ol_chunker *self)
{
	uint64_t left = self->pending;

	if (left >= HOLE_BYTES)
		cut(self, false);
	for (size_t part; left > 0; left -= part) {
		part = left < sizeof zeros ? (size_t)left : sizeof zeros;
		if (self->pending < HOLE_BYTES) {
			const size_t added = roll_run(self, zeros, 0, part, 0);

			add(self, zeros + added, part - added);
		} else {
			add(self, zeros, part);
		}
	}
	if (self->pending >= HOLE_BYTES) {
		/* Behind a window of zeros more of them change nothing. */
		for (unsigned i = 0; i < 2 * WINDOW; i++)
			(void)roll(self, 0);
		cut(self, true);
	}
	self->pending = 0;
}

static size_t zeros_from(const unsigned char *data, size_t at, size_t size)
{
	const size_t start = at;

	while (at + 8 <= size && memcmp(data + at, zeros, 8) == 0)
		at += 8;
	while (at < size && data[at] == 0)
		at++;
	return at - start;
}

static void by_content(ol_chunker *self, const unsigned char *data, size_t size)
{
	size_t at = 0, added = 0;

	if (self->pending) {
		at = added = zeros_from(data, 0, size);
		self->pending += at;
		if (at == size)
			return;
		settle(self);
	}
	while (at < size) {
		const unsigned char *zero = memchr(data + at, 0, size - at);
		const size_t next = zero ? (size_t)(zero - data) : size;
		size_t run;

		added = roll_run(self, data, at, next, added);
		at = next;
		run = zeros_from(data, at, size);
		if (run < HOLE_BYTES && at + run < size) {
			added = roll_run(self, data, at, at + run, added);
		} else if (run > 0) {
			add(self, data + added, at - added);
			self->pending = run;
			added = at + run;
			if (added < size)
				settle(self);
		}
		at += run;
	}
	add(self, data + added, size - added);
}

static void by_size(ol_chunker *self, const unsigned char *data, size_t size)
{
	while (size > 0) {
		const uint64_t room = self->chunk_bytes - (self->at - self->first);
		const size_t part = size < room ? size : (size_t)room;

		add(self, data, part);
		data += part;
		size -= part;
		if (self->at - self->first == self->chunk_bytes)
			cut(self, false);
	}
}

void ol_chunker_add(ol_chunker *self, const void *data, size_t size)
{
	if (self->chunk_bytes)
		by_size(self, data, size);
	else
		by_content(self, data, size);
}

uint64_t ol_chunker_end(ol_chunker *self, ol_digest *digest, uint64_t *crc64)
{
	settle(self);
	cut(self, false);
	if (self->whole)
		*digest = ol_hasher_final(self->whole);
	else
		*digest = ol_digest_of(OL_SHA256, "", 0);
	ol_hasher_free(self->whole);
	self->whole = NULL;
	*crc64 = self->crc64;
	return self->at;
}
