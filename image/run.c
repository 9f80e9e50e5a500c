/*
 * Running an image, as a story:
 *
 *	image      by the pull policy: there, or pulled
 *	container  an id, a name, a row, a folder
 *	hold       its layers mounted under the run root, in the host's mount namespace, so that
 *others share them enter      a mount namespace of our own: nothing mounted from here on is seen
 *outside, or left behind mount      the layers stacked, an upper on top bundle     image config +
 *flags + the users and groups of the mounted root launch     until it ends leave      back, the
 *status recorded, layers let go; with --rm nothing stays
 */
#include "image/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "exec/launch.h"
#include "image/container_priv.h"
#include "image/pull.h"

static int find_or_pull(
	ol_session *session, const ol_run_options *options, ol_image *image, ol_error *err)
{
	ol_pull_options pull = { .ref = options->image,
		.platforms = options->platform,
		.platform_count = options->platform != NULL };
	ol_pull_result pulled;
	ol_error missing = { 0 };
	int rc = OL_ENOTFOUND;

	if (options->pull != OL_PULL_ALWAYS)
		rc = ol_image_find(session, options->image, options->platform, image, &missing);
	if (rc != OL_ENOTFOUND || options->pull == OL_PULL_NEVER) {
		if (rc < 0 && err)
			*err = missing;
		return rc;
	}
	if (options->pull == OL_PULL_MISSING)
		ol_tell_text(&session->options.listener, OL_EVENT_NOTE,
			"Unable to find image '%.255s' locally", options->image);
	rc = ol_pull(session, &pull, &pulled, err);
	if (rc == OL_OK)
		rc = ol_session_sync_behind(session, err);
	return rc < 0 ? rc : ol_image_find(session, options->image, options->platform, image, err);
}

/* The command as ps shows it: what will run, in one line. */
static char *command_line(const ol_config *config, const ol_container_options *options)
{
	const char *const *entrypoint =
		options->entrypoint ? options->entrypoint : config->entrypoint;
	const char *const *args = options->args         ? options->args
				  : options->entrypoint ? NULL
							: config->cmd;
	ol_auto_str ol_str line = OL_STR(4096);

	for (const char *const *word = entrypoint; word && *word; word++)
		(void)ol_str_addf(&line, "%s%s", line.size ? " " : "", *word);
	for (const char *const *word = args; word && *word; word++)
		(void)ol_str_addf(&line, "%s%s", line.size ? " " : "", *word);
	return ol_strdup(ol_str_text(&line));
}

static int write_cidfile(const char *path, const char *id, ol_error *err)
{
	int rc = path ? ol_publish(AT_FDCWD, path, ol_view_of(id), 0644, 0, err) : OL_OK;

	return rc == OL_EEXISTS ? ol_fail(err, rc,
					  "container ID file found, make sure the other container "
					  "is gone or delete %s",
					  path)
				: rc;
}

static int add_container(ol_session *session, const ol_run_options *options, const ol_image *image,
	const ol_use_id *id, ol_container_info *out, ol_error *err)
{
	ol_container_info info = {
		.id = ol_strdup(id->text),
		.name = options->name ? ol_strdup(options->name) : ol_container_name_of(id->text),
		.image = ol_strdup(options->image),
		.root = image->root,
		.config = image->config_digest,
		.command = command_line(image->config, &options->container),
		.created = ol_unix_now(),
		.state = OL_CONTAINER_CREATED,
		.pid = getpid(),
		.pid_start = ol_process_start(getpid()),
		.boot_id = ol_strdup(ol_store_boot_id(session->store)),
		.remove_on_exit = options->remove,
	};
	int rc = ol_container_add(session->store, &info, err);

	if (rc < 0) {
		if (rc == OL_EEXISTS) {
			ol_fail(err, rc, "the container name \"%s\" is already in use", info.name);
			(void)ol_hint(err, rc,
				"remove that container with `orlop rm %s`, or take another --name",
				info.name);
		}
		ol_container_info_done(&info);
		return rc;
	}
	*out = info;
	return OL_OK;
}

