#include "snapshot/ztoc_make.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/temp.h"
#include "manifest/ztoc_writer.h"
#include "snapshot/gzip_index.h"

#define IN_BYTES  ((size_t)64 << 10)
#define OUT_BYTES ((size_t)128 << 10)
/* Small files compress well; only past this does a ratio prove a bomb. */
#define RATIO_FREE_BYTES ((uint64_t)64 << 20)

struct making {
	const ol_ztoc_make_options *options; /* lent */
	ol_tar *tar;                         /* owned, as what follows */
	ol_ztoc_writer *writer;
	ol_hasher *blob, *diff_id;
	ol_gzip_index *gzip; /* NULL: not compressed */
	int temp_fd;         /* checkpoints */
	unsigned char *out;
	uint64_t in_bytes, out_bytes;
	bool started;

	/* of what is not compressed */
	ol_hasher *span;
	uint64_t span_fill;
	ol_digest *digests;
	size_t digest_count, digest_cap;
};

static int on_member(void *ctx, const ol_tar_member *member, ol_error *err)
{
	return ol_ztoc_writer_add(((struct making *)ctx)->writer, member, err);
}

static int on_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	(void)ctx;
	(void)entry;
	(void)err;
	return OL_OK;
}

/* Tar bytes: the last two stages. */
static int take_tar(struct making *m, const void *data, size_t size, ol_error *err)
{
	m->out_bytes += size;
	if (m->out_bytes > RATIO_FREE_BYTES && m->out_bytes / OL_LAYER_RATIO_MAX > m->in_bytes)
		return ol_fail(err, OL_ELIMIT, "%llu bytes hold more than %llu: this is a bomb",
			(unsigned long long)m->in_bytes, (unsigned long long)m->out_bytes);
	if (m->gzip)
		ol_hasher_update(m->diff_id, data, size);
	return ol_tar_push(m->tar, data, size, err);
}

static void add_digest(struct making *m)
{
	OL_GROW(m->digests, m->digest_count, m->digest_cap);
	m->digests[m->digest_count++] = ol_hasher_final(m->span);
	m->span_fill = 0;
}

static int take_plain(struct making *m, const unsigned char *data, size_t size, ol_error *err)
{
	int rc = take_tar(m, data, size, err);

	while (rc == OL_OK && size > 0) {
		const uint64_t left = m->options->span_bytes - m->span_fill;
		const size_t part = size < left ? size : (size_t)left;

		ol_hasher_update(m->span, data, part);
		m->span_fill += part;
		if (m->span_fill == m->options->span_bytes)
			add_digest(m);
		data += part;
		size -= part;
	}
	if (m->digest_count > OL_ZTOC_SPANS_MAX)
		return ol_fail(err, OL_EUNSUPPORTED, "it has too many spans");
	return rc;
}

static int take_gzip(struct making *m, const unsigned char *data, size_t size, ol_error *err)
{
	ol_decode_step step = { .in = data, .in_size = size };
	bool more = true;
	int rc;

	while (more) {
		step.out = m->out;
		step.out_size = OUT_BYTES;
		rc = ol_gzip_index_run(m->gzip, &step, err);
		if (rc == OL_OK && step.made > 0)
			rc = take_tar(m, m->out, step.made, err);
		if (rc < 0)
			return rc;
		/* A full room may mean that more comes without input. */
		more = step.in_size > 0 || step.out_size == 0;
	}
	return OL_OK;
}

/* The first bytes tell what it is, and must agree with the media type. */
static int start(struct making *m, const unsigned char *data, size_t size, ol_error *err)
{
	const ol_ztoc_make_options *o = m->options;
	const ol_compression found = ol_compression_sniff(data, size);

	m->started = true;
	if (o->compression != OL_COMPRESSION_UNKNOWN && o->compression != found)
		return ol_fail(err, OL_ECORRUPT, "its bytes are not what its media type says");
	if (found == OL_COMPRESSION_ZSTD)
		return ol_fail(err, OL_EUNSUPPORTED, "it is compressed with zstd");
	if (found == OL_COMPRESSION_NONE)
		return OL_OK;
	m->gzip = ol_gzip_index_new(o->span_bytes, m->temp_fd);
	return m->gzip ? OL_OK : ol_fail(err, OL_ESYSTEM, "no memory for a gzip decoder");
}

/* As much as fits, so that the first bytes are enough to tell what they are. */
static int fill(ol_reader *reader, unsigned char *buffer, size_t *got, ol_error *err)
{
	size_t part = 1;
	int rc = OL_OK;

	*got = 0;
	while (rc == OL_OK && part > 0 && *got < IN_BYTES) {
		rc = ol_reader_read(reader, buffer + *got, IN_BYTES - *got, &part, err);
		*got += rc == OL_OK ? part : 0;
	}
	return rc;
}

