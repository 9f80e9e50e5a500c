#pragma once

/* What row_flip.c, row_mend.c and rescue.c share. */
#include "store/mend.h"
#include "store/row_priv.h"

/* A row as it reads. */
typedef struct ol_row {
	sqlite3_value **values; /* owned: of the table's row, in order */
	int count;
	bool has_sum;
	uint64_t sum;
	char *key; /* owned; for people */
} ol_row;

/* Where a row differs from what was written: one bit of a column's value, or of the sum. */
typedef struct ol_flip {
	int column; /* -1: the sum */
	size_t byte;
	unsigned char mask;
} ol_flip;

/* row_flip.c: the one bit that makes the row's sum right; false when there is none, or several. */
bool ol_row_find_flip(const ol_table *table, const ol_row *row, ol_flip *out);
/* The sum as it should be. */
uint64_t ol_row_sum_of(const ol_table *table, const ol_row *row);
/* Binds the row's values to parameters from 1 on, with the flip (or NULL) turned back. */
int ol_row_bind(sqlite3_stmt *stmt, const ol_row *row, const ol_flip *flip);
void ol_row_done(ol_row *row);

/* row_mend.c */

/* Rows of a table into memory; which: OL_ROWS_…. What can be read before the file fails is given
 * even then (the answer is OL_ECORRUPT). */
typedef enum ol_rows_which { OL_ROWS_ALL, OL_ROWS_UNSOUND } ol_rows_which;
typedef struct ol_rows {
	ol_row *list; /* owned */
	size_t count, cap;
} ol_rows;
void ol_rows_done(ol_rows *rows);
int ol_rows_read(
	ol_db *db, const ol_table *table, ol_rows_which which, ol_rows *out, ol_error *err);
/* Makes every unsound row sound or takes it out, in the transaction. *lost: rows that have to be
 * made again. OL_ECORRUPT: the file itself is damaged. */
int ol_rows_mend(ol_store *store, ol_txn *txn, const ol_mender *mender, bool *lost, ol_error *err);
/* What becomes of a row that cannot be mended: told, its folder put away. Returns whether it has to
 * be made again. */
bool ol_row_give_up(
	ol_store *store, const ol_mender *mender, const ol_table *table, const ol_row *row);
void ol_mended_tell(const ol_mender *mender, bool mended, const char *what, const char *fmt, ...)
	OL_PRINTF(4, 5);

/* rescue.c: see store/mend.h. Called with the folders open, before the database is. */
int ol_rescue(ol_store *store, const ol_mender *mender, ol_error *err);
/* readopt.c: rows for blobs' files that have none and are what their names say. */
int ol_readopt_blobs(ol_store *store, ol_error *err);