/* Nothing mounted from here on reaches the host; what the host mounts still reaches us. */
static int enter(int *host_fd, ol_error *err)
{
	int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ol_fail_sys(err, "/proc/self/ns/mnt");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
		int rc = ol_fail_sys(err, "a mount namespace of its own");

		(void)close(fd);
		return rc;
	}
	*host_fd = fd;
	return OL_OK;
}

static int make_bundle(const ol_staging *stage, const ol_run_options *options,
	const ol_config *config, const char *id, const char *dir, int dir_fd, ol_bundle **out,
	ol_error *err)
{
	ol_autofd int rootfs_fd = -1;
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	ol_auto_str ol_str json = OL_STR(OL_CONFIG_BYTES_MAX);
	int rc = ol_dir_open(AT_FDCWD, stage->rootfs, &rootfs_fd, err);

	if (rc < 0)
		return rc;
	rc = ol_bundle_new(&(ol_bundle_input){ .options = &options->container,
				   .config = config,
				   .rootfs_fd = rootfs_fd,
				   .rootfs_path = "rootfs",
				   .id = id,
				   .files_dir = dir,
				   .for_runtime = options->runtime != NULL },
		&bundle, err);
	if (rc == OL_OK)
		rc = ol_bundle_write_files(bundle, dir_fd, err);
	if (rc == OL_OK)
		rc = ol_bundle_format(bundle, &json, err);
	if (rc == OL_OK)
		rc = ol_publish(
			dir_fd, "config.json", ol_buf_view(&json), 0600, OL_PUBLISH_REPLACE, err);
	if (rc == OL_OK)
		*out = ol_steal(&bundle);
	return rc;
}

static int launch(ol_session *session, const ol_staging *stage, const ol_run_options *options,
	const ol_config *config, ol_container_info *info, int *status, ol_error *err)
{
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	int rc = make_bundle(
		stage, options, config, info->id, stage->dir, stage->dir_fd, &bundle, err);

	if (rc < 0)
		return rc;
	info->state = OL_CONTAINER_RUNNING;
	info->started = ol_unix_now();
	rc = ol_container_update(session->store, info, err);
	if (rc < 0)
		return rc;
	return ol_launch(bundle,
		&(ol_launch_options){ .id = info->id,
			.rootfs_path = stage->rootfs,
			.bundle_path = stage->dir,
			.run_dir = ol_store_run_dir(session->store),
			.runtime = options->runtime,
			.tty = options->container.tty,
			.interactive = options->container.interactive,
			.log_fd = -1 },
		status, err);
}

