#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "image/lazy_toc_priv.h"
#include "manifest/json_scan.h"
#include "manifest/tar.h"
#include "manifest/ztoc.h"
#include "snapshot/decode.h"
#include "store/attached.h"

/* The end of a blob that is fetched at once: the footer, and with it most tables, which take some
 * hundredth of their blob. */
#define TAIL_BYTES_MIN ((uint64_t)64 << 10)
#define TAIL_BYTES_MAX ((uint64_t)1 << 20)
#define TAIL_PART      100
#define STEP_BYTES     ((size_t)64 << 10)
#define TAR_BYTES_MORE ((size_t)64 << 10) /* headers and padding around a table's JSON */

#define GZIP_HEAD_BYTES 10
#define GZIP_FLAGS      3

#define JSON_NAME "stargz.index.json"

static void relax(void *ctx)
{
	ol_toc_got *got = ctx;

	ol_spill_relax(got->main);
	ol_spill_relax(got->split);
}

void ol_toc_got_done(ol_toc_got *got)
{
	ol_spill_close(got->main);
	ol_spill_close(got->split);
	*got = (ol_toc_got){ 0 };
}

int ol_toc_choose(const ol_toc_ask *ask, ol_toc_choice *out, ol_error *err)
{
	ol_store *store = ask->pull->incoming.session->store;
	ol_autofree char *kind = ol_text("ztoc %s", ol_digest_format(&ask->blob->digest).text);
	ol_toc_choice choice = { .kind = OL_TOC_BOUND };
	int rc = ol_toc_binding_of(ask->blob, &choice.binding, NULL);

	if (rc == OL_ENOTFOUND) {
		choice.kind = OL_TOC_OURS;
		rc = ol_attached(store, &ask->diff_id, kind, &choice.ours, NULL);
		if (rc == OL_OK && !ol_blob_exists(store, &choice.ours))
			rc = OL_ENOTFOUND;
	}
	if (rc == OL_ENOTFOUND && ask->ztoc) {
		choice.kind = OL_TOC_SOCI;
		rc = OL_OK;
	}
	if (rc == OL_OK)
		*out = choice;
	else if (rc != OL_ENOTFOUND) /* once more, for the words */
		return ol_toc_binding_of(ask->blob, &choice.binding, err);
	return rc == OL_OK
		       ? OL_OK
		       : ol_fail(err, rc, "it has no table of contents that its manifest binds");
}

static uint64_t tail_bytes(const ol_descriptor *blob)
{
	uint64_t size = blob->size / TAIL_PART;

	size = size < TAIL_BYTES_MIN   ? TAIL_BYTES_MIN
	       : size > TAIL_BYTES_MAX ? TAIL_BYTES_MAX
				       : size;
	return size < blob->size ? size : blob->size;
}

uint64_t ol_toc_weight(const ol_toc_ask *ask, const ol_toc_choice *choice)
{
	switch (choice->kind) {
	case OL_TOC_BOUND:
		return choice->binding.place.toc.size
			       ? choice->binding.place.toc_raw_size +
					 choice->binding.place.tar_split_raw_size
			       : ask->blob->size / TAIL_PART * 8;
	case OL_TOC_SOCI:
		return ask->ztoc->size;
	case OL_TOC_OURS:
		break;
	}
	return ask->blob->size / TAIL_PART;
}

/* Whose inflated bytes these become. */
struct inflated {
	ol_decoder *decoder;
	unsigned char *room; /* of STEP_BYTES */
	ol_spill *out;
};

static int run_decoder(const struct inflated *to, ol_decode_step *step, ol_error *err)
{
	do {
		int rc;

		step->out = to->room;
		step->out_size = STEP_BYTES;
		rc = ol_decoder_run(to->decoder, step, err);
		if (rc == OL_OK)
			rc = ol_spill_add(to->out, to->room, step->made, err);
		if (rc < 0)
			return rc;
	} while (step->in_size > 0 || step->made == STEP_BYTES);
	return OL_OK;
}

