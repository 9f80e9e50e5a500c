/*
 * One entry into the tree. The existing-path rule: two directories are one; in every other case
 * what is there goes, and a directory that comes in place of anything else hides all below it.
 *
 * Nothing that is there is ever opened for writing: files are made with O_EXCL, and what stands in
 * the way is unlinked.
 */
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "snapshot/dir_priv.h"

#define DISK_BLOCK 4096 /* what a directory or the tail of a file takes on most file systems */

static ol_dir_attr attr_of(const ol_tar_entry *entry)
{
	return (ol_dir_attr){ .mode = entry->mode,
		.uid = entry->uid,
		.gid = entry->gid,
		.mtime = entry->mtime,
		.xattrs = entry->xattrs,
		.xattr_count = entry->xattr_count };
}

static ol_view waiting_acl(const ol_tar_entry *entry)
{
	for (size_t i = 0; i < entry->xattr_count; i++)
		if (ol_dir_attr_waits(entry->xattrs[i].name))
			return entry->xattrs[i].value;
	return (ol_view){ NULL, 0 };
}

/* A directory that is there takes the attributes of this one. */
static int set_dir(ol_dir_tree *tree, int fd, const ol_tar_entry *entry, ol_error *err)
{
	const ol_dir_attr attr = attr_of(entry);
	const ol_dir_place place = { .fd = fd };
	struct stat made;
	int rc;

	if (fstat(fd, &made) < 0)
		return ol_fail_sys(err, "stat");
	rc = ol_dir_attr_clear(fd, err);
	if (rc == OL_OK && fremovexattr(fd, tree->names->implied) < 0 && errno != ENODATA)
		rc = ol_fail_sys(err, "xattr %s", tree->names->implied);
	if (rc == OL_OK)
		rc = ol_dir_attr_set(tree, &place, &attr, &made, err);
	ol_dir_slots_drop(tree, entry->name);
	return rc;
}

