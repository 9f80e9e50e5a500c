/*
 * A ztoc says where in the tar each file's data are, and its spans give all of the tar, headers and
 * all: so the payload becomes the tar, and the index is the one that an eager pull makes. Members
 * carry the pax records they have in the tar.
 *
 *	span i ─▶ piece: its bytes in the blob, digest, window ─▶ extent: its bytes in the tar
 */
#include <fcntl.h>

#include "base/file.h"
#include "manifest/ztoc.h"
#include "snapshot/lazy_build_priv.h"
#include "store/lazy.h"

static int take_entry(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	ol_lazy_maker *maker = ctx;
	ol_xattr records[OL_PAX_RECORDS_MAX];
	size_t count = 0;

	/* Its size is the entry's, which knows what of it is in the tar. */
	for (size_t i = 0; i < entry->xattr_count; i++)
		if (!ol_view_is(entry->xattrs[i].name, "size"))
			records[count++] = entry->xattrs[i];
	maker->place = entry->data_offset;
	return ol_lazy_maker_add(maker, entry, records, count, err);
}

static int add_span(ol_lazy_maker *maker, const ol_ztoc *ztoc, size_t index, ol_error *err)
{
	const ol_ztoc_checkpoint here = ol_ztoc_checkpoint_at(ztoc, index);
	const uint64_t end = index + 1 < ztoc->span_count
				     ? ol_ztoc_checkpoint_at(ztoc, index + 1).out
				     : ztoc->tar_size;
	ol_lazy_piece piece = { .size = end - here.out,
		.digest = ztoc->span_digests[index],
		.kind = ztoc->gzip ? OL_PIECE_DEFLATE : OL_PIECE_RAW,
		.bits = here.bits,
		.window = here.window.size ? (uint64_t)(here.window.data - ztoc->bytes.data)
					   : OL_PIECE_NO_WINDOW };
	ol_lazy_extent extent = { .offset = here.out, .size = piece.size };
	int rc;

	ol_ztoc_span(ztoc, index, &piece.begin, &piece.end);
	if (piece.size > OL_LAZY_PIECE_BYTES_MAX ||
		piece.end - piece.begin > OL_LAZY_PIECE_BYTES_MAX)
		return ol_fail(err, OL_EUNSUPPORTED,
			"a span of it has more than %llu bytes and cannot be verified in parts",
			(unsigned long long)OL_LAZY_PIECE_BYTES_MAX);
	rc = ol_lazy_maker_piece(maker, &piece, &extent.piece, err);
	return rc < 0 ? rc : ol_lazy_maker_extent(maker, &extent, err);
}

/* The ztoc goes where the filler finds the windows in it. */
static int keep_windows(const ol_lazy_maker *maker, ol_error *err)
{
	const ol_view bytes = maker->toc->bytes;
	ol_autofd int fd = openat(maker->options->builder.dir_fd, OL_LAZY_WINDOW,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return ol_fail_sys(err, OL_LAZY_WINDOW);
	rc = ol_write_all(fd, bytes.data, bytes.size, err);
	return rc < 0 ? ol_wrap(err, rc, OL_LAZY_WINDOW) : OL_OK;
}

static int read_ztoc(ol_lazy_maker *maker, const ol_ztoc *ztoc, ol_error *err)
{
	int rc;

	if (ztoc->blob_size != maker->options->blob_size)
		return ol_fail(err, OL_ECORRUPT, "the ztoc is of a blob of %llu bytes, not %llu",
			(unsigned long long)ztoc->blob_size,
			(unsigned long long)maker->options->blob_size);
	maker->table.about.layout = OL_LAZY_TAR;
	maker->tar_length = ztoc->tar_size;
	/* First, as all of it is in memory once, and the index is not yet. */
	rc = keep_windows(maker, err);
	if (rc == OL_OK && maker->toc->relax)
		maker->toc->relax(maker->toc->ctx);
	if (rc == OL_OK)
		rc = ol_ztoc_entries(ztoc, &(ol_toc_handler){ take_entry, maker }, err);
	for (size_t i = 0; rc == OL_OK && i < ztoc->span_count; i++)
		rc = add_span(maker, ztoc, i, err);
	return rc;
}

int ol_lazy_read_soci(ol_lazy_maker *maker, ol_error *err)
{
	ol_ztoc ztoc;
	int rc = ol_ztoc_parse(maker->toc->bytes, &ztoc, err);

	if (rc < 0)
		return rc;
	rc = read_ztoc(maker, &ztoc, err);
	ol_ztoc_done(&ztoc);
	return rc;
}
