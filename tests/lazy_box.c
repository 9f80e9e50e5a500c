#include "tests/lazy_box.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/erofs_reader.h"
#include "store/lazy.h"

#define TEXT_BYTES_MAX ((size_t)64 << 20)
#define FILE_BYTES_MAX ((size_t)512 << 20)

static lazy_box box_new(void)
{
	lazy_box box = { .dir = "/tmp/lazy-box-XXXXXX", .payload_fd = -1 };

	assert_non_null(mkdtemp(box.dir));
	box.dir_fd = open(box.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(box.dir_fd >= 0);
	return box;
}

void lazy_box_done(lazy_box *box)
{
	ol_lazy_table_done(&box->table);
	if (box->payload_fd >= 0)
		(void)close(box->payload_fd);
	(void)close(box->dir_fd);
	assert_int_equal(OL_OK, ol_remove_tree(AT_FDCWD, box->dir, NULL));
}

lazy_box lazy_box_build(const ol_lazy_toc *toc, ol_view blob)
{
	lazy_box box = box_new();
	const ol_lazy_build_options options = {
		.builder = { .dir_fd = box.dir_fd, .budget_bytes = (size_t)1 << 20 },
		.blob = ol_digest_of(OL_SHA256, blob.data, blob.size),
		.diff_id = ol_digest_of(OL_SHA256, "diff", 4),
		.blob_size = blob.size,
	};

	box.rc = ol_lazy_build(&options, toc, &box.built, &box.err);
	if (box.rc < 0)
		return box;
	if (ol_lazy_table_load(box.dir_fd, &box.table, &box.err) < 0)
		fail_msg("%s", box.err.text);
	assert_memory_equal(&box.built.about, &box.table.about, sizeof box.table.about);
	box.payload_fd = memfd_create("payload", MFD_CLOEXEC);
	assert_int_equal(0, ftruncate(box.payload_fd, (off_t)box.table.about.payload_bytes));
	return box;
}

lazy_box lazy_box_eager(ol_view tar)
{
	lazy_box box = box_new();
	const ol_driver *driver = ol_driver_named("erofs");
	const ol_builder_options options = { .dir_fd = box.dir_fd,
		.budget_bytes = (size_t)1 << 20 };
	ol_builder *builder = NULL;

	box.rc = driver->begin(&options, &builder, &box.err);
	if (box.rc == OL_OK)
		box.rc = driver->push(builder, tar.data, tar.size, &box.err);
	if (box.rc == OL_OK)
		box.rc = driver->finish(builder, &box.built.built, &box.err);
	driver->free(builder);
	if (box.rc < 0)
		return box;
	assert_string_equal("erofs", box.built.built.driver);
	box.payload_fd = openat(box.dir_fd, "tar", O_RDONLY | O_CLOEXEC);
	assert_true(box.payload_fd >= 0);
	return box;
}

/* As many bytes as out has room for, of one gzip member or, at a checkpoint, of a stream of them.
 */
static void inflate_piece(
	const ol_lazy_piece *piece, ol_view in, ol_view window, unsigned char *out)
{
	const bool raw = piece->kind == OL_PIECE_DEFLATE;
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in.data,
		.avail_in = (uInt)in.size,
		.next_out = out,
		.avail_out = (uInt)piece->size };
	int rc;

	assert_int_equal(Z_OK, inflateInit2(&z, raw ? -15 : 15 + 16));
	if (piece->bits) {
		assert_int_equal(Z_OK,
			inflatePrime(&z, (int)piece->bits, z.next_in[0] >> (8 - piece->bits)));
		z.next_in++;
		z.avail_in--;
	}
	if (window.size)
		assert_int_equal(Z_OK,
			inflateSetDictionary(&z, (const Bytef *)window.data, (uInt)window.size));
	rc = inflate(&z, Z_NO_FLUSH);
	if (rc != Z_OK && rc != Z_STREAM_END)
		fail_msg("zlib: %d at %llu", rc, (unsigned long long)piece->begin);
	assert_int_equal(0, z.avail_out);
	(void)inflateEnd(&z);
}

static void decompress_piece(const ol_lazy_piece *piece, ol_view in, unsigned char *out)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_inBuffer from = { in.data, in.size, 0 };
	ZSTD_outBuffer to = { out, piece->size, 0 };

	while (to.pos < to.size) {
		size_t left = ZSTD_decompressStream(stream, &to, &from);

		if (ZSTD_isError(left))
			fail_msg("zstd: %s at %llu", ZSTD_getErrorName(left),
				(unsigned long long)piece->begin);
		assert_true(to.pos == to.size || from.pos < from.size);
	}
	(void)ZSTD_freeDStream(stream);
}

static void check_digest(const ol_digest *want, const void *bytes, size_t size)
{
	const ol_digest got = ol_digest_of(want->algorithm, bytes, size);

	if (!ol_digest_eq(want, &got))
		fail_msg("%s, not %s", ol_digest_format(&got).text, ol_digest_format(want).text);
}

