#pragma once

/* A pull as image/ does it, without a store: every byte of every layer must come exactly once and
 * be right. */
#include "base/alloc.h"
#include "fetch/registry.h"
#include "tests/fake_registry.h"

/* Timing short enough for tests. */
static const ol_registry_timing fake_timing = { .connect_ms = 5000,
	.stall_seconds = 1,
	.stall_bytes_per_second = 1000,
	.backoff_ms = 20,
	.backoff_max_ms = 100 };

struct paper {
	unsigned char *data;  /* owned */
	unsigned char *times; /* owned: how often each byte was written */
	uint64_t size;
};

static int paper_write(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	struct paper *paper = ctx;

	if (offset > paper->size || size > paper->size - offset)
		return ol_fail(err, OL_ECORRUPT, "written past the end");
	memcpy(paper->data + offset, data, size);
	for (size_t i = 0; i < size; i++)
		paper->times[offset + i]++;
	return OL_OK;
}

static inline void paper_init(struct paper *paper, uint64_t size)
{
	*paper = (struct paper){ ol_alloc(size), ol_alloc(size), size };
}

static inline void paper_done(struct paper *paper)
{
	free(paper->data);
	free(paper->times);
}

/* Whether the bytes of start..end-1 were written once, and all others never. */
static inline bool paper_is_exact(const struct paper *paper, uint64_t start, uint64_t end)
{
	for (uint64_t i = 0; i < paper->size; i++)
		if (paper->times[i] != (i >= start && i < end))
			return false;
	return true;
}

static inline ol_ref fake_ref(const struct fake *fake)
{
	ol_ref ref = { .path = "app", .tag = "latest" };

	(void)snprintf(ref.domain, sizeof ref.domain, "%s", fake->main);
	return ref;
}

static inline int fake_pull_layer(
	ol_registry *registry, const struct fake *fake, size_t index, ol_error *err)
{
	ol_ref ref = fake_ref(fake);
	ol_descriptor blob = { .media_type = "",
		.digest = fake->layers[index].digest,
		.size = fake->layers[index].size };
	ol_fetch_range all = { 0, blob.size };
	struct paper paper;
	ol_digest got;
	int rc;

	paper_init(&paper, blob.size);
	rc = ol_registry_get_blob(
		registry, &ref, &blob, &all, 1, &(ol_blob_target){ paper_write, &paper }, err);
	if (rc == OL_OK) {
		assert_true(paper_is_exact(&paper, 0, paper.size));
		got = ol_digest_of(OL_SHA256, paper.data, paper.size);
		rc = ol_digest_check(&blob.digest, &got, err);
	}
	paper_done(&paper);
	return rc;
}

static inline int fake_pull(ol_registry *registry, const struct fake *fake, ol_error *err)
{
	ol_ref ref = fake_ref(fake);
	ol_auto_buf ol_buf body = OL_BUF((size_t)4 << 20);
	ol_resolved resolved = { 0 };
	int rc = ol_registry_resolve(registry, &ref, &resolved, err);

	if (rc == OL_OK)
		rc = ol_registry_get_manifest(registry, &ref, &resolved.digest, &body, NULL, err);
	for (size_t i = 0; i < fake->layer_count && rc == OL_OK; i++)
		rc = fake_pull_layer(registry, fake, i, err);
	return rc;
}