static int read_all(struct making *m, ol_reader *reader, ol_error *err)
{
	const ol_ztoc_make_options *o = m->options;
	ol_autofree unsigned char *in = ol_alloc(IN_BYTES);
	size_t got = 1;
	int rc = OL_OK;

	while (rc == OL_OK && got > 0) {
		rc = ol_cancel_check(o->cancel, err);
		if (rc == OL_OK)
			rc = fill(reader, in, &got, err);
		if (rc < 0 || got == 0)
			break;
		m->in_bytes += got;
		if (m->in_bytes > o->blob_size)
			return ol_fail(err, OL_ECORRUPT, "it is larger than the %llu bytes said",
				(unsigned long long)o->blob_size);
		ol_hasher_update(m->blob, in, got);
		if (!m->started)
			rc = start(m, in, got, err);
		if (rc == OL_OK)
			rc = (m->gzip ? take_gzip : take_plain)(m, in, got, err);
		if (o->progress)
			o->progress(o->ctx, m->in_bytes);
	}
	return rc;
}

static int verify(struct making *m, ol_error *err)
{
	const ol_ztoc_make_options *o = m->options;
	const ol_digest blob = ol_hasher_final(m->blob);
	const ol_digest diff_id = m->gzip ? ol_hasher_final(m->diff_id) : blob;
	int rc = ol_tar_finish(m->tar, err);

	if (rc == OL_OK && m->in_bytes != o->blob_size)
		rc = ol_fail(err, OL_ECORRUPT, "it has %llu bytes, not %llu",
			(unsigned long long)m->in_bytes, (unsigned long long)o->blob_size);
	if (rc == OL_OK)
		rc = ol_digest_check(&o->blob, &blob, err);
	if (rc == OL_OK && ol_digest_check(&o->diff_id, &diff_id, err) < 0)
		rc = ol_wrap(err, OL_ECORRUPT, "its DiffID");
	return rc;
}

static int write_out(struct making *m, ol_sink *sink, ol_error *err)
{
	ol_auto(ol_reader_close) ol_reader *checkpoints = NULL;
	ol_ztoc_facts facts = {
		.tool = m->options->tool,
		.gzip = m->gzip,
		.blob_size = m->in_bytes,
		.tar_size = m->out_bytes,
		.span_bytes = m->options->span_bytes,
		.span_digests = m->digests,
		.span_count = m->digest_count,
	};
	ol_gzip_spans spans = { 0 };

	if (m->gzip) {
		int rc = ol_gzip_index_finish(m->gzip, &spans, err);

		if (rc < 0)
			return rc;
		facts.span_digests = spans.digests;
		facts.span_count = spans.count;
		if (lseek(m->temp_fd, 0, SEEK_SET) < 0)
			return ol_fail_sys(err, "temporary file");
		checkpoints = ol_reader_of_fd(ol_steal_fd(&m->temp_fd));
		facts.checkpoints = checkpoints;
	}
	if (spans.refusal)
		return ol_fail(err, OL_EUNSUPPORTED, "%s", spans.refusal);
	if (facts.span_count == 0)
		return ol_fail(err, OL_EUNSUPPORTED, "it holds nothing");
	return ol_ztoc_writer_finish(m->writer, &facts, sink, err);
}

static int run(struct making *m, ol_reader *reader, ol_sink *sink, ol_error *err)
{
	int rc = ol_temp_open(m->options->temp_fd, &m->temp_fd, err);

	if (rc == OL_OK)
		rc = read_all(m, reader, err);
	if (rc == OL_OK && !m->gzip && m->span_fill > 0)
		add_digest(m);
	if (rc == OL_OK)
		rc = verify(m, err);
	return rc < 0 ? rc : write_out(m, sink, err);
}

int ol_ztoc_make(
	ol_reader *reader, const ol_ztoc_make_options *options, ol_sink *sink, ol_error *err)
{
	struct making m = { .options = options, .temp_fd = -1 };
	int rc;

	m.tar = ol_tar_new(&(ol_tar_handler){ .entry = on_entry, .ctx = &m });
	ol_tar_watch(m.tar, on_member, &m);
	m.writer = ol_ztoc_writer_new();
	m.blob = ol_hasher_new(options->blob.algorithm);
	m.diff_id = ol_hasher_new(options->diff_id.algorithm);
	m.span = ol_hasher_new(OL_SHA256);
	m.out = ol_alloc(OUT_BYTES);
	rc = run(&m, reader, sink, err);
	ol_tar_free(m.tar);
	ol_ztoc_writer_free(m.writer);
	ol_hasher_free(m.blob);
	ol_hasher_free(m.diff_id);
	ol_hasher_free(m.span);
	ol_gzip_index_free(m.gzip);
	free(m.out);
	free(m.digests);
	if (m.temp_fd >= 0)
		(void)close(m.temp_fd);
	return rc;
}
