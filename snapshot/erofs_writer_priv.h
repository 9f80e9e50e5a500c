#pragma once

/*
 * What the files of the writer share.
 *
 *	erofs_writer.c   add: an entry becomes records; finish: the passes in their order
 *	erofs_record.c   keys and records, as they pass through the sorter
 *	erofs_links.c    which inode each hard link means
 *	erofs_fold.c     all records of one path become one node
 *	erofs_tree.c     the pass over all paths that writes inodes and directories
 *	erofs_inode.c    one inode's bytes
 *	erofs_dirents.c  one directory's bytes
 *	erofs_output.c   the index file: written from front to back, patched where sizes come late
 *	erofs_queue.c    directories whose children are still to come
 *
 * Key of a path: its depth (u16, big-endian), then each component followed by a NUL. So all paths
 * of one depth come before those of the next, the children of one directory are neighbours in the
 * order of their names' bytes, and directories come in the order in which their children will.
 * Key of a record: the path's, then its sequence (u64, big-endian).
 */
#include "base/limits.h"
#include "base/sorter.h"
#include "base/str.h"
#include "snapshot/erofs_format.h"
#include "snapshot/erofs_writer.h"

#define OL_EROFS_KEY_MAX (2 + OL_PATH_MAX + 2 + 8)

typedef struct ol_erofs_key {
	size_t size; /* of the path's part */
	char bytes[OL_EROFS_KEY_MAX];
} ol_erofs_key;

void ol_erofs_key_set(ol_erofs_key *key, ol_view path); /* a clean path, at most OL_PATH_MAX */
/* The key of a record: the path's with the sequence behind it; lent until key changes. */
ol_view ol_erofs_key_record(ol_erofs_key *key, uint64_t sequence);
unsigned ol_erofs_key_depth(ol_view key);
uint64_t ol_erofs_key_sequence(ol_view record_key);
static inline ol_view ol_erofs_key_path(ol_view record_key)
{
	return ol_view_from(record_key.data, record_key.size - 8);
}
void ol_erofs_key_text(ol_view path_key, ol_str *out); /* for messages: "a/b/c" */
int ol_erofs_view_compare(ol_view a, ol_view b);

/* A record that only says: this path is a directory. */
#define OL_EROFS_IMPLIED ((uint8_t)(OL_TAR_OPAQUE + 1))

typedef struct ol_erofs_record_head {
	uint8_t type;        /* ol_tar_type or OL_EROFS_IMPLIED */
	bool holds_whiteout; /* of an implied one: the reason is a whiteout */
	bool sparse;
	uint8_t chunk_bits;   /* of a file with data: a chunk is a block << chunk_bits */
	uint16_t device;      /* 0: embedded, offset counts in the writer's payload file */
	uint16_t xattrs_size; /* encoded, without head */
	uint32_t mode, uid, gid, rdev;
	uint32_t nsec, target_size, piece_count;
	uint64_t mtime, size, offset;
} ol_erofs_record_head;

/* As it lies in the sorter: head, target, xattrs, pieces. The views are lent. */
typedef struct ol_erofs_record {
	ol_erofs_record_head head;
	ol_view target; /* path or text of a link */
	ol_view xattrs; /* as in the index */
	ol_view pieces; /* ol_sparse, perhaps misaligned */
} ol_erofs_record;

/* OL_EUNSUPPORTED where an index cannot express the entry. */
int ol_erofs_record_encode(const ol_tar_entry *entry, unsigned device, ol_buf *out, ol_error *err);
void ol_erofs_record_encode_implied(bool holds_whiteout, ol_buf *out);
ol_erofs_record ol_erofs_record_decode(ol_view value);
ol_sparse ol_erofs_piece(const ol_erofs_record *record, size_t index);
uint64_t ol_erofs_record_chunks(const ol_erofs_record_head *head);
/* Appends an xattr as the index has it. OL_EUNSUPPORTED: no such prefix, or too large. */
int ol_erofs_xattr_encode(ol_view name, ol_view value, ol_buf *out, ol_error *err);

