#include <assert.h>

#include "base/alloc.h"
#include "base/userns.h"
#include "tests/fuzz/fuzz.h"

static void check_ranges(const ol_id_map *map)
{
	uint32_t outside;

	for (size_t i = 0; i < map->count; i++) {
		const ol_id_range *r = &map->ranges[i];

		assert(ol_id_map_outside(map, r->inside + r->count - 1, &outside));
		assert(outside == r->outside + r->count - 1);
	}
}

static void check_again(ol_userns *ns, ol_userns *again)
{
	ol_auto_str ol_str text = OL_STR((size_t)64 << 10);

	ol_userns_format(ns, &text);
	assert(ol_userns_parse(ol_buf_view(&text), again, NULL) == OL_OK);
	assert(again->uids.count == ns->uids.count && again->gids.count == ns->gids.count);
	ol_id_map_inside(&ns->uids, &again->uids);
	(void)ol_id_map_last(&again->uids);
}

/* Maps of ids, and files of ranges: what is taken keeps its bounds and is read again as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_autofree ol_userns *ns = ol_alloc(sizeof *ns), *again = ol_alloc(sizeof *again);
	ol_view view = ol_view_from(data, size);

	if (ol_subid_parse(view, "ann", 1000, &ns->uids, NULL) == OL_OK)
		check_ranges(&ns->uids);
	if (ol_id_map_parse(view, &ns->gids, NULL) == OL_OK)
		assert(ol_id_map_covers(&ns->gids, &ns->gids) || ns->gids.count > 1);
	ns->uids.count = ns->gids.count = 0;
	if (ol_userns_parse(view, ns, NULL) == OL_OK)
		check_again(ns, again);
	return 0;
}