/* Compressed bytes that a digest binds are checked before a decoder sees any of them. */
static int check_range(ol_source *source, const ol_toc_range *range, const ol_digest *want,
	const char *what, ol_error *err)
{
	ol_autofree unsigned char *bytes = ol_alloc(STEP_BYTES);
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(want->algorithm);
	ol_digest got;
	int rc = OL_OK;

	for (uint64_t at = 0; rc == OL_OK && at < range->size; at += STEP_BYTES) {
		const uint64_t left = range->size - at;
		const size_t size = left < STEP_BYTES ? (size_t)left : STEP_BYTES;

		rc = ol_source_read_at(source, range->offset + at, bytes, size, err);
		ol_hasher_update(hasher, bytes, rc == OL_OK ? size : 0);
	}
	if (rc < 0)
		return rc;
	got = ol_hasher_final(hasher);
	rc = ol_digest_check(want, &got, err);
	return rc < 0 ? ol_wrap(err, rc, "%s", what) : OL_OK;
}

/* Reads range of source, inflated, into out. */
static int inflate(ol_source *source, const ol_toc_range *range, ol_compression compression,
	ol_spill *out, ol_error *err)
{
	ol_autofree unsigned char *bytes = ol_alloc(STEP_BYTES), *room = ol_alloc(STEP_BYTES);
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	int rc = ol_decoder_new(compression, &decoder, err);
	const struct inflated to = { decoder, room, out };

	for (uint64_t at = 0; rc == OL_OK && at < range->size;) {
		const uint64_t left = range->size - at;
		const size_t size = left < STEP_BYTES ? (size_t)left : STEP_BYTES;
		ol_decode_step step = { .in = bytes, .in_size = size };

		rc = ol_source_read_at(source, range->offset + at, bytes, size, err);
		if (rc == OL_OK)
			rc = run_decoder(&to, &step, err);
		at += size;
	}
	if (rc == OL_OK)
		rc = ol_decoder_finish(decoder, err);
	return rc == OL_ECORRUPT || rc == OL_ELIMIT ? ol_wrap(err, rc, "the table of contents")
						    : rc;
}

struct json_search {
	unsigned entries;
	uint64_t offset, size;
};

/* One member and no other: nobody may read another table than the one that was verified. */
static int look_at_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	struct json_search *search = ctx;

	if (search->entries++ || entry->type != OL_TAR_FILE || entry->sparse ||
		strcmp(entry->name, JSON_NAME) != 0)
		return ol_fail(err, OL_ECORRUPT, "it has another member than " JSON_NAME);
	search->offset = entry->data_offset;
	search->size = entry->data_size;
	return OL_OK;
}

int ol_toc_json_of_tar(ol_view tar, ol_view *out, ol_error *err)
{
	struct json_search search = { 0 };
	ol_auto(ol_tar_free) ol_tar *reader =
		ol_tar_new(&(ol_tar_handler){ .entry = look_at_entry, .ctx = &search });
	int rc = ol_tar_push(reader, tar.data, tar.size, err);

	if (rc == OL_OK)
		rc = ol_tar_finish(reader, err);
	if (rc == OL_OK && search.entries == 0)
		rc = ol_fail(err, OL_ECORRUPT, "it has no " JSON_NAME);
	if (rc < 0)
		return ol_wrap(err, rc, "the table of contents");
	if (search.offset > tar.size || search.size > tar.size - search.offset)
		return ol_fail(err, OL_ECORRUPT, "the table of contents ends too early");
	*out = ol_view_from(tar.data + search.offset, (size_t)search.size);
	return OL_OK;
}

static int check_digest(const ol_digest *want, ol_view bytes, ol_error *err)
{
	const ol_digest got = ol_digest_of(want->algorithm, bytes.data, bytes.size);
	int rc = ol_digest_check(want, &got, err);

	return rc < 0 ? ol_wrap(err, rc, "the table of contents") : OL_OK;
}

/* On whose file system what is inflated lies. */
static int spill_dir(const ol_toc_ask *ask)
{
	return ol_store_root_fd(ask->pull->incoming.session->store);
}

