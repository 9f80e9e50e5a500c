/*
 * The row of the dir driver, and its short operations.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "snapshot/dir_priv.h"
#include "snapshot/driver_priv.h"

static int unsupported(ol_error *err, const char *what)
{
	int sys = errno;

	(void)ol_fail_sys(err, "the store's file system has no %s", what);
	errno = sys;
	if (err)
		err->code = OL_EUNSUPPORTED;
	return OL_EUNSUPPORTED;
}

/*
 * What is marked with user.* instead, an overlay in a user namespace shows; as long as nothing
 * enters one, such a tree would be made in vain, and the first to fail would be a layer that was
 * fetched already.
 */
static int needs_root(ol_error *err, const char *what)
{
	(void)ol_fail(err, OL_EUNSUPPORTED,
		"orlop needs root for now: without it %s, and layers cannot be unpacked", what);
	return ol_hint(err, OL_EUNSUPPORTED, "run it as root, with sudo for instance");
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

static int probe_in(int fd, ol_error *err)
{
	int opened = ol_dir_openat(fd, "", O_RDONLY | O_DIRECTORY);

	if (opened < 0)
		return unsupported(err, "openat2");
	(void)close(opened);
	if (fsetxattr(fd, ol_dir_names_of(false)->opaque, "y", 1, 0) < 0)
		return errno == EPERM ? needs_root(err, "trusted xattrs cannot be written")
				      : unsupported(err, "xattrs that overlayfs can use");
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
	char name[64];
	ol_autofd int fd = -1;
	int rc;

	if (geteuid() != 0)
		return needs_root(err, "files cannot be given to their owners");
	/* Threads that probe at once each have their own address of it. */
	(void)snprintf(name, sizeof name, ".tmp-probe-%d-%p", (int)getpid(), (void *)name);
	if (mkdirat(root_fd, name, 0700) < 0)
		return ol_fail_sys(err, "make a directory in the store");
	rc = ol_dir_open(root_fd, name, &fd, err);
	if (rc == OL_OK)
		rc = probe_in(fd, err);
	if (rc < 0)
		(void)ol_remove_tree(root_fd, name, NULL);
	else
		rc = ol_remove_tree(root_fd, name, err);
	return rc;
}

static int open_tree(ol_store *store, const ol_layer_info *layer, int *out, ol_error *err)
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
	return open_tree(store, layer, fd, err);
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
	int rc = open_tree(store, layer, &fd, err);

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
