#include "store/draft.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "store/store_priv.h"

struct ol_draft {
	int ingest_fd; /* lent: the folder's parent */
	ol_scratch_name name;
	int dir_fd, lock_fd; /* owned; the flock of lock_fd is what keeps gc away */
};

/* OL_EBUSY: gc, to which a folder that is not locked yet is that of somebody dead, was faster. */
static int taken(const ol_draft *draft, ol_error *err)
{
	return ol_fail(err, OL_EBUSY, "ingest/%s was removed", draft->name.text);
}

static int lock(ol_draft *draft, ol_error *err)
{
	struct stat ours, named;
	int rc;

	draft->lock_fd =
		openat(draft->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (draft->lock_fd < 0)
		return errno == ENOENT ? taken(draft, err)
				       : ol_fail_sys(err, "ingest/%s/lock", draft->name.text);
	rc = ol_flock(draft->lock_fd, true, false, err);
	if (rc < 0)
		return rc;
	if (fstat(draft->dir_fd, &ours) < 0 ||
		fstatat(draft->ingest_fd, draft->name.text, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
		ours.st_ino != named.st_ino)
		return taken(draft, err);
	return OL_OK;
}

/* OL_EBUSY: as taken. */
static int make(ol_draft *draft, ol_error *err)
{
	int rc;

	draft->name = ol_scratch(OL_DRAFT_PREFIX);
	if (mkdirat(draft->ingest_fd, draft->name.text, 0700) < 0)
		return ol_fail_sys(err, "mkdir ingest/%s", draft->name.text);
	rc = ol_dir_open(draft->ingest_fd, draft->name.text, &draft->dir_fd, err);
	if (rc == OL_ENOTFOUND)
		return taken(draft, err);
	return rc < 0 ? rc : lock(draft, err);
}

static void close_fds(ol_draft *draft)
{
	if (draft->lock_fd >= 0)
		(void)close(draft->lock_fd);
	if (draft->dir_fd >= 0)
		(void)close(draft->dir_fd);
	draft->lock_fd = draft->dir_fd = -1;
}

int ol_draft_open(ol_store *store, ol_draft **out, ol_error *err)
{
	ol_draft *draft = ol_alloc(sizeof *draft);
	int rc;

	*draft = (ol_draft){ .ingest_fd = store->ingest_fd, .dir_fd = -1, .lock_fd = -1 };
	do {
		close_fds(draft);
		rc = make(draft, err);
	} while (rc == OL_EBUSY);
	if (rc < 0) {
		close_fds(draft);
		free(draft);
		return rc;
	}
	*out = draft;
	return OL_OK;
}

int ol_draft_dir_fd(const ol_draft *draft)
{
	return draft->dir_fd;
}

void ol_draft_close(ol_draft *draft)
{
	if (!draft)
		return;
	/* The lock goes last: with it goes our right to touch the folder. */
	(void)ol_remove_tree(draft->ingest_fd, draft->name.text, NULL);
	close_fds(draft);
	free(draft);
}
