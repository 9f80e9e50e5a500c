#pragma once

/*
 * A registry's blob as a stream, kept nowhere: a few windows of it are in memory, fetched ahead of
 * who reads, by threads of their own.
 *
 *	blob   │ read │ read │ reading │ ready │ fetching │ …
 *	                     └──── windows in memory ─────┘
 */
#include "base/stream.h"
#include "fetch/registry.h"

/* All is lent for the reader's life; the blob's strings are not looked at. Its bytes are not
 * verified. A registry that knows no ranges sends all of it for each window. NULL: no thread can be
 * started. */
ol_reader *ol_blob_stream(ol_registry *registry, const ol_ref *ref, const ol_descriptor *blob);
