/*
 * One piece of the blob becomes bytes of the payload. Wrong bytes are told from a wrong table by
 * the digest of the compressed bytes, where there is one: if that is right, fetching them again
 * brings the same.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/lazy_fill_priv.h"
#include "snapshot/lazy_piece.h"

#define WINDOW_BYTES 32768
/* How often bytes are asked for that turn out wrong: from the one who gave them, and others. */
#define TRIES_MAX       3
#define TRIES_MAX_ALONE 2
#define HASH_BYTES      ((size_t)1 << 20)

/* What it takes to make a piece. */
struct making {
	ol_filler *filler;
	const ol_lazy_piece *piece; /* lent */
	uint32_t index;
	unsigned char *in, *out; /* owned; out may be in */
	bool wrong;              /* the bytes that came are not the blob's */
};

static void making_done(struct making *making)
{
	if (making->out != making->in)
		free(making->out);
	free(making->in);
}

static int hash_windows(const ol_filler *filler, ol_error *err)
{
	const ol_digest *want = &filler->table->about.window;
	ol_auto(ol_hasher_free) ol_hasher *hasher = NULL;
	ol_autofree unsigned char *buffer = ol_alloc(HASH_BYTES);
	uint64_t offset = 0;
	ol_digest got;

	if (!ol_digest_is_set(want) || filler->options.window_fd < 0)
		return ol_fail(err, OL_ECORRUPT, "its windows are missing");
	hasher = ol_hasher_new(want->algorithm);
	for (;;) {
		const ssize_t n =
			pread(filler->options.window_fd, buffer, HASH_BYTES, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ol_fail_sys(err, "windows");
		if (n == 0)
			break;
		ol_hasher_update(hasher, buffer, (size_t)n);
		offset += (uint64_t)n;
	}
	got = ol_hasher_final(hasher);
	return ol_digest_check(want, &got, err);
}

/* No digest tells of what comes out of a wrong window: the file is looked at as a whole, once. */
static int check_windows(ol_filler *filler, ol_error *err)
{
	ol_error error = { 0 };
	bool known;
	int rc;

	(void)pthread_mutex_lock(&filler->lock);
	known = filler->windows_known;
	rc = filler->windows_rc;
	(void)pthread_mutex_unlock(&filler->lock);
	if (known)
		return rc < 0 ? ol_fail(err, rc, "the file of its windows is damaged") : OL_OK;
	rc = hash_windows(filler, &error);
	if (rc == OL_OK || rc == OL_ECORRUPT) {
		(void)pthread_mutex_lock(&filler->lock);
		filler->windows_known = true;
		filler->windows_rc = rc;
		(void)pthread_mutex_unlock(&filler->lock);
	}
	return rc < 0 ? ol_fail(err, rc, "the file of its windows: %s", error.text) : OL_OK;
}

static int read_piece(struct making *self, ol_error *err)
{
	const ol_lazy_piece *piece = self->piece;
	const size_t size = (size_t)(piece->end - piece->begin);
	ol_digest got;
	int rc;

	self->in = ol_realloc_array(NULL, size, 1);
	rc = ol_source_read_at(self->filler->options.blob, piece->begin, self->in, size, err);
	self->wrong = rc == OL_ECORRUPT;
	if (rc < 0 || !ol_digest_is_set(&piece->digest))
		return rc;
	got = ol_digest_of(piece->digest.algorithm, self->in, size);
	rc = ol_digest_check(&piece->digest, &got, err);
	self->wrong = rc < 0;
	return rc;
}

static int inflate_piece(struct making *self, ol_error *err)
{
	const ol_lazy_piece *piece = self->piece;
	ol_autofree unsigned char *window = NULL;
	ol_piece_input input = { .piece = piece,
		.bytes = ol_view_from(self->in, (size_t)(piece->end - piece->begin)),
		.is_last = piece->end == self->filler->table->about.blob_size };
	int rc;

	if (piece->kind == OL_PIECE_RAW) {
		self->out = self->in; /* of at least its size: the table was checked */
		return OL_OK;
	}
	if (piece->window != OL_PIECE_NO_WINDOW) {
		rc = check_windows(self->filler, err);
		if (rc < 0)
			return rc;
		window = ol_alloc(WINDOW_BYTES);
		rc = ol_pread_all(
			self->filler->options.window_fd, window, WINDOW_BYTES, piece->window, err);
		if (rc < 0)
			return ol_wrap(err, rc, "its window");
		input.window = ol_view_from(window, WINDOW_BYTES);
	}
	self->out = ol_realloc_array(NULL, (size_t)piece->size + 1, 1);
	rc = ol_piece_inflate(&input, self->out, err);
	self->wrong = rc < 0 && rc != OL_ESYSTEM && !ol_digest_is_set(&piece->digest);
	return rc;
}

/* All of them before any is written. */
static int verify_extents(struct making *self, ol_error *err)
{
	const ol_filler *filler = self->filler;
	int rc = OL_OK;

	for (uint32_t i = filler->first[self->index];
		rc == OL_OK && i < filler->first[self->index + 1]; i++) {
		const ol_lazy_extent *extent = &filler->table->extents[filler->of_piece[i]];
		ol_digest got;

		if (!ol_digest_is_set(&extent->digest))
			continue;
		got = ol_digest_of(
			extent->digest.algorithm, self->out + extent->inner, (size_t)extent->size);
		rc = ol_digest_check(&extent->digest, &got, err);
	}
	self->wrong = rc < 0 && !ol_digest_is_set(&self->piece->digest);
	return rc;
}

static int write_extents(struct making *self, ol_error *err)
{
	ol_filler *filler = self->filler;

	for (uint32_t i = filler->first[self->index]; i < filler->first[self->index + 1]; i++) {
		const uint32_t index = filler->of_piece[i];
		const ol_lazy_extent *extent = &filler->table->extents[index];
		bool has;
		int rc;

		(void)pthread_mutex_lock(&filler->lock);
		has = ol_fill_map_has(filler, index);
		(void)pthread_mutex_unlock(&filler->lock);
		if (has)
			continue;
		rc = ol_pwrite_all(filler->options.payload_fd, self->out + extent->inner,
			(size_t)extent->size, extent->offset, err);
		if (rc < 0)
			return ol_wrap(err, rc, "write what was inflated");
	}
	return OL_OK;
}

static int try_piece(struct making *self, ol_error *err)
{
	int rc = read_piece(self, err);

	if (rc == OL_OK)
		rc = inflate_piece(self, err);
	if (rc == OL_OK)
		rc = verify_extents(self, err);
	return rc == OL_OK ? write_extents(self, err) : rc;
}

static void tell(
	const ol_filler *filler, const struct making *making, const char *what, const ol_error *why)
{
	ol_autofree char *line = NULL;

	if (!filler->options.log)
		return;
	line = ol_text("%s: chunk %u (bytes %llu to %llu of the blob) %s: %s", filler->options.name,
		making->index, (unsigned long long)making->piece->begin,
		(unsigned long long)making->piece->end - 1, what, why->text);
	filler->options.log(filler->options.log_ctx, line);
}

/* The words of the last failure, with what only we know. */
static int fail_piece(const struct making *making, int rc, const ol_error *why, ol_error *err)
{
	const ol_filler *filler = making->filler;

	if (rc != OL_EUNAVAILABLE && rc != OL_ECANCELED)
		tell(filler, making, rc == OL_ECORRUPT ? "is wrong" : "cannot be filled", why);
	if (err)
		*err = *why;
	return ol_wrap(err, rc, "%s: chunk %u (bytes %llu to %llu of the blob)",
		filler->options.name, making->index, (unsigned long long)making->piece->begin,
		(unsigned long long)making->piece->end - 1);
}

static int fetch_again(
	const struct making *making, ol_lazy_cause cause, uint64_t deadline_ms, ol_error *err)
{
	ol_fill_ranges ranges = { 0 };

	(void)ol_fill_ranges_add(&ranges, making->piece->begin, making->piece->end);
	return ol_fill_fetch(making->filler, &ranges, cause, deadline_ms, err);
}

int ol_fill_piece(
	ol_filler *filler, uint32_t piece, ol_lazy_cause cause, uint64_t deadline_ms, ol_error *err)
{
	const ol_lazy_fetch *fetch = &filler->options.fetch;

	for (int tries = 1;; tries++) {
		__attribute__((cleanup(making_done))) struct making making = {
			.filler = filler, .piece = &filler->table->pieces[piece], .index = piece
		};
		ol_error error = { 0 };
		bool others;
		int rc = try_piece(&making, &error);

		if (rc == OL_OK)
			return OL_OK;
		/* A limit that the bytes go past is a lie of theirs. */
		if (rc == OL_ELIMIT)
			rc = OL_ECORRUPT;
		if (rc == OL_ESYSTEM)
			ol_fill_say(filler, true, error.text);
		if (!making.wrong)
			return fail_piece(&making, rc, &error, err);
		(void)atomic_fetch_add(
			&ol_lazy_state_counters(filler->options.state)->refetched, 1);
		others = fetch->blame(fetch->ctx, making.piece->begin, making.piece->end);
		if (tries >= (others ? TRIES_MAX : TRIES_MAX_ALONE))
			return fail_piece(&making, OL_ECORRUPT, &error, err);
		tell(filler, &making, "came wrong and is fetched again", &error);
		rc = fetch_again(&making, cause, deadline_ms, &error);
		if (rc < 0)
			return fail_piece(&making, rc, &error, err);
	}
}
