#include "base/temp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/own.h"

#define TRIES_MAX 16

/* Where the file system has no O_TMPFILE: a name nobody else has, gone at once. */
static int open_and_unlink(int dir_fd, int *out, ol_error *err)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		char name[32];
		uint64_t random = 0;
		int fd;

		if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
			return ol_fail_sys(err, "getrandom");
		(void)snprintf(name, sizeof name, ".tmp-%016llx", (unsigned long long)random);
		fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return ol_fail_sys(err, "temporary file");
		if (unlinkat(dir_fd, name, 0) < 0) {
			int rc = ol_fail_sys(err, "temporary file");

			(void)close(fd);
			return rc;
		}
		*out = fd;
		return OL_OK;
	}
	return ol_fail(err, OL_ESYSTEM, "no free name for a temporary file");
}

int ol_temp_open(int dir_fd, int *out, ol_error *err)
{
	int fd = openat(dir_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd >= 0) {
		*out = fd;
		return OL_OK;
	}
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
		return ol_fail_sys(err, "temporary file");
	return open_and_unlink(dir_fd, out, err);
}
