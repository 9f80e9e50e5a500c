#pragma once

/*
 * The one reader of layer tars: listing, index and extraction all use it, so no two of them can disagree.
 * POSIX ustar and pax (x and g), GNU long names, GNU sparse (old and pax 0.0, 0.1, 1.0), base-256 numbers,
 * old V7. Rules and bounds: base/limits.h and reference "layer.md" of the image-spec.
 *
 * Pushed, not pulled: bytes go in as they come, in pieces of any size, and calls come out:
 *
 *	entry(header)  data(bytes)*  …  entry(header)  data*  …  end
 *
 * Names come out clean: no leading "/" or "./", no empty or "." component, no trailing "/"; "" is the root.
 * A ".." component, a NUL, a name or component too long is OL_ECORRUPT. Whiteouts are classified, not applied.
 */
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"
#include "base/own.h"
#include "base/view.h"

typedef enum ol_tar_type {
	OL_TAR_FILE,
	OL_TAR_HARDLINK,
	OL_TAR_SYMLINK,
	OL_TAR_CHAR,
	OL_TAR_BLOCK,
	OL_TAR_DIR,
	OL_TAR_FIFO,
	OL_TAR_WHITEOUT, /* name is the path it removes */
	OL_TAR_OPAQUE,   /* name is the directory it empties; "" for the root */
} ol_tar_type;

typedef struct ol_xattr {
	ol_view name;  /* "user.comment", terminated */
	ol_view value; /* any bytes */
} ol_xattr;

/* A piece of a sparse file: size bytes of data that belong at offset. */
typedef struct ol_sparse {
	uint64_t offset, size;
} ol_sparse;

/* One member; all it points to is lent for the call. */
typedef struct ol_tar_entry {
	ol_tar_type type;
	const char *name;   /* clean; bytes, not text */
	const char *target; /* of a hard link (clean, as name) or symbolic link (as it stands); else "" */
	uint32_t mode;      /* 07777 only */
	uint32_t uid, gid;
	struct timespec mtime; /* negative ones become 0 */
	uint32_t dev_major, dev_minor;
	uint64_t size;        /* what stat shows: for a sparse file the size with its holes */
	uint64_t data_size;   /* bytes of data that follow in the tar (the map of a pax 1.0 file not counted) */
	uint64_t data_offset; /* of those bytes in the tar; a multiple of 512 but after an odd sparse map */
	const ol_sparse *sparse; /* in order, not overlapping, inside size; NULL for a file without holes */
	size_t sparse_count;
	const ol_xattr *xattrs; /* sorted by name; only those a container may have: see ol_tar_keeps_xattr */
	size_t xattr_count;
	uint64_t header_offset; /* where the member begins (its first extension header) */
	uint64_t sequence;      /* 0, 1, 2 … */
} ol_tar_entry;

typedef struct ol_tar_handler {
	int (*entry)(void *ctx, const ol_tar_entry *entry, ol_error *err);
	/* Data of the last entry, in order; offset counts from its data_offset. May be NULL: nobody wants it. */
	int (*data)(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err);
	void *ctx;
} ol_tar_handler;

typedef struct ol_tar ol_tar;

ol_tar *ol_tar_new(const ol_tar_handler *handler);
void ol_tar_free(ol_tar *tar);
OL_DEFINE_AUTO(ol_tar, ol_tar_free)
/* OL_ECORRUPT says at which byte and member. A handler's refusal is passed on. */
int ol_tar_push(ol_tar *tar, const void *data, size_t size, ol_error *err);
/* No more bytes. OL_ECORRUPT in the middle of a member; a missing end marker is forgiven, as others do. */
int ol_tar_finish(ol_tar *tar, ol_error *err);

/* user.*, security.capability, system.posix_acl_*, trusted.* but not overlay's own names. */
bool ol_tar_keeps_xattr(ol_view name);
