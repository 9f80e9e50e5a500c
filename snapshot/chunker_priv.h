#pragma once

/* Cuts the bytes of one file after another into chunks: snapshot/tar_scan.h says how. */
#include "snapshot/tar_scan.h"

typedef struct ol_chunker ol_chunker;

/* chunk_bytes 0: by content, and a CRC-64 is made. */
ol_chunker *ol_chunker_new(uint64_t chunk_bytes);
void ol_chunker_free(ol_chunker *self);
/* Begins a file; its chunks are added to scan (lent until the end). */
void ol_chunker_begin(ol_chunker *self, ol_scan *scan);
void ol_chunker_add(ol_chunker *self, const void *data, size_t size);
/* The file's digest, and how many bytes it has. */
uint64_t ol_chunker_end(ol_chunker *self, ol_digest *digest, uint64_t *crc64);
