#include "tests/lazy_world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "tests/check.h"

#define FILES        160
#define TAR_BYTES    ((size_t)700 << 10) /* the part that comes from one gzip member */
#define SPAN_BYTES   ((size_t)48 << 10)
#define WINDOW_BYTES 32768
#define PAYLOAD_MAX  ((size_t)8 << 20)

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x >> 8;
}

struct making {
	world *w;
	uint64_t random;
	size_t payload, blob; /* bytes so far */
	size_t piece_cap, extent_cap;
};

/* Text that can be compressed. */
static void write_truth(struct making *m, size_t size)
{
	unsigned char *at = m->w->truth + m->payload;

	for (size_t i = 0; i < size; i++)
		at[i] = i > 300 && next_random(&m->random) % 3
				? at[i - 1 - next_random(&m->random) % 299]
				: (unsigned char)(1 + next_random(&m->random) % 255);
}

static uint32_t add_piece(struct making *m, const ol_lazy_piece *piece)
{
	ol_lazy_table *table = &m->w->table;

	OL_GROW(table->pieces, table->piece_count, m->piece_cap);
	table->pieces[table->piece_count] = *piece;
	return (uint32_t)table->piece_count++;
}

static void add_extent(struct making *m, const ol_lazy_extent *extent)
{
	ol_lazy_table *table = &m->w->table;

	OL_GROW(table->extents, table->extent_count, m->extent_cap);
	table->extents[table->extent_count++] = *extent;
}

static size_t deflate_to(unsigned char *out, const unsigned char *data, size_t size)
{
	z_stream stream = { .next_in = (unsigned char *)(uintptr_t)data,
		.avail_in = (unsigned)size,
		.next_out = out,
		.avail_out = (unsigned)PAYLOAD_MAX };

	assert_int_equal(
		Z_OK, deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 1, Z_DEFAULT_STRATEGY));
	assert_int_equal(Z_STREAM_END, deflate(&stream, Z_FINISH));
	assert_int_equal(Z_OK, deflateEnd(&stream));
	return stream.total_out;
}

/* count files that share a piece; each begins at a multiple of 512. */
static void add_files(struct making *m, ol_piece_kind kind, size_t count)
{
	const size_t from = m->payload;
	ol_autofree unsigned char *data = ol_alloc((size_t)1 << 20);
	ol_lazy_extent extents[8];
	ol_lazy_piece piece = { .begin = m->blob, .kind = kind, .window = OL_PIECE_NO_WINDOW };
	unsigned char *out = m->w->blob + m->blob;
	size_t size = 0;

	(void)from;
	for (size_t i = 0; i < count; i++) {
		const size_t bytes =
			1 + next_random(&m->random) % (next_random(&m->random) % 4 ? 3000 : 60000);

		write_truth(m, bytes);
		memcpy(data + size, m->w->truth + m->payload, bytes);
		extents[i] = (ol_lazy_extent){ .offset = m->payload,
			.size = bytes,
			.inner = size,
			.digest = ol_digest_of(OL_SHA256, data + size, bytes) };
		size += bytes;
		m->payload += (bytes + 511) / 512 * 512;
		/* Sometimes a hole of some blocks. */
		if (next_random(&m->random) % 16 == 0)
			m->payload += 512 * (next_random(&m->random) % 40);
	}
	piece.size = size;
	if (kind == OL_PIECE_RAW)
		memcpy(out, data, size);
	piece.end = piece.begin + (kind == OL_PIECE_RAW ? size
					  : kind == OL_PIECE_GZIP
						  ? deflate_to(out, data, size)
						  : ZSTD_compress(out, PAYLOAD_MAX, data, size, 3));
	m->blob = piece.end;
	for (size_t i = 0; i < count; i++) {
		extents[i].piece = (uint32_t)m->w->table.piece_count;
		add_extent(m, &extents[i]);
	}
	(void)add_piece(m, &piece);
}

static void close_span(
	struct making *m, ol_lazy_piece *piece, size_t in, size_t out, size_t from, size_t payload)
{
	const ol_lazy_extent extent = { .offset = payload + from,
		.size = out - from,
		.piece = (uint32_t)m->w->table.piece_count };

	piece->end = in;
	piece->size = out - from;
	piece->digest = ol_digest_of(
		OL_SHA256, m->w->blob + piece->begin, (size_t)(piece->end - piece->begin));
	(void)add_piece(m, piece);
	add_extent(m, &extent);
}

