#pragma once

/*
 * Layer drivers: what makes a layer mountable. Two rows of one table, with one test suite:
 *
 *	erofs   the layer's tar as it is, and an EROFS index whose inodes point into it
 *	        (root, Linux ≥ 6.12 or loop devices)
 *	dir     the layer extracted into a plain directory (everywhere)
 *
 * and a third that no store is kept by, only layers that are not whole yet:
 *
 *	lazy    the index over a payload with holes, filled as it is read (snapshot/lazy_engine.h);
 *	        made by ol_lazy_build, not by begin … finish
 *
 * A layer is built from its tar, pushed in as it is decoded. What it makes lies in a staging folder
 * until the store publishes it: "tar" and "index.erofs", or "fs".
 */
#include <sys/types.h>

#include "base/cancel.h"
#include "base/stream.h"
#include "manifest/tar.h"
#include "store/layer.h"

typedef struct ol_root_attributes {
	bool listed, opaque;
	uint32_t mode, uid, gid;
	struct timespec mtime;
	ol_xattr *xattrs; /* owned, each with memory of its own: ol_root_attributes_add */
	size_t xattr_count;
} ol_root_attributes;
/* Copies both; the name becomes terminated. */
void ol_root_attributes_add(ol_root_attributes *attributes, ol_view name, ol_view value);
void ol_root_attributes_done(ol_root_attributes *attributes); /* and zeroes it */

/* What rootless trees could not be given, counted over all that are built. Threads: any. */
typedef struct ol_lacks {
	_Atomic uint64_t devices; /* nodes, for which an empty file stands */
	_Atomic uint64_t owners;  /* entries of users or groups without an id here: root's */
} ol_lacks;

typedef struct ol_builder_options {
	int dir_fd;          /* staging folder, lent */
	size_t budget_bytes; /* memory before entries go to disk; 0: OL_UNPACK_BUDGET_BYTES */
	bool userxattr;      /* rootless: user.overlay.* instead of trusted.overlay.* */
	ol_lacks *lacks;     /* lent, counted up; NULL: nobody asks */
} ol_builder_options;

typedef struct ol_built {
	const char *driver; /* name of the row that can mount it: erofs may hand a layer to dir */
	bool leans;         /* needs complete() with the layers below before it can be mounted */
	uint64_t entries;
	uint64_t disk_bytes;    /* of index or tree */
	ol_digest index_digest; /* erofs only */
	bool has_tar;           /* the staging folder holds "tar" */
} ol_built;

typedef struct ol_builder ol_builder; /* embeds as first member; made by a driver */

typedef struct ol_driver {
	const char *name;
	bool keeps_blob; /* the compressed layer is kept as a blob, not the tar */
	/* Can it work on this store, here and now? Tries it out. OL_EUNSUPPORTED says why not. */
	int (*probe)(ol_store *store, ol_error *err);
	/* push* → finish, then free. The pushed bytes are the tar, in order, of any sizes. */
	int (*begin)(const ol_builder_options *options, ol_builder **out, ol_error *err);
	int (*push)(ol_builder *builder, const void *data, size_t size, ol_error *err);
	int (*finish)(ol_builder *builder, ol_built *out, ol_error *err);
	void (*free)(ol_builder *builder);
	/* Makes of a leaning layer one that fits on lowers (bottom first, all mountable), in
	 * staging dir_fd; the result belongs to the ChainID. */
	int (*complete)(ol_store *store, const ol_layer_info *layer, const ol_layer_info *lowers,
		size_t count, int dir_fd, ol_built *out, ol_error *err);
	/* A directory to stack: a descriptor of the mounted index's root or of fs/. What has to be
	 * mounted for it is mounted at its place under the run dir, snapshot/layer_mount.h, unless
	 * it is there already. */
	int (*lower)(ol_store *store, const ol_layer_info *layer, int *fd, ol_error *err);
	/* What the layer says of its root directory; listed is false when it says nothing. opaque:
	 * it hides all below it. */
	int (*root)(ol_store *store, const ol_layer_info *layer, ol_root_attributes *out,
		ol_error *err);
	/* Compares what is mounted with the tar: for check. OL_ECORRUPT names the first path that
	 * differs. */
	int (*verify)(ol_store *store, const ol_layer_info *layer, ol_source *tar, ol_error *err);
	/* Makes the index anew from the tar alone, as "index.erofs" in dir_fd: the same bytes as
	 * when it was built. NULL for a driver without one. */
	int (*reindex)(ol_source *tar, int dir_fd, ol_built *out, ol_error *err);
} ol_driver;

/* Any of the three; NULL for a name that is no driver. */
const ol_driver *ol_driver_named(const char *name);
/* want: a name, or NULL for the best that works. *why (256 bytes) says why this one. OL_EINVAL:
 * no such driver; OL_EUNSUPPORTED: it cannot work here. */
int ol_driver_choose(
	ol_store *store, const char *want, const ol_driver **out, char why[256], ol_error *err);
/* Those a store can be kept by, in order of preference, ended by NULL. */
const ol_driver *const *ol_drivers(void);
