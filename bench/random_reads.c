/*
 * random_reads DIR COUNT SEED: COUNT times opens one of the regular files below DIR, reads 4096
 * bytes from somewhere in it and closes it. Prints the seconds that took; listing the files is not
 * counted. The same seed reads the same of equal trees: files are taken in the order of their
 * names.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FILES_MAX = 1000000 };

/* nftw hands no pointer through. */
static struct {
	char *path;
	uint64_t size;
} files[FILES_MAX];
static size_t file_count;

static int add(const char *path, const struct stat *st, int kind, struct FTW *place)
{
	(void)place;
	if (kind != FTW_F || !S_ISREG(st->st_mode) || st->st_size < PAGE || file_count == FILES_MAX)
		return 0;
	files[file_count].path = strdup(path);
	if (files[file_count].path == NULL)
		return -1;
	files[file_count++].size = (uint64_t)st->st_size;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* xorshift64*: the same everywhere. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static int read_one(uint64_t *state)
{
	static char page[PAGE];
	size_t i = next(state) % file_count;
	uint64_t at = next(state) % (files[i].size / PAGE) * PAGE;
	int fd = open(files[i].path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, page, PAGE, (off_t)at) != PAGE) {
		(void)fprintf(stderr, "random_reads: %s: %s\n", files[i].path, strerror(errno));
		return -1;
	}
	return close(fd);
}

int main(int argc, char **argv)
{
	struct timespec begin, end;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: random_reads DIR COUNT SEED\n");
		return 2;
	}
	uint64_t count = strtoull(argv[2], NULL, 10), state = strtoull(argv[3], NULL, 10) + 1;

	if (nftw(argv[1], add, 64, FTW_PHYS) != 0 || file_count == 0) {
		(void)fprintf(stderr, "random_reads: no files below %s\n", argv[1]);
		return 1;
	}
	qsort(files, file_count, sizeof(files[0]), by_path);
	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	for (uint64_t i = 0; i < count; i++)
		if (read_one(&state) < 0)
			return 1;
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.4f\n",
		(double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	return 0;
}
