#pragma once

/*
 * What the files of repair share: repair.c (in what order), mend_image.c (documents, top down),
 * mend_layer.c (tars, indexes, trees), relist.c (index.json read back), verify.c.
 */
#include "base/stream.h"
#include "image/pull_priv.h"
#include "store/layer.h"
#include "store/mend.h"

/* Something that was found damaged, or turned out to be. */
typedef struct ol_mend_item {
	const char *kind; /* a literal: "blob", "layer", "chain" */
	ol_digest digest;
	bool told;
} ol_mend_item;

typedef struct ol_mend {
	ol_session *session; /* lent, as is mender */
	const ol_mender *mender;
	ol_lease *lease;     /* lent */
	ol_mend_item *items; /* owned */
	size_t count, cap;
	ol_digest *seen; /* owned; what images need */
	size_t seen_count, seen_cap;
	bool rebuilding; /* rows were lost: edges are written anew */
	bool blind;      /* an image's documents could not be read: what it needs is unknown */
} ol_mend;

/* One image, or several of one index, by the root that is kept. */
typedef struct ol_mend_root {
	ol_digest root, listed;
	char *media_type, *name, *repo; /* owned; "" where there is none */
	bool imported, has_row;         /* has_row: of names; else a container's or mount's */
} ol_mend_root;

/* repair.c */

/* Says once of each thing what became of it. */
void ol_mend_tell(ol_mend *mend, bool mended, const char *kind, const ol_digest *digest,
	const char *fmt, ...) OL_PRINTF(5, 6);
void ol_mend_see(ol_mend *mend, const ol_digest *digest);
/* Tells that it could not be mended: what to load, or why it could not be fetched. */
void ol_mend_give_up(ol_mend *mend, const ol_mend_root *root, const char *repo, const char *kind,
	const ol_digest *digest, const ol_error *why);

typedef enum ol_blob_state { OL_BLOB_ABSENT, OL_BLOB_DAMAGED, OL_BLOB_SOUND } ol_blob_state;
ol_blob_state ol_blob_look(ol_store *store, const ol_digest *digest);

/* mend_image.c: everything that the root needs. Only OL_ECANCELED and failures of the store itself
 * are returned; what cannot be mended is told. */
int ol_mend_image(ol_mend *mend, const ol_mend_root *root, ol_error *err);

/* mend_layer.c: layer k of an image. *sound: it can be used now. */
int ol_mend_layer(ol_mend *mend, const ol_mend_root *root, const ol_incoming_image *image, size_t k,
	bool *sound, ol_error *err);

/* relist.c: rows of names that index.json has and the database lost. */
int ol_names_relist(ol_session *session, const ol_mender *mender, ol_error *err);
/* One line of index.json: a row of names, whose strings live as long as *json (owned). OL_EINVAL:
 * it is none that the store wrote. */
int ol_relist_line(ol_view line, ol_json **json, ol_name_info *out, ol_error *err);

/* verify.c: the decoded tar of a layer as a source: its tar blob, or the kept compressed blob
 * inflated into an unlinked file. */
int ol_layer_open_tar(ol_store *store, const ol_layer_info *layer, ol_source **out, ol_error *err);
