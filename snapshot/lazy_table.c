/*
 * The seek table on disk:
 *
 *	head │ pieces … │ extents … │ sha256 of all before
 *
 * Records have one size: digests are as wide as the widest that is used (32 or 64 bytes). What is
 * written and what is read pass the same check.
 */
#include "snapshot/lazy_table.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/ckd.h"
#include "base/file.h"
#include "base/limits.h"
#include "snapshot/lazy_table_priv.h"
#include "store/lazy.h"

#define VERSION      1
#define BUFFER_BYTES ((size_t)256 << 10)

static const char magic[8] = "orlopskt";

_Static_assert(OL_SEEK_PIECE_BYTES + OL_DIGEST_BYTES_MAX == 104, "base/limits.h counts on it");
_Static_assert(OL_SEEK_EXTENT_BYTES + OL_DIGEST_BYTES_MAX == 96, "base/limits.h counts on it");

static uint64_t get64(const unsigned char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return le64toh(value);
}

static uint32_t get32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return le32toh(value);
}

static void put64(unsigned char *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof value);
}

static void put32(unsigned char *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof value);
}

static int check_about(const ol_lazy_about *about, ol_error *err)
{
	const size_t size = strnlen(about->format, sizeof about->format);
	bool plain = size > 0 && size < sizeof about->format;

	for (size_t i = 0; plain && i < size; i++)
		plain = about->format[i] > ' ' && about->format[i] < 0x7f;
	if (!plain)
		return ol_fail(err, OL_ECORRUPT, "its format has no name");
	if (!ol_digest_is_set(&about->blob) || !ol_digest_is_set(&about->diff_id))
		return ol_fail(err, OL_ECORRUPT, "it does not say of which layer it is");
	if (about->layout != OL_LAZY_TAR && about->layout != OL_LAZY_PACKED)
		return ol_fail(err, OL_ECORRUPT, "its layout is unknown");
	if (about->blob_size > OL_DESCRIPTOR_BYTES_MAX ||
		about->payload_bytes > OL_LAYER_TAR_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "its layer is too large");
	if (about->payload_bytes % 512 != 0)
		return ol_fail(err, OL_ECORRUPT, "its payload is no whole number of blocks");
	if (about->prefetch_end > about->blob_size)
		return ol_fail(err, OL_ECORRUPT, "its landmark lies behind the blob");
	return OL_OK;
}

/* The words for what is wrong with a piece, or NULL. */
static const char *wrong_piece(const ol_lazy_table *table, const ol_lazy_piece *piece)
{
	const bool deflate = piece->kind == OL_PIECE_DEFLATE;

	if (piece->begin >= piece->end || piece->end > table->about.blob_size)
		return "lies outside the blob";
	if (piece->kind < OL_PIECE_RAW || piece->kind > OL_PIECE_ZSTD)
		return "is of an unknown kind";
	if (piece->bits > 7 || (piece->bits && !deflate))
		return "begins at no bit";
	if (piece->window != OL_PIECE_NO_WINDOW && !deflate)
		return "has a window, and no use for it";
	if (piece->window != OL_PIECE_NO_WINDOW && piece->window > OL_TOC_BYTES_MAX)
		return "has its window too far away";
	if (piece->window != OL_PIECE_NO_WINDOW && !ol_digest_is_set(&table->about.window))
		return "has a window that nothing verifies";
	if (piece->kind == OL_PIECE_RAW && piece->size > piece->end - piece->begin)
		return "gives more bytes than it has";
	if (piece > table->pieces) {
		const ol_lazy_piece *before = piece - 1;
		/* A checkpoint may be in the middle of a byte. */
		const uint64_t shared = deflate && piece->bits ? 1 : 0;

		if (piece->begin < before->end - shared)
			return "overlaps the one before";
	}
	return NULL;
}

