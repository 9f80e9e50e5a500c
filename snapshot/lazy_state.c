/*
 * The shared state of a lazy layer's payload: a file that every party maps.
 *
 *	   0   8  "orlopstt"
 *	   8   4  version, 1
 *	  12   4  bytes of a block, 4096
 *	  16   8  bytes of the payload
 *	  24  64  boot id, NUL-padded
 *	  88   4  algorithm of the DiffID, and
 *	  92  64  its bytes
 *	 512      the counters, in this machine's own byte order
 *	4096      bits, 64 a word
 *
 * What is above 512 is written before the file has its name, and never changes. A block's bit is
 * set with release after its bytes were written, and read with acquire: whoever sees it sees them.
 *
 * Nobody makes a file of that name shorter: one that does not fit is replaced by another, under a
 * lock on the folder, and those who have the old one mapped keep it.
 */
#include "snapshot/lazy_state.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/lazy.h"

#define VERSION        1
#define PAGE           4096
#define COUNTERS_AT    512
#define BOOT_BYTES     64
#define BLOCKS_OF_WORD 64

static const char magic[8] = "orlopstt";

struct head {
	char magic[8];
	uint32_t version, block;
	uint64_t payload_bytes;
	char boot[BOOT_BYTES];
	uint32_t algorithm;
	uint8_t diff_id[OL_DIGEST_BYTES_MAX];
};

_Static_assert(sizeof(struct head) <= COUNTERS_AT, "the head ends before the counters");
_Static_assert(COUNTERS_AT + sizeof(ol_lazy_counters) <= PAGE, "one page holds head and counters");
_Static_assert(COUNTERS_AT % _Alignof(ol_lazy_counters) == 0, "counters are aligned");
_Static_assert(sizeof(_Atomic uint64_t) == 8 && ATOMIC_LLONG_LOCK_FREE == 2,
	"atomics are shared between processes");

struct ol_lazy_state {
	int fd; /* owned */
	void *map;
	size_t map_bytes;
	uint64_t payload_bytes, blocks;
	ol_lazy_counters *counters; /* in the map, as are: */
	_Atomic uint64_t *words;
};

const char *ol_lazy_cause_name(ol_lazy_cause cause)
{
	switch (cause) {
	case OL_LAZY_DEMAND:
		return "demand";
	case OL_LAZY_AHEAD:
		return "ahead";
	case OL_LAZY_PREFETCH:
		return "prefetch";
	case OL_LAZY_BACKGROUND:
		return "background";
	case OL_LAZY_CAUSES:
		break;
	}
	return "unknown";
}

const char *ol_lazy_phase_name(ol_lazy_phase phase)
{
	switch (phase) {
	case OL_LAZY_IDLE:
		return "idle";
	case OL_LAZY_FILLING:
		return "filling";
	case OL_LAZY_STALLED:
		return "stalled";
	case OL_LAZY_CHECKING:
		return "checking";
	case OL_LAZY_COMPLETE:
		return "complete";
	case OL_LAZY_POISONED:
		return "poisoned";
	}
	return "unknown"; /* another process wrote it */
}

static uint64_t blocks_of(uint64_t payload_bytes)
{
	return payload_bytes / OL_LAZY_BLOCK + (payload_bytes % OL_LAZY_BLOCK != 0);
}

static uint64_t file_bytes(uint64_t payload_bytes)
{
	const uint64_t words = (blocks_of(payload_bytes) + BLOCKS_OF_WORD - 1) / BLOCKS_OF_WORD;

	return PAGE + (words * 8 + PAGE - 1) / PAGE * PAGE;
}

