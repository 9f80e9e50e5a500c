#pragma once

/*
 * What an archive is wrapped in, and the archive itself: the only file that knows libarchive, of
 * which it uses tar and the gzip, zstd, xz and bzip2 filters, never an external program.
 *
 *	rc = ol_archive_reader_open(reader, &archive, err);
 *	while ((rc = ol_archive_reader_next(archive, &member, err)) == 1)
 *		… ol_reader_read(ol_archive_reader_data(archive), …) …
 */
#include "base/own.h"
#include "base/stream.h"

typedef struct ol_archive_reader ol_archive_reader;

typedef enum ol_member_type {
	OL_MEMBER_FILE,
	OL_MEMBER_HARDLINK,
	OL_MEMBER_SYMLINK,
	OL_MEMBER_OTHER, /* directories, and what no image archive has */
} ol_member_type;

/* Texts are lent until the next call, and as they stand in the archive: archive_name_priv.h makes
 * paths of them. */
typedef struct ol_archive_member {
	ol_member_type type;
	const char *name, *target; /* target: of links, else "" */
	uint64_t size;             /* bytes of a file */
} ol_archive_member;

/* A tar, wrapped or not. from is lent, read in order, and must outlive the archive. OL_ECORRUPT: it
 * is none. */
int ol_archive_reader_open(ol_reader *from, ol_archive_reader **out, ol_error *err);
void ol_archive_reader_close(ol_archive_reader *archive);
OL_DEFINE_AUTO(ol_archive_reader, ol_archive_reader_close)
/* 1: there is a next member; what was not read of the last one is passed over. 0: the end, with
 * nothing but zeros after it. OL_ECORRUPT: damaged or cut short, or bytes follow its end;
 * OL_ELIMIT: a path or size past base/limits.h; else what the reader from failed with. */
int ol_archive_reader_next(ol_archive_reader *archive, ol_archive_member *out, ol_error *err);
/* The bytes of the member that next gave last: lent, and of no use after the next one; closing it
 * does nothing. May be read from another thread than next is called from, not at once. */
ol_reader *ol_archive_reader_data(ol_archive_reader *archive);

/* What is inside the wrapping, whatever it is: bytes that are not compressed come as they are.
 * Takes from, also on failure. OL_ECORRUPT: empty. */
int ol_unwrap(ol_reader *from, ol_reader **out, ol_error *err);
