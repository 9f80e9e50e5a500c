#include "snapshot/idmap_mount.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/own.h"

#define MAP_BYTES_MAX ((size_t)8 << 10) /* OL_IDMAP_RANGES_MAX lines of three numbers */

static int write_map(pid_t pid, const char *name, const ol_id_map *ids, ol_error *err)
{
	ol_auto_str ol_str lines = OL_STR(MAP_BYTES_MAX);
	ol_autofd int fd = -1;
	char path[64];
	int rc;

	ol_id_map_format(ids, &lines);
	rc = ol_str_error(&lines, err);
	if (rc < 0)
		return rc;
	(void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return ol_fail_sys(err, "%s of a user namespace", name);
	/* The kernel takes a map in one write. */
	if (write(fd, ol_str_text(&lines), lines.size) != (ssize_t)lines.size) {
		ol_fail(err, OL_EINVAL, "the kernel does not take this id map: %s",
			errno == EPERM ? "it maps ids that are not ours to give" : "invalid");
		return ol_hint(err, OL_EINVAL, "in a user namespace only its own ids can be given");
	}
	return OL_OK;
}

/* A namespace lives as long as a process in it does, or a descriptor of it. */
static int start_in_namespace(int wait_fd, int other_fd, pid_t *out, ol_error *err)
{
	/* No new program and no copy of what is open: ol_child_start has no use for either flag.
	 * The child allocates nothing. */
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	char byte;

	if (pid == 0) {
		(void)close(other_fd);
		(void)!read(wait_fd, &byte, 1);
		_exit(0);
	}
	if (pid < 0) {
		const bool none = errno == EPERM || errno == ENOSPC || errno == EINVAL;
		int rc = ol_fail_sys(err, "a user namespace for --idmap");

		if (err && none)
			err->code = OL_EUNSUPPORTED;
		return none ? OL_EUNSUPPORTED : rc;
	}
	*out = pid;
	return OL_OK;
}

static int fill_namespace(pid_t pid, const ol_idmap *map, int *fd, ol_error *err)
{
	char path[64];
	int rc = write_map(pid, "uid_map", &map->uids, err);

	if (rc == OL_OK)
		rc = write_map(pid, "gid_map", &map->gids, err);
	if (rc < 0)
		return rc;
	(void)snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? ol_fail_sys(err, "a user namespace") : OL_OK;
}

int ol_idmap_namespace(const ol_idmap *map, int *fd, ol_error *err)
{
	ol_autofd int wait_fd = -1, end_fd = -1;
	int ends[2], rc;
	pid_t pid = -1;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return ol_fail_sys(err, "pipe");
	wait_fd = ends[0];
	end_fd = ends[1];
	rc = start_in_namespace(wait_fd, end_fd, &pid, err);
	if (rc < 0)
		return rc;
	rc = fill_namespace(pid, map, fd, err);
	(void)close(ol_steal_fd(&end_fd));
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return rc;
}

int ol_idmap_tree(int dir_fd, int namespace_fd, int *tree, ol_error *err)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_IDMAP,
		.userns_fd = (unsigned)namespace_fd };
	ol_autofd int own =
		open_tree(dir_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	bool none;
	int rc;

	if (own < 0)
		return ol_fail_sys(err, "open_tree");
	if (mount_setattr(own, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
		*tree = ol_steal_fd(&own);
		return OL_OK;
	}
	none = errno == EINVAL || errno == ENOSYS || errno == EPERM;
	rc = ol_fail_sys(err, "no idmapped mount of this file system");
	if (!none)
		return rc;
	if (err)
		err->code = OL_EUNSUPPORTED;
	return ol_hint(err, OL_EUNSUPPORTED,
		"--idmap takes root, Linux 5.19, and a file system that can: ext4, xfs, btrfs, "
		"EROFS, tmpfs since 6.3");
}
