#pragma once

/*
 * What the files of the tar reader share.
 *
 *	tar.c         the state machine: bytes in, calls out
 *	tar_member.c  one member of all its headers
 *	tar_header.c  one block of 512 bytes: checksum, numbers, texts
 *	tar_pax.c     records of extended headers
 *	tar_sparse.c  the five ways to say where a sparse file has its data
 *	tar_name.c    names made clean, whiteouts told apart, xattrs chosen
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/str.h"
#include "manifest/tar.h"

#define OL_TAR_BLOCK_BYTES 512

typedef enum ol_tar_dialect {
	OL_TAR_V7,
	OL_TAR_USTAR, /* and pax */
	OL_TAR_STAR,  /* a ustar whose prefix is 131 bytes long */
	OL_TAR_GNU,
} ol_tar_dialect;

/* A field of the block: where it begins and how long it is. */
typedef struct ol_tar_field {
	size_t at, size;
} ol_tar_field;

#define OL_TAR_NAME      ((ol_tar_field){ 0, 100 })
#define OL_TAR_MODE      ((ol_tar_field){ 100, 8 })
#define OL_TAR_UID       ((ol_tar_field){ 108, 8 })
#define OL_TAR_GID       ((ol_tar_field){ 116, 8 })
#define OL_TAR_SIZE      ((ol_tar_field){ 124, 12 })
#define OL_TAR_MTIME     ((ol_tar_field){ 136, 12 })
#define OL_TAR_CHECKSUM  ((ol_tar_field){ 148, 8 })
#define OL_TAR_TYPE_AT   156
#define OL_TAR_LINK      ((ol_tar_field){ 157, 100 })
#define OL_TAR_USER      ((ol_tar_field){ 265, 32 })
#define OL_TAR_GROUP     ((ol_tar_field){ 297, 32 })
#define OL_TAR_DEV_MAJOR ((ol_tar_field){ 329, 8 })
#define OL_TAR_DEV_MINOR ((ol_tar_field){ 337, 8 })
#define OL_TAR_PREFIX    ((ol_tar_field){ 345, 155 })

bool ol_tar_block_is_zero(const unsigned char *block);
/* OL_ECORRUPT: the checksum is wrong. */
int ol_tar_block_check(const unsigned char *block, ol_tar_dialect *out, ol_error *err);
/* A text up to its NUL or the field's end; lent. */
ol_view ol_tar_text(const unsigned char *block, ol_tar_field field);
/* Octal or base-256, not negative and at most max; what names the field in the refusal. */
int ol_tar_number(const unsigned char *block, ol_tar_field field, const char *what, uint64_t max,
	uint64_t *out, ol_error *err);
/* Whole seconds; those before 1970 or past OL_TIME_MAX are clamped. */
int ol_tar_seconds(
	const unsigned char *block, ol_tar_field field, struct timespec *out, ol_error *err);

/* What extended headers say. A view whose data is NULL and a number whose flag is false were not
 * said. */
typedef struct ol_tar_pax {
	ol_view path, link;
	bool has_size, has_uid, has_gid, has_mtime, has_major, has_minor;
	uint64_t size, uid, gid, major, minor;
	struct timespec mtime;
	bool windows; /* a MSWINDOWS.* key */

	/* GNU.sparse.* of one member */
	bool has_sparse_version, has_sparse_size, has_sparse_count, has_sparse_pieces;
	uint64_t sparse_major, sparse_minor, sparse_size, sparse_count;
	ol_view sparse_name;
	bool piece_open; /* an offset was said, its size not yet */

	ol_xattr *xattrs; /* owned, sorted by name; what they point to lies in the bodies parsed */
	size_t xattr_count, xattr_cap;
	size_t xattr_bytes;
} ol_tar_pax;

/* A list of pieces under construction; kept from member to member. */
typedef struct ol_tar_pieces {
	ol_sparse *list; /* owned */
	size_t count, cap;
} ol_tar_pieces;

/* Parses a body on top of what pax holds. The body is written to (names get their NUL, base64 is
 * decoded in place) and outlives pax. global: a "g" header, where an empty value is no deletion and
 * sparse keys are refused. */
int ol_tar_pax_parse(ol_tar_pax *pax, ol_tar_pieces *pieces, char *body, size_t size, bool global,
	ol_error *err);
/* pax becomes what base is (base may be all zeroes), without losing its memory. */
void ol_tar_pax_reset(ol_tar_pax *pax, const ol_tar_pax *base);
void ol_tar_pax_done(ol_tar_pax *pax);

void ol_tar_pieces_done(ol_tar_pieces *pieces);
int ol_tar_pieces_add(ol_tar_pieces *pieces, uint64_t offset, uint64_t size, ol_error *err);
/* "offset,size,offset,size": GNU.sparse.map of version 0.1. */
int ol_tar_pieces_parse(ol_tar_pieces *pieces, ol_view map, ol_error *err);
/* The pieces of an old GNU header (at 386, 4 of them) or of a block that continues it (at 0, 21).
 * *more: another block follows. */
