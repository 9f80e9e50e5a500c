/*
 * Exporting, as a story:
 *
 *	find     a container, else an image
 *	stage    a folder of its own for this export, its layers mounted under the run root
 *	enter    a mount namespace of our own
 *	mount    read-only: the layers, and over them what the container wrote
 *	write    the tree as a tar or an EROFS image
 *	leave    all of it is taken down; only now does the file appear
 *
 * A container's upper is stacked as one more lower, so that one that is running can be read beside
 * its own overlay: the folder root/, which the topmost of a read-only stack is, is a link to it.
 */
#include "image/export.h"

#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/container_priv.h"
#include "image/export_priv.h"
#include "image/lazy_wait_priv.h"
#include "image/output_priv.h"
#include "store/lease.h"
#include "store/use.h"

struct exporting {
	ol_session *session;              /* lent */
	const ol_export_options *options; /* lent */
	ol_lease *lease;                  /* owned */
	char *container;                  /* owned: its id; NULL: an image */
	ol_config *config;                /* owned */
	ol_output *output;                /* owned */
	ol_use_id id;
	ol_staging staging;
};

/* ------------------------------------------------------------------------------ find -- */

/* OL_ENOTFOUND: no container of this name. */
static int find_container(struct exporting *export, ol_error *err)
{
	ol_container_info info = { 0 };
	int rc = ol_container_get(export->session->store, export->options->name, &info, err);

	if (rc < 0)
		return rc;
	rc = ol_lease_add(export->lease, &info.root, err);
	if (rc == OL_OK)
		rc = ol_lease_add(export->lease, &info.config, err);
	if (rc == OL_OK)
		rc = ol_lazy_wait_root(export->session, &info.root, err);
	if (rc == OL_OK)
		rc = ol_config_load(export->session->store, &info.config, &export->config, err);
	if (rc == OL_OK)
		export->container = ol_strdup(info.id);
	ol_container_info_done(&info);
	return rc;
}

static int find_image(struct exporting *export, ol_error *err)
{
	const ol_export_options *options = export->options;
	ol_image image = { 0 };
	int rc = ol_image_find(export->session, options->name, options->platform, &image, err);

	if (rc == OL_ENOTFOUND) {
		ol_fail(err, rc, "No such container or image: %.255s", options->name);
		(void)ol_hint(err, rc, "`orlop ps -a` and `orlop images` list them");
	}
	if (rc == OL_OK)
		rc = ol_lease_add(export->lease, &image.root, err);
	if (rc == OL_OK)
		rc = ol_lease_add(export->lease, &image.manifest, err);
	if (rc == OL_OK)
		rc = ol_lazy_wait_root(export->session, &image.manifest, err);
	if (rc == OL_OK)
		export->config = ol_steal(&image.config);
	ol_image_done(&image);
	return rc;
}

static int find(struct exporting *export, ol_error *err)
{
	ol_error container_error = { 0 };
	int rc = ol_lease_begin(export->session->store, "export", &export->lease, err);

	if (rc < 0)
		return rc;
	rc = find_container(export, &container_error);
	if (rc == OL_ENOTFOUND && !export->container)
		return find_image(export, err);
	if (rc < 0 && err)
		*err = container_error;
	return rc;
}

/* ----------------------------------------------------------------------------- stage -- */

/* What the container wrote becomes the top of the stack. */
static int link_upper(const struct exporting *export, ol_error *err)
{
	ol_autofree char *upper = ol_text("containers/%s/upper", export->container);
	ol_autofree char *target = ol_text("../%s/upper", export->container);

	if (faccessat(ol_store_root_fd(export->session->store), upper, F_OK, AT_SYMLINK_NOFOLLOW) <
		0) {
		ol_fail(err, OL_EUNSUPPORTED, "what the container wrote is not on disk");
		return ol_hint(err, OL_EUNSUPPORTED,
			"the store's file system takes no overlay upper: it lay in memory");
	}
	return symlinkat(target, export->staging.dir_fd, "root") < 0 ? ol_fail_sys(err, "%s", upper)
								     : OL_OK;
}

