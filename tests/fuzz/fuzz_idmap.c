#include <assert.h>

#include "base/alloc.h"
#include "base/idmap.h"
#include "tests/fuzz/fuzz.h"

static void check_ranges(const ol_id_map *map)
{
	for (size_t i = 0; i < map->count; i++) {
		const ol_id_range *e = &map->ranges[i];
		uint32_t first = 0, last = 0;

		assert(ol_id_map_outside(map, e->inside, &first));
		assert(ol_id_map_outside(map, e->inside + (e->count - 1), &last));
		assert(first == e->outside && last - first == e->count - 1);
	}
}

/* What is taken means the same once written out, and no id has two places. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_autofree char *text = ol_strndup((const char *)data, size);
	ol_auto_str ol_str once = OL_STR(8192), twice = OL_STR(8192);
	ol_idmap map, again;
	ol_error err;

	if (ol_idmap_parse(text, &map, &err) < 0)
		return 0;
	ol_idmap_format(&map, &once);
	assert(ol_idmap_parse(ol_str_text(&once), &again, &err) == OL_OK);
	ol_idmap_format(&again, &twice);
	assert(strcmp(ol_str_text(&once), ol_str_text(&twice)) == 0);
	check_ranges(&map.uids);
	return 0;
}
