/*
 * Which extents are there, and what follows for blocks. A block of 4096 bytes is there when all
 * extents that touch it are; what no extent touches is zeros, and there from the beginning:
 *
 *	extents   │ a │ b  │      │ c │
 *	blocks    ├────────┼────────┼────────┤
 *	            a, b     c        there
 */
#include "base/alloc.h"
#include "snapshot/lazy_fill_priv.h"

static uint64_t end_of(const ol_lazy_extent *extent)
{
	return extent->offset + extent->size;
}

/* Extents by piece: counted, then placed. */
static void sort_by_piece(ol_filler *filler)
{
	const ol_lazy_table *table = filler->table;
	ol_autofree uint32_t *next = ol_alloc_array(table->piece_count + 1, sizeof *next);

	filler->first = ol_alloc_array(table->piece_count + 1, sizeof *filler->first);
	filler->of_piece = ol_alloc_array(table->extent_count + 1, sizeof *filler->of_piece);
	for (size_t i = 0; i < table->extent_count; i++)
		filler->first[table->extents[i].piece + 1]++;
	for (size_t i = 0; i < table->piece_count; i++) {
		filler->first[i + 1] += filler->first[i];
		next[i] = filler->first[i];
	}
	for (size_t i = 0; i < table->extent_count; i++)
		filler->of_piece[next[table->extents[i].piece]++] = (uint32_t)i;
}

void ol_fill_map_init(ol_filler *filler)
{
	const ol_lazy_table *table = filler->table;
	ol_lazy_state *state = filler->options.state;
	uint64_t at = 0;

	filler->is = ol_alloc(table->piece_count + 1);
	filler->there = ol_alloc(table->extent_count + 1);
	sort_by_piece(filler);
	if (filler->options.payload_fd < 0)
		return;
	for (size_t i = 0; i < table->extent_count; i++) {
		ol_lazy_state_add(state, at, table->extents[i].offset);
		at = end_of(&table->extents[i]);
	}
	if (at < table->about.payload_bytes)
		ol_lazy_state_add(state, at, table->about.payload_bytes);
}

void ol_fill_map_done(ol_filler *filler)
{
	free(filler->is);
	free(filler->there);
	free(filler->first);
	free(filler->of_piece);
}

bool ol_fill_map_has(ol_filler *filler, size_t extent)
{
	const ol_lazy_extent *e = &filler->table->extents[extent];

	/* Of an earlier worker, or of who brought the whole payload. */
	if (!filler->there[extent] &&
		ol_lazy_state_has(filler->options.state, e->offset, end_of(e)))
		filler->there[extent] = 1;
	return filler->there[extent] != 0;
}

/* Where the blocks begin that are whole with this extent: at its first block's, if all before it in
 * that block are there. */
static uint64_t whole_from(ol_filler *filler, size_t extent)
{
	const ol_lazy_extent *extents = filler->table->extents;
	const uint64_t offset = extents[extent].offset, low = offset - offset % OL_LAZY_BLOCK;

	while (extent > 0 && end_of(&extents[extent - 1]) > low) {
		if (!ol_fill_map_has(filler, extent - 1))
			return offset;
		extent--;
	}
	return low;
}

static uint64_t whole_to(ol_filler *filler, size_t extent)
{
	const ol_lazy_table *table = filler->table;
	const uint64_t end = end_of(&table->extents[extent]);
	uint64_t high = (end + OL_LAZY_BLOCK - 1) / OL_LAZY_BLOCK * OL_LAZY_BLOCK;

	if (high > table->about.payload_bytes)
		high = table->about.payload_bytes;
	while (extent + 1 < table->extent_count && table->extents[extent + 1].offset < high) {
		if (!ol_fill_map_has(filler, extent + 1))
			return end;
		extent++;
	}
	return high;
}

void ol_fill_map_add(ol_filler *filler, uint32_t piece)
{
	const uint32_t first = filler->first[piece], last = filler->first[piece + 1];

	for (uint32_t i = first; i < last; i++)
		filler->there[filler->of_piece[i]] = 1;
	for (uint32_t i = first; i < last; i++) {
		const size_t extent = filler->of_piece[i];

		ol_lazy_state_add(filler->options.state, whole_from(filler, extent),
			whole_to(filler, extent));
	}
}
