#include <string.h>

#include "fetch/hosts_toml.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_endpoints endpoints = { .arena = ol_arena_new() };

	if (size <= (size_t)1 << 16 &&
		ol_hosts_toml_parse(ol_view_from(data, size), "/d", "reg.example:5000",
			endpoints.arena, &endpoints, NULL) == OL_OK) {
		if (endpoints.count == 0 || !endpoints.list[endpoints.count - 1].is_primary)
			__builtin_trap();
		/* What goes into requests has no line ends. */
		for (size_t i = 0; i < endpoints.count; i++) {
			const ol_endpoint *e = &endpoints.list[i];

			if (strpbrk(e->host, "\r\n /@") || strpbrk(e->root, "\r\n ?#"))
				__builtin_trap();
			for (const char *const *h = e->headers; h && *h; h++)
				if (strpbrk(*h, "\r\n"))
					__builtin_trap();
		}
	}
	ol_endpoints_done(&endpoints);
	return 0;
}
