/*
 * The row of the dir driver, and its short operations.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "snapshot/dir_priv.h"
#include "snapshot/driver_priv.h"
#include "snapshot/overlay_priv.h"

static int unsupported(ol_error *err, const char *what)
{
	int sys = errno;

	(void)ol_fail_sys(err, "the store's file system has no %s", what);
	errno = sys;
	if (err)
		err->code = OL_EUNSUPPORTED;
	return OL_EUNSUPPORTED;
}

/* Can an overlay be mounted by who is root in a user namespace alone? Before Linux 5.11 none can.
 */
static int probe_overlay(int fd, const char *path, ol_error *err)
{
	ol_autofd int one = -1, other = -1;
	int rc;

	if (mkdirat(fd, "one", 0700) < 0 || mkdirat(fd, "other", 0700) < 0 ||
		mkdirat(fd, "on", 0700) < 0)
		return ol_fail_sys(err, "make a directory in the store");
	rc = ol_dir_open(fd, "one", &one, err);
	if (rc == OL_OK)
		rc = ol_dir_open(fd, "other", &other, err);
	if (rc == OL_OK) {
		ol_autofree char *target = ol_text("%s/on", path);

		rc = ol_overlay_mount(&(ol_overlay_options){ .lowers = (int[]){ one, other },
					      .count = 2,
					      .upper = -1,
					      .work = -1,
					      .userxattr = true,
					      .target = target },
			err);
		if (rc == OL_OK && umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return ol_fail_sys(err, "unmount %s", target);
	}
	if (rc == OL_OK)
		return OL_OK;
	(void)ol_wrap(err, rc, "overlayfs cannot be mounted in a user namespace here");
	(void)ol_hint(err, rc, "Linux 5.11 or newer is needed without root");
	if (err)
		err->code = OL_EUNSUPPORTED;
	return OL_EUNSUPPORTED;
}

/* In a user namespace trusted xattrs are refused, and trees are marked with user.* instead. */
static int probe_marks(int fd, const char *path, ol_error *err)
{
	if (fsetxattr(fd, ol_dir_names_of(false)->opaque, "y", 1, 0) == 0)
		return OL_OK;
	if (errno != EPERM)
		return unsupported(err, "xattrs that overlayfs can use");
	if (!ol_userns_is_inside())
		return ol_fail(err, OL_EUNSUPPORTED,
			"trusted xattrs cannot be written without CAP_SYS_ADMIN");
	if (fsetxattr(fd, ol_dir_names_of(true)->opaque, "y", 1, 0) < 0)
		return unsupported(err, "user xattrs, which overlayfs needs without root");
	return probe_overlay(fd, path, err);
}

/* Two names that some file systems take for one. */
static int probe_names(int fd, ol_error *err)
{
	static const struct {
		const char *one, *other;
	} pairs[] = {
		{ "name", "NAME" },          /* case */
		{ "e\xcc\x81", "\xc3\xa9" }, /* Unicode's normal forms */
	};

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		if (mkdirat(fd, pairs[i].one, 0700) < 0 || mkdirat(fd, pairs[i].other, 0700) < 0)
			return errno == EEXIST ? ol_fail(err, OL_EUNSUPPORTED,
							 "the store's file system takes different "
							 "names for one")
					       : ol_fail_sys(err, "make a directory in the store");
	}
	return OL_OK;
}

static int probe_in(int fd, const char *path, ol_error *err)
{
	int opened = ol_dir_openat(fd, "", O_RDONLY | O_DIRECTORY);
	int rc;

	if (opened < 0)
		return unsupported(err, "openat2");
	(void)close(opened);
	rc = probe_marks(fd, path, err);
	if (rc < 0)
		return rc;
	if (mknodat(fd, "whiteout", S_IFCHR, makedev(0, 0)) < 0)
		return unsupported(err, "whiteouts (character devices 0:0)");
	if (symlinkat("name", fd, "link") < 0)
		return unsupported(err, "symbolic links");
	if (linkat(fd, "link", fd, "second", 0) < 0)
		return unsupported(err, "hard links");
	return probe_names(fd, err);
}

static int probe(ol_store *store, ol_error *err)
{
	int root_fd = ol_store_root_fd(store);
	ol_autofree char *path = NULL;
	char name[64];
	ol_autofd int fd = -1;
	int rc;

	if (geteuid() != 0)
		return ol_fail(err, OL_EUNSUPPORTED,
			"files cannot be given to their owners without root or a user namespace");
	/* Threads that probe at once each have their own address of it. */
	(void)snprintf(name, sizeof name, ".tmp-probe-%d-%p", (int)getpid(), (void *)name);
	if (mkdirat(root_fd, name, 0700) < 0)
		return ol_fail_sys(err, "make a directory in the store");
	path = ol_text("%s/%s", ol_store_root(store), name);
	rc = ol_dir_open(root_fd, name, &fd, err);
	if (rc == OL_OK)
		rc = probe_in(fd, path, err);
	if (rc < 0)
		(void)ol_remove_tree(root_fd, name, NULL);
	else
		rc = ol_remove_tree(root_fd, name, err);
	return rc;
}

static int tree_open(ol_store *store, const ol_layer_info *layer, int *out, ol_error *err)
{
	ol_autofd int dir_fd = -1, fd = -1;
	int rc = ol_layer_open(store, &layer->key, layer->is_chain, &dir_fd, err);

	if (rc < 0)
		return rc;
	fd = openat(dir_fd, OL_DIR_TREE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return ol_fail_sys(err, "layer %s", ol_digest_short(&layer->key).text);
	*out = ol_steal_fd(&fd);
	return OL_OK;
}

static int lower(ol_store *store, const ol_layer_info *layer, int *fd, ol_error *err)
{
	if (layer->leans)
		return ol_fail(err, OL_EINVAL, "layer %s leans on those below it",
			ol_digest_short(&layer->key).text);
	return tree_open(store, layer, fd, err);
}

static int root(ol_store *store, const ol_layer_info *layer, ol_root_attributes *out, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_autofd int fd = -1;
	const ol_dir_names *names;
	ol_xattr *xattrs;
	size_t count;
	char listed[8];
	struct stat st;
	int rc = tree_open(store, layer, &fd, err);

	if (rc < 0)
		return rc;
	names = ol_dir_names_in(fd);
	if (fstat(fd, &st) < 0)
		return ol_fail_sys(err, "stat " OL_DIR_TREE);
	rc = ol_dir_attr_read(&(ol_dir_place){ .fd = fd }, arena, &xattrs, &count, err);
	if (rc < 0)
		return rc;
	*out = (ol_root_attributes){
		.listed = fgetxattr(fd, names->tree, listed, sizeof listed) == 6,
		.opaque = ol_dir_is_opaque(fd, names),
		.mode = st.st_mode & 07777,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.mtime = st.st_mtim,
	};
	for (size_t i = 0; i < count; i++)
		ol_root_attributes_add(out, xattrs[i].name, xattrs[i].value);
	return OL_OK;
}

const ol_driver ol_driver_dir = {
	.name = "dir",
	.keeps_blob = true,
	.probe = probe,
	.begin = ol_dir_begin,
	.push = ol_dir_push,
	.finish = ol_dir_finish,
	.free = ol_dir_free,
	.complete = ol_dir_complete,
	.lower = lower,
	.root = root,
	.verify = ol_dir_verify,
};
