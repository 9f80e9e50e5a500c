#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "snapshot/lazy_wire_priv.h"
#include "tests/fuzz/fuzz.h"

static void check_wire(const ol_wire *wire, size_t fd_count)
{
	assert(wire->kind > 0 && wire->kind < OL_WIRE_KINDS);
	assert(fd_count <= OL_WIRE_FDS_MAX);
	assert(strlen(wire->text) < OL_WIRE_TEXT_MAX);
	if (wire->kind == OL_WIRE_ASK)
		assert(wire->start < wire->end && wire->end <= OL_LAYER_TAR_BYTES_MAX);
}

/* The first byte is how many descriptors came. What is taken is within its bounds, and is taken
 * again when it is sent on. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_wire wire, again;

	if (!size || ol_wire_parse(ol_view_from(data + 1, size - 1), data[0], &wire, NULL) < 0)
		return 0;
	check_wire(&wire, data[0]);
	assert(ol_wire_parse(ol_view_from(&wire, sizeof wire), data[0], &again, NULL) == OL_OK);
	return 0;
}
