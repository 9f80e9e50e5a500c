#pragma once

/*
 * What the steps of a load share. Whatever an archive's layout is, it ends as that of an OCI
 * layout: images are roots, manifests or indexes, whose blobs are the files
 * blobs/<algorithm>/<hex>. For docker's own layouts these are links to the files as docker names
 * them, and manifests that are made here.
 */
#include "image/archive_docker_priv.h"
#include "image/archive_files_priv.h"
#include "image/archive_name_priv.h"
#include "image/blob_path_priv.h"
#include "image/incoming_priv.h"
#include "image/load.h"

/* An image that the archive's documents tell of. */
typedef struct ol_load_image {
	ol_digest root;
	char *media_type; /* owned; of root as its index says, or "" */
	char *called;     /* owned; by the archive: for words about it */
	char **names;     /* owned; canonical references */
	size_t name_count, name_cap;
	ol_digest config; /* once it is kept */
} ol_load_image;

typedef struct ol_load_state {
	ol_incoming passing; /* session and lease of all that comes in */
	const ol_load_options *options;
	ol_archive_files files;
	int dir_fd;      /* of a folder, from which files are taken as they are asked for; -1 */
	unsigned layers; /* that were met so far: for progress */
	unsigned unused; /* that came in and that no image has said to be its own so far */
	ol_load_image *images; /* owned */
	size_t count, cap;
	/* the compressed layers that the store had before, sorted by blob; owned */
	ol_layer_taken *kept;
	size_t kept_count, kept_cap;
	bool kept_read;
} ol_load_state;

/* load_receive.c: one file as it passes: documents to memory, layers to the store. Damage of what
 * may turn out to be of no use is remembered with it; what fails here ends the load: reader's own
 * failures, a full disk, a wish to stop. name is clean; reader is lent. */
int ol_load_receive(
	ol_load_state *load, const char *name, uint64_t size, ol_reader *reader, ol_error *err);
/* From what passed; from the folder where there is one. Lent. Errors as of ol_archive_files_find,
 * and why the file is of no use. */
int ol_load_file(ol_load_state *load, const char *name, ol_archive_file **out, ol_error *err);
/* The same, and it is a layer: with what it turned out to be. */
int ol_load_layer(ol_load_state *load, const char *name, ol_archive_file **out, ol_error *err);
/* A document's bytes. OL_ECORRUPT: it is none. */
int ol_load_bytes(ol_load_state *load, const char *name, ol_buf *out, ol_error *err);

/* What there is, as images; in load_layout.c: index.json, manifest.json, or repositories. */
int ol_load_read(ol_load_state *load, ol_error *err);
int ol_load_read_docker(ol_load_state *load, ol_error *err);
int ol_load_read_repositories(ol_load_state *load, ol_error *err);
/* load_docker.c: an image of docker's is made into one of OCI's: config and layers are paths. */
int ol_load_translate(ol_load_state *load, const ol_docker_image *from, ol_error *err);
/* Adds it, or gives the one of this root that is there. Lent until the next one. */
ol_load_image *ol_load_image_add(
	ol_load_state *load, const ol_digest *root, const char *media_type, const char *called);
/* A name as the archive has it; one that is no reference is passed over with a note. */
void ol_load_image_name(ol_load_state *load, ol_load_image *image, const char *name);

/* load_names.c: what the options want of it: select, tag. OL_ENOTFOUND, OL_ECORRUPT: there is none;
 * OL_EINVAL: a tag that is no name, or could be several images'. */
int ol_load_choose(ol_load_state *load, ol_error *err);

/* load_gather.c: the image's documents, put into the store, and its layers, which must be there,
 * as far as they are wanted. incoming has session and lease; *none: it serves none of the
 * platforms that are wanted. */
int ol_load_gather(ol_load_state *load, const ol_load_image *image, ol_incoming *incoming,
	bool *none, ol_error *err);
