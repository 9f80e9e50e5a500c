/* What run, mount and bundle have in common: an id, a folder, an image's layers mounted. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/container_priv.h"
#include "image/lazy.h"

int ol_use_id_new(ol_use_id *out, ol_error *err)
{
	uint8_t bytes[32];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return ol_fail_sys(err, "getrandom");
	ol_hex_format(bytes, sizeof bytes, out->text);
	return OL_OK;
}

char *ol_container_name_of(const char *id)
{
	static const char *const manners[] = { "able", "brave", "brisk", "calm", "clear", "deep",
		"eager", "fair", "fleet", "gentle", "hardy", "jolly", "keen", "lucky", "merry",
		"neat", "proud", "quiet", "salty", "steady", "stout", "swift", "tidy", "trim",
		"true", "trusty", "warm", "weathered", "wise", "yare", "ready", "bright" };
	static const char *const things[] = { "anchor", "bosun", "bowline", "bulkhead", "buoy",
		"capstan", "clipper", "compass", "cooper", "cutter", "dory", "fathom", "galley",
		"gunwale", "halyard", "harbour", "hawser", "helm", "keel", "ketch", "lantern",
		"mast", "orlop", "pilot", "purser", "rudder", "sextant", "sloop", "spar", "tiller",
		"transom", "windlass" };
	uint8_t bytes[3] = { 0 };

	(void)ol_hex_parse(ol_view_from(id, 6), bytes, sizeof bytes);
	return ol_text("%s_%s%u", manners[bytes[0] % 32], things[bytes[1] % 32], bytes[2]);
}

int ol_staging_open(ol_session *session, const char *id, const ol_config *config,
	const char *rootfs, ol_staging *out, ol_error *err)
{
	ol_staging stage = { .dir_fd = -1 };
	int rc = ol_layer_stack_load(session->store, config, &stage.stack, err);

	if (rc == OL_ENOTFOUND || rc == OL_ECORRUPT)
		(void)ol_hint(
			err, rc, "pull the image again: what is missing or damaged is fetched");
	if (rc == OL_OK)
		rc = ol_container_dir(session->store, id, &stage.dir_fd, err);
	if (rc == OL_OK) {
		stage.dir = ol_text("%s/containers/%s", ol_store_root(session->store), id);
		stage.rootfs = rootfs ? ol_strdup(rootfs) : ol_text("%s/rootfs", stage.dir);
		if (mkdir(stage.rootfs, 0755) < 0 && errno != EEXIST)
			rc = ol_fail_sys(err, "mkdir %s", stage.rootfs);
	}
	if (rc < 0) {
		ol_staging_done(&stage);
		return rc;
	}
	*out = stage;
	return OL_OK;
}

static ol_rootfs_options rootfs_options(
	const ol_session *session, const ol_staging *stage, const char *id, bool writable)
{
	return (ol_rootfs_options){
		.layers = stage->stack.layers,
		.count = stage->stack.count,
		.user_id = id,
		.state_fd = stage->dir_fd,
		.writable = writable,
		.userxattr = session->rootless,
		.held = stage->held,
		.source = stage->source,
		.idmap = stage->idmap,
		.target = stage->rootfs,
	};
}

int ol_staging_hold(
	ol_session *session, ol_staging *stage, const char *id, bool writable, ol_error *err)
{
	const ol_rootfs_options options = rootfs_options(session, stage, id, writable);
	int rc = ol_lazy_start(session, stage->stack.layers, stage->stack.count, err);

	if (rc == OL_OK)
		rc = ol_rootfs_hold(session->store, &options, err);
	ol_lazy_let_go(session);
	stage->held = rc == OL_OK;
	return rc;
}

int ol_staging_mount(
	ol_session *session, ol_staging *stage, const char *id, bool writable, ol_error *err)
{
	const ol_rootfs_options options = rootfs_options(session, stage, id, writable);
	ol_autofree char *note = NULL;
	int rc = OL_OK;

	/* What is held is watched already. */
	if (!stage->held)
		rc = ol_lazy_start(session, stage->stack.layers, stage->stack.count, err);
	if (rc == OL_OK)
		rc = ol_rootfs_mount(session->store, &options, &note, err);
	ol_lazy_let_go(session);

	if (rc == OL_OK && note)
		ol_tell_text(&session->options.listener, OL_EVENT_NOTE, "%s", note);
	return rc;
}

int ol_staging_enter(int *host_fd, ol_error *err)
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

int ol_staging_leave(int host_fd, ol_error *err)
{
	int rc = OL_OK;

	/* The kernel refuses who shares a working folder with a thread that began meanwhile. */
	if (unshare(CLONE_FS) < 0 || setns(host_fd, CLONE_NEWNS) < 0)
		rc = ol_fail_sys(err, "back to the host's mount namespace");
	(void)close(host_fd);
	return rc;
}

void ol_staging_done(ol_staging *stage)
{
	ol_layer_stack_done(&stage->stack);
	if (stage->dir_fd >= 0)
		(void)close(stage->dir_fd);
	free(stage->dir);
	free(stage->rootfs);
	*stage = (ol_staging){ .dir_fd = -1 };
}
