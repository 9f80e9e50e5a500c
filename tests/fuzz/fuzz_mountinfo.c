#include <assert.h>

#include "base/alloc.h"
#include "snapshot/mountinfo.h"
#include "tests/fuzz/fuzz.h"

/* Every line that is read lies in the text, and can be looked for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_autofree char *copy = ol_strndup((const char *)data, size);
	const ol_view text = ol_view_from(copy, size);
	ol_view rest = text;
	ol_mount_line line;

	while (ol_mountinfo_next(&rest, &line)) {
		assert(line.target.size > 0 && line.target.data >= copy);
		assert(line.source.data + line.source.size <= copy + size);
	}
	(void)ol_mountinfo_find(text, "/mnt", "orlop-a");
	return 0;
}
