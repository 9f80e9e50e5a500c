#include "base/measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"

/* A descriptor a level: what a process may have open is four times that. */
#define DEPTH_MAX 256

static void measure_folder(
	int dir_fd, const char *path, dev_t device, unsigned depth, ol_measure *sum);

static void add(int dir_fd, const char *name, dev_t device, unsigned depth, ol_measure *sum)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device)
		return;
	sum->disk += (uint64_t)st.st_blocks * 512;
	if (S_ISDIR(st.st_mode)) {
		measure_folder(dir_fd, name, device, depth + 1, sum);
		return;
	}
	sum->files++;
	sum->bytes += (uint64_t)st.st_size;
}

static void measure_folder(
	int dir_fd, const char *path, dev_t device, unsigned depth, ol_measure *sum)
{
	ol_autofd int fd =
		depth < DEPTH_MAX
			? openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			: -1;
	struct dirent *entry;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return;
	(void)ol_steal_fd(&fd);
	while ((entry = readdir(dir))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			add(dirfd(dir), entry->d_name, device, depth, sum);
	(void)closedir(dir);
}

int ol_measure_tree(int dir_fd, const char *path, ol_measure *sum, ol_error *err)
{
	struct stat st;

	if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ol_fail_sys(err, "%s", path);
	add(dir_fd, path, st.st_dev, 0, sum);
	return OL_OK;
}
