#pragma once

/*
 * Files: reading whole small ones, writing, and the one function that publishes. Paths are relative
 * to a directory descriptor; every descriptor is O_CLOEXEC.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

/* Writes all of it, at the file's position or at an offset. */
int ol_write_all(int fd, const void *data, size_t size, ol_error *err);
int ol_pwrite_all(int fd, const void *data, size_t size, uint64_t offset, ol_error *err);
/* Exactly size bytes; OL_ECORRUPT if the file ends before. */
int ol_pread_all(int fd, void *data, size_t size, uint64_t offset, ol_error *err);

/* A whole file into out, at most out->max bytes (OL_ELIMIT past it). Follows no symlink at the end
 * of the path if nofollow. OL_ENOTFOUND when it is not there. */
int ol_file_read(int dir_fd, const char *path, bool nofollow, ol_buf *out, ol_error *err);

typedef enum ol_publish_flags {
	OL_PUBLISH_REPLACE =
		1, /* an existing file is replaced; else OL_EEXISTS, and the old one stays */
	OL_PUBLISH_SYNC = 2, /* the file and its directory are on disk before this returns */
} ol_publish_flags;

/* Makes a file appear under its final name whole or not at all: a temporary name in the same
 * directory, write, (fsync), link without replacing or rename, (fsync of the directory). */
int ol_publish(
	int dir_fd, const char *name, ol_view content, mode_t mode, int flags, ol_error *err);
/* The same for something that is already written, beside or elsewhere on the same file system. */
int ol_publish_move(
	int from_fd, const char *from, int dir_fd, const char *name, int flags, ol_error *err);

/* mkdir -p beneath dir_fd; mode is for the last one and for those made on the way. */
int ol_mkdirs(int dir_fd, const char *path, mode_t mode, ol_error *err);
/* A directory's descriptor (O_PATH not set: it can be fsynced and listed). */
int ol_dir_open(int dir_fd, const char *path, int *out, ol_error *err);
/* Whether there is nothing in it; true when it is not there, false when that cannot be told. */
bool ol_dir_is_empty(int dir_fd, const char *path);
/* rm -rf beneath dir_fd, without following links or crossing into another file system. Nothing
 * there is OK. */
int ol_remove_tree(int dir_fd, const char *path, ol_error *err);
/* "/proc/self/fd/N": what an open descriptor is called where only a path will do. */
typedef struct ol_fd_path {
	char text[32];
} ol_fd_path;
ol_fd_path ol_fd_path_of(int fd);
/* An exclusive or shared flock; OL_EBUSY if it is held and wait is false. Interrupted waits
 * go on. */
int ol_flock(int fd, bool exclusive, bool wait, ol_error *err);
