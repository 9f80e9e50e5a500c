#include <assert.h>

#include "cmd/env_file.h"
#include "tests/fuzz/fuzz.h"

/* What is taken is a name, and maybe a value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_env_list list = { .arena = arena };

	if (ol_env_file_parse(ol_view_from(data, size), &list, NULL) == OL_OK)
		for (size_t i = 0; i < list.count; i++)
			assert(list.entries[i][0] && list.entries[i][0] != '=' &&
				!strchr(list.entries[i], '\n'));
	return 0;
}
