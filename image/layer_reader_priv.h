#pragma once

/* Bytes of blobs and layers on their way out: verified as they pass, decompressed where that is
 * wanted. */
#include "base/cancel.h"
#include "base/digest.h"
#include "base/own.h"
#include "base/stream.h"
#include "store/store.h"

/* What is read. */
typedef struct ol_layer_reader_options {
	ol_digest blob; /* in the store */
	bool decode;    /* whatever the bytes say they are; else it goes out as it is */
	/* of what comes out: blob, or, decoded, the DiffID; unset: only the blob is looked at */
	ol_digest digest;
	const ol_cancel *cancel;
	void (*progress)(void *ctx, uint64_t bytes); /* what came out since it was last told; or
							NULL */
	void *ctx;
} ol_layer_reader_options;

/* The reader fails at its end with OL_ECORRUPT when the bytes were not what digest says; what was
 * given out before must then not be used. Closing it frees it. OL_ENOTFOUND, OL_ECORRUPT: the blob
 * is not there, or damaged. */
int ol_layer_reader_open(
	ol_store *store, const ol_layer_reader_options *options, ol_reader **out, ol_error *err);

/* Decodes what from gives, gzip, zstd or nothing, by its first bytes; takes it, and closes it in
 * close. */
ol_reader *ol_decode_reader(ol_reader *from);
