#pragma once

/*
 * What a row of names says of its root at once, so that a list opens no document: one entry for
 * each platform that is in the store. docs/formats.md, "names", has the text.
 */
#include "base/str.h"
#include "manifest/platform.h"
#include "store/store.h"

typedef struct ol_summary_entry {
	ol_platform platform;
	ol_digest manifest, config;
	int64_t created; /* from the config; Unix seconds */
	uint64_t size;   /* bytes of the layer tars */
	bool labels;     /* the config has some */
} ol_summary_entry;

typedef struct ol_summary {
	ol_summary_entry *entries; /* owned; in the order of the index */
	size_t count;              /* at least one */
} ol_summary;

/* Reads root's documents and puts its summary into out, which is left empty for what cannot be told
 * in short: an artifact, more than a row may hold, a platform with odd characters. A list then
 * reads the documents itself. */
void ol_summary_make(ol_store *store, const ol_digest *root, ol_str *out);
/* OL_ECORRUPT for what is none, "" among it. */
int ol_summary_parse(const char *text, ol_summary *out, ol_error *err);
void ol_summary_done(ol_summary *summary);
/* The entry that serves want, as ol_image_open with no platform asked for would choose. NULL: the
 * documents must say. Lent. */
const ol_summary_entry *ol_summary_choose(const ol_summary *summary, const ol_platform *want);
