#pragma once

/*
 * Ztocs for tests, sound or damaged: FlatBuffers written without a library, the same bytes each
 * time. What a spec leaves out is not in the buffer.
 */
#include "base/digest.h"
#include "base/str.h"

typedef struct ztoc_record {
	const char *key, *value;
} ztoc_record;

typedef struct ztoc_member {
	const char *name; /* NULL ends an array */
	const char *type; /* NULL: "reg" */
	const char *link, *time;
	int64_t offset, size, mode, major, minor;
	uint32_t uid, gid;
	ztoc_record records[4]; /* ended by a key of NULL */
	size_t name_size;       /* 0: strlen(name) */
} ztoc_member;

typedef struct ztoc_spec {
	const char *version; /* NULL: "0.9" */
	int64_t blob_size, tar_size;
	const ztoc_member *members; /* NULL: no table of contents at all */
	int algorithm;              /* 0: left out */
	int32_t max_span;
	const char *const *digests; /* texts */
	size_t digest_count;
	ol_view checkpoints;
	bool no_compression;
} ztoc_spec;

#define ZTOC_BYTES_MAX ((size_t)64 << 20)

ol_buf ztoc_build(const ztoc_spec *spec);

/* A checkpoint of zinfo. */
typedef struct ztoc_point {
	int64_t in, out;
	unsigned char bits;
	ol_view window; /* at most 32 KiB; stands at the end of its place */
} ztoc_point;
/* points of which the first skip are left out. */
ol_buf ztoc_zinfo(int32_t count, int64_t span, const ztoc_point *points, size_t skip, size_t end);
/* TarZinfo of a layer that is not compressed. */
ol_buf ztoc_tar_zinfo(int64_t span, int64_t size);
