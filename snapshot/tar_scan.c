#include "snapshot/tar_scan.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "manifest/toc_writer.h"
#include "snapshot/chunker_priv.h"

#define READ_BYTES ((size_t)256 << 10)

struct scanning {
	const ol_scan_options *options;
	ol_scan *scan;
	ol_chunker *chunker; /* owned */
	bool open;           /* the last member is a file whose data come */
	int fd;              /* lent */
	ol_tar_raw raw;
};

/* It stays ordinary; the first reason is the one. */
static void set_odd(struct scanning *self, const char *why, ol_view name)
{
	ol_auto_str ol_str safe = OL_STR(160);

	self->open = false;
	if (*self->scan->odd)
		return;
	(void)ol_str_add_safe(&safe, name);
	(void)snprintf(self->scan->odd, sizeof self->scan->odd, "%s%s%s", why,
		name.size ? ": " : "", ol_str_text(&safe));
}

static const char *clean_name(ol_scan *scan, ol_view raw)
{
	char *clean = ol_arena_alloc(scan->arena, raw.size + 1);
	size_t size = 0;

	for (size_t at = 0; at < raw.size;) {
		const char *slash = memchr(raw.data + at, '/', raw.size - at);
		const size_t end = slash ? (size_t)(slash - raw.data) : raw.size;

		if (end > at && !(end == at + 1 && raw.data[at] == '.')) {
			if (size > 0)
				clean[size++] = '/';
			memcpy(clean + size, raw.data + at, end - at);
			size += end - at;
		}
		at = end + 1;
	}
	clean[size] = '\0';
	return clean;
}

static void end_file(struct scanning *self)
{
	ol_scan_member *member = NULL;
	uint64_t got;

	if (!self->open)
		return;
	self->open = false;
	member = &self->scan->members[self->scan->count - 1];
	got = ol_chunker_end(self->chunker, &member->digest, &member->crc64);
	member->chunk_count = self->scan->chunk_count - member->chunk;
	/* What markers carry is nobody's data. */
	if (got != member->size)
		set_odd(self, "a whiteout that has data", ol_view_of(member->name));
}

static void add_member(struct scanning *self, const ol_tar_member *is)
{
	const ol_tar_raw *raw = &self->raw;
	ol_scan *scan = self->scan;
	ol_scan_member *member;

	OL_GROW(scan->members, scan->count, scan->cap);
	member = &scan->members[scan->count++];
	*member = (ol_scan_member){
		.name = ol_arena_strndup(scan->arena, raw->name.data, raw->name.size),
		.clean = clean_name(scan, raw->name),
		.link = raw->type == '1' ? clean_name(scan, raw->target) : NULL,
		.header_offset = is->header_offset,
		.data_offset = is->data_offset,
		.size = raw->size,
		.toc_at = scan->toc.size,
		.chunk = scan->chunk_count,
		.file = raw->type == '0',
	};
	ol_toc_put_member(&scan->toc, raw, self->options->all_times);
	member->toc_size = scan->toc.size - member->toc_at;
	if (scan->toc.rc < 0)
		set_odd(self, "its table of contents would be too large", (ol_view){ 0 });
	self->open = member->file;
	if (self->open)
		ol_chunker_begin(self->chunker, scan);
}

static int on_member(void *ctx, const ol_tar_member *member, ol_error *err)
{
	struct scanning *self = ctx;
	unsigned char header[OL_TAR_HEADER_BYTES] = { 0 };
	int rc = OL_OK;

	end_file(self);
	if (*self->scan->odd)
		return OL_OK;
	if (!member->sparse)
		rc = ol_pread_all(
			self->fd, header, sizeof header, member->data_offset - sizeof header, err);
	if (rc < 0)
		return rc;
	ol_tar_raw_take(&self->raw, member, header);
	if (self->raw.odd)
		set_odd(self, self->raw.odd, self->raw.name);
	else
		add_member(self, member);
	return OL_OK;
}

static int on_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	(void)ctx;
	(void)entry;
	(void)err;
	return OL_OK;
}

static int on_data(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	struct scanning *self = ctx;

	(void)offset;
	(void)err;
	if (self->open)
		ol_chunker_add(self->chunker, data, size);
	return OL_OK;
}