static const char *wrong_extent(const ol_lazy_table *table, const ol_lazy_extent *extent)
{
	const ol_lazy_piece *piece;
	uint64_t end;

	if (extent->size == 0)
		return "is empty";
	if (ckd_add(&end, extent->offset, extent->size) || end > table->about.payload_bytes)
		return "lies outside the payload";
	if (extent > table->extents && extent->offset < extent[-1].offset + extent[-1].size)
		return "overlaps the one before";
	if (extent->piece >= table->piece_count)
		return "is of no piece";
	piece = &table->pieces[extent->piece];
	if (ckd_add(&end, extent->inner, extent->size) || end > piece->size)
		return "is larger than its piece";
	if (!ol_digest_is_set(&extent->digest) && !ol_digest_is_set(&piece->digest))
		return "has no digest";
	return NULL;
}

int ol_lazy_table_check(const ol_lazy_table *table, ol_error *err)
{
	int rc = check_about(&table->about, err);

	if (rc < 0)
		return rc;
	if (table->piece_count > OL_LAZY_PIECES_MAX || table->extent_count > OL_LAZY_EXTENTS_MAX)
		return ol_fail(err, OL_ELIMIT, "%zu pieces, %zu extents are too many",
			table->piece_count, table->extent_count);
	for (size_t i = 0; i < table->piece_count; i++) {
		const ol_lazy_piece *piece = &table->pieces[i];
		const char *why = wrong_piece(table, piece);

		if (why)
			return ol_fail(err, OL_ECORRUPT, "piece %zu %s", i, why);
		if (piece->size > OL_LAZY_PIECE_BYTES_MAX ||
			piece->end - piece->begin > OL_LAZY_PIECE_BYTES_MAX)
			return ol_fail(err, OL_ELIMIT, "piece %zu has more than %llu bytes", i,
				(unsigned long long)OL_LAZY_PIECE_BYTES_MAX);
	}
	for (size_t i = 0; i < table->extent_count; i++) {
		const char *why = wrong_extent(table, &table->extents[i]);

		if (why)
			return ol_fail(err, OL_ECORRUPT, "extent %zu %s", i, why);
	}
	return OL_OK;
}

static int by_begin(const void *left, const void *right, void *pieces)
{
	const ol_lazy_piece *a = (const ol_lazy_piece *)pieces + *(const uint32_t *)left;
	const ol_lazy_piece *b = (const ol_lazy_piece *)pieces + *(const uint32_t *)right;

	if (a->begin != b->begin)
		return a->begin < b->begin ? -1 : 1;
	return (a->end > b->end) - (a->end < b->end);
}

static int by_offset(const void *left, const void *right)
{
	const ol_lazy_extent *a = left, *b = right;

	return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Extents that name no piece are left as they are, for the check to find. */
static void sort(ol_lazy_table *table)
{
	const size_t count = table->piece_count;
	ol_autofree uint32_t *order = ol_alloc_array(count + 1, sizeof *order);
	ol_autofree uint32_t *place = ol_alloc_array(count + 1, sizeof *place);
	ol_lazy_piece *sorted = ol_alloc_array(count + 1, sizeof *sorted);

	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, count, sizeof *order, by_begin, table->pieces);
	for (size_t i = 0; i < count; i++) {
		sorted[i] = table->pieces[order[i]];
		place[order[i]] = (uint32_t)i;
	}
	free(table->pieces);
	table->pieces = sorted;
	for (size_t i = 0; i < table->extent_count; i++)
		if (table->extents[i].piece < count)
			table->extents[i].piece = place[table->extents[i].piece];
	if (table->extent_count)
		qsort(table->extents, table->extent_count, sizeof *table->extents, by_offset);
}

static bool is_wide(const ol_digest *digest)
{
	return digest->algorithm == OL_SHA512;
}

static size_t digest_width(const ol_lazy_table *table)
{
	bool wide = false;

	for (size_t i = 0; !wide && i < table->piece_count; i++)
		wide = is_wide(&table->pieces[i].digest);
	for (size_t i = 0; !wide && i < table->extent_count; i++)
		wide = is_wide(&table->extents[i].digest);
	return wide ? 64 : 32;
}

/* Bytes on their way to the file, hashed as they pass. */
struct output {
	int fd;
	ol_hasher *hasher;     /* owned */
	unsigned char *buffer; /* owned, BUFFER_BYTES */
	size_t used;
	int rc;
	ol_error *err;
};

