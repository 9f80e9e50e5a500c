/*
 * Running an image, as a story:
 *
 *	image      by the pull policy: there, or pulled
 *	container  an id, a name, a row, a folder
 *	hold       its layers mounted under the run root, in the host's mount namespace, so that
 *	           others share them
 *	enter      a mount namespace of our own: nothing mounted from here on is seen outside,
 *	           or left behind
 *	mount      the layers stacked, an upper on top
 *	bundle     image config + flags + the users and groups of the mounted root
 *	launch     until it ends
 *	leave      back, the status recorded, layers let go; with --rm nothing stays
 */
#include "image/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "exec/launch.h"
#include "image/container_priv.h"
#include "image/lazy.h"
#include "image/lazy_record_priv.h"
#include "image/pull.h"

static int find_or_pull(
	ol_session *session, const ol_run_options *options, ol_image *image, ol_error *err)
{
	ol_pull_options pull = { .ref = options->image,
		.platforms = options->platform,
		.platform_count = options->platform != NULL,
		.lazy = options->lazy };
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

/* A bundle to be written: where its root is mounted, and the folder it goes to. */
struct bundle_place {
	const char *rootfs, *id;
	const char *dir; /* absolute */
	int dir_fd;
	bool for_runtime; /* another program will run it */
};

static int make_bundle(ol_session *session, const struct bundle_place *place,
	const ol_run_options *options, const ol_config *config, ol_bundle **out, ol_error *err)
{
	ol_autofd int rootfs_fd = -1;
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	ol_auto_str ol_str json = OL_STR(OL_CONFIG_BYTES_MAX);
	int rc = ol_dir_open(AT_FDCWD, place->rootfs, &rootfs_fd, err);

	if (rc < 0)
		return rc;
	rc = ol_bundle_new(&(ol_bundle_input){ .options = &options->container,
				   .config = config,
				   .rootfs_fd = rootfs_fd,
				   .rootfs_path = "rootfs",
				   .id = place->id,
				   .files_dir = place->dir,
				   .for_runtime = place->for_runtime },
		&bundle, err);
	if (rc == OL_OK)
		rc = ol_bundle_write_files(bundle, place->dir_fd, err);
	if (rc == OL_OK && ol_bundle_note(bundle))
		ol_tell_text(
			&session->options.listener, OL_EVENT_WARNING, "%s", ol_bundle_note(bundle));
	if (rc == OL_OK)
		rc = ol_bundle_format(bundle, &json, err);
	if (rc == OL_OK)
		rc = ol_publish(place->dir_fd, "config.json", ol_buf_view(&json), 0600,
			OL_PUBLISH_REPLACE, err);
	if (rc == OL_OK)
		*out = ol_steal(&bundle);
	return rc;
}

/* One run, from its container's row on. */
struct running {
	ol_session *session;
	const ol_run_options *options;
	const ol_config *config;
	ol_digest manifest;
	ol_container_info info; /* owned strings */
	ol_staging staging;
	int status;
};

static int launch(struct running *run, ol_error *err)
{
	const ol_run_options *options = run->options;
	const ol_staging *staging = &run->staging;
	const struct bundle_place place = { staging->rootfs, run->info.id, staging->dir,
		staging->dir_fd, options->runtime != NULL };
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	int rc = make_bundle(run->session, &place, options, run->config, &bundle, err);

	if (rc < 0)
		return rc;
	run->info.state = OL_CONTAINER_RUNNING;
	run->info.started = ol_unix_now();
	rc = ol_container_update(run->session->store, &run->info, err);
	if (rc < 0)
		return rc;
	return ol_launch(bundle,
		&(ol_launch_options){ .id = run->info.id,
			.rootfs_path = staging->rootfs,
			.bundle_path = staging->dir,
			.run_dir = ol_store_run_dir(run->session->store),
			.runtime = options->runtime,
			.tty = options->container.tty,
			.interactive = options->container.interactive,
			.log_fd = -1,
			.listener = &run->session->options.listener },
		&run->status, err);
}

/* enter … leave. The launch's words survive, the first failure counts. */
static int run_inside(struct running *run, ol_error *err)
{
	const char *rootfs = run->staging.rootfs;
	int host_fd = -1;
	int rc = ol_staging_enter(&host_fd, err), left;

	if (rc < 0)
		return rc;
	rc = ol_staging_mount(run->session, &run->staging, run->info.id, true, err);
	if (rc == OL_OK) {
		rc = launch(run, err);
		if (umount2(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && rc == OL_OK)
			rc = ol_fail_sys(err, "umount %s", rootfs);
	}
	left = ol_staging_leave(host_fd, rc < 0 ? NULL : err);
	return rc < 0 ? rc : left;
}

static int forget(ol_session *session, const char *id, ol_error *err)
{
	ol_autofree char *dir = ol_text("containers/%s", id);
	int rc = ol_remove_tree(ol_store_root_fd(session->store), dir, err);

	return rc < 0 ? rc : ol_container_remove(session->store, id, err);
}

static int leave(struct running *run, bool started, ol_error *err)
{
	ol_store *store = run->session->store;
	int rc = OL_OK;

	if (run->staging.held)
		rc = ol_rootfs_unmount(store, run->info.id, run->staging.rootfs, err);
	if (rc < 0)
		return rc;
	/* A container that never started is of no use to anyone. */
	if (run->options->remove || !started)
		return forget(run->session, run->info.id, err);
	run->info.state = OL_CONTAINER_EXITED;
	run->info.exit_status = run->status;
	run->info.finished = ol_unix_now();
	return ol_container_update(store, &run->info, err);
}

/* What was recorded is worth less than the container's end: it is told, not failed for. */
static void keep_record(struct running *run)
{
	const ol_listener *listener = &run->session->options.listener;
	size_t ranges = 0;
	ol_error err = { 0 };
	int rc = ol_lazy_record_end(run->session, &run->manifest, run->staging.stack.layers,
		run->staging.stack.count, &ranges, &err);

	if (rc < 0)
		ol_tell_text(
			listener, OL_EVENT_WARNING, "the start was not recorded: %s", err.text);
	else if (ranges == 0)
		ol_tell_text(listener, OL_EVENT_WARNING,
			"the start read nothing that was not here: nothing was recorded");
	else
		ol_tell_text(listener, OL_EVENT_NOTE, "recorded what the start read: %zu ranges",
			ranges);
}

static int run_container(struct running *run, ol_error *err)
{
	ol_error after = { 0 };
	int rc, end;

	rc = write_cidfile(run->options->cidfile, run->info.id, err);
	if (rc == OL_OK)
		rc = ol_staging_open(
			run->session, run->info.id, run->config, NULL, &run->staging, err);
	if (rc == OL_OK && run->options->record)
		rc = ol_lazy_record_begin(
			run->session, run->staging.stack.layers, run->staging.stack.count, err);
	if (rc == OL_OK)
		rc = ol_staging_hold(run->session, &run->staging, run->info.id, true, err);
	if (rc == OL_OK)
		rc = run_inside(run, err);
	if (run->options->record && run->staging.held)
		keep_record(run);
	end = leave(run, rc == OL_OK, &after);
	if (rc == OL_OK && end < 0) {
		rc = end;
		if (err)
			*err = after;
	}
	ol_staging_done(&run->staging);
	return rc;
}

int ol_run(ol_session *session, const ol_run_options *options, int *status, ol_error *err)
{
	struct running run = {
		.session = session, .options = options, .staging = { .dir_fd = -1 }
	};
	ol_image image = { 0 };
	ol_use_id id;
	int rc;

	ol_lazy_tell_lost(session);
	rc = ol_rootfs_sweep(session->store, err);
	if (rc == OL_OK)
		rc = find_or_pull(session, options, &image, err);
	if (rc == OL_OK)
		rc = ol_use_id_new(&id, err);
	if (rc == OL_OK)
		rc = add_container(session, options, &image, &id, &run.info, err);
	if (rc == OL_OK) {
		run.config = image.config;
		run.manifest = image.manifest;
		rc = run_container(&run, err);
	}
	if (rc == OL_OK)
		*status = run.status;
	ol_container_info_done(&run.info);
	ol_image_done(&image);
	return rc;
}

/* The folder for a bundle, made if needed, with no bundle in it yet. path is owned. */
static int take_folder(const char *dir, int *dir_fd, char **path, ol_error *err)
{
	ol_autofd int fd = -1;
	int rc = ol_mkdirs(AT_FDCWD, dir, 0700, err);

	if (rc == OL_OK)
		rc = ol_dir_open(AT_FDCWD, dir, &fd, err);
	if (rc < 0)
		return rc;
	if (faccessat(fd, "config.json", F_OK, 0) == 0) {
		ol_fail(err, OL_EEXISTS, "%s holds a bundle already", dir);
		return ol_hint(err, OL_EEXISTS,
			"end it with `orlop umount %s` and remove the folder, or name another",
			dir);
	}
	*path = realpath(dir, NULL);
	if (!*path)
		return ol_fail_sys(err, "%s", dir);
	*dir_fd = ol_steal_fd(&fd);
	return OL_OK;
}

/* A runtime in a user namespace comes to the root file system as somebody else. */
static int open_to_others(const struct bundle_place *place, ol_error *err)
{
	return fchmod(place->dir_fd, 0711) < 0 ? ol_fail_sys(err, "%s", place->dir) : OL_OK;
}

static int fill_folder(ol_session *session, const ol_run_options *options, const ol_image *image,
	struct bundle_place *place, ol_error *err)
{
	const ol_expose_options expose = { .image = options->image,
		.dir = place->rootfs,
		.writable = true,
		.idmap = options->container.idmap };
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	ol_mounted mounted = { .staging = { .dir_fd = -1 } };
	ol_autofd int lock = -1;
	int rc = ol_mounts_lock(session->store, true, &lock, err);

	if (rc == OL_OK)
		rc = ol_mount_image(session, image, &expose, true, &mounted, err);
	if (rc < 0)
		return rc;
	place->id = mounted.info.id;
	rc = make_bundle(session, place, options, image->config, &bundle, err);
	if (rc == OL_OK && ol_idmap_is_set(expose.idmap))
		rc = open_to_others(place, err);
	if (rc < 0)
		(void)ol_unmount_image(session, &mounted.info, OL_MOUNT_MOUNTED, true, NULL);
	place->id = NULL;
	ol_mounted_done(&mounted);
	return rc;
}

int ol_make_bundle(
	ol_session *session, const ol_run_options *options, const char *dir, ol_error *err)
{
	ol_autofree char *path = NULL, *rootfs = NULL;
	ol_autofd int dir_fd = -1;
	ol_image image = { 0 };
	int rc = ol_sweep_mounts(session, err);

	if (rc == OL_OK)
		rc = find_or_pull(session, options, &image, err);
	if (rc == OL_OK)
		rc = take_folder(dir, &dir_fd, &path, err);
	if (rc == OL_OK) {
		rootfs = ol_text("%s/rootfs", path);
		rc = fill_folder(session, options, &image,
			&(struct bundle_place){ .rootfs = rootfs,
				.dir = path,
				.dir_fd = dir_fd,
				.for_runtime = true },
			err);
	}
	ol_image_done(&image);
	return rc;
}