/* Where it is, from the blob's last bytes. */
static int read_footer(ol_lazy_blob *blob, ol_toc_place *out, ol_error *err)
{
	const ol_descriptor *is = blob->blob;
	const uint64_t tail = tail_bytes(is);
	char bytes[OL_TOC_FOOTER_BYTES_MAX];
	const size_t size = is->size < sizeof bytes ? (size_t)is->size : sizeof bytes;
	int rc = ol_lazy_blob_need(blob, is->size - tail, tail, err);

	if (rc == OL_OK)
		rc = ol_source_read_at(blob->source, is->size - size, bytes, size, err);
	return rc == OL_OK ? ol_toc_footer_parse(ol_view_from(bytes, size), is->size, out, err)
			   : rc;
}

/* Table, tar-split and footer stand side by side: one request brings them. */
static int need_all(const ol_toc_place *place, ol_lazy_blob *blob, ol_error *err)
{
	const ol_toc_range *toc = &place->toc, *split = &place->tar_split;
	uint64_t end = toc->offset + toc->size;
	int rc = OL_OK;

	if (split->size && split->offset >= end && split->offset - end < STEP_BYTES)
		end = split->offset + split->size;
	else if (split->size)
		rc = ol_lazy_blob_need(blob, split->offset, split->size, err);
	if (blob->blob->size - end < STEP_BYTES)
		end = blob->blob->size;
	return rc < 0 ? rc : ol_lazy_blob_need(blob, toc->offset, end - toc->offset, err);
}

static int find_place(
	const ol_toc_binding *binding, ol_lazy_blob *blob, ol_toc_place *out, ol_error *err)
{
	*out = binding->place;
	return out->toc.size ? OL_OK : read_footer(blob, out, err);
}

static int need_place(const ol_toc_place *place, ol_lazy_blob *blob, ol_error *err)
{
	if (place->format == OL_TOC_ESTARGZ_EXTERNAL)
		return OL_OK;
	return place->format == OL_TOC_ZSTD_CHUNKED
		       ? need_all(place, blob, err)
		       : ol_lazy_blob_need(blob, place->toc.offset, place->toc.size, err);
}

int ol_toc_fetch(const ol_toc_binding *binding, ol_lazy_blob *blob, ol_error *err)
{
	ol_toc_place place;
	int rc = find_place(binding, blob, &place, err);

	return rc < 0 ? rc : need_place(&place, blob, err);
}

static int get_external(const ol_toc_ask *ask, ol_toc_got *got, ol_error *err)
{
	ol_auto_buf ol_buf packed = OL_BUF(OL_TOC_BYTES_MAX);
	ol_source *source;
	int rc = ol_lazy_external_get(ask->external, ask->pull, &ask->blob->digest, &packed, err);

	if (rc < 0)
		return rc;
	source = ol_source_of_memory(packed.data, packed.size);
	rc = inflate(
		source, &(ol_toc_range){ 0, packed.size }, OL_COMPRESSION_GZIP, got->main, err);
	ol_source_close(source);
	return rc;
}

static int get_estargz(const ol_toc_ask *ask, const ol_toc_binding *binding,
	const ol_toc_place *place, ol_lazy_blob *blob, ol_toc_got *got, ol_error *err)
{
	ol_view json = { 0 };
	int rc = ol_spill_open(spill_dir(ask), OL_TOC_BYTES_MAX + TAR_BYTES_MORE, &got->main, err);

	if (rc < 0)
		return rc;
	got->toc.format = OL_LAZY_ESTARGZ;
	if (place->format == OL_TOC_ESTARGZ_EXTERNAL) {
		rc = get_external(ask, got, err);
	} else {
		got->toc.place = place->toc;
		rc = need_place(place, blob, err);
		if (rc == OL_OK)
			rc = inflate(
				blob->source, &place->toc, OL_COMPRESSION_GZIP, got->main, err);
	}
	if (rc == OL_OK)
		rc = ol_spill_map(got->main, &got->toc.bytes, err);
	if (rc == OL_OK)
		rc = ol_toc_json_of_tar(got->toc.bytes, &json, err);
	ol_spill_relax(got->main);
	return rc < 0 ? rc : check_digest(&binding->toc, json, err);
}