/* Of this boot, if boot is given, of this layer, if diff_id is, and whole. */
static int check_file(
	int fd, const char *boot, const ol_digest *diff_id, uint64_t *payload_bytes, ol_error *err)
{
	struct head head;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return ol_fail_sys(err, "state");
	if (!S_ISREG(st.st_mode))
		return ol_fail(err, OL_ECORRUPT, "state: it is no file");
	rc = ol_pread_all(fd, &head, sizeof head, 0, err);
	if (rc < 0)
		return ol_wrap(err, rc, "state");
	if (memcmp(head.magic, magic, sizeof magic) != 0 || le32toh(head.version) != VERSION ||
		le32toh(head.block) != OL_LAZY_BLOCK || head.boot[BOOT_BYTES - 1] != '\0' ||
		le64toh(head.payload_bytes) > OL_LAYER_TAR_BYTES_MAX ||
		(uint64_t)st.st_size != file_bytes(le64toh(head.payload_bytes)))
		return ol_fail(err, OL_ECORRUPT, "state: it is damaged");
	if (boot && strcmp(head.boot, boot) != 0)
		return ol_fail(err, OL_ENOTFOUND, "state: it is of another boot");
	if (diff_id && (le32toh(head.algorithm) != (uint32_t)diff_id->algorithm ||
			       memcmp(head.diff_id, diff_id->bytes, sizeof head.diff_id) != 0))
		return ol_fail(err, OL_ECORRUPT, "state: it is of another layer");
	*payload_bytes = le64toh(head.payload_bytes);
	return OL_OK;
}

/* Takes the descriptor, if it works. */
static int map_file(int *fd, uint64_t payload_bytes, ol_lazy_state **out, ol_error *err)
{
	const size_t size = (size_t)file_bytes(payload_bytes);
	ol_lazy_state *state;
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);

	if (map == MAP_FAILED) /* NOLINT(performance-no-int-to-ptr): the system's own macro */
		return ol_fail_sys(err, "map a state");
	state = ol_alloc(sizeof *state);
	state->fd = ol_steal_fd(fd);
	state->map = map;
	state->map_bytes = size;
	state->payload_bytes = payload_bytes;
	state->blocks = blocks_of(payload_bytes);
	state->counters = (ol_lazy_counters *)(void *)((unsigned char *)map + COUNTERS_AT);
	state->words = (_Atomic uint64_t *)(void *)((unsigned char *)map + PAGE);
	*out = state;
	return OL_OK;
}

static struct head head_of(const ol_digest *diff_id, uint64_t payload_bytes, const char *boot)
{
	struct head head = { .version = htole32(VERSION),
		.block = htole32(OL_LAZY_BLOCK),
		.payload_bytes = htole64(payload_bytes),
		.algorithm = htole32((uint32_t)diff_id->algorithm) };

	memcpy(head.magic, magic, sizeof magic);
	(void)snprintf(head.boot, sizeof head.boot, "%s", boot);
	memcpy(head.diff_id, diff_id->bytes, sizeof head.diff_id);
	return head;
}

