/*
 * Parents. Each entry's parent is opened beneath the root by openat2, which follows no symlink and
 * leaves neither the root nor its file system, and stays open while its neighbours come: entries of
 * a tar stand together. All that is done to an entry is then done to (parent's descriptor, last
 * component), never to a path.
 *
 * A parent that is missing is made: 0755, root's, noted as implied. One that is no directory is
 * replaced, as an entry for it would be (the layer never meant to go through a link that it has
 * itself).
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "snapshot/dir_priv.h"

int ol_dir_openat(int dir_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, dir_fd, path[0] ? path : ".", &how, sizeof how);
}

int ol_dir_wrap(int rc, const char *name, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(256);

	if (!err)
		return rc;
	(void)ol_str_add_safe(&text, ol_view_of(name));
	return ol_wrap(err, rc, "layer entry \"%s\"", ol_str_text(&text));
}

/* "Umask:\t0022" of /proc/self/status: asking by umask(2) would change it for other threads. All
 * bits when it is not to be known: then every mode is set. */
static mode_t current_umask(void)
{
	ol_auto_buf ol_buf text = OL_BUF((size_t)16 << 10);
	const char *line;
	char *end;
	unsigned long mask;

	if (ol_file_read(AT_FDCWD, "/proc/self/status", false, &text, NULL) < 0)
		return 0777;
	line = strstr(text.data, "\nUmask:");
	if (!line)
		return 0777;
	line += strlen("\nUmask:");
	mask = strtoul(line, &end, 8);
	return end == line || mask > 0777 ? 0777 : (mode_t)mask;
}

static void init(ol_dir_tree *tree, int root_fd, size_t budget_bytes, int dir_fd)
{
	tree->root_fd = root_fd;
	tree->leans_fd = -1;
	tree->umask = current_umask();
	tree->uid = geteuid();
	tree->gid = getegid();
	tree->times = ol_sorter_new(dir_fd, budget_bytes ? budget_bytes : OL_UNPACK_BUDGET_BYTES);
	for (size_t i = 0; i < OL_DIR_SLOTS; i++)
		tree->slots[i].fd = -1;
}

static int read_ids(ol_dir_tree *tree, ol_error *err)
{
	if (tree->here)
		return OL_OK;
	tree->here = ol_alloc(sizeof *tree->here);
	return ol_userns_read(tree->here, err);
}

