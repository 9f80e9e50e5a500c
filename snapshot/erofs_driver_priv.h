#pragma once

/*
 * The erofs driver: a layer is its tar as it is, and an EROFS index whose inodes point into it.
 *
 *	begin push* finish   erofs_builder.c    tar → staging "tar", "index.erofs"
 *	complete             erofs_complete.c   a leaning index, made to fit on the layers below
 *	                     erofs_below.c      what those show
 *	lower, probe         erofs_mount.c      mounts
 *	root, verify         erofs_driver.c
 */
#include "snapshot/driver_priv.h"
#include "snapshot/erofs_reader.h"

/* A layer's files in the store and in staging folders. */
#define OL_EROFS_INDEX "index.erofs"
#define OL_EROFS_TAR   "tar"

int ol_erofs_begin(const ol_builder_options *options, ol_builder **out, ol_error *err);
int ol_erofs_push(ol_builder *builder, const void *data, size_t size, ol_error *err);
int ol_erofs_finish(ol_builder *builder, ol_built *out, ol_error *err);
void ol_erofs_free(ol_builder *builder);

int ol_erofs_complete(ol_store *store, const ol_layer_info *layer, const ol_layer_info *lowers,
	size_t count, int dir_fd, ol_built *out, ol_error *err);

/* Mounts an index over its tars, detached; *out is the mount's descriptor. tar_fds: device 1 first.
 * OL_EUNSUPPORTED: this kernel cannot, and why. */
int ol_erofs_mount(int index_fd, const int *tar_fds, size_t count, int *out, ol_error *err);
int ol_erofs_probe(ol_store *store, ol_error *err);
/* What probes mount: files without a name, an index of one file over a tar of one block; and
 * whether the mount shows the tar's bytes. */
#define OL_EROFS_PROBE_BYTES 512
int ol_erofs_probe_make(int dir_fd, int *index_fd, int *tar_fd, ol_error *err);
int ol_erofs_probe_read(int mount_fd, ol_error *err);
int ol_erofs_lower(ol_store *store, const ol_layer_info *layer, int *fd, ol_error *err);
/* The same, for a layer whose tars come from elsewhere: open gives device's, from 1. */
typedef struct ol_erofs_mounting {
	ol_store *store; /* lent, as all */
	const ol_layer_info *layer;
	const ol_erofs *index; /* set while it is mounted */
	int (*open)(const struct ol_erofs_mounting *m, unsigned device, int *out, ol_error *err);
} ol_erofs_mounting;
int ol_erofs_lower_by(ol_erofs_mounting *m, int *fd, ol_error *err);
int ol_erofs_tar_open(const ol_erofs_mounting *m, unsigned device, int *out, ol_error *err);

/* The layer's index in the store, opened and read. index_fd may be NULL; else it becomes the
 * caller's too. */
int ol_erofs_layer_open(
	ol_store *store, const ol_layer_info *layer, ol_erofs **out, int *index_fd, ol_error *err);
/* The digest of an index, all of it. */
int ol_erofs_index_hash(int fd, ol_digest *out, ol_error *err);
/* The tar that a device of the layer's index is: device 1 is the layer's own. */
int ol_erofs_layer_tar(const ol_erofs *index, const ol_layer_info *layer, unsigned device,
	ol_digest *out, ol_error *err);
