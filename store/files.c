/* Small helpers for files of the store: scratch names, hashing, fsync. */
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/alloc.h"
#include "store/store_priv.h"

#define HASH_CHUNK_BYTES ((size_t)1 << 20)

/* Random, not counted: a name left by a killed process must never meet a later process of the same
 * pid. */
ol_scratch_name ol_scratch(const char *prefix)
{
	ol_scratch_name name;
	uint64_t random = 0;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		random = (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)&name;
	(void)snprintf(
		name.text, sizeof name.text, "%s%016llx", prefix, (unsigned long long)random);
	return name;
}

int ol_hash_fd(
	int fd, ol_algorithm algorithm, const ol_hash_watch *watch, ol_digest *out, ol_error *err)
{
	ol_autofree unsigned char *chunk = ol_alloc(HASH_CHUNK_BYTES);
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(algorithm);
	uint64_t offset = 0;

	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	for (;;) {
		const ssize_t n = pread(fd, chunk, HASH_CHUNK_BYTES, (off_t)offset);
		const int rc = watch && n >= 0 ? ol_cancel_check(watch->cancel, err) : OL_OK;

		if (rc < 0)
			return rc;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ol_fail_sys(err, "read at byte %llu", (unsigned long long)offset);
		if (n == 0)
			break;
		ol_hasher_update(hasher, chunk, (size_t)n);
		offset += (uint64_t)n;
		if (watch)
			*watch->bytes += (uint64_t)n;
	}
	*out = ol_hasher_final(hasher);
	return OL_OK;
}

int ol_fsync_at(int dir_fd, const char *path, ol_error *err)
{
	ol_autofd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || fsync(fd) < 0)
		return ol_fail_sys(err, "fsync %s", path);
	return OL_OK;
}

bool ol_is_plain(const char *text, size_t max)
{
	size_t size = 0;

	for (; text[size]; size++)
		if (size >= max || text[size] < 0x20 || text[size] > 0x7e)
			return false;
	return true;
}
