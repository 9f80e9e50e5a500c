#pragma once

/*
 * Reads an EROFS index as the writer makes them: 512-byte blocks, extended inodes, plain, inline or
 * chunked data, xattrs beside their inodes. What it reads is not trusted: every offset, count and
 * size is checked against the index before it is used, and anything else is OL_ECORRUPT, or
 * OL_EUNSUPPORTED for parts of EROFS that orlop never writes.
 *
 * For one thread at a time.
 */
#include "base/alloc.h"
#include "base/digest.h"
#include "base/limits.h"
#include "base/stream.h"
#include "manifest/tar.h"

typedef struct ol_erofs ol_erofs;

/* Takes ownership of source, on failure too. */
int ol_erofs_open(ol_source *source, ol_erofs **out, ol_error *err);
void ol_erofs_close(ol_erofs *erofs);
OL_DEFINE_AUTO(ol_erofs, ol_erofs_close)

unsigned ol_erofs_device_count(const ol_erofs *erofs);
/* Of the tar that a device is, from 1; unset for the layer's own. */
ol_digest ol_erofs_device_digest(const ol_erofs *erofs, unsigned device);
uint64_t ol_erofs_device_bytes(const ol_erofs *erofs, unsigned device); /* rounded up to a block */

/* A plain value. */
typedef struct ol_erofs_inode {
	uint64_t node;
	uint32_t mode; /* with its type: S_IFMT */
	uint32_t uid, gid, nlink;
	uint32_t dev_major, dev_minor;
	struct timespec mtime;
	uint64_t size;
	uint32_t u;           /* as on disk */
	uint32_t layout;      /* OL_EROFS_PLAIN … */
	uint32_t xattrs_size; /* on disk, with their head */
} ol_erofs_inode;

int ol_erofs_root(ol_erofs *erofs, ol_erofs_inode *out, ol_error *err);
int ol_erofs_inode_get(ol_erofs *erofs, uint64_t node, ol_erofs_inode *out, ol_error *err);
/* OL_ENOTFOUND: no such name. OL_EINVAL: dir is none. */
int ol_erofs_lookup(ol_erofs *erofs, const ol_erofs_inode *dir, ol_view name, ol_erofs_inode *out,
	ol_error *err);
/* A clean path from the root, as the tar reader gives them. OL_ENOTFOUND also where a directory on
 * the way is none. */
int ol_erofs_find(ol_erofs *erofs, const char *path, ol_erofs_inode *out, ol_error *err);

/* Entries in order of their names' bytes, "." and ".." left out. Start from a zeroed cursor. */
typedef struct ol_erofs_cursor {
	uint64_t block;
	unsigned index;
} ol_erofs_cursor;
typedef struct ol_erofs_entry {
	uint64_t node;
	char name[OL_NAME_MAX + 1];
} ol_erofs_entry;
int ol_erofs_dir_next(ol_erofs *erofs, const ol_erofs_inode *dir, ol_erofs_cursor *cursor,
	ol_erofs_entry *out, bool *more, ol_error *err);

/* All xattrs, as listxattr names them, in memory of arena. */
int ol_erofs_xattrs(ol_erofs *erofs, const ol_erofs_inode *inode, ol_arena *arena, ol_xattr **out,
	size_t *count, ol_error *err);
/* The target of a symbolic link, terminated. */
int ol_erofs_readlink(
	ol_erofs *erofs, const ol_erofs_inode *inode, char target[OL_PATH_MAX + 1], ol_error *err);

/* Where a regular file's bytes from offset on lie, and how many of them do in one run. */
typedef struct ol_erofs_extent {
	bool hole;
	unsigned device;  /* 0: the index itself */
	uint64_t address; /* in bytes, in the device */
	uint64_t size;    /* up to the file's end or where the next run begins */
} ol_erofs_extent;
/* offset < size. Neighbouring chunks become one run. */
int ol_erofs_extent_at(ol_erofs *erofs, const ol_erofs_inode *inode, uint64_t offset,
	ol_erofs_extent *out, ol_error *err);

/* Visits the whole tree, parents first and children in order of their names, without recursion. */
typedef struct ol_erofs_visit {
	const char *path; /* clean, "" for the root; lent */
	ol_erofs_inode inode;
} ol_erofs_visit;
/* A negative return of call stops and is passed on. */
int ol_erofs_walk(ol_erofs *erofs,
	int (*call)(void *ctx, const ol_erofs_visit *visit, ol_error *err), void *ctx,
	ol_error *err);
