#include <stdlib.h>

#include "manifest/soci.h"
#include "tests/fuzz/fuzz.h"

/* An index that parses finds the layers it lists. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_soci_index index;
	ol_digest digest;

	if (ol_soci_index_parse(ol_view_from(data, size), &index, NULL) < 0)
		return 0;
	if (index.version == 1 ? !ol_digest_is_set(&index.subject) : index.version != 2)
		abort();
	for (size_t i = 0; i < index.layer_count; i++)
		if (ol_soci_layer_of(&index, &index.layers[i].layer) != &index.layers[i])
			abort();
	(void)ol_soci_binding_of(index.document, &digest, NULL);
	ol_soci_index_done(&index);
	return 0;
}
