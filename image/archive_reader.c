/*
 *	from ─▶ gzip | zstd | xz | bzip2 | as it is ─▶ tar: members     ol_archive_reader
 *	                                            └▶ bytes            ol_unwrap
 *
 * libarchive stops at a tar's end marker and at the end of a compressed stream, and says nothing of
 * what follows. Here the end is the end: more than zeros after it is damage, so that one who
 * looks at the other end of the bytes sees no other archive.
 */
#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "image/archive_lazy_priv.h"
#include "image/archive_reader_priv.h"

/* Large enough that a read from disk or pipe is no matter of system calls. */
#define PIECE_BYTES ((size_t)256 << 10)

struct ol_archive_reader {
	ol_reader data;         /* of the member: this is what users read */
	ol_reader *from;        /* lent, but owned where owns_from */
	struct archive *handle; /* owned */
	unsigned char *piece;   /* owned; PIECE_BYTES */
	size_t piece_size;      /* what libarchive was given last */
	int64_t given;          /* all bytes that it was given */
	bool owns_from, ended;
	int rc; /* of from: a failure of its own */
	ol_error error;
};

/* libarchive asks for bytes. A failure is kept, with its words: it would only pass on a number. */
static la_ssize_t give(struct archive *handle, void *ctx, const void **out)
{
	ol_archive_reader *self = ctx;
	size_t got = 0;

	(void)handle;
	if (self->rc < 0)
		return ARCHIVE_FATAL;
	/* A block may come in many short reads, as from a pipe: that is as well. */
	self->rc = ol_reader_read(self->from, self->piece, PIECE_BYTES, &got, &self->error);
	if (self->rc < 0)
		return ARCHIVE_FATAL;
	self->piece_size = got;
	self->given += (int64_t)got;
	*out = self->piece;
	return (la_ssize_t)got;
}

/* What went wrong: ours, or what libarchive says of the bytes. */
static int fail(const ol_archive_reader *self, ol_error *err)
{
	const char *why = archive_error_string(self->handle);

	if (self->rc < 0) {
		if (err)
			*err = self->error;
		return self->rc;
	}
	return ol_fail(err, OL_ECORRUPT, "the archive is damaged: %.200s", why ? why : "unknown");
}

static bool is_zero(const unsigned char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i])
			return false;
	return true;
}

/* After the end of what is wrapped: nothing is left but padding. */
static int check_rest(ol_archive_reader *self, ol_error *err)
{
	const int64_t left = self->given - archive_filter_bytes(self->handle, -1);
	size_t size = left > 0 ? (size_t)left : 0;
	const unsigned char *at = self->piece + (self->piece_size - size);

	if (size > self->piece_size)
		return ol_fail(err, OL_ECORRUPT, "something follows the end of the archive");
	do {
		const void *next = NULL;
		la_ssize_t got;

		if (!is_zero(at, size))
			return ol_fail(
				err, OL_ECORRUPT, "something follows the end of the archive");
		got = give(self->handle, self, &next);
		if (got < 0)
			return fail(self, err);
		at = next;
		size = (size_t)got;
	} while (size > 0);
	return OL_OK;
}

static int read_data(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	ol_archive_reader *self = (ol_archive_reader *)reader;
	la_ssize_t n = archive_read_data(self->handle, data, size);

	if (n < 0)
		return fail(self, err);
	*got = (size_t)n;
	if (n == 0 && self->owns_from && !self->ended) {
		self->ended = true;
		return check_rest(self, err);
	}
	return OL_OK;
}

static void close_nothing(ol_reader *reader)
{
	(void)reader;
}

static void close_all(ol_reader *reader)
{
	ol_archive_reader_close((ol_archive_reader *)reader);
}

void ol_archive_reader_close(ol_archive_reader *archive)
{
	ol_archive_reader *self = archive;

	if (!self)
		return;
	(void)archive_read_free(self->handle);
	if (self->owns_from)
		ol_reader_close(self->from);
	free(self->piece);
	free(self);
}

/* ARCHIVE_WARN would mean that the filter is an external program. */
static int enable(struct archive *handle, bool raw, ol_error *err)
{
	if (archive_read_support_filter_gzip(handle) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(handle) != ARCHIVE_OK ||
		archive_read_support_filter_xz(handle) != ARCHIVE_OK ||
		archive_read_support_filter_bzip2(handle) != ARCHIVE_OK)
		return ol_fail(err, OL_EUNSUPPORTED,
			"this libarchive was built without gzip, zstd, xz or bzip2");
	if (raw ? archive_read_support_format_raw(handle) != ARCHIVE_OK
		: archive_read_support_format_tar(handle) != ARCHIVE_OK)
		return ol_fail(err, OL_EUNSUPPORTED, "this libarchive reads no tar");
	/* Past the end marker it goes on to the end of the bytes: see above. */
	if (!raw && archive_read_set_format_option(
			    handle, "tar", "read_concatenated_archives", "1") != ARCHIVE_OK)
		return ol_fail(err, OL_EUNSUPPORTED, "this libarchive is too old");
	return OL_OK;
}