/* What a directory was given besides being made. */
static int finish_dir(ol_dir_tree *tree, const ol_dir_slot *parent, const char *base,
	const ol_tar_entry *entry, bool replaced, ol_error *err)
{
	const ol_dir_attr attr = attr_of(entry);
	struct stat made;
	ol_autofd int fd = -1;
	const ol_dir_place place = { .fd = -1, .parent_fd = parent->fd, .base = base };
	int rc;

	ol_dir_made(tree, parent, S_IFDIR | (attr.mode & 01777), &made);
	if (!replaced && attr.xattr_count == 0 && (made.st_mode & 07777) == attr.mode &&
		made.st_uid == attr.uid && made.st_gid == attr.gid)
		return OL_OK;
	fd = ol_dir_openat(parent->fd, base, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return ol_fail_sys(err, "open");
	rc = ol_dir_attr_set(tree,
		&(ol_dir_place){ .fd = fd, .parent_fd = place.parent_fd, .base = base }, &attr,
		&made, err);
	return rc == OL_OK && replaced ? ol_dir_make_opaque(tree, fd, err) : rc;
}

static int extract_dir(ol_dir_tree *tree, const ol_tar_entry *entry, ol_error *err)
{
	ol_dir_slot *parent;
	const char *base;
	bool replaced = false;
	int rc;

	rc = ol_dir_note_time(tree, entry->name, &entry->mtime, waiting_acl(entry), err);
	if (rc < 0)
		return rc;
	if (entry->name[0] == '\0') {
		if (fsetxattr(tree->root_fd, tree->names->tree, "listed", 6, 0) < 0)
			return ol_fail_sys(err, "xattr %s", tree->names->tree);
		return set_dir(tree, tree->root_fd, entry, err);
	}
	rc = ol_dir_parent_get(tree, entry->name, &parent, &base, err);
	if (rc < 0)
		return rc;
	if (mkdirat(parent->fd, base, entry->mode & 01777) < 0) {
		ol_autofd int fd = -1;

		if (errno != EEXIST)
			return ol_fail_sys(err, "mkdir");
		fd = ol_dir_openat(parent->fd, base, O_RDONLY | O_DIRECTORY);
		if (fd >= 0)
			return set_dir(tree, fd, entry, err);
		if (errno != ENOTDIR && errno != ELOOP)
			return ol_fail_sys(err, "open");
		rc = ol_dir_clear(tree, parent, base, entry->name, err);
		if (rc < 0)
			return rc;
		if (mkdirat(parent->fd, base, entry->mode & 01777) < 0)
			return ol_fail_sys(err, "mkdir");
		replaced = true;
	}
	tree->disk_bytes += DISK_BLOCK;
	return finish_dir(tree, parent, base, entry, replaced, err);
}

static void keep_attr(ol_dir_file *file, const ol_tar_entry *entry)
{
	ol_xattr *xattrs;

	file->attr = attr_of(entry);
	if (entry->xattr_count == 0)
		return;
	file->arena = ol_arena_new();
	xattrs = ol_arena_alloc(file->arena, entry->xattr_count * sizeof *xattrs);
	for (size_t i = 0; i < entry->xattr_count; i++) {
		ol_view name = entry->xattrs[i].name, value = entry->xattrs[i].value;

		xattrs[i].name =
			(ol_view){ ol_arena_strndup(file->arena, name.data, name.size), name.size };
		xattrs[i].value = (ol_view){ ol_arena_strndup(file->arena, "", 0), value.size };
		if (value.size > 0)
			xattrs[i].value.data = memcpy(
				ol_arena_alloc(file->arena, value.size), value.data, value.size);
	}
	file->attr.xattrs = xattrs;
}

static int make_file(ol_dir_tree *tree, const ol_dir_slot *parent, const char *base,
	const ol_tar_entry *entry, mode_t mode, ol_error *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent->fd, base, flags, mode);
	int rc;

	if (fd < 0 && errno == EEXIST) {
		rc = ol_dir_clear(tree, parent, base, entry->name, err);
		if (rc < 0)
			return rc;
		fd = openat(parent->fd, base, flags, mode);
	}
	return fd < 0 ? ol_fail_sys(err, "create") : fd;
}

