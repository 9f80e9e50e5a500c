#pragma once

/* What the files of check share: check.c (bytes), check_rows.c (what rows say of each other, and
 * files without rows). */
#include "store/gc.h"
#include "store/gc_priv.h"
#include "store/store_priv.h"

typedef struct ol_checker {
	ol_store *store; /* lent, as is options */
	const ol_check_options *options;
	uint64_t faults;
} ol_checker;

/* Tells one fault. hint NULL: pull again. */
void ol_checker_found(ol_checker *checker, const char *what, const char *why, const char *hint);

/* The database as SQLite sees it, edges without parents, names without roots, rows that cannot be
 * read. */
int ol_check_rows(ol_checker *checker, ol_error *err);
/* Files that no row knows: told as a note, since gc removes them and nobody reads them. */
int ol_check_orphans(ol_checker *checker, ol_error *err);
