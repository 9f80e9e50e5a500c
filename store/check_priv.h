#pragma once

/*
 * What the files of check share: check.c (in what order), check_bytes.c (hashing, by threads),
 * check_resume.c (what an interrupted check had done), check_rows.c (what rows say of each other,
 * and files without rows).
 */
#include "store/gc.h"
#include "store/gc_priv.h"
#include "store/row_priv.h"

typedef struct ol_checker {
	ol_store *store; /* lent, as is options */
	const ol_check_options *options;
	uint64_t faults;
	bool rows_damaged; /* what is not there may only be hidden by a damaged row */
} ol_checker;

/* Tells one fault. hint NULL: repair. */
void ol_checker_found(ol_checker *checker, const ol_finding *finding);

/* The database as SQLite sees it, checksums of rows, edges without parents, names without roots,
 * rows that cannot be read. */
int ol_check_rows(ol_checker *checker, ol_error *err);
/* Files that no row knows: told as a note, since gc removes them and nobody reads them. */
int ol_check_orphans(ol_checker *checker, ol_error *err);

/* One blob, layer or chain. */
typedef struct ol_check_task {
	int64_t id;
	ol_digest digest, index_digest;
	ol_digest lazy; /* DiffID, of a layer that has a folder in lazy/; or unset */
	uint64_t size;
	ol_row_state state;
	bool is_layer, is_chain, of_this_boot;
	/* set by a worker */
	bool done, wrong;
	bool skipped;  /* interrupted */
	bool unproved; /* what would prove it is wrong itself, and told for itself */
	int sys;       /* errno: it could not be looked at, which says nothing of it; else 0 */
	char why[160];
} ol_check_task;

typedef struct ol_check_tasks {
	ol_check_task *list; /* owned */
	size_t count, cap;
} ol_check_tasks;

int ol_check_bytes(ol_checker *checker, ol_error *err);

/* check_resume.c: begins, or goes on with what was begun: tasks that were found sound then are
 * taken out. *done: their bytes. */
int ol_check_begin(ol_checker *checker, ol_check_tasks *tasks, uint64_t *done, ol_error *err);
/* Remembers these as sound. What cannot be remembered is done again: only time. */
void ol_check_remember(ol_checker *checker, const ol_check_task *const *tasks, size_t count);
/* It came to its end: the next one begins anew. */
void ol_check_end(ol_checker *checker);
