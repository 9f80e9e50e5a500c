#pragma once

/*
 * Members as Go's archive/tar reads them, for tables of contents that Go programs hold against the
 * tar (containers/storage compares all of it, stargz-snapshotter mounts by it). Where that is not
 * what manifest/tar.h reads, the member is odd, and its layer better goes without a table.
 */
#include "manifest/tar.h"

typedef struct ol_tar_raw {
	char type; /* '0' file, '1' hard link … '6' fifo, as POSIX has them; or another */
	ol_view name, target; /* as they stand: "./usr/", ".wh.old" */
	uint32_t mode;        /* with whatever bits it has */
	uint32_t uid, gid;
	uint32_t dev_major, dev_minor; /* whatever the type */
	struct timespec mtime;
	struct timespec atime, ctime; /* zeros where not said */
	ol_xattr *xattrs;             /* owned; all there are, sorted by name, each once */
	size_t xattr_count, xattr_cap;
	uint64_t size; /* bytes of data that follow */
	/* NULL; or in one clause why no table of contents should list it: "a sparse file" */
	const char *odd;
} ol_tar_raw;

#define OL_TAR_HEADER_BYTES 512
/* member: as ol_tar_watch tells it, whose texts raw then lends; header: its own block, the last
 * before its data. raw may be used again and again. */
void ol_tar_raw_take(ol_tar_raw *raw, const ol_tar_member *member,
	const unsigned char header[OL_TAR_HEADER_BYTES]);
void ol_tar_raw_done(ol_tar_raw *raw);
