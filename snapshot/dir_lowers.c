/*
 * A path looked up in the layers below as overlayfs would: top-most first; what is met first
 * counts; a whiteout, an opaque directory or something that is no directory on the way ends it.
 */
#include <fcntl.h>

#include "snapshot/dir_priv.h"

void ol_dir_lowers_init(
	ol_dir_lowers *lowers, ol_store *store, const ol_layer_info *layers, size_t count)
{
	*lowers = (ol_dir_lowers){ .store = store, .layers = layers, .count = count };
	lowers->fds = ol_alloc_array(count + 1, sizeof *lowers->fds);
	for (size_t i = 0; i < count; i++)
		lowers->fds[i] = -1;
}

void ol_dir_lowers_done(ol_dir_lowers *lowers)
{
	for (size_t i = 0; i < lowers->count; i++)
		ol_fd_p(&lowers->fds[i]);
	free(lowers->fds);
	lowers->fds = NULL;
}

static int layer_fd(ol_dir_lowers *lowers, size_t index, int *out, ol_error *err)
{
	const ol_layer_info *layer = &lowers->layers[index];
	const ol_driver *driver = ol_driver_named(layer->driver);
	int rc = OL_OK;

	if (!driver)
		return ol_fail(
			err, OL_EUNSUPPORTED, "there is no layer driver \"%s\"", layer->driver);
	if (lowers->fds[index] < 0)
		rc = driver->lower(lowers->store, layer, &lowers->fds[index], err);
	*out = lowers->fds[index];
	return rc;
}

/* Where the search in one layer ended. */
typedef enum outcome {
	FOUND,  /* here it is */
	BELOW,  /* this layer says nothing: look further down */
	HIDDEN, /* this layer says that it is not there */
	FAILED,
} outcome;

static outcome next_dir(int *fd, const char *part, bool *opaque, const ol_dir_names *names)
{
	int next = ol_dir_openat(*fd, part, O_RDONLY | O_DIRECTORY);

	if (next < 0)
		return errno == ENOTDIR || errno == ELOOP ? HIDDEN
		       : errno == ENOENT                  ? BELOW
							  : FAILED;
	(void)close(*fd);
	*fd = next;
	*opaque = *opaque || ol_dir_is_opaque(next, names);
	return FOUND;
}

/* Walks path in the layer that root_fd is. On FOUND *parent_fd is the caller's. */
static outcome find_in(int root_fd, const char *path, int *parent_fd, struct stat *st)
{
	const ol_dir_names *names = ol_dir_names_in(root_fd);
	bool opaque = ol_dir_is_opaque(root_fd, names);
	ol_autofd int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
	ol_autofree char *copy = ol_strdup(path);
	char *part = copy;

	if (fd < 0)
		return FAILED;
	for (char *slash = strchr(part, '/'); slash; slash = strchr(part, '/')) {
		outcome step;

		*slash = '\0';
		step = next_dir(&fd, part, &opaque, names);
		if (step != FOUND)
			return step == BELOW && opaque ? HIDDEN : step;
		part = slash + 1;
	}
	if (fstatat(fd, part, st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return FAILED;
		return opaque ? HIDDEN : BELOW;
	}
	if (ol_dir_is_whiteout(st))
		return HIDDEN;
	*parent_fd = ol_steal_fd(&fd);
	return FOUND;
}

int ol_dir_lowers_find(ol_dir_lowers *lowers, const char *path, int *parent_fd, const char **base,
	struct stat *st, ol_error *err)
{
	const char *slash = strrchr(path, '/');

	for (size_t i = lowers->count; i > 0; i--) {
		int fd = -1, rc = layer_fd(lowers, i - 1, &fd, err);

		if (rc < 0)
			return ol_wrap(err, rc, "layer %s",
				ol_digest_short(&lowers->layers[i - 1].diff_id).text);
		switch (find_in(fd, path, parent_fd, st)) {
		case FOUND:
			*base = slash ? slash + 1 : path;
			return OL_OK;
		case HIDDEN:
			return ol_fail(err, OL_ENOTFOUND, "the layers below do not show it");
		case FAILED:
			return ol_fail_sys(err, "look up in a layer below");
		case BELOW:
			break;
		}
	}
	return ol_fail(err, OL_ENOTFOUND, "no layer below has it");
}