static int read_all(struct scanning *self, int fd, ol_tar *tar, ol_error *err)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	ol_autofree unsigned char *buffer = ol_alloc(READ_BYTES);
	const ol_scan_options *options = self->options;
	ol_scan *scan = self->scan;
	int rc = OL_OK;

	while (rc == OL_OK) {
		const ssize_t got = pread(fd, buffer, READ_BYTES, (off_t)scan->tar_bytes);

		if (got < 0)
			return ol_fail_sys(err, "read a layer");
		if (got == 0)
			break;
		rc = ol_cancel_check(options->cancel, err);
		if (rc < 0)
			return rc;
		scan->tar_bytes += (uint64_t)got;
		ol_hasher_update(hasher, buffer, (size_t)got);
		rc = ol_tar_push(tar, buffer, (size_t)got, err);
		if (options->progress)
			options->progress(options->ctx, (uint64_t)got);
	}
	if (rc == OL_OK)
		rc = ol_tar_finish(tar, err);
	scan->diff_id = ol_hasher_final(hasher);
	return rc;
}

static int by_name(const void *a, const void *b, void *ctx)
{
	const ol_scan_member *members = ctx;

	return strcmp(members[*(const size_t *)a].clean, members[*(const size_t *)b].clean);
}

/* The last one counts in a tar; in a table each name stands for itself. */
static void look_for_doubles(struct scanning *self)
{
	const ol_scan *scan = self->scan;
	ol_autofree size_t *sorted = NULL;

	if (*scan->odd || scan->count < 2)
		return;
	sorted = ol_alloc_array(scan->count, sizeof *sorted);
	for (size_t i = 0; i < scan->count; i++)
		sorted[i] = i;
	qsort_r(sorted, scan->count, sizeof *sorted, by_name, scan->members);
	for (size_t i = 1; i < scan->count; i++)
		if (strcmp(scan->members[sorted[i - 1]].clean, scan->members[sorted[i]].clean) ==
			0) {
			set_odd(self, "a name that is there twice",
				ol_view_of(scan->members[sorted[i]].name));
			return;
		}
}

/* Behind the last member there are zeros only, and its padding at least. */
static int look_at_end(struct scanning *self, int fd, ol_error *err)
{
	ol_scan *scan = self->scan;
	const ol_scan_member *last = scan->count ? &scan->members[scan->count - 1] : NULL;
	uint64_t at = last ? last->data_offset + last->size : 0;
	ol_autofree char *buffer = ol_alloc(READ_BYTES);

	if (!*scan->odd && scan->tar_bytes < at + -at % 512)
		set_odd(self, "its end is missing", (ol_view){ 0 });
	while (!*scan->odd && at < scan->tar_bytes) {
		const ssize_t got = pread(fd, buffer, READ_BYTES, (off_t)at);

		if (got <= 0)
			return got < 0 ? ol_fail_sys(err, "read a layer")
				       : ol_fail(err, OL_ECORRUPT, "the layer has become shorter");
		at += (uint64_t)got;
		for (ssize_t i = 0; i < got; i++)
			if (buffer[i]) {
				set_odd(self, "something behind the end of its tar",
					(ol_view){ 0 });
				break;
			}
	}
	return OL_OK;
}

int ol_tar_scan(int fd, const ol_scan_options *options, ol_scan *out, ol_error *err)
{
	const ol_tar_handler handler = { .entry = on_entry, .data = on_data, .ctx = NULL };
	struct scanning self = { .options = options, .scan = out, .fd = fd };
	ol_tar_handler bound = handler;
	ol_tar *tar;
	int rc;

	*out = (ol_scan){ .toc = OL_STR(OL_TOC_BYTES_MAX), .arena = ol_arena_new() };
	self.chunker = ol_chunker_new(options->chunk_bytes);
	bound.ctx = &self;
	tar = ol_tar_new(&bound);
	ol_tar_watch(tar, on_member, &self);
	rc = read_all(&self, fd, tar, err);
	if (rc == OL_OK) {
		end_file(&self);
		look_for_doubles(&self);
		rc = look_at_end(&self, fd, err);
	}
	ol_tar_free(tar);
	ol_chunker_free(self.chunker);
	ol_tar_raw_done(&self.raw);
	return rc;
}

void ol_scan_done(ol_scan *scan)
{
	free(scan->members);
	free(scan->chunks);
	ol_buf_done(&scan->toc);
	ol_arena_free(scan->arena);
	*scan = (ol_scan){ 0 };
}
