#pragma once

/*
 * What the files of export share.
 *
 *	export.c        the story: what is mounted where, and unmounted again
 *	export_walk.c   one mounted root file system as a sequence of entries, always in one order
 *	export_links.c  which of them are the same file
 *	export_file.c   a file's bytes: where it is all zeros, and copying the rest
 *	export_tar.c    the entries as a tar
 *	export_erofs.c  the entries as an EROFS image: what there is, then the bytes
 */
#include "image/export.h"
#include "image/session_priv.h"
#include "manifest/tar.h"

/* What was met on the way: parents first, names of one folder in order of their bytes. */
typedef struct ol_export_entry {
	/* lent for the call; sequence counts from 0; no pieces: size is data_size */
	const ol_tar_entry *entry;
	uint64_t target; /* of a hard link: the sequence of the entry it means */
	int fd;          /* of a file: to be read, lent; else -1 */
} ol_export_entry;

typedef struct ol_export_walk {
	int root_fd; /* lent */
	const ol_cancel *cancel;
	/* A negative return stops and is passed on. */
	int (*call)(void *ctx, const ol_export_entry *entry, ol_error *err);
	/* What no tar holds: a socket. */
	void (*skipped)(void *ctx, const char *path, const char *what);
	void *ctx;
} ol_export_walk;

/* Walks the whole tree below root_fd, and no other file system. What is there may change under it:
 * no symbolic link is followed. */
int ol_export_each(const ol_export_walk *walk, ol_error *err);

/* Files of several names. */
typedef struct ol_export_links ol_export_links;
ol_export_links *ol_export_links_new(void);
void ol_export_links_free(ol_export_links *links);
OL_DEFINE_AUTO(ol_export_links, ol_export_links_free)
/* Was the file seen before? Then its first path (lent) and sequence; else it is remembered by
 * these. */
bool ol_export_links_seen(ol_export_links *links, uint64_t device, uint64_t inode,
	const char **path, uint64_t *sequence);

/* A file's data without its holes: what is all zeros for long enough is one. *pieces (owned) is
 * NULL for a file without. Depends on the bytes alone. */
int ol_export_pieces(int fd, uint64_t size, const ol_cancel *cancel, ol_sparse **pieces,
	size_t *count, ol_error *err);
/* Passes on size bytes from offset. OL_EBUSY: the file has become shorter. */
int ol_export_copy(int fd, uint64_t offset, uint64_t size, const ol_cancel *cancel, ol_sink *sink,
	ol_error *err);

/* A file system that is mounted at root_fd into sink. */
typedef struct ol_export_job {
	ol_session *session; /* lent */
	int root_fd;         /* lent */
	ol_sink *sink;       /* lent */
	uint64_t done;       /* bytes of files, for progress */
	uint64_t skipped;
} ol_export_job;
int ol_export_tar(ol_export_job *job, ol_error *err);
int ol_export_erofs(ol_export_job *job, ol_error *err);
/* The walk over the job's tree. */
ol_export_walk ol_export_walk_of(ol_export_job *job);
void ol_export_tell(ol_export_job *job, uint64_t more);