static int open_reader(ol_reader *from, bool raw, ol_archive_reader **out, ol_error *err)
{
	static const ol_reader_ops member_ops = { read_data, close_nothing },
				   raw_ops = { read_data, close_all };
	ol_auto(ol_archive_reader_close) ol_archive_reader *self = ol_alloc(sizeof *self);
	int rc;

	self->data.ops = raw ? &raw_ops : &member_ops;
	self->from = from;
	self->owns_from = raw;
	self->piece = ol_alloc(PIECE_BYTES);
	rc = ol_archive_need(err);
	if (rc < 0)
		return rc;
	self->handle = archive_read_new();
	if (!self->handle)
		return ol_fail(err, OL_ESYSTEM, "libarchive: no memory");
	rc = enable(self->handle, raw, err);
	if (rc < 0)
		return rc;
	if (archive_read_open(self->handle, self, NULL, give, NULL) != ARCHIVE_OK) {
		if (self->rc < 0)
			return fail(self, err);
		if (self->given == 0)
			return ol_fail(err, OL_ECORRUPT, "there is nothing in it");
		return ol_fail(err, OL_ECORRUPT,
			"is no archive: neither a tar nor one compressed with gzip, zstd, xz or "
			"bzip2");
	}
	*out = ol_steal(&self);
	return OL_OK;
}

int ol_archive_reader_open(ol_reader *from, ol_archive_reader **out, ol_error *err)
{
	return open_reader(from, false, out, err);
}

static ol_member_type type_of(struct archive_entry *entry)
{
	if (archive_entry_hardlink(entry))
		return OL_MEMBER_HARDLINK;
	switch (archive_entry_filetype(entry)) {
	case S_IFREG:
		return OL_MEMBER_FILE;
	case S_IFLNK:
		return OL_MEMBER_SYMLINK;
	default: /* a number from outside */
		return OL_MEMBER_OTHER;
	}
}

int ol_archive_reader_next(ol_archive_reader *archive, ol_archive_member *out, ol_error *err)
{
	ol_archive_reader *self = archive;
	struct archive_entry *entry = NULL;
	const char *target = NULL;
	int rc = archive_read_next_header(self->handle, &entry);

	if (rc == ARCHIVE_EOF) {
		rc = check_rest(self, err);
		return rc < 0 ? rc : 0;
	}
	/* A warning is of names that the locale cannot show, or attributes nobody asks for. */
	if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
		return fail(self, err);
	*out = (ol_archive_member){ .type = type_of(entry), .name = archive_entry_pathname(entry) };
	if (out->type == OL_MEMBER_HARDLINK)
		target = archive_entry_hardlink(entry);
	else if (out->type == OL_MEMBER_SYMLINK)
		target = archive_entry_symlink(entry);
	out->target = target ? target : "";
	if (!out->name)
		return ol_fail(err, OL_ECORRUPT, "the archive is damaged: a member has no name");
	if (strlen(out->name) > OL_PATH_MAX || strlen(out->target) > OL_PATH_MAX)
		return ol_fail(err, OL_ELIMIT, "a path in the archive has more than %d bytes",
			OL_PATH_MAX);
	if (archive_entry_size(entry) < 0 ||
		(uint64_t)archive_entry_size(entry) > OL_DESCRIPTOR_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "%.255s: is too large", out->name);
	out->size = (uint64_t)archive_entry_size(entry);
	return 1;
}

ol_reader *ol_archive_reader_data(ol_archive_reader *archive)
{
	return &archive->data;
}

int ol_unwrap(ol_reader *from, ol_reader **out, ol_error *err)
{
	ol_archive_reader *self = NULL;
	struct archive_entry *entry = NULL;
	int rc = open_reader(from, true, &self, err);

	if (rc < 0)
		return rc;
	assert(self);
	if (archive_read_next_header(self->handle, &entry) != ARCHIVE_OK) {
		rc = self->given == 0 ? ol_fail(err, OL_ECORRUPT, "there is nothing in it")
				      : fail(self, err);
		ol_archive_reader_close(self);
		return rc;
	}
	*out = &self->data;
	return OL_OK;
}