/* The member tarSplitDigest of the table: unset where it has none. */
static int tar_split_digest(ol_view json, ol_digest *out, ol_error *err)
{
	ol_json_scan scan;
	ol_json_token token;
	int rc;

	*out = (ol_digest){ 0 };
	ol_json_scan_init(&scan, json, OL_TOC_STRING_MAX);
	rc = ol_json_scan_next(&scan, &token, err);
	if (rc == OL_OK && token.type != OL_JSON_TOKEN_OBJECT)
		rc = ol_fail(err, OL_ECORRUPT, "the table of contents is no object");
	while (rc == OL_OK) {
		bool wanted;

		rc = ol_json_scan_next(&scan, &token, err);
		if (rc < 0 || token.type != OL_JSON_TOKEN_KEY)
			break;
		wanted = ol_view_is(token.text, "tarSplitDigest");
		rc = ol_json_scan_next(&scan, &token, err);
		if (rc == OL_OK && wanted && token.type == OL_JSON_TOKEN_STRING &&
			token.text.size > 0)
			rc = ol_digest_is_set(out)
				     ? ol_fail(err, OL_ECORRUPT, "tarSplitDigest stands twice")
				     : ol_digest_parse(token.text, out, err);
		else if (rc == OL_OK)
			rc = ol_json_scan_skip(&scan, &token, err);
	}
	ol_json_scan_done(&scan);
	return rc == OL_EINVAL || rc == OL_EUNSUPPORTED
		       ? ol_wrap(err, OL_ECORRUPT, "the table of contents")
		       : rc;
}

struct frame {
	ol_toc_range range;
	uint64_t raw_size;
};

/* One frame, of exactly so many bytes inflated. */
static int inflate_frame(const ol_toc_ask *ask, ol_lazy_blob *blob, const struct frame *frame,
	ol_spill **spill, ol_view *out, ol_error *err)
{
	int rc = ol_spill_open(spill_dir(ask), frame->raw_size, spill, err);

	if (rc == OL_OK)
		rc = inflate(blob->source, &frame->range, OL_COMPRESSION_ZSTD, *spill, err);
	if (rc == OL_OK && ol_spill_size(*spill) != frame->raw_size)
		rc = ol_fail(err, OL_ECORRUPT, "the table of contents has %llu bytes, not %llu",
			(unsigned long long)ol_spill_size(*spill),
			(unsigned long long)frame->raw_size);
	return rc < 0 ? rc : ol_spill_map(*spill, out, err);
}

static int get_tar_split(const ol_toc_ask *ask, const ol_toc_place *place, ol_lazy_blob *blob,
	ol_toc_got *got, ol_error *err)
{
	const struct frame frame = { place->tar_split, place->tar_split_raw_size };
	ol_digest want;
	int rc = tar_split_digest(got->toc.bytes, &want, err);

	ol_spill_relax(got->main);
	/* What no digest binds is as if it were not there. */
	if (rc < 0 || !ol_digest_is_set(&want))
		return rc;
	rc = check_range(blob->source, &place->tar_split, &want, "the tar-split", err);
	return rc < 0 ? rc
		      : inflate_frame(ask, blob, &frame, &got->split, &got->toc.tar_split, err);
}

static int get_zstd_chunked(const ol_toc_ask *ask, const ol_toc_binding *binding,
	const ol_toc_place *place, ol_lazy_blob *blob, ol_toc_got *got, ol_error *err)
{
	const struct frame frame = { place->toc, place->toc_raw_size };
	int rc = need_place(place, blob, err);

	if (rc == OL_OK && !binding->toc_is_raw)
		rc = check_range(
			blob->source, &place->toc, &binding->toc, "the table of contents", err);
	got->toc.format = OL_LAZY_ZSTD_CHUNKED;
	got->toc.place = place->toc;
	if (rc == OL_OK)
		rc = inflate_frame(ask, blob, &frame, &got->main, &got->toc.bytes, err);
	if (rc == OL_OK && binding->toc_is_raw)
		rc = check_digest(&binding->toc, got->toc.bytes, err);
	return rc == OL_OK && place->tar_split.size ? get_tar_split(ask, place, blob, got, err)
						    : rc;
}