/* One gzip member with checkpoints, as SOCI has them. */
static void add_tar(struct making *m)
{
	world *w = m->w;
	const size_t begin = m->blob, payload = m->payload;
	ol_autofree unsigned char *out = ol_alloc(TAR_BYTES);
	ol_lazy_piece piece = {
		.begin = begin + 10, .kind = OL_PIECE_DEFLATE, .window = OL_PIECE_NO_WINDOW
	};
	z_stream stream = {
		.next_in = w->blob + begin, .next_out = out, .avail_out = (unsigned)TAR_BYTES
	};
	size_t from = 0, windows = 0;

	write_truth(m, TAR_BYTES);
	m->payload += TAR_BYTES;
	m->blob += deflate_to(w->blob + begin, w->truth + payload, TAR_BYTES);
	stream.avail_in = (unsigned)(m->blob - begin);
	assert_int_equal(Z_OK, inflateInit2(&stream, 15 + 16));
	while (inflate(&stream, Z_BLOCK) == Z_OK) {
		const unsigned bits = (unsigned)stream.data_type & 7;

		if (!(stream.data_type & 128) || (stream.data_type & 64) ||
			stream.total_out - from < SPAN_BYTES)
			continue;
		close_span(m, &piece, begin + stream.total_in, stream.total_out, from, payload);
		from = stream.total_out;
		piece = (ol_lazy_piece){ .begin = begin + stream.total_in - (bits ? 1 : 0),
			.kind = OL_PIECE_DEFLATE,
			.bits = bits,
			.window = windows };
		assert_int_equal(WINDOW_BYTES, pwrite(w->window_fd, out + from - WINDOW_BYTES,
						       WINDOW_BYTES, (off_t)windows));
		windows += WINDOW_BYTES;
	}
	assert_int_equal(Z_OK, inflateEnd(&stream));
	close_span(m, &piece, m->blob, TAR_BYTES, from, payload);
}

static int read_blob(ol_source *source, uint64_t offset, void *data, size_t size, ol_error *err)
{
	world *w = (world *)(void *)((char *)source - offsetof(world, source));

	(void)err;
	(void)pthread_mutex_lock(&w->lock);
	memcpy(data, w->got + offset, size);
	for (size_t i = 0; i < w->table.piece_count; i++)
		if (w->table.pieces[i].begin == offset && w->table.pieces[i].end == offset + size)
			w->reads[i]++;
	(void)pthread_mutex_unlock(&w->lock);
	return OL_OK;
}

static void no_close(ol_source *source)
{
	(void)source;
}

static void bring(world *w, const ol_range *range, ol_lazy_cause cause)
{
	const ol_lazy_piece *lie = &w->table.pieces[w->lie];
	const uint64_t middle = lie->begin + (lie->end - lie->begin) / 2;
	const bool lies =
		w->lies > 0 && range->start <= middle && range->end > middle && !w->has[middle];

	for (uint64_t i = range->start; i < range->end; i++) {
		w->bytes[cause] += !w->has[i];
		if (!w->has[i])
			w->got[i] = w->blob[i];
		w->has[i] = 1;
	}
	if (lies) {
		w->lies--;
		w->got[middle] ^= 0x40;
	}
}

static int get(void *ctx, const ol_range *ranges, size_t count, ol_lazy_cause cause, ol_error *err)
{
	world *w = ctx;
	int rc = OL_OK;

	(void)pthread_mutex_lock(&w->lock);
	w->gets[cause]++;
	w->was_stalled = ol_lazy_state_counters(w->state)->phase == OL_LAZY_STALLED;
	if (w->silent > 0) {
		w->silent -= w->silent != UINT32_MAX;
		rc = ol_fail(err, w->silent_rc, "nobody answers");
	}
	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		assert_true(ranges[i].start < ranges[i].end);
		assert_true(ranges[i].end <= w->table.about.blob_size);
		assert_true(i == 0 || ranges[i].start > ranges[i - 1].end);
		bring(w, &ranges[i], cause);
	}
	(void)pthread_mutex_unlock(&w->lock);
	ol_sleep_ms(1);
	return rc;
}

static bool blame(void *ctx, uint64_t begin, uint64_t end)
{
	world *w = ctx;
	bool others;

	(void)pthread_mutex_lock(&w->lock);
	w->blames++;
	memset(w->has + begin, 0, (size_t)(end - begin));
	others = w->others;
	(void)pthread_mutex_unlock(&w->lock);
	return others;
}

static void log_line(void *ctx, const char *line)
{
	world *w = ctx;

	(void)pthread_mutex_lock(&w->lock);
	w->lines++;
	(void)snprintf(w->line, sizeof w->line, "%s", line);
	(void)pthread_mutex_unlock(&w->lock);
}

