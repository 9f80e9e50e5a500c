/* check: the store's own look at itself, and the comparison of trees with their tars, which the
 * store knows nothing about. */
#include "image/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/lazy_source_priv.h"
#include "image/mend_priv.h"
#include "image/session_priv.h"
#include "snapshot/decode.h"
#include "snapshot/lazy_table.h"
#include "store/lazy.h"

#define PIECE ((size_t)256 << 10)

struct inflation {
	int in, out;
	unsigned char *piece; /* PIECE of input, then PIECE of output; owned */
	uint64_t size;
	ol_decoder *decoder; /* owned */
};

static int inflate_piece(struct inflation *self, size_t got, ol_error *err)
{
	ol_decode_step step = {
		.in = self->piece, .in_size = got, .out = self->piece + PIECE, .out_size = PIECE
	};
	int rc;

	do {
		step.out = self->piece + PIECE;
		step.out_size = PIECE;
		step.made = 0;
		rc = ol_decoder_run(self->decoder, &step, err);
		if (rc == OL_OK)
			rc = ol_pwrite_all(
				self->out, self->piece + PIECE, step.made, self->size, err);
		self->size += step.made;
		if (rc == OL_OK && self->size > OL_LAYER_TAR_BYTES_MAX)
			rc = ol_fail(err, OL_ELIMIT, "inflates to more than a layer may have");
	} while (rc == OL_OK && (step.in_size > 0 || step.made == PIECE));
	return rc;
}