static int get_bound(const ol_toc_ask *ask, const ol_toc_binding *binding, ol_lazy_blob *blob,
	ol_toc_got *got, ol_error *err)
{
	ol_toc_place place;
	int rc = find_place(binding, blob, &place, err);

	if (rc < 0)
		return rc;
	if ((place.format == OL_TOC_ZSTD_CHUNKED) != (binding->format == OL_TOC_ZSTD_CHUNKED))
		return ol_fail(
			err, OL_ECORRUPT, "its footer has another form than its annotations say");
	return place.format == OL_TOC_ZSTD_CHUNKED
		       ? get_zstd_chunked(ask, binding, &place, blob, got, err)
		       : get_estargz(ask, binding, &place, blob, got, err);
}

/* A ztoc is there in one piece when it is verified. */
static int get_ztoc(
	const ol_toc_ask *ask, const ol_toc_choice *choice, ol_toc_got *got, ol_error *err)
{
	ol_auto_buf ol_buf ztoc = OL_BUF(OL_TOC_BYTES_MAX);
	int rc = choice->kind == OL_TOC_OURS
			 ? ol_blob_read(ask->pull->incoming.session->store, &choice->ours,
				   OL_TOC_BYTES_MAX, &ztoc, err)
			 : ol_registry_get_small_blob(ask->pull->registry, &ask->pull->ref,
				   ask->ztoc, OL_TOC_BYTES_MAX, &ztoc, err);

	got->toc.format = OL_LAZY_SOCI;
	if (rc == OL_OK)
		rc = ol_spill_open(spill_dir(ask), ztoc.size, &got->main, err);
	if (rc == OL_OK)
		rc = ol_spill_add(got->main, ztoc.data, ztoc.size, err);
	return rc < 0 ? rc : ol_spill_map(got->main, &got->toc.bytes, err);
}

/* A ztoc that does not say where inflating begins takes the gzip header to be of 10 bytes (RFC
 * 1952: no flags). One more request, which only such tables cost. */
static int check_gzip_head(ol_view bytes, ol_lazy_blob *blob, ol_error *err)
{
	unsigned char head[GZIP_HEAD_BYTES];
	ol_ztoc ztoc;
	bool implied;
	int rc = ol_ztoc_parse(bytes, &ztoc, err);

	if (rc < 0)
		return rc;
	implied = ztoc.gzip && ztoc.first_implied;
	ol_ztoc_done(&ztoc);
	if (!implied)
		return OL_OK;
	if (blob->blob->size < sizeof head)
		return ol_fail(err, OL_ECORRUPT, "it is no gzip file");
	rc = ol_lazy_blob_need(blob, 0, sizeof head, err);
	if (rc == OL_OK)
		rc = ol_source_read_at(blob->source, 0, head, sizeof head, err);
	if (rc == OL_OK && head[GZIP_FLAGS] != 0)
		rc = ol_fail(err, OL_EUNSUPPORTED,
			"its gzip header is longer than its table of contents takes it to be");
	return rc;
}

int ol_toc_get(const ol_toc_ask *ask, const ol_toc_choice *choice, ol_lazy_blob *blob,
	ol_toc_got *out, ol_error *err)
{
	ol_toc_got got = { 0 };
	int rc = OL_OK;

	switch (choice->kind) {
	case OL_TOC_BOUND:
		do {
			ol_toc_got_done(&got);
			rc = get_bound(ask, &choice->binding, blob, &got, err);
		} while ((rc == OL_ECORRUPT || rc == OL_ELIMIT) && ol_lazy_blob_blame(blob));
		break;
	case OL_TOC_OURS:
	case OL_TOC_SOCI:
		rc = get_ztoc(ask, choice, &got, err);
		if (rc == OL_OK && choice->kind == OL_TOC_SOCI)
			rc = check_gzip_head(got.toc.bytes, blob, err);
		break;
	}
	if (rc < 0) {
		ol_toc_got_done(&got);
		return rc;
	}
	got.toc.relax = relax;
	got.toc.ctx = out;
	*out = got;
	return OL_OK;
}