int ol_dir_tree_open(ol_dir_tree *tree, int dir_fd, size_t budget_bytes, ol_error *err)
{
	int fd = openat(dir_fd, OL_DIR_TREE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return ol_fail_sys(err, OL_DIR_TREE);
	init(tree, fd, budget_bytes, dir_fd);
	tree->names = ol_dir_names_in(fd);
	tree->userxattr = tree->names == ol_dir_names_of(true);
	return tree->userxattr ? read_ids(tree, err) : OL_OK;
}

/* What can be kept of the tar's owners, for those who compare later. */
static int mark_ids(const ol_dir_tree *tree, ol_error *err)
{
	ol_autofree ol_userns *ids = ol_alloc(sizeof *ids);
	ol_auto_str ol_str text = OL_STR(OL_DIR_IDS_BYTES_MAX);
	int rc;

	ol_id_map_inside(&tree->here->uids, &ids->uids);
	ol_id_map_inside(&tree->here->gids, &ids->gids);
	ol_userns_format(ids, &text);
	rc = ol_str_error(&text, err);
	if (rc < 0)
		return ol_wrap(err, rc, "the ids of this user namespace lie too far apart");
	if (fsetxattr(tree->root_fd, tree->names->ids, text.data, text.size, 0) < 0)
		return ol_fail_sys(err, "xattr %s of " OL_DIR_TREE, tree->names->ids);
	return OL_OK;
}

int ol_dir_tree_make(
	ol_dir_tree *tree, int dir_fd, bool userxattr, size_t budget_bytes, ol_error *err)
{
	int rc = ol_remove_tree(dir_fd, OL_DIR_TREE, err); /* left by a try that was interrupted */

	if (rc < 0)
		return rc;
	if (mkdirat(dir_fd, OL_DIR_TREE, 0755) < 0)
		return ol_fail_sys(err, "mkdir " OL_DIR_TREE);
	rc = ol_dir_tree_open(tree, dir_fd, budget_bytes, err);
	if (rc < 0)
		return rc;
	tree->names = ol_dir_names_of(userxattr);
	tree->userxattr = userxattr;
	/* ACLs that it inherited would be inherited by all it holds. */
	(void)fremovexattr(tree->root_fd, "system.posix_acl_default");
	(void)fremovexattr(tree->root_fd, "system.posix_acl_access");
	if (fchmod(tree->root_fd, 0755) < 0)
		return ol_fail_sys(err, "chmod " OL_DIR_TREE);
	if (fsetxattr(tree->root_fd, tree->names->tree, "bare", 4, 0) < 0)
		return ol_fail_sys(err, "xattr %s of " OL_DIR_TREE, tree->names->tree);
	if (!userxattr)
		return OL_OK;
	rc = read_ids(tree, err);
	return rc < 0 ? rc : mark_ids(tree, err);
}

void ol_dir_tree_done(ol_dir_tree *tree)
{
	for (size_t i = 0; i < OL_DIR_SLOTS; i++)
		ol_fd_p(&tree->slots[i].fd);
	ol_fd_p(&tree->root_fd);
	ol_fd_p(&tree->leans_fd);
	ol_sorter_free(tree->times);
	free(tree->here);
	tree->times = NULL;
	tree->here = NULL;
}

static ol_dir_slot *cached(ol_dir_tree *tree, const char *path, size_t size)
{
	for (size_t i = 0; i < OL_DIR_SLOTS; i++) {
		ol_dir_slot *slot = &tree->slots[i];

		if (slot->fd >= 0 && slot->size == size && memcmp(slot->path, path, size) == 0) {
			slot->used = ++tree->clock;
			return slot;
		}
	}
	return NULL;
}

/* The slot longest unused takes fd. */
static int keep(
	ol_dir_tree *tree, const char *path, size_t size, int fd, ol_dir_slot **out, ol_error *err)
{
	ol_dir_slot *oldest = &tree->slots[0];
	struct stat st;

	if (fstat(fd, &st) < 0) {
		(void)close(fd);
		return ol_fail_sys(err, "stat");
	}
	for (size_t i = 1; i < OL_DIR_SLOTS; i++)
		if (tree->slots[i].used < oldest->used)
			oldest = &tree->slots[i];
	ol_fd_p(&oldest->fd);
	oldest->fd = fd;
	oldest->group = st.st_mode & S_ISGID;
	oldest->opaque_known = oldest->opaque = oldest->origin = false;
	oldest->used = ++tree->clock;
	oldest->size = size;
	memcpy(oldest->path, path, size);
	oldest->path[size] = '\0';
	*out = oldest;
	return OL_OK;
}

void ol_dir_slots_drop(ol_dir_tree *tree, const char *path)
{
	size_t size = strlen(path);

	for (size_t i = 0; i < OL_DIR_SLOTS; i++) {
		ol_dir_slot *slot = &tree->slots[i];

		if (slot->fd < 0 || slot->size < size || memcmp(slot->path, path, size) != 0)
			continue;
		if (size > 0 && slot->path[size] != '\0' && slot->path[size] != '/')
			continue;
		ol_fd_p(&slot->fd);
		slot->fd = -1;
		slot->used = 0;
	}
}

int ol_dir_clear(ol_dir_tree *tree, const ol_dir_slot *parent, const char *base, const char *path,
	ol_error *err)
{
	int parent_fd = parent->fd;

	tree->replaced = true;
	if (unlinkat(parent_fd, base, 0) == 0)
		return OL_OK;
	ol_dir_slots_drop(tree, path); /* not the parent's: path is longer */
	return ol_remove_tree(parent_fd, base, err);
}

/* One component of a path that is to be a directory: opened, or made, or put in place of what is
 * none. */
static int imply(ol_dir_tree *tree, int parent_fd, const char *base, const char *path, int *out,
	ol_error *err)
{
	const struct timespec epoch = { 0 };
	bool replaced = false;
	ol_autofd int fd = ol_dir_openat(parent_fd, base, O_RDONLY | O_DIRECTORY);
	int rc;

	if (fd >= 0) {
		*out = ol_steal_fd(&fd);
		return OL_OK;
	}
	if (errno == ENOTDIR || errno == ELOOP) {
		if (unlinkat(parent_fd, base, 0) < 0)
			return ol_fail_sys(err, "remove %s", path);
		tree->replaced = replaced = true;
	} else if (errno != ENOENT) {
		return ol_fail_sys(err, "open %s", path);
	}
	if (mkdirat(parent_fd, base, 0755) < 0)
		return ol_fail_sys(err, "mkdir %s", path);
	fd = ol_dir_openat(parent_fd, base, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return ol_fail_sys(err, "open %s", path);
	if (fchown(fd, 0, 0) < 0)
		return ol_fail_sys(err, "chown %s", path);
	if (fchmod(fd, 0755) < 0)
		return ol_fail_sys(err, "chmod %s", path);
	if (fsetxattr(fd, tree->names->implied, "", 0, 0) < 0)
		return ol_fail_sys(err, "xattr %s of %s", tree->names->implied, path);
	tree->disk_bytes += 4096;
	rc = ol_dir_note_lean(tree, 'd', path, err);
	if (rc == OL_OK)
		rc = ol_dir_note_time(tree, path, &epoch, (ol_view){ NULL, 0 }, err);
	if (rc == OL_OK && replaced)
		rc = ol_dir_make_opaque(tree, fd, err);
	if (rc == OL_OK)
		*out = ol_steal_fd(&fd);
	return rc;
}

static int imply_all(ol_dir_tree *tree, const char *path, size_t size, int *out, ol_error *err)
{
	char name[OL_PATH_MAX];
	ol_autofd int fd = -1;

	memcpy(name, path, size);
	name[size] = '\0';
	for (char *part = name; part;) {
		char *slash = strchr(part, '/');
		int next = -1, rc;

		if (slash)
			*slash = '\0';
		/* name is now the path up to here, part its last component. */
		rc = imply(tree, fd < 0 ? tree->root_fd : fd, part, name, &next, err);
		if (rc < 0)
			return rc;
		ol_fd_p(&fd);
		fd = next;
		part = slash ? slash + 1 : NULL;
		if (slash)
			*slash = '/';
	}
	*out = ol_steal_fd(&fd);
	return OL_OK;
}

static int open_slot(ol_dir_tree *tree, const char *path, size_t size, bool make, ol_dir_slot **out,
	ol_error *err)
{
	char name[OL_PATH_MAX];
	int fd, rc;

	*out = cached(tree, path, size);
	if (*out)
		return OL_OK;
	memcpy(name, path, size);
	name[size] = '\0';
	fd = ol_dir_openat(tree->root_fd, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return ol_fail_sys(err, "open the directory");
	if (fd < 0 && !make)
		return ol_fail(err, OL_ENOTFOUND, "there is no such directory");
	if (fd < 0) {
		rc = imply_all(tree, path, size, &fd, err);
		if (rc < 0)
			return rc;
		/* What was replaced by a directory may have been kept open: it cannot be, it was
		 * none. */
	}
	return keep(tree, path, size, fd, out, err);
}

int ol_dir_slot_get(
	ol_dir_tree *tree, const char *path, size_t size, ol_dir_slot **out, ol_error *err)
{
	return open_slot(tree, path, size, true, out, err);
}

int ol_dir_slot_find(
	ol_dir_tree *tree, const char *path, size_t size, ol_dir_slot **out, ol_error *err)
{
	return open_slot(tree, path, size, false, out, err);
}

static size_t split(const char *path, const char **base)
{
	const char *slash = strrchr(path, '/');

	*base = slash ? slash + 1 : path;
	return slash ? (size_t)(slash - path) : 0;
}

int ol_dir_parent_get(
	ol_dir_tree *tree, const char *path, ol_dir_slot **out, const char **base, ol_error *err)
{
	return ol_dir_slot_get(tree, path, split(path, base), out, err);
}

int ol_dir_parent_find(
	ol_dir_tree *tree, const char *path, ol_dir_slot **out, const char **base, ol_error *err)
{
	return ol_dir_slot_find(tree, path, split(path, base), out, err);
}
