/*
 * A file of the archive, as it passes. What it is its first bytes say, for what it means is known
 * only at the end:
 *
 *	gzip, zstd, or a tar's header   a layer: unpacked into the store, or passed over if it is
 *	                                there
 *	{ or [, and small               a document: kept in memory; past a bound of all, as a blob
 *	else                            passed over
 *
 * The bytes of blobs/<algorithm>/<hex> must have that digest, whatever they are.
 */
#include <assert.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/load_priv.h"
#include "snapshot/decode.h"

#define HEAD_BYTES        512 /* a tar's header */
#define PROGRESS_EVERY_MS 50

/* Gives the bytes it has looked at once more. */
struct peeked {
	ol_reader reader;
	ol_reader *from; /* lent */
	unsigned char head[HEAD_BYTES];
	size_t head_size, head_used;
	bool failed; /* from did, not who reads */
};

static int peeked_more(struct peeked *self, void *data, size_t size, size_t *got, ol_error *err)
{
	int rc = ol_reader_read(self->from, data, size, got, err);

	self->failed = self->failed || rc < 0;
	return rc;
}

static int peeked_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct peeked *self = (struct peeked *)reader;
	size_t n = self->head_size - self->head_used;

	if (n == 0)
		return peeked_more(self, data, size, got, err);
	n = n < size ? n : size;
	memcpy(data, self->head + self->head_used, n);
	self->head_used += n;
	*got = n;
	return OL_OK;
}

static void peeked_close(ol_reader *reader)
{
	(void)reader;
}

static int peek(struct peeked *self, ol_error *err)
{
	static const ol_reader_ops ops = { peeked_read, peeked_close };
	size_t got = 1;
	int rc = OL_OK;

	self->reader.ops = &ops;
	while (rc == OL_OK && got > 0 && self->head_size < HEAD_BYTES) {
		rc = peeked_more(self, self->head + self->head_size, HEAD_BYTES - self->head_size,
			&got, err);
		self->head_size += rc == OL_OK ? got : 0;
	}
	return rc;
}

/* A tar's first header has the right checksum, or is the end marker of an empty one. */
static bool is_tar(const struct peeked *self)
{
	unsigned sum = 0, all = 0, said = 0;
	const unsigned char *at = self->head + 148;

	if (self->head_size < HEAD_BYTES)
		return false;
	for (size_t i = 0; i < HEAD_BYTES; i++) {
		all |= self->head[i];
		sum += i >= 148 && i < 156 ? ' ' : self->head[i];
	}
	while (at < self->head + 156 && *at == ' ')
		at++;
	while (at < self->head + 156 && *at >= '0' && *at <= '7')
		said = said * 8 + (unsigned)(*at++ - '0');
	return all == 0 || said == sum;
}

static ol_archive_kind kind_of(const struct peeked *self, uint64_t size)
{
	const ol_compression compression = ol_compression_sniff(self->head, self->head_size);
	size_t i = 0;

	if (compression == OL_COMPRESSION_GZIP || compression == OL_COMPRESSION_ZSTD ||
		is_tar(self))
		return OL_ARCHIVE_LAYER;
	while (i < self->head_size && strchr(" \t\r\n", self->head[i]) && self->head[i])
		i++;
	return i < self->head_size && (self->head[i] == '{' || self->head[i] == '[') &&
			       size <= OL_ARCHIVE_DOCUMENT_BYTES_MAX
		       ? OL_ARCHIVE_DOCUMENT
		       : OL_ARCHIVE_OTHER;
}

/* Damage of this one file; all else ends the load. */
static bool is_damage(int rc)
{
	return rc == OL_ECORRUPT || rc == OL_ELIMIT || rc == OL_EUNSUPPORTED;
}

static void set_failed(ol_archive_file *file, const ol_error *error)
{
	file->failed = ol_memdup(error, sizeof *error);
}

