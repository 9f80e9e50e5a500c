#include <string.h>

#include "image/lazy_ahead_priv.h"

/* A program that starts reads, computes, and reads again. */
#define AWAKE_MS 400
/* A slice is small, so that a reader who comes meanwhile waits little behind it; so many bytes
 * under way keep a link of 12 MB/s and 50 ms full, and are not there before a slower one asks for
 * more. */
#define SLICE_BYTES  ((uint64_t)256 << 10)
#define FLYING_BYTES ((uint64_t)512 << 10)
/* Around a small file its neighbours, of which most follow it. */
#define AFTER_BYTES  ((uint64_t)1 << 20)
#define BEFORE_BYTES ((uint64_t)256 << 10)
/* In a file that does not end. */
#define FILE_BYTES_MAX ((uint64_t)64 << 20)
/* What nobody reads after all, and nobody wants otherwise, is bounded by what somebody read. */
#define SPENT_BYTES_MIN ((uint64_t)16 << 20)
#define SPENT_PART      4

static uint64_t end_of(const ol_lazy_extent *extent)
{
	return extent->offset + extent->size;
}

/* Of the blob: what holds extents first..last, and whole files around it as far as they go. Extents
 * of a file stand side by side in the payload. */
static void find_around(
	const ol_lazy_table *table, size_t first, size_t last, ol_range *read, ol_range *around)
{
	const ol_lazy_extent *extents = table->extents;
	const ol_lazy_piece *pieces = table->pieces;

	read->start = pieces[extents[first].piece].begin;
	read->end = pieces[extents[last].piece].end;
	while (first > 0 && end_of(&extents[first - 1]) == extents[first].offset &&
		read->start - pieces[extents[first - 1].piece].begin < FILE_BYTES_MAX)
		first--;
	while (last + 1 < table->extent_count &&
		end_of(&extents[last]) == extents[last + 1].offset &&
		pieces[extents[last + 1].piece].end - read->end < FILE_BYTES_MAX)
		last++;
	around->start = pieces[extents[first].piece].begin;
	around->end = pieces[extents[last].piece].end;
	if (read->start - around->start < BEFORE_BYTES)
		around->start = read->start > BEFORE_BYTES ? read->start - BEFORE_BYTES : 0;
	if (around->end - read->end < AFTER_BYTES)
		around->end = read->end + AFTER_BYTES;
	if (around->end > table->about.blob_size)
		around->end = table->about.blob_size;
}

/* The place of a note about the same file, else of the oldest. */
static size_t place_of(const ol_ahead *ahead, const void *of, const ol_range *around)
{
	size_t i;

	for (i = 0; i + 1 < OL_AHEAD_NOTES; i++) {
		const ol_ahead_note *note = &ahead->notes[i];

		if (!note->of || (note->of == of && note->around.start == around->start &&
					 note->around.end == around->end))
			break;
	}
	return i;
}

void ol_ahead_add(ol_ahead *ahead, void *of, const ol_lazy_table *table, uint64_t start,
	uint64_t end, uint64_t now_ms)
{
	const size_t first = ol_lazy_table_find(table, start);
	size_t last = first;
	ol_range read, around;

	if (first == table->extent_count || table->extents[first].offset >= end)
		return;
	while (last + 1 < table->extent_count && table->extents[last + 1].offset < end)
		last++;
	find_around(table, first, last, &read, &around);
	if (read.end < read.start) /* a table may put files in any order */
		return;
	memmove(&ahead->notes[1], &ahead->notes[0],
		place_of(ahead, of, &around) * sizeof ahead->notes[0]);
	ahead->notes[0] = (ol_ahead_note){ .of = of,
		.around = around,
		.forward = { read.end, around.end },
		.backward = { around.start, read.start } };
	ahead->noted_at = now_ms;
	ahead->missed += read.end - read.start;
}

bool ol_ahead_is_awake(const ol_ahead *ahead, uint64_t now_ms)
{
	return ahead->noted_at && now_ms - ahead->noted_at < AWAKE_MS;
}

bool ol_ahead_may(const ol_ahead *ahead, uint64_t flying, uint64_t now_ms)
{
	const uint64_t most = ahead->missed > SPENT_BYTES_MIN / SPENT_PART
				      ? ahead->missed * SPENT_PART
				      : SPENT_BYTES_MIN;

	return ol_ahead_is_awake(ahead, now_ms) && flying < FLYING_BYTES && ahead->spent < most;
}

bool ol_ahead_next(ol_ahead_note *note, uint64_t most, ol_range *out)
{
	ol_range *forward = &note->forward, *backward = &note->backward;
	const bool has_forward = forward->start < forward->end,
		   has_backward = backward->start < backward->end;

	if (note->given >= most || (!has_forward && !has_backward))
		return false;
	if (has_forward && (!has_backward || note->given_backward * 4 >= note->given)) {
		*out = *forward;
		if (out->end - out->start > SLICE_BYTES)
			out->end = out->start + SLICE_BYTES;
		forward->start = out->end;
	} else {
		*out = *backward;
		if (out->end - out->start > SLICE_BYTES)
			out->start = out->end - SLICE_BYTES;
		backward->end = out->start;
		note->given_backward += out->end - out->start;
	}
	note->given += out->end - out->start;
	return true;
}