static void output_flush(struct output *out)
{
	ol_hasher_update(out->hasher, out->buffer, out->used);
	if (out->rc == OL_OK)
		out->rc = ol_write_all(out->fd, out->buffer, out->used, out->err);
	out->used = 0;
}

/* Room for size zero bytes, to be filled before the next call. */
static unsigned char *output_room(struct output *out, size_t size)
{
	unsigned char *at;

	if (BUFFER_BYTES - out->used < size)
		output_flush(out);
	at = out->buffer + out->used;
	memset(at, 0, size);
	out->used += size;
	return at;
}

static void put_about(unsigned char *head, const ol_lazy_table *table, size_t width)
{
	const ol_lazy_about *about = &table->about;

	memcpy(head, magic, sizeof magic);
	put32(head + 8, VERSION);
	put32(head + 12, (uint32_t)about->layout);
	memcpy(head + 16, about->format, strlen(about->format));
	put64(head + 32, about->blob_size);
	put64(head + 40, about->payload_bytes);
	put64(head + 48, about->prefetch_end);
	put32(head + 56, (uint32_t)table->piece_count);
	put32(head + 60, (uint32_t)table->extent_count);
	put32(head + 64, (uint32_t)width);
	put32(head + 72, (uint32_t)about->blob.algorithm);
	memcpy(head + 76, about->blob.bytes, OL_DIGEST_BYTES_MAX);
	put32(head + 140, (uint32_t)about->diff_id.algorithm);
	memcpy(head + 144, about->diff_id.bytes, OL_DIGEST_BYTES_MAX);
	put32(head + 208, (uint32_t)about->window.algorithm);
	memcpy(head + 212, about->window.bytes, OL_DIGEST_BYTES_MAX);
}

static void put_piece(unsigned char *at, const ol_lazy_piece *piece, size_t width)
{
	put64(at, piece->begin);
	put64(at + 8, piece->end);
	put64(at + 16, piece->size);
	put64(at + 24, piece->window);
	at[32] = (unsigned char)piece->kind;
	at[33] = (unsigned char)piece->bits;
	at[34] = (unsigned char)piece->digest.algorithm;
	memcpy(at + OL_SEEK_PIECE_BYTES, piece->digest.bytes, width);
}

static void put_extent(unsigned char *at, const ol_lazy_extent *extent, size_t width)
{
	put64(at, extent->offset);
	put64(at + 8, extent->size);
	put64(at + 16, extent->inner);
	put32(at + 24, extent->piece);
	at[28] = (unsigned char)extent->digest.algorithm;
	memcpy(at + OL_SEEK_EXTENT_BYTES, extent->digest.bytes, width);
}

static int write_file(const ol_lazy_table *table, int fd, ol_error *err)
{
	ol_autofree unsigned char *buffer = ol_alloc(BUFFER_BYTES);
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	struct output out = { .fd = fd, .hasher = hasher, .buffer = buffer, .err = err };
	const size_t width = digest_width(table);
	ol_digest seal;

	put_about(output_room(&out, OL_SEEK_HEAD_BYTES), table, width);
	for (size_t i = 0; i < table->piece_count; i++)
		put_piece(output_room(&out, OL_SEEK_PIECE_BYTES + width), &table->pieces[i], width);
	for (size_t i = 0; i < table->extent_count; i++)
		put_extent(
			output_room(&out, OL_SEEK_EXTENT_BYTES + width), &table->extents[i], width);
	output_flush(&out);
	seal = ol_hasher_final(hasher);
	return out.rc == OL_OK ? ol_write_all(fd, seal.bytes, OL_SEEK_SEAL_BYTES, err) : out.rc;
}

static bool has_windows(const ol_lazy_table *table)
{
	for (size_t i = 0; i < table->piece_count; i++)
		if (table->pieces[i].window != OL_PIECE_NO_WINDOW)
			return true;
	return false;
}

static int hash_windows(int dir_fd, ol_digest *out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_TOC_BYTES_MAX);
	int rc = ol_file_read(dir_fd, OL_LAZY_WINDOW, true, &bytes, err);

	if (rc == OL_OK)
		*out = ol_digest_of(OL_SHA256, bytes.data, bytes.size);
	return rc;
}