static void check_digest(ol_archive_file *file, const ol_digest *want, const ol_digest *got)
{
	ol_error error = { 0 };

	if (ol_digest_check(want, got, &error) == OL_OK)
		return;
	(void)ol_wrap(&error, OL_ECORRUPT, "%.255s", file->name);
	set_failed(file, &error);
}

/* Past the bound of what is kept in memory, a document is a blob that may be of no use. */
static int keep_document(ol_load_state *load, ol_archive_file *file, ol_error *err)
{
	int rc;

	if (load->files.bytes + file->size <= OL_ARCHIVE_DOCUMENTS_BYTES_MAX)
		return OL_OK;
	rc = ol_lease_add(load->passing.lease, &file->digest, err);
	if (rc == OL_OK)
		rc = ol_blob_put(load->passing.session->store, &file->digest,
			ol_view_from(file->bytes, (size_t)file->size), false, err);
	free(ol_steal(&file->bytes));
	return rc;
}

static int read_document(ol_load_state *load, struct peeked *from, const ol_digest *want,
	ol_archive_file *file, ol_error *err)
{
	size_t at = 0, got = 1;
	int rc = OL_OK;

	file->bytes = ol_alloc((size_t)file->size + 1);
	while (rc == OL_OK && got > 0 && at < file->size) {
		rc = ol_reader_read(
			&from->reader, file->bytes + at, (size_t)file->size - at, &got, err);
		at += rc == OL_OK ? got : 0;
	}
	if (rc == OL_OK && at < file->size) {
		from->failed = true;
		rc = ol_fail(err, OL_ECORRUPT, "is cut short");
	}
	if (rc < 0)
		return rc;
	file->digest =
		ol_digest_of(ol_digest_is_set(want) ? want->algorithm : OL_SHA256, file->bytes, at);
	if (ol_digest_is_set(want))
		check_digest(file, want, &file->digest);
	return file->failed ? OL_OK : keep_document(load, file, err);
}

/* What nobody knows yet still must be what its name says. */
static int read_other(
	struct peeked *from, const ol_digest *want, ol_archive_file *file, ol_error *err)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = NULL;
	ol_autofree unsigned char *piece = NULL;
	const size_t piece_bytes = (size_t)64 << 10;
	size_t got = 1;
	int rc = OL_OK;

	if (!ol_digest_is_set(want))
		return OL_OK;
	hasher = ol_hasher_new(want->algorithm);
	piece = ol_alloc(piece_bytes);
	while (rc == OL_OK && got > 0) {
		rc = ol_reader_read(&from->reader, piece, piece_bytes, &got, err);
		if (rc == OL_OK)
			ol_hasher_update(hasher, piece, got);
	}
	if (rc < 0)
		return rc;
	file->digest = ol_hasher_final(hasher);
	check_digest(file, want, &file->digest);
	return OL_OK;
}

struct telling {
	const ol_listener *listener;
	ol_event event;
	_Atomic uint64_t told_ms;
};

static void tell_bytes(void *ctx, uint64_t bytes)
{
	struct telling *telling = ctx;
	const uint64_t now = ol_now_ms();

	if (now - telling->told_ms < PROGRESS_EVERY_MS)
		return;
	telling->told_ms = now;
	telling->event.done = bytes;
	ol_tell(telling->listener, &telling->event);
}

static void tell_end(struct telling *telling, ol_layer_state state, const ol_layer_taken *taken)
{
	telling->event.state = state;
	if (taken) {
		telling->event.digest = taken->blob;
		telling->event.done = telling->event.total;
	}
	ol_tell(telling->listener, &telling->event);
}

static int by_blob(const void *a, const void *b)
{
	const ol_layer_taken *x = a, *y = b;

	return memcmp(x->blob.bytes, y->blob.bytes, sizeof x->blob.bytes);
}

static int note_kept(void *ctx, const ol_layer_info *info, ol_error *err)
{
	ol_load_state *load = ctx;

	(void)err;
	if (info->is_chain || ol_digest_eq(&info->blob, &info->diff_id))
		return OL_OK;
	OL_GROW(load->kept, load->kept_count, load->kept_cap);
	load->kept[load->kept_count++] = (ol_layer_taken){ .blob = info->blob,
		.diff_id = info->diff_id,
		.blob_size = info->blob_size,
		.tar_bytes = info->tar_bytes,
		.compression = ol_media_of(ol_view_of(info->media_type)).compression };
	return OL_OK;
}

