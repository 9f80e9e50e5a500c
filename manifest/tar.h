#pragma once

/*
 * The one reader of layer tars: listing, index and extraction all use it, so no two of them can
 * disagree. POSIX ustar and pax (x and g), GNU long names, GNU sparse (old and pax 0.0, 0.1, 1.0),
 * base-256 numbers, star's prefix, old V7. Bounds: base/limits.h; layers: image-spec layer.md.
 *
 * Pushed, not pulled: bytes go in as they come, in pieces of any size, and calls come out:
 *
 *	entry(header)  data(bytes)*  …  entry(header)  data*  …
 *
 * Names come out clean: no leading "/" or "./", no empty or "." component, no trailing "/"; "" is
 * the root. A ".." component or a NUL is OL_ECORRUPT; what is longer, deeper or more than
 * base/limits.h allows, OL_ELIMIT.
 *
 * Whiteouts (layer.md "Whiteouts") are classified, not applied, whatever type of member carries
 * the name: no name or target that comes out has a component that begins with ".wh.". AUFS's own
 * names, ".wh..wh." and more, are passed over with all beneath them; ".wh." with nothing, "." or
 * ".." after it, and members beneath a marker, are OL_ECORRUPT.
 *
 * Passed over in silence: GNU dump directories (D) and volume labels (V). Refused: parts of
 * multi-volume archives (M), hard links to the root, a root that is no directory, character
 * device 0:0 (a forged whiteout), Windows layers (OL_EUNSUPPORTED). A type nobody knows is a
 * regular file, as POSIX has it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
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

/* What a file with this st_mode is; what a tar does not hold (a socket) counts as a file. */
ol_tar_type ol_tar_type_of(mode_t mode);

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
	const char *name; /* clean; bytes, not text */
	/* of a hard link (clean, as name) or symbolic link (as it stands); else "" */
	const char *target;
	uint32_t mode; /* 07777 only */
	uint32_t uid, gid;
	/* negative ones become 0, those past the year 9999 its last second */
	struct timespec mtime;
	uint32_t dev_major, dev_minor;
	uint64_t size; /* what stat shows: for a sparse file the size with its holes */
	/* bytes of data that follow in the tar (the map of a pax 1.0 file not counted) */
	uint64_t data_size;
	uint64_t data_offset; /* of those bytes in the tar; a multiple of 512 */
	/* In order, not overlapping, not empty, inside size; their sizes add up to data_size. NULL
	 * for a file that is not sparse; not NULL with a count of 0 for one that is a single hole.
	 */
	const ol_sparse *sparse;
	size_t sparse_count;
	/* Sorted by name, each once; only those a container may have (ol_tar_keeps_xattr), and of
	 * those only what the kernel lets this type have: user.* is for files and directories. None
	 * for hard links and whiteouts. */
	const ol_xattr *xattrs;
	size_t xattr_count;
	uint64_t header_offset; /* where the member begins (its first extension header) */
	uint64_t sequence;      /* 0, 1, 2 … */
} ol_tar_entry;

/* One member as it stands in the tar, before anything is cleaned, chosen or passed over: what other
 * tools' tables of contents hold. All it points to is lent for the call. */
typedef struct ol_tar_member {
	char flag;            /* its type's letter; '\0' and '7' among them */
	ol_view name, target; /* bytes */
	ol_view user, group;  /* names of the owner as the block has them; may be "" */
	uint32_t uid, gid;
	struct timespec mtime;
	uint64_t mode;                 /* all of the field */
	uint64_t dev_major, dev_minor; /* as the block has them, whatever its type */
	ol_view pax;                   /* body of its extended header; size 0: none */
	uint64_t header_offset, data_offset;
	uint64_t stored; /* bytes of data that follow in the tar */
	bool sparse;     /* then flag, name and target are all that is said of it */
	bool early;      /* it says a time before 1970, which mtime is not */
	bool global;     /* a global header says something of it, too */
} ol_tar_member;

typedef struct ol_tar_handler {
	int (*entry)(void *ctx, const ol_tar_entry *entry, ol_error *err);
	/* Data of the last entry, in order and never empty, in pieces as they were pushed (no copy
	 * is made); offset counts from its data_offset. May be NULL: nobody wants it. */
	int (*data)(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err);
	void *ctx;
} ol_tar_handler;

/* Takes the next record off the body of an extended header, which was parsed before. False at its
 * end. POSIX "pax Extended Header". */
bool ol_tar_record_next(ol_view *pax, ol_view *key, ol_view *value);

typedef struct ol_tar ol_tar;

ol_tar *ol_tar_new(const ol_tar_handler *handler);
void ol_tar_free(ol_tar *tar);
/* From the beginning on, tells of each member, those too of which no entry is made, before its
 * entry. */
void ol_tar_watch(ol_tar *tar, int (*member)(void *ctx, const ol_tar_member *member, ol_error *err),
	void *ctx);
OL_DEFINE_AUTO(ol_tar, ol_tar_free)
/* For one thread at a time. OL_ECORRUPT, OL_ELIMIT and OL_EUNSUPPORTED say at which byte and
 * member. A handler's refusal is passed on as it is. After a failure every call fails. */
int ol_tar_push(ol_tar *tar, const void *data, size_t size, ol_error *err);
/* As if size bytes of the current member's data had been pushed, which nobody has: data() is not
 * called. Data alone are passed over, also those of a member that did not come out; what pads them
 * is pushed. OL_ECORRUPT: the member has not as many to come; OL_EUNSUPPORTED: a sparse file that
 * keeps its map there. */
int ol_tar_pass(ol_tar *tar, uint64_t size, ol_error *err);
/* No more bytes. OL_ECORRUPT in the middle of a member; a missing end marker is forgiven, as others
 * do. */
int ol_tar_finish(ol_tar *tar, ol_error *err);

/* user.*, trusted.*, security.capability and system.posix_acl_*, but not overlay's own names (they
 * would forge whiteouts and redirects) nor orlop's. */
bool ol_tar_keeps_xattr(ol_view name);