int ol_lazy_table_write(ol_lazy_table *table, int dir_fd, ol_error *err)
{
	ol_autofd int fd = -1;
	int rc = OL_OK;

	table->about.window = (ol_digest){ 0 };
	if (table->piece_count > OL_LAZY_PIECES_MAX || table->extent_count > OL_LAZY_EXTENTS_MAX)
		rc = ol_fail(err, OL_ELIMIT, "%zu pieces, %zu extents are too many",
			table->piece_count, table->extent_count);
	if (rc == OL_OK && has_windows(table))
		rc = hash_windows(dir_fd, &table->about.window, err);
	if (rc == OL_OK) {
		sort(table);
		rc = ol_lazy_table_check(table, err);
	}
	if (rc < 0)
		return ol_wrap(err, rc, "seek table");
	fd = openat(dir_fd, "seek", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ol_fail_sys(err, "seek table");
	rc = write_file(table, fd, err);
	return rc < 0 ? ol_wrap(err, rc, "seek table") : OL_OK;
}

static int get_digest(
	unsigned algorithm, const unsigned char *bytes, size_t width, ol_digest *out, ol_error *err)
{
	ol_digest digest = { .algorithm = (ol_algorithm)algorithm };
	size_t size;

	if (algorithm > OL_SHA512)
		return ol_fail(err, OL_ECORRUPT, "a digest of an unknown algorithm");
	size = algorithm == OL_ALGORITHM_NONE ? 0 : ol_algorithm_size(digest.algorithm);
	if (size > width)
		return ol_fail(err, OL_ECORRUPT, "a digest that is cut short");
	for (size_t i = size; i < width; i++)
		if (bytes[i] != 0)
			return ol_fail(err, OL_ECORRUPT, "bytes behind a digest");
	memcpy(digest.bytes, bytes, size);
	*out = digest;
	return OL_OK;
}

static int get_about(const unsigned char *head, ol_lazy_table *table, size_t *width, ol_error *err)
{
	ol_lazy_about *about = &table->about;
	int rc;

	about->layout = (ol_lazy_layout)get32(head + 12);
	memcpy(about->format, head + 16, sizeof about->format);
	about->blob_size = get64(head + 32);
	about->payload_bytes = get64(head + 40);
	about->prefetch_end = get64(head + 48);
	table->piece_count = get32(head + 56);
	table->extent_count = get32(head + 60);
	*width = get32(head + 64);
	if ((*width != 32 && *width != 64) || get32(head + 68) != 0 || get32(head + 276) != 0)
		return ol_fail(err, OL_ECORRUPT, "its head is damaged");
	rc = get_digest(get32(head + 72), head + 76, OL_DIGEST_BYTES_MAX, &about->blob, err);
	if (rc == OL_OK)
		rc = get_digest(
			get32(head + 140), head + 144, OL_DIGEST_BYTES_MAX, &about->diff_id, err);
	if (rc == OL_OK)
		rc = get_digest(
			get32(head + 208), head + 212, OL_DIGEST_BYTES_MAX, &about->window, err);
	if (rc == OL_OK && (table->piece_count > OL_LAZY_PIECES_MAX ||
				   table->extent_count > OL_LAZY_EXTENTS_MAX))
		rc = ol_fail(err, OL_ELIMIT, "%zu pieces, %zu extents are too many",
			table->piece_count, table->extent_count);
	return rc;
}

static int get_pieces(const unsigned char *at, size_t width, ol_lazy_table *table, ol_error *err)
{
	int rc = OL_OK;

	table->pieces = ol_alloc_array(table->piece_count + 1, sizeof *table->pieces);
	for (size_t i = 0; rc == OL_OK && i < table->piece_count; i++) {
		ol_lazy_piece *piece = &table->pieces[i];

		piece->begin = get64(at);
		piece->end = get64(at + 8);
		piece->size = get64(at + 16);
		piece->window = get64(at + 24);
		piece->kind = (ol_piece_kind)at[32];
		piece->bits = at[33];
		rc = get_digest(at[34], at + OL_SEEK_PIECE_BYTES, width, &piece->digest, err);
		at += OL_SEEK_PIECE_BYTES + width;
	}
	return rc;
}

static int get_extents(const unsigned char *at, size_t width, ol_lazy_table *table, ol_error *err)
{
	int rc = OL_OK;

	table->extents = ol_alloc_array(table->extent_count + 1, sizeof *table->extents);
	for (size_t i = 0; rc == OL_OK && i < table->extent_count; i++) {
		ol_lazy_extent *extent = &table->extents[i];

		extent->offset = get64(at);
		extent->size = get64(at + 8);
		extent->inner = get64(at + 16);
		extent->piece = get32(at + 24);
		rc = get_digest(at[28], at + OL_SEEK_EXTENT_BYTES, width, &extent->digest, err);
		at += OL_SEEK_EXTENT_BYTES + width;
	}
	return rc;
}

/* What is before the seal, once that has been held against it. */
static int check_seal(ol_view bytes, ol_error *err)
{
	ol_digest want = { .algorithm = OL_SHA256 }, got;

	if (bytes.size > OL_LAZY_TABLE_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "it has %zu bytes", bytes.size);
	if (bytes.size < OL_SEEK_HEAD_BYTES + OL_SEEK_SEAL_BYTES ||
		memcmp(bytes.data, magic, sizeof magic) != 0)
		return ol_fail(err, OL_ECORRUPT, "it is none");
	if (get32((const unsigned char *)bytes.data + 8) != VERSION)
		return ol_fail(err, OL_ECORRUPT, "it is of an unknown version");
	memcpy(want.bytes, bytes.data + bytes.size - OL_SEEK_SEAL_BYTES, OL_SEEK_SEAL_BYTES);
	got = ol_digest_of(OL_SHA256, bytes.data, bytes.size - OL_SEEK_SEAL_BYTES);
	return ol_digest_check(&want, &got, err);
}

int ol_lazy_table_parse(ol_view bytes, ol_lazy_table *out, ol_error *err)
{
	const unsigned char *data = (const unsigned char *)bytes.data;
	ol_lazy_table table = { 0 };
	size_t width = 0, pieces_bytes, extents_bytes;
	int rc = check_seal(bytes, err);

	if (rc == OL_OK)
		rc = get_about(data, &table, &width, err);
	if (rc < 0)
		return rc;
	/* Counts are bounded: no overflow. */
	pieces_bytes = table.piece_count * (OL_SEEK_PIECE_BYTES + width);
	extents_bytes = table.extent_count * (OL_SEEK_EXTENT_BYTES + width);
	if (bytes.size != OL_SEEK_HEAD_BYTES + pieces_bytes + extents_bytes + OL_SEEK_SEAL_BYTES)
		return ol_fail(err, OL_ECORRUPT, "its size does not agree with its counts");
	rc = get_pieces(data + OL_SEEK_HEAD_BYTES, width, &table, err);
	if (rc == OL_OK)
		rc = get_extents(data + OL_SEEK_HEAD_BYTES + pieces_bytes, width, &table, err);
	if (rc == OL_OK)
		rc = ol_lazy_table_check(&table, err);
	if (rc < 0) {
		ol_lazy_table_done(&table);
		return rc;
	}
	*out = table;
	return OL_OK;
}

int ol_lazy_table_load(int dir_fd, ol_lazy_table *out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_LAZY_TABLE_BYTES_MAX);
	int rc = ol_file_read(dir_fd, "seek", true, &bytes, err);

	if (rc == OL_OK)
		rc = ol_lazy_table_parse(ol_buf_view(&bytes), out, err);
	return rc < 0 ? ol_wrap(err, rc, "seek table") : OL_OK;
}

void ol_lazy_table_done(ol_lazy_table *table)
{
	free(table->pieces);
	free(table->extents);
	*table = (ol_lazy_table){ 0 };
}

size_t ol_lazy_table_piece(const ol_lazy_table *table, uint64_t offset)
{
	size_t low = 0, high = table->piece_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (table->pieces[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t ol_lazy_table_find(const ol_lazy_table *table, uint64_t offset)
{
	size_t low = 0, high = table->extent_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const ol_lazy_extent *extent = &table->extents[middle];

		if (extent->offset + extent->size <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