void lazy_box_fill(lazy_box *box, ol_view blob)
{
	ol_auto_buf ol_buf windows = OL_BUF(FILE_BYTES_MAX);

	(void)ol_file_read(box->dir_fd, OL_LAZY_WINDOW, true, &windows, NULL);
	for (size_t i = 0; i < box->table.extent_count; i++) {
		const ol_lazy_extent *extent = &box->table.extents[i];
		const ol_lazy_piece *piece = &box->table.pieces[extent->piece];
		const ol_view in = { blob.data + piece->begin, piece->end - piece->begin };
		ol_view window = { NULL, 0 };
		ol_autofree unsigned char *out = ol_alloc(piece->size);

		if (piece->window != OL_PIECE_NO_WINDOW) {
			assert_true(piece->window + 32768 <= windows.size);
			window = (ol_view){ windows.data + piece->window, 32768 };
		}
		if (ol_digest_is_set(&piece->digest))
			check_digest(&piece->digest, in.data, in.size);
		if (piece->kind == OL_PIECE_ZSTD)
			decompress_piece(piece, in, out);
		else if (piece->kind == OL_PIECE_RAW)
			memcpy(out, in.data, piece->size);
		else
			inflate_piece(piece, in, window, out);
		if (ol_digest_is_set(&extent->digest))
			check_digest(&extent->digest, out + extent->inner, extent->size);
		assert_int_equal(OL_OK, ol_pwrite_all(box->payload_fd, out + extent->inner,
						extent->size, extent->offset, NULL));
	}
}

struct lister {
	ol_erofs *erofs;
	int payload_fd;
	bool coarse;
	ol_str *text;
};

static void list_xattrs(struct lister *lister, const ol_erofs_inode *inode)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_xattr *xattrs = NULL;
	size_t count = 0;

	assert_int_equal(
		OL_OK, ol_erofs_xattrs(lister->erofs, inode, arena, &xattrs, &count, NULL));
	for (size_t i = 0; i < count; i++) {
		if (lister->coarse && xattrs[i].value.size == 0)
			continue;
		ol_str_addf(lister->text, " %s=", xattrs[i].name.data);
		ol_str_add_safe(lister->text, xattrs[i].value);
	}
}

static void list_data(struct lister *lister, const ol_erofs_inode *inode)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	static char block[64 << 10];
	ol_digest digest;

	for (uint64_t at = 0; at < inode->size;) {
		ol_erofs_extent extent;
		size_t n = sizeof block;

		assert_int_equal(
			OL_OK, ol_erofs_extent_at(lister->erofs, inode, at, &extent, NULL));
		if (extent.size < n)
			n = (size_t)extent.size;
		if (extent.hole)
			memset(block, 0, n);
		else
			assert_int_equal(OL_OK,
				ol_pread_all(lister->payload_fd, block, n, extent.address, NULL));
		ol_hasher_update(hasher, block, n);
		at += n;
	}
	digest = ol_hasher_final(hasher);
	ol_str_addf(lister->text, " %llu %s", (unsigned long long)inode->size,
		ol_digest_short(&digest).text);
}

static int list_visit(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	struct lister *lister = ctx;
	const ol_erofs_inode *inode = &visit->inode;
	char target[OL_PATH_MAX + 1];

	(void)err;
	ol_str_addc(lister->text, '/');
	ol_str_add_safe(lister->text, ol_view_of(visit->path));
	/* stargz-snapshotter rounds */
	ol_str_addf(lister->text, " %06o %u:%u %lld", inode->mode, inode->uid, inode->gid,
		(long long)inode->mtime.tv_sec +
			(lister->coarse && inode->mtime.tv_nsec >= 500000000));
	if (!lister->coarse)
		ol_str_addf(lister->text, ".%09ld", inode->mtime.tv_nsec);
	if (!S_ISDIR(inode->mode))
		ol_str_addf(lister->text, " n=%u %u,%u", inode->nlink, inode->dev_major,
			inode->dev_minor);
	if (S_ISLNK(inode->mode)) {
		assert_int_equal(OL_OK, ol_erofs_readlink(lister->erofs, inode, target, NULL));
		ol_str_add(lister->text, " -> ");
		ol_str_add_safe(lister->text, ol_view_of(target));
	}
	list_xattrs(lister, inode);
	if (S_ISREG(inode->mode))
		list_data(lister, inode);
	return ol_str_addc(lister->text, '\n');
}

ol_buf lazy_box_index(const lazy_box *box)
{
	ol_buf index = OL_BUF(FILE_BYTES_MAX);

	assert_int_equal(OL_OK, ol_file_read(box->dir_fd, "index.erofs", true, &index, NULL));
	return index;
}

ol_str lazy_box_text(const lazy_box *box, bool coarse)
{
	ol_auto_buf ol_buf index = lazy_box_index(box);
	ol_auto(ol_erofs_close) ol_erofs *erofs = NULL;
	ol_str text = OL_STR(TEXT_BYTES_MAX);
	struct lister lister = { .payload_fd = box->payload_fd, .coarse = coarse, .text = &text };
	ol_error err = { 0 };

	if (ol_erofs_open(ol_source_of_memory(index.data, index.size), &erofs, &err) < 0)
		fail_msg("open: %s", err.text);
	lister.erofs = erofs;
	if (ol_erofs_walk(erofs, list_visit, &lister, &err) < 0)
		fail_msg("walk: %s", err.text);
	return text;
}