static int extract_file(
	ol_dir_tree *tree, const ol_tar_entry *entry, ol_dir_file *file, ol_error *err)
{
	ol_dir_slot *parent;
	const char *base;
	int rc = ol_dir_parent_get(tree, entry->name, &parent, &base, err);

	if (rc < 0)
		return rc;
	rc = make_file(tree, parent, base, entry, entry->mode & 0777, err);
	if (rc < 0)
		return rc;
	file->fd = rc;
	ol_dir_made(tree, parent, S_IFREG | (entry->mode & 0777), &file->made);
	keep_attr(file, entry);
	tree->disk_bytes += (entry->data_size + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
	if (entry->sparse && ftruncate(file->fd, (off_t)entry->size) < 0)
		return ol_fail_sys(
			err, "make a file of %llu bytes", (unsigned long long)entry->size);
	return OL_OK;
}

int ol_dir_end_file(ol_dir_tree *tree, ol_dir_file *file, ol_error *err)
{
	int rc = OL_OK;

	if (file->fd >= 0) {
		const ol_dir_place place = { .fd = file->fd };

		rc = ol_dir_attr_set(tree, &place, &file->attr, &file->made, err);
		/* Some file systems tell a full disk here. */
		if (close(ol_steal_fd(&file->fd)) < 0 && rc == OL_OK)
			rc = ol_fail_sys(err, "close");
	}
	ol_arena_free(file->arena);
	file->arena = NULL;
	return rc;
}

/* Nobody but the real root makes devices: rootless, an empty file takes the name. */
static int make_stand_in(const ol_dir_tree *tree, const ol_tar_entry *entry,
	const ol_dir_slot *parent, const char *base)
{
	int fd = openat(parent->fd, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		entry->mode & 0777);

	if (fd < 0)
		return -1;
	if (tree->lacks)
		tree->lacks->devices++;
	return close(fd);
}

static int make_node(const ol_dir_tree *tree, const ol_tar_entry *entry, const ol_dir_slot *parent,
	const char *base)
{
	static const mode_t types[] = {
		[OL_TAR_CHAR] = S_IFCHR, [OL_TAR_BLOCK] = S_IFBLK, [OL_TAR_FIFO] = S_IFIFO
	};

	if (entry->type == OL_TAR_SYMLINK)
		return symlinkat(entry->target, parent->fd, base);
	if (mknodat(parent->fd, base, types[entry->type] | (entry->mode & 0777),
		    makedev(entry->dev_major, entry->dev_minor)) == 0)
		return 0;
	return errno == EPERM && tree->userxattr ? make_stand_in(tree, entry, parent, base) : -1;
}

/* Symbolic links, devices, fifos. */
static int extract_node(ol_dir_tree *tree, const ol_tar_entry *entry, ol_error *err)
{
	const ol_dir_attr attr = attr_of(entry);
	ol_dir_slot *parent;
	const char *base;
	struct stat made;
	int made_rc, rc = ol_dir_parent_get(tree, entry->name, &parent, &base, err);

	if (rc < 0)
		return rc;
	made_rc = make_node(tree, entry, parent, base);
	if (made_rc < 0 && errno == EEXIST) {
		rc = ol_dir_clear(tree, parent, base, entry->name, err);
		if (rc < 0)
			return rc;
		made_rc = make_node(tree, entry, parent, base);
	}
	if (made_rc < 0)
		return ol_fail_sys(err, "create");
	ol_dir_made(tree, parent,
		entry->type == OL_TAR_SYMLINK ? S_IFLNK | 0777 : S_IFIFO | (entry->mode & 0777),
		&made);
	return ol_dir_attr_set(tree,
		&(ol_dir_place){ .fd = -1, .parent_fd = parent->fd, .base = base }, &attr, &made,
		err);
}

/* A link to what only a layer below can have: a file that tells, until the layers below
 * are known. */
static int extract_cross(
	ol_dir_tree *tree, const ol_tar_entry *entry, const char *target, ol_error *err)
{
	ol_dir_slot *parent;
	const char *base;
	ol_autofd int fd = -1;
	int rc = ol_dir_parent_get(tree, entry->name, &parent, &base, err);

	if (rc < 0)
		return rc;
	rc = make_file(tree, parent, base, entry, 0600, err);
	if (rc < 0)
		return rc;
	fd = rc;
	rc = ol_write_all(fd, target, strlen(target), err);
	if (rc == OL_OK && fsetxattr(fd, tree->names->cross, "", 0, 0) < 0)
		rc = ol_fail_sys(err, "xattr %s", tree->names->cross);
	return rc == OL_OK ? ol_dir_note_lean(tree, 'l', entry->name, err) : rc;
}

/* The target of a cross link that stands at base, or "". */
static void cross_target(
	const ol_dir_tree *tree, const ol_dir_slot *parent, const char *base, char out[OL_PATH_MAX])
{
	ol_autofd int fd = -1;
	ssize_t n = 0;

	out[0] = '\0';
	fd = ol_dir_openat(parent->fd, base, O_RDONLY | O_NONBLOCK);
	if (fd < 0 || fgetxattr(fd, tree->names->cross, NULL, 0) < 0)
		return;
	n = pread(fd, out, OL_PATH_MAX - 1, 0);
	out[n > 0 ? n : 0] = '\0';
}

static int link_to(ol_dir_tree *tree, const ol_tar_entry *entry, const ol_dir_slot *target,
	const char *target_base, ol_error *err)
{
	struct stat old, want;
	ol_dir_slot *parent;
	const char *base;
	int rc = ol_dir_parent_find(tree, entry->name, &parent, &base, err);

	if (rc < 0)
		return rc;
	if (linkat(target->fd, target_base, parent->fd, base, 0) == 0)
		return OL_OK;
	if (errno != EEXIST)
		return ol_fail_sys(err, "link to %s", entry->target);
	if (fstatat(parent->fd, base, &old, AT_SYMLINK_NOFOLLOW) < 0 ||
		fstatat(target->fd, target_base, &want, AT_SYMLINK_NOFOLLOW) < 0)
		return ol_fail_sys(err, "stat");
	if (old.st_ino == want.st_ino)
		return OL_OK; /* it is that link already */
	rc = ol_dir_clear(tree, parent, base, entry->name, err);
	if (rc < 0)
		return rc;
	/* The target may have been in what was cleared; its directory is then open no more. */
	if (target->fd < 0)
		return ol_fail(err, OL_ECORRUPT, "a hard link that replaces its own target");
	if (linkat(target->fd, target_base, parent->fd, base, 0) < 0)
		return ol_fail_sys(err, "link to %s", entry->target);
	return OL_OK;
}

static int extract_link(ol_dir_tree *tree, const ol_tar_entry *entry, ol_error *err)
{
	char lower[OL_PATH_MAX];
	ol_dir_slot *parent, *target;
	const char *base, *target_base;
	struct stat st;
	int rc = ol_dir_parent_get(tree, entry->name, &parent, &base, err);

	if (rc < 0)
		return rc;
	rc = ol_dir_parent_find(tree, entry->target, &target, &target_base, err);
	if (rc < 0 && rc != OL_ENOTFOUND)
		return rc;
	if (rc == OL_ENOTFOUND || fstatat(target->fd, target_base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (rc == OL_OK && errno != ENOENT)
			return ol_fail_sys(err, "stat");
		return extract_cross(tree, entry, entry->target, err);
	}
	if (S_ISDIR(st.st_mode))
		return ol_fail(err, OL_ECORRUPT, "a hard link to a directory");
	if (ol_dir_is_whiteout(&st))
		return extract_cross(tree, entry, entry->target, err);
	if (S_ISREG(st.st_mode) && tree->leans_fd >= 0 && strcmp(entry->name, entry->target) != 0) {
		cross_target(tree, target, target_base, lower);
		if (lower[0])
			return extract_cross(tree, entry, lower, err);
	}
	return link_to(tree, entry, target, target_base, err);
}

static int extract_opaque(ol_dir_tree *tree, const ol_tar_entry *entry, ol_error *err)
{
	ol_dir_slot *slot;
	int rc = ol_dir_slot_get(tree, entry->name, strlen(entry->name), &slot, err);

	return rc < 0 ? rc : ol_dir_make_opaque(tree, slot->fd, err);
}

int ol_dir_extract(ol_dir_tree *tree, const ol_tar_entry *entry, ol_dir_file *file, ol_error *err)
{
	int rc = OL_OK;

	switch (entry->type) {
	case OL_TAR_FILE:
		rc = extract_file(tree, entry, file, err);
		break;
	case OL_TAR_HARDLINK:
		rc = extract_link(tree, entry, err);
		break;
	case OL_TAR_SYMLINK:
	case OL_TAR_CHAR:
	case OL_TAR_BLOCK:
	case OL_TAR_FIFO:
		rc = extract_node(tree, entry, err);
		break;
	case OL_TAR_DIR:
		rc = extract_dir(tree, entry, err);
		break;
	case OL_TAR_WHITEOUT:
		rc = ol_dir_make_whiteout(tree, entry->name, err);
		break;
	case OL_TAR_OPAQUE:
		rc = extract_opaque(tree, entry, err);
		break;
	}
	return rc < 0 ? ol_dir_wrap(rc, entry->name, err) : OL_OK;
}