static int inflate(
	ol_store *store, const ol_layer_info *layer, int *out, uint64_t *size, ol_error *err)
{
	ol_autofree unsigned char *piece = ol_alloc(2 * PIECE);
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	ol_autofd int in = -1, tar = -1;
	struct inflation self = { .piece = piece };
	ssize_t got;
	int rc = ol_blob_open(store, &layer->blob, &in, err);

	if (rc < 0)
		return rc;
	tar = openat(ol_store_root_fd(store), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (tar < 0)
		return ol_fail_sys(err, "temporary file");
	self.in = in;
	self.out = tar;
	while (rc == OL_OK && (got = read(in, piece, PIECE)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ol_fail_sys(err, "read");
		if (!decoder)
			rc = ol_decoder_new(
				ol_compression_sniff(piece, (size_t)got), &decoder, err);
		self.decoder = decoder;
		if (rc == OL_OK)
			rc = inflate_piece(&self, (size_t)got, err);
	}
	if (rc == OL_OK && decoder)
		rc = ol_decoder_finish(decoder, err);
	if (rc < 0)
		return rc;
	*size = self.size;
	*out = ol_steal_fd(&tar);
	return OL_OK;
}

int ol_layer_open_tar(ol_store *store, const ol_layer_info *layer, ol_source **out, ol_error *err)
{
	uint64_t size = layer->tar_bytes;
	int fd = -1, rc;

	if (ol_blob_exists(store, &layer->diff_id))
		rc = ol_blob_open(store, &layer->diff_id, &fd, err);
	else
		rc = inflate(store, layer, &fd, &size, err);
	if (rc == OL_OK)
		*out = ol_source_of_fd(fd, size);
	return rc;
}

static int verify_tree(void *ctx, const ol_digest *key, bool is_chain, ol_error *err)
{
	ol_session *session = ctx;
	ol_layer_info layer;
	const ol_driver *driver;
	ol_source *tar = NULL;
	int rc = ol_layer_get(session->store, key, is_chain, &layer, err);

	if (rc < 0)
		return rc;
	driver = ol_driver_named(layer.driver);
	if (!driver)
		return ol_fail(err, OL_ECORRUPT, "its driver is \"%s\", which there is none of",
			layer.driver);
	rc = ol_layer_open_tar(session->store, &layer, &tar, err);
	if (rc < 0)
		return rc == OL_ECORRUPT ? OL_EUNAVAILABLE : rc;
	rc = driver->verify(session->store, &layer, tar, err);
	ol_source_close(tar);
	return rc;
}

static int check_window(int dir_fd, const ol_digest *want, ol_error *err)
{
	ol_autofd int fd = openat(dir_fd, OL_LAZY_WINDOW, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ol_autofree unsigned char *bytes = ol_alloc(PIECE);
	ol_auto(ol_hasher_free) ol_hasher *hasher = NULL;
	ol_digest got;
	ssize_t size;

	if (!ol_digest_is_set(want))
		return OL_OK;
	if (fd < 0)
		return ol_fail_sys(err, OL_LAZY_WINDOW);
	hasher = ol_hasher_new(want->algorithm);
	while ((size = read(fd, bytes, PIECE)) != 0) {
		if (size < 0 && errno != EINTR)
			return ol_fail_sys(err, OL_LAZY_WINDOW);
		ol_hasher_update(hasher, bytes, size < 0 ? 0 : (size_t)size);
	}
	got = ol_hasher_final(hasher);
	return ol_digest_check(want, &got, err);
}

static int check_folder(ol_store *store, const ol_digest *diff_id, int dir_fd, ol_error *err)
{
	ol_lazy_table table = { 0 };
	ol_lazy_source source = { 0 };
	int rc = ol_lazy_table_load(dir_fd, &table, err);

	if (rc == OL_OK)
		rc = check_window(dir_fd, &table.about.window, err);
	ol_lazy_table_done(&table);
	if (rc < 0)
		return ol_wrap(err, rc, "the table that says how to fill it");
	rc = ol_lazy_source_read(store, dir_fd, diff_id, &source, err);
	ol_lazy_source_done(&source);
	return rc < 0 ? ol_wrap(err, rc, "what says where it comes from") : OL_OK;
}

/* What came of its blob is not looked at: it is held against its digests before it is used. */
static int verify_lazy(void *ctx, const ol_digest *diff_id, ol_error *err)
{
	ol_store *store = ((ol_session *)ctx)->store;
	ol_autofd int dir_fd = -1;
	int rc = ol_lazy_open(store, diff_id, &dir_fd, err);

	if (rc == OL_OK)
		rc = check_folder(store, diff_id, dir_fd, err);
	/* It became whole meanwhile. */
	return rc < 0 && ol_lazy_is_needed(store, diff_id) ? rc : OL_OK;
}

static int count_lazy(void *ctx, const ol_layer_info *info, ol_error *err)
{
	(void)err;
	*(size_t *)ctx += !info->is_chain && strcmp(info->driver, OL_LAZY_DRIVER) == 0;
	return OL_OK;
}

/* That bytes of a layer are to come is no fault. */
static void say_lazy(const ol_session *session)
{
	size_t count = 0;

	if (ol_layer_each(session->store, count_lazy, &count, NULL) == OL_OK && count > 0)
		ol_tell_text(&session->options.listener, OL_EVENT_NOTE,
			"%zu layer%s not whole yet: `orlop ps --lazy` lists them", count,
			count == 1 ? " is" : "s are");
}

int ol_verify(
	ol_session *session, const ol_verify_options *options, uint64_t *faults, ol_error *err)
{
	const ol_check_options check = {
		.cancel = session->options.cancel,
		.listener = &session->options.listener,
		.found = options->found,
		.verify_tree = verify_tree,
		.verify_lazy = verify_lazy,
		.ctx = options->ctx,
		.verify_ctx = session,
		.quick = options->quick,
		.restart = options->restart,
	};
	int rc = ol_check(session->store, &check, faults, err);

	if (rc == OL_OK && options->say_lazy)
		say_lazy(session);
	if (rc == OL_OK && *faults > 0)
		return ol_fail(err, OL_ECORRUPT, "%llu thing%s in the store %s wrong",
			(unsigned long long)*faults, *faults == 1 ? "" : "s",
			*faults == 1 ? "is" : "are");
	return rc;
}