int ol_tar_pieces_old(
	ol_tar_pieces *pieces, const unsigned char *block, bool first, bool *more, ol_error *err);
/* The map at the head of the data of version 1.0, pushed block by block. *done once it is whole. */
typedef struct ol_tar_map {
	uint64_t number,
		count; /* count: numbers still to come, the first of them telling how many */
	unsigned digits;
	bool started, offset_read;
	uint64_t offset;
} ol_tar_map;
int ol_tar_pieces_block(ol_tar_pieces *pieces, ol_tar_map *map, const unsigned char *block,
	bool *done, ol_error *err);
/* Drops empty pieces; refuses what is out of order, outside size or does not add up
 * to data_size. */
int ol_tar_pieces_check(ol_tar_pieces *pieces, uint64_t size, uint64_t data_size, ol_error *err);

/* A decimal number of digits only, at most max; false if it is not. */
bool ol_tar_decimal(ol_view text, uint64_t max, uint64_t *out);

/* A clean name, and what its last component makes of it. */
typedef enum ol_tar_mark {
	OL_TAR_PLAIN,
	OL_TAR_MARK_WHITEOUT, /* the name had its ".wh." taken out */
	OL_TAR_MARK_OPAQUE,   /* the name is the directory's */
	OL_TAR_MARK_SKIP,     /* AUFS metadata */
} ol_tar_mark;
int ol_tar_name_clean(ol_view raw, char name[OL_PATH_MAX], ol_tar_mark *mark, ol_error *err);

/* The reader itself. */
enum {
	OL_TAR_HAS_PAX = 1,
	OL_TAR_HAS_NAME = 2,
	OL_TAR_HAS_LINK = 4
}; /* which extensions wait for their member */

typedef enum ol_tar_state {
	OL_TAR_AT_HEADER,
	OL_TAR_AT_BODY,
	OL_TAR_AT_PIECES,
	OL_TAR_AT_MAP,
	OL_TAR_AT_DATA,
	OL_TAR_AT_UNWANTED, /* data of a member that is passed over, or a whiteout's */
	OL_TAR_AT_SKIP,
	OL_TAR_AT_END
} ol_tar_state;

struct ol_tar {
	ol_tar_handler handler;
	ol_tar_state state;
	uint64_t offset;        /* of the next byte */
	uint64_t left, padding; /* of body, data or what is skipped; padding follows it */
	unsigned char block[OL_TAR_BLOCK_BYTES];
	size_t fill;    /* of block */
	bool zero;      /* a block of zeroes was seen, and nothing else since */
	int failed;     /* what every later call answers */
	bool passed_on; /* the failure is the handler's: its words are left alone */

	unsigned have;                            /* of OL_TAR_HAS_… */
	char body;                                /* type of the extension being gathered */
	ol_buf body_bytes;                        /* of it */
	ol_buf pax_bytes, name_bytes, link_bytes; /* those that wait */
	ol_tar_pax pax, globals;
	ol_arena *arena; /* bodies of global headers */
	size_t global_bytes;

	ol_tar_entry entry;
	uint64_t sequence;
	ol_tar_mark mark;
	ol_tar_pieces pieces;
	ol_tar_map map;
	ol_xattr *xattrs; /* owned: those of the entry */
	size_t xattr_cap;
	char name[OL_PATH_MAX], target[OL_PATH_MAX];

	const unsigned char
		*header;        /* lent: the block of the member in hand; NULL once it is gone */
	ol_tar_dialect dialect; /* of it */
	char flag;              /* its type's letter */
	char long_name[257];    /* with its prefix */
	int (*watcher)(void *ctx, const ol_tar_member *member, ol_error *err); /* or NULL */
	void *watcher_ctx;
	/* for the watcher alone: the extended header before it was taken apart, the names before
	 * they were cleaned */
	ol_buf raw_pax;
	ol_view raw_name, raw_target;
};

/* Where size bytes of data end, a block begins that many bytes later. */
static inline uint64_t ol_tar_padding(uint64_t size)
{
	return -size % OL_TAR_BLOCK_BYTES;
}
/* Passes over size bytes to the next header. */
void ol_tar_skip(ol_tar *tar, uint64_t size);
/* Passes over a member's data and what pads them. */
void ol_tar_skip_data(ol_tar *tar, uint64_t stored);
/* The block is a member's own: hands it out, passes over it, or goes on to the blocks of its sparse
 * map. */
int ol_tar_take_member(
	ol_tar *tar, const unsigned char *block, ol_tar_dialect dialect, ol_error *err);
/* All is known of the member: out with it. stored is what the tar still holds for it. */
int ol_tar_emit(ol_tar *tar, uint64_t stored, bool sparse, ol_error *err);
