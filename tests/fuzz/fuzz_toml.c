#include "base/limits.h"
#include "fetch/toml.h"
#include "tests/fuzz/fuzz.h"

static size_t walk(const ol_toml *value)
{
	size_t count = 1;

	for (const ol_toml *v = ol_toml_first(value); v; v = ol_toml_next(v)) {
		if (ol_toml_key(v) && ol_toml_get(value, ol_toml_key(v)) != v)
			__builtin_trap(); /* a key stands twice */
		count += walk(v);
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_toml *root = NULL;

	if (size > (size_t)1 << 16 || ol_toml_parse(ol_view_from(data, size), &root, NULL) < 0)
		return 0;
	if (walk(root) > (size_t)OL_TOML_VALUES_MAX + 1)
		__builtin_trap();
	ol_toml_free(root);
	return 0;
}
