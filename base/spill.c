#include "base/spill.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/temp.h"

struct ol_spill {
	int fd; /* owned */
	uint64_t size, bytes_max;
	void *map; /* owned; NULL before it is mapped, and where there is nothing */
};

int ol_spill_open(int dir_fd, uint64_t bytes_max, ol_spill **out, ol_error *err)
{
	ol_spill *spill;
	int fd;
	int rc = ol_temp_open(dir_fd, &fd, err);

	if (rc < 0)
		return rc;
	spill = ol_alloc(sizeof *spill);
	*spill = (ol_spill){ .fd = fd, .bytes_max = bytes_max };
	*out = spill;
	return OL_OK;
}

int ol_spill_add(ol_spill *spill, const void *data, size_t size, ol_error *err)
{
	int rc;

	assert(!spill->map);
	if (size > spill->bytes_max - spill->size)
		return ol_fail(err, OL_ELIMIT, "more than %llu bytes",
			(unsigned long long)spill->bytes_max);
	rc = ol_pwrite_all(spill->fd, data, size, spill->size, err);
	if (rc == OL_OK)
		spill->size += size;
	return rc;
}

uint64_t ol_spill_size(const ol_spill *spill)
{
	return spill->size;
}

int ol_spill_map(ol_spill *spill, ol_view *out, ol_error *err)
{
	if (!spill->map && spill->size > 0) {
		void *map = mmap(NULL, spill->size, PROT_READ, MAP_SHARED, spill->fd, 0);

		if (map == MAP_FAILED)
			return ol_fail_sys(err, "map a temporary file");
		spill->map = map;
	}
	*out = ol_view_from(spill->map ? spill->map : "", (size_t)spill->size);
	return OL_OK;
}

void ol_spill_relax(ol_spill *spill)
{
	/* A file's pages come back when they are read. If the kernel refuses, they stay. */
	if (spill && spill->map)
		(void)madvise(spill->map, spill->size, MADV_DONTNEED);
}

void ol_spill_close(ol_spill *spill)
{
	if (!spill)
		return;
	if (spill->map)
		(void)munmap(spill->map, spill->size);
	(void)close(spill->fd);
	free(spill);
}
