/*
 * Sparse files: which pieces of the file the data in the tar are.
 *
 *	old GNU   type S: pairs of numbers in the header, continued in blocks of 21 pairs
 *	pax 0.0   GNU.sparse.offset and GNU.sparse.numbytes, again and again
 *	pax 0.1   GNU.sparse.map: "offset,size,…"
 *	pax 1.0   a map before the data: how many pairs, then the pairs, a number a line
 */
#include "base/ckd.h"
#include "manifest/tar_priv.h"

bool ol_tar_decimal(ol_view text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (text.size == 0)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || ckd_mul(&value, value, 10) ||
			ckd_add(&value, value, (uint64_t)(text.data[i] - '0')))
			return false;
	}
	if (value > max)
		return false;
	*out = value;
	return true;
}

void ol_tar_pieces_done(ol_tar_pieces *pieces)
{
	free(pieces->list);
	*pieces = (ol_tar_pieces){ 0 };
}

int ol_tar_pieces_add(ol_tar_pieces *pieces, uint64_t offset, uint64_t size, ol_error *err)
{
	if (pieces->count >= OL_SPARSE_PIECES_MAX)
		return ol_fail(err, OL_ELIMIT, "a sparse file of more than %zu pieces",
			OL_SPARSE_PIECES_MAX);
	OL_GROW(pieces->list, pieces->count, pieces->cap);
	pieces->list[pieces->count++] = (ol_sparse){ offset, size };
	return OL_OK;
}

/* The number before the next comma; false at the end or where there is none. */
static bool next_number(ol_view *text, uint64_t *out)
{
	const char *comma = memchr(text->data, ',', text->size);
	size_t size = comma ? (size_t)(comma - text->data) : text->size;

	if (!ol_tar_decimal((ol_view){ text->data, size }, OL_FILE_BYTES_MAX, out))
		return false;
	size += comma ? 1 : 0;
	*text = (ol_view){ text->data + size, text->size - size };
	return true;
}

int ol_tar_pieces_parse(ol_tar_pieces *pieces, ol_view map, ol_error *err)
{
	while (map.size > 0) {
		uint64_t offset, size;
		int rc;

		if (!next_number(&map, &offset) || !next_number(&map, &size))
			return ol_fail(err, OL_ECORRUPT, "a sparse map that is no list of pairs");
		rc = ol_tar_pieces_add(pieces, offset, size, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

int ol_tar_pieces_old(
	ol_tar_pieces *pieces, const unsigned char *block, bool first, bool *more, ol_error *err)
{
	size_t at = first ? 386 : 0, count = first ? 4 : 21;

	*more = block[at + 24 * count] != 0;
	for (size_t i = 0; i < count; i++, at += 24) {
		uint64_t offset, size;
		int rc;

		if (block[at] == 0)
			return OL_OK; /* the rest is not used */
		rc = ol_tar_number(block, (ol_tar_field){ at, 12 }, "offset of a sparse piece",
			OL_FILE_BYTES_MAX, &offset, err);
		if (rc == OL_OK)
			rc = ol_tar_number(block, (ol_tar_field){ at + 12, 12 },
				"size of a sparse piece", OL_FILE_BYTES_MAX, &size, err);
		if (rc == OL_OK)
			rc = ol_tar_pieces_add(pieces, offset, size, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

/* One number of the map is whole. */
static int map_number(ol_tar_pieces *pieces, ol_tar_map *map, ol_error *err)
{
	if (!map->started) {
		if (map->number > OL_SPARSE_PIECES_MAX)
			return ol_fail(err, OL_ELIMIT, "a sparse file of more than %zu pieces",
				OL_SPARSE_PIECES_MAX);
		map->started = true;
		map->count = 2 * map->number;
		return OL_OK;
	}
	map->count--;
	map->offset_read = !map->offset_read;
	if (map->offset_read) {
		map->offset = map->number;
		return OL_OK;
	}
	return ol_tar_pieces_add(pieces, map->offset, map->number, err);
}

int ol_tar_pieces_block(ol_tar_pieces *pieces, ol_tar_map *map, const unsigned char *block,
	bool *done, ol_error *err)
{
	*done = false;
	for (size_t i = 0; i < OL_TAR_BLOCK_BYTES; i++) {
		int rc;

		if (block[i] >= '0' && block[i] <= '9' && map->digits < 18) {
			map->number = 10 * map->number + (uint64_t)(block[i] - '0');
			map->digits++;
			continue;
		}
		if (block[i] != '\n' || map->digits == 0)
			return ol_fail(err, OL_ECORRUPT, "a sparse map that is no list of numbers");
		rc = map_number(pieces, map, err);
		if (rc < 0)
			return rc;
		map->number = map->digits = 0;
		if (map->count == 0) {
			*done = true; /* the rest of the block is padding */
			return OL_OK;
		}
	}
	return OL_OK;
}

int ol_tar_pieces_check(ol_tar_pieces *pieces, uint64_t size, uint64_t data_size, ol_error *err)
{
	uint64_t end = 0, sum = 0;
	size_t kept = 0;

	for (size_t i = 0; i < pieces->count; i++) {
		ol_sparse piece = pieces->list[i];

		/* Each is at most OL_FILE_BYTES_MAX or 18 digits: no sum wraps. */
		if (piece.offset < end || piece.offset > size || piece.size > size - piece.offset)
			return ol_fail(err, OL_ECORRUPT,
				"a sparse map out of order or past the file's end");
		end = piece.offset + piece.size;
		sum += piece.size;
		if (piece.size > 0)
			pieces->list[kept++] = piece;
	}
	pieces->count = kept;
	if (sum != data_size)
		return ol_fail(err, OL_ECORRUPT,
			"a sparse map of %llu bytes for %llu bytes of data",
			(unsigned long long)sum, (unsigned long long)data_size);
	return OL_OK;
}
