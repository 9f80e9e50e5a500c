/* What is on disk and has lost its row: a blob's file proves itself by its name. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "store/gc_priv.h"
#include "store/row_mend_priv.h"

struct search {
	ol_store *store; /* lent */
	ol_algorithm algorithm;
};

/* gc's rules: under the write lock, with the file still there. */
static int insert(ol_store *store, const ol_digest *digest, uint64_t size, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK && faccessat(store->blobs_fd[digest->algorithm], ol_digest_hex(digest).text,
				   F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return OL_OK;
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"INSERT OR IGNORE INTO blobs(digest, size, state, boot, created) VALUES(?, "
			"?, 1, ?, ?)",
			"diti", digest, (int64_t)size, store->boot, ol_unix_now());
	if (rc == OL_OK)
		rc = ol_fault("store.readopt.commit", err);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

static int see_blob(void *ctx, const char *name, ol_error *err)
{
	struct search *search = ctx;
	ol_store *store = search->store;
	ol_autofd int fd = -1;
	ol_digest digest, got;
	struct stat st;
	int64_t row = 0;
	int rc;

	if (!ol_name_is_key(name, search->algorithm, &digest))
		return OL_OK;
	{
		ol_auto_db ol_db *db = ol_db_reader(store);

		rc = ol_db_number(db, err, &row,
			"SELECT EXISTS(SELECT 1 FROM blobs WHERE digest = ?)", "d", &digest);
	}
	if (rc < 0 || row)
		return rc;
	fd = openat(store->blobs_fd[search->algorithm], name,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return OL_OK; /* no blob, whatever it is */
	rc = ol_hash_fd(fd, search->algorithm, NULL, &got, err);
	if (rc < 0)
		return ol_wrap(err, rc, "blob %s", name);
	/* What is damaged and needed is fetched; what is not needed is gc's. */
	return ol_digest_eq(&digest, &got) ? insert(store, &digest, (uint64_t)st.st_size, err)
					   : OL_OK;
}

int ol_readopt_blobs(ol_store *store, ol_error *err)
{
	int rc = OL_OK;

	for (ol_algorithm a = OL_SHA256; rc == OL_OK && a <= OL_SHA512; a++) {
		struct search search = { store, a };

		rc = ol_each_name(store->blobs_fd[a], see_blob, &search, err);
	}
	return rc;
}
