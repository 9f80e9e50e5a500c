/*
 * The frame: files are opened, the format's reader runs, and what it made is written.
 */
#include "snapshot/lazy_build.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "snapshot/erofs_driver_priv.h"
#include "snapshot/erofs_format.h"
#include "snapshot/lazy_build_priv.h"
#include "store/lazy.h"

#define RELAX_ENTRIES 1024 /* with what describes them some 2 MiB */

static int push_header(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	ol_lazy_maker *maker = (ol_lazy_maker *)((char *)sink - offsetof(ol_lazy_maker, headers));

	return ol_lazy_maker_push(maker, ol_view_from(data, size), err);
}

static const ol_sink_ops header_ops = { .write = push_header };

static int take_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	ol_lazy_maker *maker = ctx;
	ol_tar_entry placed = *entry;

	if (maker->member.is_there)
		return ol_fail(
			err, OL_ECORRUPT, "a member that the table of contents does not list");
	if (entry->sparse)
		return ol_fail(err, OL_EUNSUPPORTED,
			"it holds a sparse file, which its table of contents cannot describe");
	if (maker->place != OL_TOC_NOWHERE)
		placed.data_offset = maker->place;
	if (++maker->entries % RELAX_ENTRIES == 0 && maker->toc->relax)
		maker->toc->relax(maker->toc->ctx);
	maker->member.is_there = true;
	if (entry->type == OL_TAR_FILE && entry->data_size > 0) {
		maker->member.is_data = true;
		maker->member.offset = placed.data_offset;
		maker->member.size = placed.data_size;
		if (placed.data_offset + placed.data_size > maker->data_end)
			maker->data_end = placed.data_offset + placed.data_size;
	}
	return ol_erofs_writer_add(maker->index, &placed, 1, err);
}

/* Readers pass data over: what comes here was said to be headers. */
static int refuse_data(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	(void)ctx;
	(void)offset;
	(void)data;
	(void)size;
	return ol_fail(err, OL_ECORRUPT, "a file's data where only headers belong");
}

static int maker_open(ol_lazy_maker *maker, ol_error *err)
{
	const ol_builder_options *builder = &maker->options->builder;
	ol_erofs_writer_options options = { .temp_fd = builder->dir_fd,
		.budget_bytes = builder->budget_bytes,
		.userxattr = builder->userxattr };

	maker->headers.ops = &header_ops;
	maker->index_fd = openat(builder->dir_fd, OL_EROFS_INDEX,
		O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (maker->index_fd < 0)
		return ol_fail_sys(err, OL_EROFS_INDEX);
	options.index_fd = maker->index_fd;
	maker->index = ol_erofs_writer_new(&options);
	maker->tar = ol_tar_new(
		&(ol_tar_handler){ .entry = take_entry, .data = refuse_data, .ctx = maker });
	maker->tar_writer = ol_tar_writer_new(&maker->headers);
	return OL_OK;
}

static void maker_done(ol_lazy_maker *maker)
{
	ol_tar_writer_free(maker->tar_writer);
	ol_tar_free(maker->tar);
	ol_erofs_writer_free(maker->index);
	ol_lazy_table_done(&maker->table);
	if (maker->index_fd >= 0)
		(void)close(maker->index_fd);
}

static uint64_t blocks_up(uint64_t bytes)
{
	return (bytes + OL_EROFS_BLOCK - 1) / OL_EROFS_BLOCK * OL_EROFS_BLOCK;
}

/* How large the payload is. A file of no bytes would be no device. */
static int set_payload(ol_lazy_maker *maker, ol_error *err)
{
	ol_lazy_about *about = &maker->table.about;
	const uint64_t length = maker->tar_length;

	/* As eagerly: what lies in a block that is not whole, a loop device would not show. */
	if (about->layout == OL_LAZY_TAR &&
		maker->data_end > length / OL_EROFS_BLOCK * OL_EROFS_BLOCK)
		return ol_fail(err, OL_EUNSUPPORTED, "its tar ends within a file's last block");
	about->payload_bytes = blocks_up(about->layout == OL_LAZY_TAR ? length : maker->data_end);
	if (about->payload_bytes == 0)
		about->payload_bytes = OL_EROFS_BLOCK;
	return OL_OK;
}

static int seek_bytes(int dir_fd, uint64_t *out, ol_error *err)
{
	struct stat st;

	if (fstatat(dir_fd, OL_LAZY_SEEK, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ol_fail_sys(err, OL_LAZY_SEEK);
	*out = (uint64_t)st.st_size;
	return OL_OK;
}

static int maker_finish(ol_lazy_maker *maker, ol_lazy_built *out, ol_error *err)
{
	const int dir_fd = maker->options->builder.dir_fd;
	ol_lazy_about *about = &maker->table.about;
	ol_erofs_device payload = { 0 };
	ol_erofs_written written = { 0 };
	uint64_t seek = 0;
	int rc = ol_tar_finish(maker->tar, err);

	if (rc == OL_OK)
		rc = set_payload(maker, err);
	payload.bytes = about->payload_bytes;
	if (rc == OL_OK)
		rc = ol_lazy_table_write(&maker->table, dir_fd, err);
	if (rc == OL_OK)
		rc = seek_bytes(dir_fd, &seek, err);
	if (rc == OL_OK)
		rc = ol_erofs_writer_finish(maker->index, &payload, 1, &written, err);
	if (rc < 0)
		return rc;
	*out = (ol_lazy_built){
		.built = { .driver = OL_LAZY_DRIVER,
			.leans = written.leans,
			.entries = maker->entries,
			.disk_bytes = written.bytes + seek,
			.index_digest = written.digest },
		.tar_bytes = maker->tar_length ? maker->tar_length : maker->tar_bytes,
		.about = *about,
	};
	return OL_OK;
}

int ol_lazy_build(const ol_lazy_build_options *options, const ol_lazy_toc *toc, ol_lazy_built *out,
	ol_error *err)
{
	static const struct {
		const char *name;
		int (*read)(ol_lazy_maker *maker, ol_error *err);
	} formats[] = {
		[OL_LAZY_ESTARGZ] = { "estargz", ol_lazy_read_json },
		[OL_LAZY_ZSTD_CHUNKED] = { "zstd:chunked", ol_lazy_read_json },
		[OL_LAZY_SOCI] = { "soci", ol_lazy_read_soci },
	};
	ol_lazy_maker maker = { .options = options, .toc = toc };
	ol_lazy_about *about = &maker.table.about;
	bool split = toc->format == OL_LAZY_ZSTD_CHUNKED && toc->tar_split.size > 0;
	int rc;

	assert((size_t)toc->format < sizeof formats / sizeof *formats);
	*about = (ol_lazy_about){
		.blob = options->blob, .diff_id = options->diff_id, .blob_size = options->blob_size
	};
	(void)snprintf(about->format, sizeof about->format, "%s", formats[toc->format].name);
	if (toc->bytes.size > OL_TOC_BYTES_MAX || toc->tar_split.size > OL_TOC_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "the table of contents has more than %zu bytes",
			OL_TOC_BYTES_MAX);
	rc = maker_open(&maker, err);
	if (rc == OL_OK)
		rc = (split ? ol_lazy_read_split : formats[toc->format].read)(&maker, err);
	if (rc == OL_OK)
		rc = maker_finish(&maker, out, err);
	maker_done(&maker);
	return rc;
}
