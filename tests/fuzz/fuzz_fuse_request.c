#include <assert.h>
#include <string.h>

#include "snapshot/lazy_fuse_priv.h"
#include "tests/fuzz/fuzz.h"

/* A name lies in the request, with its end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_fuse_request request;

	if (ol_fuse_request_parse(ol_view_from(data, size), &request, NULL) < 0)
		return 0;
	assert((request.opcode == FUSE_LOOKUP) == (request.name != NULL));
	if (request.name)
		assert(request.name + strlen(request.name) < (const char *)data + size);
	return 0;
}
