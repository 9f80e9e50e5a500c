#include <stdlib.h>

#include "store/range_map_priv.h"
#include "tests/fuzz/fuzz.h"

/* What parses keeps its promises, and a map made of it says the same. */
static void hold_promises(const ol_range_map *map)
{
	uint64_t present = 0, last = 0;

	for (size_t i = 0; i < map->set.count; i++) {
		const ol_range *range = &map->set.ranges[i];

		if (range->start >= range->end || range->end > map->size ||
			(i && range->start <= last))
			abort();
		present += range->end - range->start;
		last = range->end;
	}
	if (present != map->set.present || ol_range_set_prefix(&map->set) > map->size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_range_map map = { 0 };

	if (ol_range_map_parse(ol_view_from(data, size), &map, NULL) == OL_OK)
		hold_promises(&map);
	ol_range_set_done(&map.set);
	return 0;
}