static void open_payload(world *w, const char *boot)
{
	bool fresh = false;

	w->payload_fd = openat(w->dir_fd, "payload", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(w->payload_fd >= 0);
	assert_int_equal(0, ftruncate(w->payload_fd, (off_t)w->table.about.payload_bytes));
	assert_int_equal(
		OL_OK, ol_lazy_state_open(w->dir_fd, &w->table.about.diff_id,
			       w->table.about.payload_bytes, boot, &fresh, &w->state, NULL));
	assert_true(fresh);
}

world *world_new(unsigned seed)
{
	static const ol_source_ops ops = { read_blob, no_close };
	world *w = ol_alloc(sizeof *w);
	struct making m = { .w = w, .random = 88172645463325252 + seed };
	ol_error err = { 0 };

	(void)snprintf(w->dir, sizeof w->dir, "/tmp/orlop-world-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->dir_fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	w->window_fd = openat(w->dir_fd, "window", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	w->truth = ol_alloc(PAYLOAD_MAX);
	w->blob = ol_alloc(2 * PAYLOAD_MAX);
	for (size_t i = 0; i < FILES; i++) {
		add_files(&m,
			(ol_piece_kind[]){ OL_PIECE_GZIP, OL_PIECE_ZSTD, OL_PIECE_RAW }[i % 3],
			1 + i % 3 * 2);
		if (i == FILES / 2)
			add_tar(&m);
	}
	w->table.about = (ol_lazy_about){ .blob = ol_digest_of(OL_SHA256, "b", 1),
		.diff_id = ol_digest_of(OL_SHA256, "d", 1),
		.blob_size = m.blob,
		.payload_bytes = m.payload,
		.layout = OL_LAZY_PACKED,
		.format = "mixed" };
	assert_true(m.payload < PAYLOAD_MAX && m.blob < PAYLOAD_MAX);
	CHECK_INT(err.text, OL_OK, ol_lazy_table_write(&w->table, w->dir_fd, &err));
	w->got = ol_alloc(m.blob);
	w->has = ol_alloc(m.blob);
	w->reads = ol_alloc_array(w->table.piece_count, sizeof *w->reads);
	w->source = (ol_source){ &ops, m.blob };
	(void)pthread_mutex_init(&w->lock, NULL);
	open_payload(w, "boot-1");
	return w;
}

void world_reboot(world *w)
{
	ol_lazy_state_close(w->state);
	(void)close(w->payload_fd);
	open_payload(w, "boot-2");
}

void world_free(world *w)
{
	ol_lazy_state_close(w->state);
	(void)close(w->payload_fd);
	(void)close(w->window_fd);
	(void)close(w->dir_fd);
	CHECK_INT("clean up", OL_OK, ol_remove_tree(AT_FDCWD, w->dir, NULL));
	ol_lazy_table_done(&w->table);
	(void)pthread_mutex_destroy(&w->lock);
	free(w->truth);
	free(w->blob);
	free(w->got);
	free(w->has);
	free(w->reads);
	free(w);
}

ol_filler_options world_options(world *w, uint64_t timeout_ms)
{
	return (ol_filler_options){ .table = &w->table,
		.window_fd = w->window_fd,
		.payload_fd = w->payload_fd,
		.state = w->state,
		.blob = &w->source,
		.fetch = { get, blame, w },
		.timeout_ms = timeout_ms,
		.name = "reg.example/app:1 layer 2",
		.log = log_line,
		.log_ctx = w };
}

void world_check(const world *w, uint64_t start, uint64_t end)
{
	const size_t size = (size_t)(end - start);
	ol_autofree unsigned char *bytes = malloc(size);

	assert_non_null(bytes);
	assert_int_equal(size, pread(w->payload_fd, bytes, size, (off_t)start));
	if (memcmp(bytes, w->truth + start, size) != 0)
		fail_msg("bytes %llu to %llu are wrong", (unsigned long long)start,
			(unsigned long long)end);
}

uint32_t world_piece(const world *w, ol_piece_kind kind)
{
	for (uint32_t i = 5 + 20 * kind; i < w->table.piece_count; i++)
		if (w->table.pieces[i].kind == kind)
			return i;
	fail_msg("there is no such piece");
	return 0;
}

ol_range world_extent(const world *w, uint32_t piece)
{
	for (size_t i = 0; i < w->table.extent_count; i++) {
		const ol_lazy_extent *extent = &w->table.extents[i];

		if (extent->piece == piece)
			return (ol_range){ extent->offset, extent->offset + extent->size };
	}
	fail_msg("the piece has no extent");
	return (ol_range){ 0 };
}