/* The index file. */
typedef struct ol_erofs_output {
	int fd;            /* lent */
	uint64_t position; /* where the next byte goes */
	uint64_t base;     /* of the buffer */
	char *buffer;      /* owned */
	size_t used;
	uint64_t mixed[2]; /* of all that was written: where the UUID comes from */
} ol_erofs_output;

void ol_erofs_output_init(ol_erofs_output *output, int fd);
void ol_erofs_output_done(ol_erofs_output *output);
int ol_erofs_output_add(ol_erofs_output *output, const void *data, size_t size, ol_error *err);
int ol_erofs_output_zeros(ol_erofs_output *output, uint64_t size, ol_error *err);
int ol_erofs_output_align(ol_erofs_output *output, uint64_t unit, ol_error *err);
int ol_erofs_output_copy(
	ol_erofs_output *output, int fd, uint64_t offset, uint64_t size, ol_error *err);
/* Over what was written already. */
int ol_erofs_output_patch(
	ol_erofs_output *output, uint64_t at, const void *data, size_t size, ol_error *err);
int ol_erofs_output_flush(ol_erofs_output *output, ol_error *err);

/* A directory whose children are to come. */
typedef struct ol_erofs_dir {
	uint64_t at, parent_at; /* offsets of the inodes */
	/* children with lower sequences went when something else replaced the directory */
	uint64_t cut;
	bool bare;   /* nothing of the layers below shows in it */
	ol_view key; /* of its path; lent */
} ol_erofs_dir;

/* First in, first out; past a bound on disk. */
typedef struct ol_erofs_queue {
	int temp_fd, fd; /* lent; owned, -1 until needed */
	ol_buf in, out;  /* what was pushed last; what is popped next */
	size_t out_at;
	uint64_t file_start, file_end;
	uint64_t count;
} ol_erofs_queue;

void ol_erofs_queue_init(ol_erofs_queue *queue, int temp_fd);
void ol_erofs_queue_done(ol_erofs_queue *queue);
int ol_erofs_queue_push(ol_erofs_queue *queue, const ol_erofs_dir *dir, ol_error *err);
/* out->key is lent until the next pop. */
int ol_erofs_queue_pop(ol_erofs_queue *queue, ol_erofs_dir *out, bool *more, ol_error *err);

/* One directory's entries, in the order of their names. */
typedef struct ol_erofs_dirents {
	int temp_fd, fd;      /* lent; owned, -1 until needed */
	uint64_t file_used;   /* blocks of this directory that are in the file */
	ol_buf blocks;        /* finished blocks that are not */
	uint64_t block_count; /* finished ones in all */
	struct ol_erofs_dirent entries[OL_EROFS_BLOCK / sizeof(struct ol_erofs_dirent)];
	size_t count, name_bytes; /* of the block under construction */
	char names[OL_EROFS_BLOCK];
	uint16_t name_at[OL_EROFS_BLOCK / sizeof(struct ol_erofs_dirent)];
	uint64_t self, parent; /* offsets of inodes */
	unsigned dots;         /* of "." and "..", how many are written */
	uint64_t size;         /* once ended: of the data */
} ol_erofs_dirents;

void ol_erofs_dirents_init(ol_erofs_dirents *dirents, int temp_fd);
void ol_erofs_dirents_done(ol_erofs_dirents *dirents);
void ol_erofs_dirents_begin(ol_erofs_dirents *dirents, uint64_t self, uint64_t parent);
/* *at: where in the directory's data the entry lies. */
int ol_erofs_dirents_add(ol_erofs_dirents *dirents, ol_view name, uint64_t inode_at, unsigned type,
	uint64_t *at, ol_error *err);
/* Appends the data to output at a block's start. */
int ol_erofs_dirents_end(ol_erofs_dirents *dirents, ol_erofs_output *output, ol_error *err);