/* enter … leave. The launch's words survive, the first failure counts. */
static int run_inside(ol_session *session, ol_staging *stage, const ol_run_options *options,
	const ol_config *config, ol_container_info *info, int *status, ol_error *err)
{
	int host_fd = -1;
	int rc = enter(&host_fd, err);

	if (rc < 0)
		return rc;
	rc = ol_staging_mount(session, stage, info->id, true, err);
	if (rc == OL_OK) {
		rc = launch(session, stage, options, config, info, status, err);
		if (umount2(stage->rootfs, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && rc == OL_OK)
			rc = ol_fail_sys(err, "umount %s", stage->rootfs);
	}
	if (setns(host_fd, CLONE_NEWNS) < 0 && rc == OL_OK)
		rc = ol_fail_sys(err, "back to the host's mount namespace");
	(void)close(host_fd);
	return rc;
}

static int forget(ol_session *session, const char *id, ol_error *err)
{
	ol_autofree char *dir = ol_text("containers/%s", id);
	int rc = ol_remove_tree(ol_store_root_fd(session->store), dir, err);

	return rc < 0 ? rc : ol_container_remove(session->store, id, err);
}

static int leave(ol_session *session, const ol_staging *stage, const ol_run_options *options,
	ol_container_info *info, int status, bool started, ol_error *err)
{
	int rc = OL_OK;

	if (stage->held)
		rc = ol_rootfs_unmount(session->store, info->id, stage->rootfs, err);
	if (rc < 0)
		return rc;
	/* A container that never started is of no use to anyone. */
	if (options->remove || !started)
		return forget(session, info->id, err);
	info->state = OL_CONTAINER_EXITED;
	info->exit_status = status;
	info->finished = ol_unix_now();
	return ol_container_update(session->store, info, err);
}

static int run_container(ol_session *session, const ol_run_options *options, const ol_image *image,
	ol_container_info *info, int *status, ol_error *err)
{
	ol_staging stage = { .dir_fd = -1 };
	ol_error after = { 0 };
	int rc, end;

	rc = write_cidfile(options->cidfile, info->id, err);
	if (rc == OL_OK)
		rc = ol_staging_open(session, info->id, image->config, NULL, &stage, err);
	if (rc == OL_OK)
		rc = ol_staging_hold(session, &stage, info->id, true, err);
	if (rc == OL_OK)
		rc = run_inside(session, &stage, options, image->config, info, status, err);
	end = leave(session, &stage, options, info, *status, rc == OL_OK, &after);
	if (rc == OL_OK && end < 0) {
		rc = end;
		if (err)
			*err = after;
	}
	ol_staging_done(&stage);
	return rc;
}

int ol_run(ol_session *session, const ol_run_options *options, int *status, ol_error *err)
{
	ol_container_info info = { 0 };
	ol_image image = { 0 };
	ol_use_id id;
	int result = 0;
	int rc = ol_rootfs_sweep(session->store, err);

	if (rc == OL_OK)
		rc = find_or_pull(session, options, &image, err);
	if (rc == OL_OK)
		rc = ol_use_id_new(&id, err);
	if (rc == OL_OK)
		rc = add_container(session, options, &image, &id, &info, err);
	if (rc == OL_OK)
		rc = run_container(session, options, &image, &info, &result, err);
	if (rc == OL_OK)
		*status = result;
	ol_container_info_done(&info);
	ol_image_done(&image);
	return rc;
}

int ol_make_bundle(
	ol_session *session, const ol_run_options *options, const char *dir, ol_error *err)
{
	ol_autofree char *path = NULL, *rootfs = NULL;
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	ol_autofd int dir_fd = -1;
	ol_staging stage = { .dir_fd = -1 };
	ol_image image = { 0 };
	ol_mount_info info = { 0 };
	int rc = find_or_pull(session, options, &image, err);

	if (rc == OL_OK)
		rc = ol_mkdirs(AT_FDCWD, dir, 0700, err);
	if (rc == OL_OK)
		rc = ol_dir_open(AT_FDCWD, dir, &dir_fd, err);
	if (rc == OL_OK && faccessat(dir_fd, "config.json", F_OK, 0) == 0) {
		ol_fail(err, OL_EEXISTS, "%s holds a bundle already", dir);
		rc = ol_hint(err, OL_EEXISTS,
			"end it with `orlop umount %s` and remove the folder, or name another",
			dir);
	}
	if (rc == OL_OK && !(path = realpath(dir, NULL)))
		rc = ol_fail_sys(err, "%s", dir);
	if (rc == OL_OK) {
		rootfs = ol_text("%s/rootfs", path);
		rc = ol_mount_image(
			session, &image, options->image, rootfs, true, &info, &stage, err);
	}
	if (rc == OL_OK) {
		rc = make_bundle(
			&stage, options, image.config, info.id, path, dir_fd, &bundle, err);
		if (rc < 0)
			(void)ol_unmount_image(session, &info, NULL);
	}
	ol_mount_info_done(&info);
	ol_staging_done(&stage);
	ol_image_done(&image);
	return rc;
}
