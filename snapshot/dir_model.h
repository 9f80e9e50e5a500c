#pragma once

/*
 * What a tar makes of an empty directory, in memory: the oracle of verify. About 200 bytes an
 * entry, and its xattrs. The rules are those of dir_extract.c and dir_marks.c, over nodes instead
 * of files.
 */
#include "base/alloc.h"
#include "manifest/tar.h"

/* What hard links share. */
typedef struct ol_dir_inode {
	ol_tar_type type; /* FILE, SYMLINK, CHAR, BLOCK, FIFO, DIR, WHITEOUT */
	uint32_t mode, uid, gid;
	uint32_t links;
	struct timespec mtime;
	uint32_t dev_major, dev_minor;
	uint64_t size, data_offset;
	const char *target;      /* of a symbolic link */
	const ol_sparse *sparse; /* NULL: all of it is data */
	size_t sparse_count;
	const ol_xattr *xattrs;
	size_t xattr_count;
	bool compared; /* its content was looked at */
} ol_dir_inode;

typedef struct ol_dir_node ol_dir_node;
struct ol_dir_node {
	ol_dir_node *parent, *children, *next; /* next: of the parent's children */
	ol_dir_node *chain;                    /* of the hash table */
	ol_dir_node *waiting;                  /* of whatever list it waits in */
	ol_dir_inode *inode;                   /* NULL: attributes unknown, from a layer below */
	const char *cross;                     /* of a hard link into a layer below: its target */
	bool dir, implied, opaque;
	bool optional; /* it may be there, brought by a link into a layer below */
	bool dead;     /* was replaced */
	bool seen;     /* for the comparison */
	char name[];
};

typedef struct ol_dir_model {
	ol_arena *arena; /* owned */
	ol_dir_node *root;
	ol_dir_node **buckets; /* owned */
	size_t bucket_count, count;
} ol_dir_model;

void ol_dir_model_init(ol_dir_model *model);
void ol_dir_model_done(ol_dir_model *model);
/* OL_ECORRUPT as the extraction would answer. */
int ol_dir_model_add(ol_dir_model *model, const ol_tar_entry *entry, ol_error *err);
/* All entries came: adds what links into layers below may have brought. */
void ol_dir_model_end(ol_dir_model *model);
ol_dir_node *ol_dir_model_child(
	const ol_dir_model *model, const ol_dir_node *parent, const char *name);
/* The node's path; the caller's to free. */
char *ol_dir_model_path(const ol_dir_node *node);