/* The store's own layers, by the blob each was made of: read once, when the first archive's layer
 * is compressed. */
static const ol_layer_taken *find_kept(ol_load_state *load, const ol_digest *blob)
{
	const ol_layer_taken key = { .blob = *blob };

	if (!load->kept_read) {
		load->kept_read = true;
		if (ol_layer_each(load->passing.session->store, note_kept, load, NULL) < 0)
			load->kept_count = 0; /* then all are read: only time */
		if (load->kept_count)
			qsort(load->kept, load->kept_count, sizeof *load->kept, by_blob);
	}
	return load->kept_count
		       ? bsearch(&key, load->kept, load->kept_count, sizeof *load->kept, by_blob)
		       : NULL;
}

/* What the store has is not read: its own bytes were verified. A name that lies is found out by the
 * config. */
static bool is_there(ol_load_state *load, const ol_digest *claim, ol_compression compression,
	ol_layer_taken *out)
{
	ol_store *store = load->passing.session->store;
	ol_layer_taken taken = { .blob = *claim, .diff_id = *claim, .compression = compression };
	const ol_layer_taken *kept;
	ol_blob_info info;

	if (claim->algorithm != OL_SHA256)
		return false;
	if (compression != OL_COMPRESSION_NONE) {
		kept = find_kept(load, claim);
		if (!kept)
			return false;
		taken.diff_id = kept->diff_id;
	}
	if (ol_lease_add(load->passing.lease, &taken.diff_id, NULL) < 0 ||
		ol_lease_add(load->passing.lease, &taken.blob, NULL) < 0 ||
		!ol_layer_is_usable(store, &taken.diff_id, &taken.blob) ||
		ol_blob_stat(store, &taken.blob, &info, NULL) < 0)
		return false;
	taken.blob_size = info.size;
	*out = taken;
	return true;
}

static int read_layer(ol_load_state *load, struct peeked *from, const ol_digest *claim,
	bool is_blob, ol_archive_file *file, ol_error *err)
{
	struct telling telling = {
		.listener = &load->passing.session->options.listener,
		.event = { .kind = OL_EVENT_LAYER,
			.state = OL_LAYER_UNPACKING,
			.digest = *claim,
			.total = file->size,
			.layer = load->layers },
	};
	const ol_layer_take_options options = {
		.blob = is_blob ? *claim : (ol_digest){ 0 },
		.blob_size = file->size,
		.progress = tell_bytes,
		.ctx = &telling,
	};
	ol_layer_taken taken = { 0 };
	ol_error error = { 0 };
	int rc;

	telling.event.layers = ++load->layers;
	if (ol_digest_is_set(claim) &&
		is_there(load, claim, ol_compression_sniff(from->head, from->head_size), &taken)) {
		file->layer = ol_memdup(&taken, sizeof taken);
		tell_end(&telling, OL_LAYER_EXISTS, &taken);
		return OL_OK;
	}
	ol_tell(telling.listener, &telling.event);
	rc = ol_layer_take(&load->passing, &from->reader, &options, &taken, &error);
	tell_end(&telling, rc == OL_OK ? OL_LAYER_COMPLETE : OL_LAYER_FAILED,
		rc == OL_OK ? &taken : NULL);
	if (rc == OL_OK) {
		file->layer = ol_memdup(&taken, sizeof taken);
		file->fresh = true;
		load->unused++;
		return OL_OK;
	}
	if (!is_damage(rc) || from->failed) {
		if (err)
			*err = error;
		return rc;
	}
	(void)ol_wrap(&error, rc, "%.255s", file->name);
	set_failed(file, &error);
	return OL_OK;
}

