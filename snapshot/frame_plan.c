#include <assert.h>

#include "base/alloc.h"
#include "snapshot/frame_pool.h"

static void add_part(ol_frame_plan *plan, const ol_frame_part *part)
{
	ol_frame_part *last = plan->part_count ? &plan->parts[plan->part_count - 1] : NULL;

	if (part->size == 0)
		return;
	plan->frame_bytes += part->size;
	/* What follows on in the file is the same slice. */
	if (plan->frame_bytes > part->size && last && !part->bytes && !last->bytes &&
		last->offset + last->size == part->offset) {
		last->size += part->size;
		return;
	}
	OL_GROW(plan->parts, plan->part_count, plan->part_cap);
	assert(plan->parts); /* grown */
	plan->parts[plan->part_count++] = *part;
}

void ol_frame_plan_add_whole(ol_frame_plan *plan, uint64_t offset, uint64_t size)
{
	add_part(plan, &(ol_frame_part){ NULL, offset, size });
}

void ol_frame_plan_add(ol_frame_plan *plan, uint64_t offset, uint64_t size)
{
	while (size > 0) {
		uint64_t room = plan->frame_bytes < OL_FRAME_BYTES_MAX
					? OL_FRAME_BYTES_MAX - plan->frame_bytes
					: 0;
		const uint64_t part = size < room ? size : room;

		ol_frame_plan_add_whole(plan, offset, part);
		offset += part;
		size -= part;
		if (size > 0)
			(void)ol_frame_plan_cut(plan);
	}
}

void ol_frame_plan_add_bytes(ol_frame_plan *plan, const void *bytes, size_t size)
{
	add_part(plan, &(ol_frame_part){ bytes, 0, size });
}

size_t ol_frame_plan_cut(ol_frame_plan *plan)
{
	if (plan->frame_bytes > 0) {
		OL_GROW(plan->ends, plan->count, plan->cap);
		plan->ends[plan->count++] = plan->part_count;
		plan->frame_bytes = 0;
	}
	return plan->count;
}

void ol_frame_plan_done(ol_frame_plan *plan)
{
	free(plan->parts);
	free(plan->ends);
	*plan = (ol_frame_plan){ 0 };
}
