#pragma once

/*
 * What has passed of an archive, by name: small documents whole, of layers what they turned out to
 * be, of links where they lead. Entries come in any order, so nothing is known of their meaning
 * until all have passed.
 */
#include "base/str.h"
#include "image/layer_take_priv.h"

typedef enum ol_archive_kind {
	OL_ARCHIVE_DOCUMENT, /* looks like JSON */
	OL_ARCHIVE_LAYER,    /* in the store */
	OL_ARCHIVE_LINK,
	OL_ARCHIVE_OTHER, /* passed over */
} ol_archive_kind;

typedef struct ol_archive_file {
	char *name; /* owned; clean */
	ol_archive_kind kind;
	ol_digest digest; /* of a document's bytes; of OTHER where its name promised one */
	uint64_t size;
	/* owned; of a document: NULL once it is a blob of the store instead */
	char *bytes;
	ol_layer_taken *layer; /* owned; of a layer; NULL when it failed */
	char *target;          /* owned; of a link: clean */
	ol_error *failed;      /* owned; why it is of no use; NULL: nothing wrong */
	/* a layer that an image has said to be its own, and that no one had before */
	bool used, fresh;
} ol_archive_file;

typedef struct ol_archive_files {
	void *tree; /* owned; of tsearch */
	size_t count;
	size_t bytes; /* of documents, in memory */
} ol_archive_files;

/* Takes what file owns, also on failure. The same once more is fine; OL_ECORRUPT: another of that
 * name is there; OL_ELIMIT: too many. */
int ol_archive_files_add(ol_archive_files *files, ol_archive_file file, ol_error *err);
/* Follows links. Lent. OL_ENOTFOUND: it is not there, or a link to nowhere; OL_ECORRUPT: the links
 * lead in a circle. */
int ol_archive_files_find(
	const ol_archive_files *files, const char *name, ol_archive_file **out, ol_error *err);
void ol_archive_file_done(ol_archive_file *file);
void ol_archive_files_done(ol_archive_files *files);
