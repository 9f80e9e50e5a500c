#include <assert.h>

#include "cmd/limit_option.h"
#include "cmd/mount_option.h"
#include "cmd/size.h"
#include "tests/fuzz/fuzz.h"

/* The values of run's options: what is taken has an absolute target. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const parsers[])(
		const char *text, ol_arena *arena, ol_mount_option *out, ol_error *err) = {
		ol_volume_parse,
		ol_mount_parse,
		ol_tmpfs_parse,
	};
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_autofree char *text = ol_strndup((const char *)data, size);
	ol_error err;
	ol_ulimit limit;
	uint64_t number;
	int64_t integer;

	for (size_t i = 0; i < sizeof parsers / sizeof parsers[0]; i++) {
		ol_mount_option option = { 0 };

		if (parsers[i](text, arena, &option, &err) == OL_OK)
			assert(option.target[0] == '/' && option.type && option.options);
	}
	(void)ol_ulimit_parse(text, arena, &limit, &err);
	(void)ol_cpus_parse(text, &number, &err);
	(void)ol_size_parse(text, &number, &err);
	(void)ol_integer_parse("--x", text, -1, 100, &integer, &err);
	return 0;
}
