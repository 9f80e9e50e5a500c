#pragma once

/*
 * Layers and trees as text, one line an entry:
 *
 *	NAME TYPE MODE UID:GID TIME ARG XATTR=VALUE…
 *
 *	NAME    "." is the root
 *	TYPE    d  directory
 *	        f  file: ARG is its content, "-" nothing, "@sparse" that of recipe_sparse
 *	        l  symlink to ARG
 *	        h  hard link to ARG; in a tree, to the first name of the file in byte order
 *	        c  b  device ARG, major:minor
 *	        p  fifo
 *	        w  whiteout of NAME
 *	        o  NAME is opaque
 *	TIME    seconds or seconds.nanoseconds; in a tree, "?" is any
 *	VALUE   text, or 0x and bytes in hex
 *
 * In any field {x*200} stands for 200 x. A recipe makes the tar of a layer, in the order of its
 * lines, with fixed bytes. A tree is compared with a directory line by line.
 */
#include <stdbool.h>

#include "base/str.h"

/* The tar of a recipe. */
ol_buf recipe_tar(const char *recipe);
/* The lines in which a tree and the directory differ ("" for none): those expected with "-", those
 * found with "+". What is listed but cannot be stat-ed is a line too. */
ol_str recipe_compare(const char *tree, const char *dir);
/* The file of "@sparse": data here and there, also where no block begins, and a hole at the end. */
ol_buf recipe_sparse(void);
