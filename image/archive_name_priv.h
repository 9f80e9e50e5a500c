#pragma once

/* Paths as archives write them. None becomes a path of the host; two that mean the same file must
 * be the same text. */
#include "base/digest.h"
#include "base/limits.h"

typedef struct ol_archive_path {
	char text[OL_PATH_MAX +
		  1]; /* "a/b": no slash at either end, no ".", no ".."; "" is the root */
} ol_archive_path;

/* OL_ECORRUPT: it is absolute or has ".."; OL_ELIMIT: longer than OL_PATH_MAX. */
int ol_archive_path_of(const char *name, ol_archive_path *out, ol_error *err);
/* What a link leads to. hard: from the root of the archive, else from the folder of name, which is
 * clean. OL_ECORRUPT: out of the archive. */
int ol_archive_path_follow(
	const char *name, const char *target, bool hard, ol_archive_path *out, ol_error *err);
/* The digest that a name promises: that of the bytes in "blobs/sha256/<hex>", and what
 * "<hex>.tar", "<hex>.tar.gz" and "<hex>/layer.tar" are called by. *is_blob: the first. Unset:
 * none. */
ol_digest ol_archive_path_digest(const char *name, bool *is_blob);
