/*
 * Tables of contents in JSON say nothing of where in the tar a file's data are. So the files are
 * packed in the order of the table, each at a multiple of 512:
 *
 *	payload  │ file 0 │pad│ file 1 │pad│ … │ stargz.index.json │pad│
 *
 * eStargz's table is itself a member of the tar, the last one, and shown as an eager pull shows it.
 */
#include <string.h>

#include "snapshot/erofs_format.h"
#include "snapshot/lazy_build_priv.h"

#define TOC_NAME "stargz.index.json"
#define LANDMARK ".prefetch.landmark"

/* The member that eStargz keeps its table in. */
struct toc_member {
	unsigned entries;
	uint64_t offset, size; /* of the JSON in the tar */
};

static int find_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	struct toc_member *found = ctx;

	if (found->entries++ || entry->type != OL_TAR_FILE || entry->sparse ||
		entry->data_size == 0 || strcmp(entry->name, TOC_NAME) != 0)
		return ol_fail(err, OL_ECORRUPT,
			"where the table of contents should be is another member than " TOC_NAME);
	found->offset = entry->data_offset;
	found->size = entry->data_size;
	return OL_OK;
}

static int find_json(ol_view tar_bytes, struct toc_member *out, ol_error *err)
{
	struct toc_member found = { 0 };
	ol_auto(ol_tar_free) ol_tar *tar =
		ol_tar_new(&(ol_tar_handler){ .entry = find_entry, .ctx = &found });
	int rc = ol_tar_push(tar, tar_bytes.data, tar_bytes.size, err);

	if (rc == OL_OK)
		rc = ol_tar_finish(tar, err);
	if (rc == OL_OK && !found.entries)
		rc = ol_fail(err, OL_ECORRUPT, "it has no member " TOC_NAME);
	if (rc < 0)
		return ol_wrap(err, rc, "the table of contents");
	*out = found;
	return OL_OK;
}

/* The next file begins behind what was placed last. */
static void place_next(ol_lazy_maker *maker)
{
	maker->place = (maker->data_end + OL_EROFS_BLOCK - 1) / OL_EROFS_BLOCK * OL_EROFS_BLOCK;
}

static int take_entry(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	ol_lazy_maker *maker = ctx;
	int rc;

	if (entry->mangled)
		return ol_fail(err, OL_EUNSUPPORTED,
			"a name holds bytes that its table of contents cannot carry");
	place_next(maker);
	rc = ol_lazy_maker_add(maker, entry, NULL, 0, err);
	if (rc < 0 || !maker->member.is_data)
		return rc;
	if (ol_view_is(entry->name, LANDMARK))
		maker->table.about.prefetch_end = entry->chunks[0].blob_offset;
	return ol_lazy_maker_chunks(maker, entry->chunks, entry->chunk_count, err);
}

/* The table as a file of the tree. */
static int add_toc_member(ol_lazy_maker *maker, const struct toc_member *found, ol_error *err)
{
	const ol_view bytes = maker->toc->bytes;
	const ol_toc_range *place = &maker->toc->place;
	const uint64_t end = found->offset + found->size;
	const ol_toc_chunk chunk = { .size = found->size,
		.blob_offset = place->offset,
		.blob_end = place->offset + place->size,
		.inner_offset = found->offset,
		.digest = ol_digest_of(OL_SHA256, bytes.data + found->offset, found->size) };
	int rc;

	place_next(maker);
	maker->member = (ol_lazy_member){ 0 };
	rc = ol_lazy_maker_push(maker, (ol_view){ bytes.data, found->offset }, err);
	if (rc == OL_OK)
		rc = ol_lazy_maker_pass(maker, found->size, err);
	if (rc == OL_OK)
		rc = ol_lazy_maker_push(
			maker, (ol_view){ bytes.data + end, bytes.size - end }, err);
	return rc < 0 ? rc : ol_lazy_maker_chunks(maker, &chunk, 1, err);
}

int ol_lazy_read_json(ol_lazy_maker *maker, ol_error *err)
{
	const bool estargz = maker->toc->format == OL_LAZY_ESTARGZ;
	const bool inside = maker->toc->place.size > 0;
	const uint64_t blob_end = inside ? maker->toc->place.offset : maker->options->blob_size;
	struct toc_member found = { .size = maker->toc->bytes.size };
	int rc = estargz ? find_json(maker->toc->bytes, &found, err) : OL_OK;

	maker->table.about.layout = OL_LAZY_PACKED;
	if (rc == OL_OK)
		rc = ol_toc_json_parse(
			(ol_view){ maker->toc->bytes.data + found.offset, found.size }, blob_end,
			&(ol_toc_handler){ take_entry, maker }, err);
	if (rc == OL_OK && estargz && inside)
		rc = add_toc_member(maker, &found, err);
	if (rc == OL_OK)
		rc = ol_lazy_maker_join(maker, estargz ? maker->options->blob_size : blob_end, err);
	return rc;
}
