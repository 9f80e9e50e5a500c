#include <stdlib.h>

#include "base/limits.h"
#include "manifest/tar_split.h"
#include "tests/fuzz/fuzz.h"

/* What comes out keeps its promises. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto(ol_tar_split_free) ol_tar_split *split = ol_tar_split_new(ol_view_from(data, size));
	ol_tar_split_item item;
	bool more;

	while (ol_tar_split_next(split, &item, &more, NULL) == OL_OK && more) {
		if (item.is_file ? item.segment.size > 0 || item.size > OL_LAYER_TAR_BYTES_MAX ||
					   strlen(item.name.data) != item.name.size
				 : item.segment.size == 0 ||
					   item.segment.size > OL_TAR_SPLIT_SEGMENT_MAX)
			abort();
	}
	return 0;
}
