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

/* The same bytes as ranges under right checksums, which a fuzzer does not find by itself. */
static void parse_sealed(const uint8_t *data, size_t size)
{
	unsigned char map[OL_RANGE_MAP_HEADER_BYTES + 64 * OL_RANGE_MAP_RECORD_BYTES];
	size_t used = OL_RANGE_MAP_HEADER_BYTES;
	ol_range_map out = { 0 };

	ol_range_map_header(0x10000, "boot", map);
	for (size_t at = 0; size - at >= 4 && used < sizeof map;
		at += 4, used += OL_RANGE_MAP_RECORD_BYTES) {
		const ol_range range = { data[at] | (uint64_t)data[at + 1] << 8,
			data[at + 2] | (uint64_t)data[at + 3] << 8 };

		ol_range_map_record(&range, used, map + used);
	}
	if (ol_range_map_parse(ol_view_from(map, used), &out, NULL) == OL_OK)
		hold_promises(&out);
	ol_range_set_done(&out.set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_range_map map = { 0 };

	if (ol_range_map_parse(ol_view_from(data, size), &map, NULL) == OL_OK)
		hold_promises(&map);
	ol_range_set_done(&map.set);
	parse_sealed(data, size);
	return 0;
}