/* One node of the tree, made of all records of its path. */
typedef enum ol_erofs_node_kind {
	OL_EROFS_NODE_NONE,
	OL_EROFS_NODE_DIR,
	OL_EROFS_NODE_INODE,
	OL_EROFS_NODE_LINK,  /* a hard link to an inode of this layer: link */
	OL_EROFS_NODE_CROSS, /* one to a path of a layer below: target */
	OL_EROFS_NODE_WHITEOUT,
} ol_erofs_node_kind;

typedef struct ol_erofs_node {
	ol_erofs_node_kind kind;
	bool listed; /* of a directory: an entry of its own gives the attributes */
	bool leans;  /* of a directory: the layers below give them */
	bool opaque, bare;
	bool holds_whiteout;
	bool exported;     /* a hard link means this inode */
	uint64_t sequence; /* of the entry that gives the attributes */
	uint64_t cut;
	uint64_t link; /* sequence of the entry whose inode it is */
	ol_buf value;  /* the record; owned */
	ol_buf target; /* owned */
	ol_erofs_key key;
} ol_erofs_node;

/* The records of all paths, with what is known of hard links beside them. */
typedef struct ol_erofs_stream {
	ol_sorter *records, *links; /* lent; links may be NULL */
	ol_view key, value;
	bool more;
	ol_view link_key, link_value;
	bool link_more;
} ol_erofs_stream;

int ol_erofs_stream_init(
	ol_erofs_stream *stream, ol_sorter *records, ol_sorter *links, ol_error *err);
int ol_erofs_stream_next(ol_erofs_stream *stream, ol_error *err);
/* What links say of the record the stream is at. */
typedef struct ol_erofs_link_fact {
	bool is_target; /* some hard link means this entry's inode */
	bool is_source, is_cross;
	uint64_t inode; /* of a source: sequence of the entry whose inode it means */
	/* of one that crosses layers: the path's text; lent until the stream moves */
	ol_view target;
} ol_erofs_link_fact;
int ol_erofs_stream_links(ol_erofs_stream *stream, ol_erofs_link_fact *out, ol_error *err);

/* Called for an inode that hard links mean but that no longer has a path of its own. */
typedef int (*ol_erofs_orphan)(void *ctx, const ol_erofs_node *node, ol_error *err);
/* Takes all records of the path the stream is at. */
int ol_erofs_fold(ol_erofs_stream *stream, const ol_erofs_dir *parent, ol_erofs_node *node,
	ol_erofs_orphan orphan, void *ctx, ol_error *err);

/* Finds what each hard link of records means; wanted holds (target's key, link's sequence) → the
 * link's key. The facts go into out, keyed by the record they are about. */
typedef struct ol_erofs_link_job {
	ol_sorter *records; /* sorted; lent */
	ol_sorter *wanted;  /* lent */
	ol_sorter *out;     /* lent */
	int temp_fd;        /* lent */
	size_t budget_bytes;
} ol_erofs_link_job;
int ol_erofs_links_resolve(const ol_erofs_link_job *job, ol_error *err);

/* An inode to write. */
typedef struct ol_erofs_inode_plan {
	ol_view value;  /* the record */
	ol_view xattrs; /* all of them, as in the index */
	uint32_t mode;  /* with its type */
	uint32_t number;
	int payload_fd; /* of embedded data */
} ol_erofs_inode_plan;
/* *at: its offset. */
int ol_erofs_inode_write(
	ol_erofs_output *output, const ol_erofs_inode_plan *plan, uint64_t *at, ol_error *err);

/* Writes all inodes and directories, and the links between them. */
typedef struct ol_erofs_tree_job {
	ol_sorter *records, *links; /* sorted; links may be NULL */
	ol_erofs_output *output;
	int temp_fd, payload_fd; /* lent */
	size_t budget_bytes;
	bool userxattr;
} ol_erofs_tree_job;
typedef struct ol_erofs_tree_result {
	uint64_t root_at, inodes;
	bool leans;
} ol_erofs_tree_result;
int ol_erofs_tree_write(const ol_erofs_tree_job *job, ol_erofs_tree_result *out, ol_error *err);
