#include "base/alloc.h"
#include "image/layer_reader_priv.h"
#include "snapshot/decode.h"
#include "store/blob.h"

#define IN_BYTES ((size_t)64 << 10)

/* ---------------------------------------------------------------------- decoding -- */

struct decode_reader {
	ol_reader reader;
	ol_reader *from;     /* owned */
	ol_decoder *decoder; /* owned; made once the first bytes have come */
	unsigned char in[IN_BYTES];
	size_t at, size; /* of in: what was not decoded yet */
	bool ended;      /* from has given all it has */
	bool finished;
};

/* A compression is told by four bytes: a first read that is shorter is filled up. */
static int refill(struct decode_reader *self, ol_error *err)
{
	size_t least = self->decoder ? 1 : 4;
	int rc = OL_OK;

	if (self->at < self->size)
		return OL_OK;
	self->at = self->size = 0;
	while (rc == OL_OK && !self->ended && self->size < least) {
		size_t got = 0;

		rc = ol_reader_read(
			self->from, self->in + self->size, sizeof self->in - self->size, &got, err);
		self->size += got;
		self->ended = rc == OL_OK && got == 0;
	}
	if (rc == OL_OK && !self->decoder)
		rc = ol_decoder_new(
			ol_compression_sniff(self->in, self->size), &self->decoder, err);
	return rc;
}

static int decode_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct decode_reader *self = (struct decode_reader *)reader;
	int rc = OL_OK;

	*got = 0;
	while (rc == OL_OK && *got == 0 && size > 0 && !self->finished) {
		ol_decode_step step;

		rc = refill(self, err);
		if (rc < 0)
			return rc;
		step = (ol_decode_step){
			.in = self->in + self->at,
			.in_size = self->size - self->at,
			.out = data,
			.out_size = size,
		};
		rc = ol_decoder_run(self->decoder, &step, err);
		self->at = self->size - step.in_size;
		*got = step.made;
		if (rc == OL_OK && *got == 0 && self->ended) {
			rc = ol_decoder_finish(self->decoder, err);
			self->finished = true;
		}
	}
	return rc;
}

static void decode_close(ol_reader *reader)
{
	struct decode_reader *self = (struct decode_reader *)reader;

	ol_decoder_free(self->decoder);
	ol_reader_close(self->from);
	free(self);
}

ol_reader *ol_decode_reader(ol_reader *from)
{
	static const ol_reader_ops ops = { decode_read, decode_close };
	struct decode_reader *self = ol_alloc(sizeof *self);

	self->reader.ops = &ops;
	self->from = from;
	return &self->reader;
}

/* -------------------------------------------------------------------- verifying -- */

struct layer_reader {
	ol_reader reader;
	ol_reader *from;   /* owned */
	ol_hasher *hasher; /* owned; NULL once it was asked, or nothing is to be verified */
	ol_layer_reader_options options;
};

static int verify(struct layer_reader *self, ol_error *err)
{
	ol_digest got;
	int rc;

	if (!self->hasher)
		return OL_OK;
	got = ol_hasher_final(self->hasher);
	ol_hasher_free(self->hasher);
	self->hasher = NULL;
	rc = ol_digest_check(&self->options.digest, &got, err);
	if (rc < 0)
		return ol_hint(err, rc, "run `orlop check --repair` to mend the store");
	return OL_OK;
}

static int layer_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct layer_reader *self = (struct layer_reader *)reader;
	int rc = ol_cancel_check(self->options.cancel, err);

	if (rc == OL_OK)
		rc = ol_reader_read(self->from, data, size, got, err);
	if (rc < 0)
		return rc;
	if (*got == 0)
		return verify(self, err);
	if (self->hasher)
		ol_hasher_update(self->hasher, data, *got);
	if (self->options.progress)
		self->options.progress(self->options.ctx, *got);
	return OL_OK;
}

static void layer_close(ol_reader *reader)
{
	struct layer_reader *self = (struct layer_reader *)reader;

	ol_hasher_free(self->hasher);
	ol_reader_close(self->from);
	free(self);
}

int ol_layer_reader_open(
	ol_store *store, const ol_layer_reader_options *options, ol_reader **out, ol_error *err)
{
	static const ol_reader_ops ops = { layer_read, layer_close };
	struct layer_reader *self;
	int fd, rc = ol_blob_open(store, &options->blob, &fd, err);

	if (rc < 0)
		return rc;
	self = ol_alloc(sizeof *self);
	self->reader.ops = &ops;
	self->from = ol_reader_of_fd(fd);
	if (options->decode)
		self->from = ol_decode_reader(self->from);
	self->options = *options;
	if (ol_digest_is_set(&options->digest))
		self->hasher = ol_hasher_new(options->digest.algorithm);
	*out = &self->reader;
	return OL_OK;
}