int ol_load_receive(
	ol_load_state *load, const char *name, uint64_t size, ol_reader *reader, ol_error *err)
{
	ol_archive_file file = { .name = ol_strdup(name), .size = size };
	struct peeked from = { .from = reader };
	bool is_blob = false;
	const ol_digest claim = ol_archive_path_digest(name, &is_blob);
	const ol_digest want = is_blob ? claim : (ol_digest){ 0 };
	int rc = ol_cancel_check(load->passing.session->options.cancel, err);

	if (rc == OL_OK)
		rc = peek(&from, err);
	if (rc == OL_OK) {
		file.kind = kind_of(&from, size);
		if (file.kind == OL_ARCHIVE_DOCUMENT)
			rc = read_document(load, &from, &want, &file, err);
		else if (file.kind == OL_ARCHIVE_LAYER)
			rc = read_layer(load, &from, &claim, is_blob, &file, err);
		else
			rc = read_other(&from, &want, &file, err);
	}
	if (rc < 0) {
		if (rc != OL_ECANCELED)
			(void)ol_wrap(err, rc, "%.255s", name);
		ol_archive_file_done(&file);
		return rc;
	}
	return ol_archive_files_add(&load->files, file, err);
}

/* The folder's file, as if it had passed. No link leads out of the folder. */
static int receive_from_folder(ol_load_state *load, const char *name, ol_error *err)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	ol_auto(ol_reader_close) ol_reader *reader = NULL;
	struct stat st;
	int fd = (int)syscall(SYS_openat2, load->dir_fd, name, &how, sizeof how);

	if (fd < 0 && errno == ENOENT)
		return ol_fail(err, OL_ENOTFOUND, "%.255s: is not there", name);
	if (fd < 0)
		return ol_fail_sys(err, "%.255s", name);
	reader = ol_reader_of_fd(fd);
	if (fstat(fd, &st) < 0)
		return ol_fail_sys(err, "%.255s", name);
	if (!S_ISREG(st.st_mode))
		return ol_fail(err, OL_ECORRUPT, "%.255s: is no file", name);
	return ol_load_receive(load, name, (uint64_t)st.st_size, reader, err);
}

int ol_load_file(ol_load_state *load, const char *name, ol_archive_file **out, ol_error *err)
{
	ol_archive_file *file = NULL;
	int rc = ol_archive_files_find(&load->files, name, &file, err);

	if (rc == OL_ENOTFOUND && load->dir_fd >= 0) {
		rc = receive_from_folder(load, name, err);
		if (rc == OL_OK)
			rc = ol_archive_files_find(&load->files, name, &file, err);
	}
	if (rc < 0)
		return rc;
	if (file->failed) {
		if (err)
			*err = *file->failed;
		return file->failed->code;
	}
	*out = file;
	return OL_OK;
}

int ol_load_layer(ol_load_state *load, const char *name, ol_archive_file **out, ol_error *err)
{
	int rc = ol_load_file(load, name, out, err);

	if (rc < 0)
		return rc;
	assert(*out);
	if ((*out)->kind != OL_ARCHIVE_LAYER)
		return ol_fail(err, OL_ECORRUPT,
			"%.255s: is no layer: neither a tar nor one compressed with gzip or zstd",
			name);
	assert((*out)->layer); /* one that failed is not given */
	return OL_OK;
}

int ol_load_bytes(ol_load_state *load, const char *name, ol_buf *out, ol_error *err)
{
	ol_archive_file *file = NULL;
	int rc = ol_load_file(load, name, &file, err);

	if (rc < 0)
		return rc;
	assert(file);
	if (file->kind != OL_ARCHIVE_DOCUMENT)
		return ol_fail(err, OL_ECORRUPT, "%.255s: is not JSON", name);
	if (!file->bytes)
		return ol_blob_read(
			load->passing.session->store, &file->digest, out->max, out, err);
	(void)ol_buf_add(out, file->bytes, (size_t)file->size);
	rc = ol_str_error(out, err);
	return rc < 0 ? ol_wrap(err, rc, "%.255s", name) : OL_OK;
}
