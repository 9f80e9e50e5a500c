#pragma once

/*
 * Tars by recipe, sound or damaged: an array of members in, bytes out, the same on every machine.
 *
 *	static const tar_member members[] = {
 *		{ .name = "dir", .type = '5', .mode = 0755 },
 *		{ .name = "dir/file", .data = "text", .pax = { "mtime=1.5" } },
 *		{ 0 },
 *	};
 *	ol_buf tar = tar_build(members);
 */
#include "base/str.h"

#define TAR_PAX_MAX   8
#define TAR_PATCH_MAX 4
#define TAR_BYTES_MAX ((size_t)64 << 20)

typedef enum tar_magic {
	TAR_MAGIC_USTAR,
	TAR_MAGIC_GNU,
	TAR_MAGIC_V7,
	TAR_MAGIC_STAR,
} tar_magic;

/* Bytes put over the header before its checksum is made. */
typedef struct tar_patch {
	size_t at;
	const char *text;
	size_t size; /* 0: strlen(text) */
} tar_patch;

typedef struct tar_member {
	const char *name; /* NULL ends the array */
	char type;        /* NUL: '0'; '\1' stands for NUL itself */
	const char *link;
	unsigned mode; /* 0: 0644 */
	unsigned uid, gid;
	unsigned long long mtime;
	unsigned major, minor;
	const char *data; /* may hold NULs with data_size */
	size_t data_size; /* 0: strlen(data) */
	/* "key=value" of an x header before it; values end at their NUL */
	const char *pax[TAR_PAX_MAX];
	const char *global[TAR_PAX_MAX];   /* of a g header before it */
	const char *long_name, *long_link; /* GNU L and K headers before it */
	tar_magic magic;
	tar_patch patches[TAR_PATCH_MAX];
	enum { TAR_SUM_GOOD, TAR_SUM_SIGNED, TAR_SUM_BAD } checksum;
	bool no_data; /* the size field is set, no data follow */
} tar_member;

/* The tar with its two blocks of zeroes. The caller ends it with ol_buf_done. */
ol_buf tar_build(const tar_member *members);
/* The same without the end. */
void tar_add(ol_buf *tar, const tar_member *member);
/* One header of 512 bytes and data, padded. */
void tar_add_block(ol_buf *tar, const tar_member *member, char type, ol_view data);
