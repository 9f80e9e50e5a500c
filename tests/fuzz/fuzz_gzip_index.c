/* Any bytes through the indexer: what ISA-L takes for a gzip stream it takes too, and its spans
 * follow each other. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/temp.h"
#include "snapshot/gzip_index.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char room[4096];
	ol_decode_step step = { .in = data, .in_size = size };
	ol_gzip_index *index;
	ol_gzip_spans spans;
	bool more = true;
	int fd, rc = ol_temp_open(AT_FDCWD, &fd, NULL);
	uint64_t made = 0;

	if (rc < 0)
		return 0;
	index = ol_gzip_index_new(1000, fd);
	while (rc == OL_OK && more && made < (1 << 24)) {
		step.out = room;
		step.out_size = sizeof room;
		rc = ol_gzip_index_run(index, &step, NULL);
		made += step.made;
		more = step.in_size > 0 || step.out_size == 0;
	}
	if (rc == OL_OK && !more && ol_gzip_index_finish(index, &spans, NULL) == OL_OK) {
		if (!(spans.tar_bytes == made && spans.blob_bytes == size))
			abort();
		if (!((spans.count == 0) == (spans.refusal != NULL)))
			abort();
	}
	ol_gzip_index_free(index);
	(void)close(fd);
	return 0;
}