static int stage(struct exporting *export, ol_error *err)
{
	int rc = ol_use_id_new(&export->id, err);

	if (rc == OL_OK)
		rc = ol_staging_open(export->session, export->id.text, export->config, NULL,
			&export->staging, err);
	if (rc == OL_OK && export->container)
		rc = link_upper(export, err);
	return rc < 0 ? rc
		      : ol_staging_hold(
				export->session, &export->staging, export->id.text, false, err);
}

static int unstage(struct exporting *export, ol_error *err)
{
	ol_autofree char *dir = ol_text("containers/%s", export->id.text);
	ol_store *store = export->session->store;
	int rc = OL_OK;

	if (!export->id.text[0])
		return OL_OK;
	if (export->staging.held)
		rc = ol_rootfs_unmount(store, export->id.text, NULL, err);
	ol_staging_done(&export->staging);
	return rc < 0 ? rc : ol_remove_tree(ol_store_root_fd(store), dir, err);
}

/* ----------------------------------------------------------------------------- write -- */

void ol_export_tell(ol_export_job *job, uint64_t more)
{
	job->done += more;
	ol_tell(&job->session->options.listener,
		&(ol_event){ .kind = OL_EVENT_PROGRESS, .text = "Exporting", .done = job->done });
}

static void on_skipped(void *ctx, const char *path, const char *what)
{
	ol_export_job *job = ctx;
	ol_auto_str ol_str safe = OL_STR(4096);

	job->skipped++;
	(void)ol_str_add_safe(&safe, ol_view_of(path));
	ol_tell_text(&job->session->options.listener, OL_EVENT_NOTE, "%.300s is left out: %s",
		ol_str_text(&safe), what);
}

ol_export_walk ol_export_walk_of(ol_export_job *job)
{
	return (ol_export_walk){
		.root_fd = job->root_fd,
		.cancel = job->session->options.cancel,
		.skipped = on_skipped,
		.ctx = job,
	};
}

static int write_tree(struct exporting *export, ol_error *err)
{
	static int (*const formats[])(ol_export_job * job, ol_error * err) = {
		[OL_EXPORT_TAR] = ol_export_tar,
		[OL_EXPORT_EROFS] = ol_export_erofs,
	};
	ol_autofd int root_fd = -1;
	ol_export_job job = {
		.session = export->session,
		.sink = ol_output_sink(export->output),
	};
	int rc = ol_dir_open(AT_FDCWD, export->staging.rootfs, &root_fd, err);

	if (rc < 0)
		return rc;
	job.root_fd = root_fd;
	rc = formats[export->options->format](&job, err);
	ol_tell(&job.session->options.listener,
		&(ol_event){
			.kind = OL_EVENT_PROGRESS, .text = "Exporting", .done = 1, .total = 1 });
	return rc;
}

static int write_mounted(struct exporting *export, ol_error *err)
{
	int host_fd = -1, left;
	int rc = ol_staging_enter(&host_fd, err);

	if (rc < 0)
		return rc;
	rc = ol_staging_mount(export->session, &export->staging, export->id.text, false, err);
	if (rc == OL_OK) {
		rc = write_tree(export, err);
		if (umount2(export->staging.rootfs, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
			rc == OL_OK)
			rc = ol_fail_sys(err, "umount %s", export->staging.rootfs);
	}
	left = ol_staging_leave(host_fd, rc < 0 ? NULL : err);
	return rc < 0 ? rc : left;
}

int ol_export(ol_session *session, const ol_export_options *options, ol_error *err)
{
	struct exporting export = {
		.session = session,
		.options = options,
		.staging = { .dir_fd = -1 },
	};
	int rc = find(&export, err), end;

	/* The file first: what cannot be written need not be read. */
	if (rc == OL_OK)
		rc = ol_output_open(options->output, &export.output, err);
	if (rc == OL_OK)
		rc = stage(&export, err);
	if (rc == OL_OK)
		rc = write_mounted(&export, err);
	end = unstage(&export, rc < 0 ? NULL : err);
	rc = rc < 0 ? rc : end;
	if (rc == OL_OK)
		rc = ol_output_finish(export.output, err);
	ol_output_free(export.output);
	ol_config_free(export.config);
	ol_lease_end(export.lease);
	free(export.container);
	return rc < 0 ? ol_wrap(err, rc, "cannot export %.255s", options->name) : OL_OK;
}