static int make_file(int dir_fd, const char *name, const struct head *head, int *out, ol_error *err)
{
	ol_autofd int fd = -1;
	int rc;

	/* The lock is ours: what has the name was left by somebody who died. */
	(void)unlinkat(dir_fd, ".new", 0);
	fd = openat(dir_fd, ".new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ol_fail_sys(err, "make a state");
	/* All of it is taken now: a page that cannot be had later would be a SIGBUS. */
	rc = posix_fallocate(fd, 0, (off_t)file_bytes(le64toh(head->payload_bytes)));
	if (rc != 0) {
		errno = rc;
		return ol_fail_sys(err, "make a state");
	}
	rc = ol_pwrite_all(fd, head, sizeof *head, 0, err);
	if (rc == OL_OK && renameat(dir_fd, ".new", dir_fd, name) < 0)
		rc = ol_fail_sys(err, "make a state");
	if (rc == OL_OK)
		*out = ol_steal_fd(&fd);
	return rc;
}

struct name {
	char text[OL_DIGEST_HEX_MAX + 8];
};

static struct name name_of(const ol_digest *diff_id)
{
	struct name name;

	(void)snprintf(
		name.text, sizeof name.text, OL_LAZY_STATE_NAME, ol_digest_hex(diff_id).text);
	return name;
}

static int open_folder(int run_fd, bool make, int *out, ol_error *err)
{
	if (make && mkdirat(run_fd, OL_LAZY_RUN_DIR, 0700) < 0 && errno != EEXIST)
		return ol_fail_sys(err, "mkdir %s", OL_LAZY_RUN_DIR);
	return ol_dir_open(run_fd, OL_LAZY_RUN_DIR, out, err);
}

/* NOLINTNEXTLINE(readability-function-size): seven plain parameters, for a call made twice */
int ol_lazy_state_open(int run_fd, const ol_digest *diff_id, uint64_t payload_bytes,
	const char *boot_id, bool *fresh, ol_lazy_state **out, ol_error *err)
{
	const struct name name = name_of(diff_id);
	ol_autofd int dir_fd = -1, fd = -1;
	uint64_t bytes = 0;
	bool made = false;
	int rc;

	if (payload_bytes > OL_LAYER_TAR_BYTES_MAX || strlen(boot_id) >= BOOT_BYTES)
		return ol_fail(err, OL_EINVAL, "a state cannot be made of that");
	rc = open_folder(run_fd, true, &dir_fd, err);
	if (rc == OL_OK)
		rc = ol_flock(dir_fd, true, true, err);
	if (rc < 0)
		return ol_wrap(err, rc, "state");
	fd = openat(dir_fd, name.text, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || check_file(fd, boot_id, diff_id, &bytes, NULL) < 0 ||
		bytes != payload_bytes) {
		const struct head head = head_of(diff_id, payload_bytes, boot_id);
		int own = -1;

		made = true;
		rc = make_file(dir_fd, name.text, &head, &own, err);
		if (rc < 0)
			return rc;
		if (fd >= 0)
			(void)close(fd);
		fd = own;
	}
	rc = map_file(&fd, payload_bytes, out, err);
	if (rc == OL_OK)
		*fresh = made;
	return rc;
}

int ol_lazy_state_find(int run_fd, const ol_digest *diff_id, const char *boot_id,
	ol_lazy_state **out, ol_error *err)
{
	const struct name name = name_of(diff_id);
	ol_autofd int dir_fd = -1, fd = -1;
	uint64_t bytes = 0;
	int rc;

	if (run_fd < 0)
		return ol_fail(err, OL_ENOTFOUND, "there is no state");
	rc = open_folder(run_fd, false, &dir_fd, err);
	if (rc < 0)
		return ol_wrap(err, rc, "state");
	fd = openat(dir_fd, name.text, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return ol_fail_sys(err, "state");
	rc = check_file(fd, boot_id, diff_id, &bytes, err);
	if (rc == OL_OK)
		rc = map_file(&fd, bytes, out, err);
	return rc;
}

int ol_lazy_state_remove(int run_fd, const ol_digest *diff_id, ol_error *err)
{
	const struct name name = name_of(diff_id);
	ol_autofd int dir_fd = -1;
	int rc = open_folder(run_fd, false, &dir_fd, err);

	if (rc == OL_OK)
		rc = ol_flock(dir_fd, true, true, err);
	if (rc == OL_OK && unlinkat(dir_fd, name.text, 0) < 0)
		rc = ol_fail_sys(err, "state");
	return rc == OL_ENOTFOUND ? OL_OK : rc;
}

int ol_lazy_state_map(int fd, ol_lazy_state **out, ol_error *err)
{
	ol_autofd int own = -1;
	uint64_t bytes = 0;
	int rc = check_file(fd, NULL, NULL, &bytes, err);

	if (rc < 0)
		return rc;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return ol_fail_sys(err, "state");
	rc = map_file(&own, bytes, out, err);
	return rc;
}

void ol_lazy_state_close(ol_lazy_state *state)
{
	if (!state)
		return;
	(void)munmap(state->map, state->map_bytes);
	(void)close(state->fd);
	free(state);
}

int ol_lazy_state_fd(const ol_lazy_state *state)
{
	return state->fd;
}

uint64_t ol_lazy_state_payload_bytes(const ol_lazy_state *state)
{
	return state->payload_bytes;
}

ol_lazy_counters *ol_lazy_state_counters(ol_lazy_state *state)
{
	return state->counters;
}

/* Bits first..last-1 of the word that holds them. */
static uint64_t mask(unsigned first, unsigned last)
{
	const uint64_t upto = last == BLOCKS_OF_WORD ? UINT64_MAX : ((uint64_t)1 << last) - 1;

	return upto & ~(((uint64_t)1 << first) - 1);
}

static uint64_t word_of(const ol_lazy_state *state, uint64_t word)
{
	return atomic_load_explicit(&state->words[word], memory_order_acquire);
}

/* The first block from first on, below last, that is not there; last if all are. */
static uint64_t missing_block(const ol_lazy_state *state, uint64_t first, uint64_t last)
{
	while (first < last) {
		const uint64_t word = first / BLOCKS_OF_WORD;
		const unsigned from = (unsigned)(first % BLOCKS_OF_WORD);
		const uint64_t absent = ~word_of(state, word) & mask(from, BLOCKS_OF_WORD);

		if (absent) {
			first = word * BLOCKS_OF_WORD + (unsigned)__builtin_ctzll(absent);
			return first < last ? first : last;
		}
		first = (word + 1) * BLOCKS_OF_WORD;
	}
	return last;
}

bool ol_lazy_state_has(const ol_lazy_state *state, uint64_t start, uint64_t end)
{
	uint64_t last;

	if (end > state->payload_bytes)
		end = state->payload_bytes;
	if (start >= end)
		return true;
	last = (end - 1) / OL_LAZY_BLOCK + 1;
	return missing_block(state, start / OL_LAZY_BLOCK, last) == last;
}

/* Bytes of blocks 0..last-1: the payload's last one may be short. */
static uint64_t bytes_upto(const ol_lazy_state *state, uint64_t last)
{
	const uint64_t bytes = last * OL_LAZY_BLOCK;

	return bytes < state->payload_bytes ? bytes : state->payload_bytes;
}

void ol_lazy_state_add(ol_lazy_state *state, uint64_t start, uint64_t end)
{
	uint64_t first = start / OL_LAZY_BLOCK + (start % OL_LAZY_BLOCK != 0), last;

	last = end >= state->payload_bytes ? state->blocks : end / OL_LAZY_BLOCK;
	while (first < last) {
		const uint64_t word = first / BLOCKS_OF_WORD;
		const uint64_t next =
			(word + 1) * BLOCKS_OF_WORD < last ? (word + 1) * BLOCKS_OF_WORD : last;
		const uint64_t bits = mask((unsigned)(first % BLOCKS_OF_WORD),
			(unsigned)(next - word * BLOCKS_OF_WORD));
		const uint64_t before =
			atomic_fetch_or_explicit(&state->words[word], bits, memory_order_release);
		const uint64_t added = bits & ~before;

		if (added) {
			uint64_t bytes = (uint64_t)__builtin_popcountll(added) * OL_LAZY_BLOCK;

			if (next == state->blocks &&
				(added >> (next - 1 - word * BLOCKS_OF_WORD) & 1))
				bytes -= next * OL_LAZY_BLOCK - bytes_upto(state, next);
			atomic_fetch_add_explicit(
				&state->counters->payload_present, bytes, memory_order_relaxed);
		}
		first = next;
	}
}

bool ol_lazy_state_is_full(const ol_lazy_state *state)
{
	return missing_block(state, 0, state->blocks) == state->blocks;
}

uint64_t ol_lazy_state_missing(const ol_lazy_state *state, uint64_t start)
{
	uint64_t block;

	if (start >= state->payload_bytes)
		return state->payload_bytes;
	block = missing_block(state, start / OL_LAZY_BLOCK, state->blocks);
	if (block == state->blocks)
		return state->payload_bytes;
	return block * OL_LAZY_BLOCK > start ? block * OL_LAZY_BLOCK : start;
}

void ol_lazy_state_say(ol_lazy_state *state, ol_lazy_phase phase, const char *words)
{
	char *at = state->counters->last_words;
	const size_t room = sizeof state->counters->last_words;
	const size_t size = words ? strnlen(words, room - 1) : 0;

	/* Byte by byte and atomically: others read it meanwhile, and it always ends. */
	for (size_t i = 0; i < size; i++)
		__atomic_store_n(&at[i], words[i], __ATOMIC_RELAXED);
	__atomic_store_n(&at[size], '\0', __ATOMIC_RELAXED);
	atomic_store_explicit(&state->counters->phase, (uint32_t)phase, memory_order_release);
}

void ol_lazy_state_words(const ol_lazy_state *state, char out[OL_LAZY_WORDS_BYTES])
{
	const char *at = state->counters->last_words;
	size_t size = 0;

	while (size < OL_LAZY_WORDS_BYTES - 1) {
		out[size] = __atomic_load_n(&at[size], __ATOMIC_RELAXED);
		if (out[size] == '\0')
			return;
		size++;
	}
	out[size] = '\0';
}
