/*
 * Members become entries of the index as the tar reader tells of them; their chunks become extents
 * of the payload, and pieces of the blob.
 *
 * While chunks are gathered, each has a piece of its own. Only when all are there is it known where
 * each ends, and which begin at the same byte: several small files may share one gzip member.
 */
#include <assert.h>

#include "base/alloc.h"
#include "snapshot/lazy_build_priv.h"

int ol_lazy_maker_push(ol_lazy_maker *maker, ol_view bytes, ol_error *err)
{
	maker->tar_bytes += bytes.size;
	return ol_tar_push(maker->tar, bytes.data, bytes.size, err);
}

int ol_lazy_maker_pass(ol_lazy_maker *maker, uint64_t size, ol_error *err)
{
	int rc = ol_tar_pass(maker->tar, size, err);

	if (rc == OL_OK) /* so the sum stays below OL_LAYER_TAR_BYTES_MAX */
		maker->tar_bytes += size;
	return rc;
}

int ol_lazy_maker_add(ol_lazy_maker *maker, const ol_toc_entry *entry, const ol_xattr *records,
	size_t record_count, ol_error *err)
{
	const ol_tar_entry header = {
		.type = entry->type,
		.name = entry->name.size ? entry->name.data : "",
		.target = entry->target.size ? entry->target.data : "",
		.mode = entry->mode,
		.uid = entry->uid,
		.gid = entry->gid,
		.mtime = entry->mtime,
		.dev_major = entry->dev_major,
		.dev_minor = entry->dev_minor,
		.size = entry->size,
		.data_size = entry->size,
		.xattrs = records ? NULL : entry->xattrs,
		.xattr_count = records ? 0 : entry->xattr_count,
	};
	int rc;

	if (entry->name.size == 0 && entry->type != OL_TAR_DIR)
		return ol_fail(err, OL_ECORRUPT, "the table of contents: a member without a name");
	maker->member = (ol_lazy_member){ 0 };
	rc = ol_tar_writer_records(maker->tar_writer, records, record_count, err);
	if (rc == OL_OK)
		rc = ol_tar_writer_add(maker->tar_writer, &header, err);
	if (rc == OL_OK)
		rc = ol_lazy_maker_pass(maker, entry->size, err);
	if (rc == OL_OK)
		rc = ol_tar_writer_pass(maker->tar_writer, entry->size, err);
	return rc == OL_EINVAL ? ol_wrap(err, OL_ECORRUPT, "the table of contents") : rc;
}

int ol_lazy_maker_piece(
	ol_lazy_maker *maker, const ol_lazy_piece *piece, uint32_t *number, ol_error *err)
{
	ol_lazy_table *table = &maker->table;

	if (table->piece_count >= OL_LAZY_PIECES_MAX)
		return ol_fail(err, OL_ELIMIT, "the table of contents has more than %zu pieces",
			OL_LAZY_PIECES_MAX);
	OL_GROW(table->pieces, table->piece_count, maker->piece_cap);
	table->pieces[table->piece_count] = *piece;
	*number = (uint32_t)table->piece_count++;
	return OL_OK;
}

int ol_lazy_maker_extent(ol_lazy_maker *maker, const ol_lazy_extent *extent, ol_error *err)
{
	ol_lazy_table *table = &maker->table;

	if (table->extent_count >= OL_LAZY_EXTENTS_MAX)
		return ol_fail(err, OL_ELIMIT, "the table of contents has more than %zu chunks",
			OL_LAZY_EXTENTS_MAX);
	OL_GROW(table->extents, table->extent_count, maker->extent_cap);
	table->extents[table->extent_count++] = *extent;
	return OL_OK;
}

int ol_lazy_maker_chunks(
	ol_lazy_maker *maker, const ol_toc_chunk *chunks, size_t count, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		const ol_toc_chunk *chunk = &chunks[i];
		ol_lazy_extent extent = { .offset = maker->member.offset + chunk->offset,
			.size = chunk->size,
			.inner = chunk->inner_offset,
			.digest = chunk->digest };
		const ol_lazy_piece piece = { .begin = chunk->blob_offset,
			.end = chunk->blob_end,
			.size = chunk->inner_offset + chunk->size,
			.kind = maker->toc->format == OL_LAZY_ESTARGZ ? OL_PIECE_GZIP
								      : OL_PIECE_ZSTD,
			.window = OL_PIECE_NO_WINDOW };

		if (chunk->zeros)
			continue;
		assert(chunk->offset + chunk->size <= maker->member.size);
		rc = ol_lazy_maker_piece(maker, &piece, &extent.piece, err);
		if (rc == OL_OK)
			rc = ol_lazy_maker_extent(maker, &extent, err);
	}
	return rc;
}

static int by_begin(const void *left, const void *right, void *pieces)
{
	const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	const ol_lazy_piece *list = pieces;

	if (list[a].begin != list[b].begin)
		return list[a].begin < list[b].begin ? -1 : 1;
	return (a > b) - (a < b);
}

/* Another piece that begins at the same byte. What is said of the end is at most where the last
 * chunk of a file ends (containers' tools say that of its first), so the nearest counts. */
static void merge(ol_lazy_piece *into, const ol_lazy_piece *piece)
{
	if (piece->end && (!into->end || piece->end < into->end))
		into->end = piece->end;
	if (piece->size > into->size)
		into->size = piece->size;
}

/* Joined pieces, in order, get their ends. */
static int end_pieces(ol_lazy_table *table, uint64_t blob_end, ol_error *err)
{
	for (size_t i = 0; i < table->piece_count; i++) {
		ol_lazy_piece *piece = &table->pieces[i];
		const uint64_t next =
			i + 1 < table->piece_count ? table->pieces[i + 1].begin : blob_end;

		if (!piece->end || piece->end > next)
			piece->end = next;
		if (piece->size > OL_LAZY_PIECE_BYTES_MAX ||
			piece->end - piece->begin > OL_LAZY_PIECE_BYTES_MAX)
			return ol_fail(err, OL_EUNSUPPORTED,
				"a piece of it has more than %llu bytes and cannot be verified in "
				"parts",
				(unsigned long long)OL_LAZY_PIECE_BYTES_MAX);
	}
	return OL_OK;
}

int ol_lazy_maker_join(ol_lazy_maker *maker, uint64_t blob_end, ol_error *err)
{
	ol_lazy_table *table = &maker->table;
	const size_t count = table->piece_count;
	ol_autofree uint32_t *order = ol_alloc_array(count + 1, sizeof *order);
	ol_autofree uint32_t *joined = ol_alloc_array(count + 1, sizeof *joined);
	ol_lazy_piece *list = ol_alloc_array(count + 1, sizeof *list);
	size_t made = 0;

	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, count, sizeof *order, by_begin, table->pieces);
	for (size_t i = 0; i < count; i++) {
		const ol_lazy_piece *piece = &table->pieces[order[i]];

		if (made && list[made - 1].begin == piece->begin)
			merge(&list[made - 1], piece);
		else
			list[made++] = *piece;
		joined[order[i]] = (uint32_t)(made - 1);
	}
	for (size_t i = 0; i < table->extent_count; i++)
		table->extents[i].piece = joined[table->extents[i].piece];
	free(table->pieces);
	table->pieces = list;
	table->piece_count = made;
	maker->piece_cap = count + 1;
	return end_pieces(table, blob_end, err);
}
