/*
 * A root file system from layers. What is stacked, top first:
 *
 *	writable     upper/ and work/   | layers
 *	read-only    root/              | layers
 *	no layers    as above           | base/, empty: overlayfs wants something below
 *
 * upper/ and root/ are made under another name and renamed when they have their attributes, so one
 * that is there is complete. All of it lies in the user's state folder, or on a tmpfs that is
 * mounted there for the moment, and lives on under the overlay alone.
 */
#include "snapshot/rootfs.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/limits.h"
#include "snapshot/layer_mount.h"
#include "snapshot/overlay_priv.h"
#include "snapshot/rootfs_priv.h"

/* Attributes of "/" where no layer says any. */
#define ROOT_MODE 0755

struct stack {
	const ol_rootfs_options *options;
	ol_root_attributes root; /* owned */
	/* those that show: the options' from the topmost opaque root up */
	const ol_layer_info *layers;
	size_t count;
	int *fds; /* owned: roots of the layers, bottom first */
};

static void stack_done(struct stack *stack)
{
	for (size_t i = 0; stack->fds && i < stack->count; i++)
		if (stack->fds[i] >= 0)
			(void)close(stack->fds[i]);
	free(stack->fds);
	ol_root_attributes_done(&stack->root);
}

static int layer_root(
	ol_store *store, const ol_layer_info *layer, ol_root_attributes *out, ol_error *err)
{
	const ol_driver *driver = ol_driver_named(layer->driver);
	int rc;

	if (!driver)
		return ol_fail(err, OL_EUNSUPPORTED, "layer %s was made by a driver \"%s\"",
			ol_digest_format(&layer->key).text, layer->driver);
	rc = driver->root(store, layer, out, err);
	return rc < 0 ? ol_wrap(err, rc, "layer %s", ol_digest_short(&layer->key).text) : OL_OK;
}

/* The topmost layer that lists "/" says what it looks like; the topmost opaque one hides what is
 * below it, though not what that says of "/". */
static int look_at_roots(ol_store *store, struct stack *stack, ol_error *err)
{
	const ol_rootfs_options *o = stack->options;
	size_t first = 0;

	stack->root = (ol_root_attributes){ .mode = ROOT_MODE };
	for (size_t i = o->count; i-- > 0 && !(stack->root.listed && first > 0);) {
		ol_root_attributes said = { 0 };
		int rc = layer_root(store, &o->layers[i], &said, err);

		if (rc < 0)
			return rc;
		if (said.opaque && first == 0)
			first = i;
		if (said.listed && !stack->root.listed) {
			ol_root_attributes_done(&stack->root);
			stack->root = said;
		} else {
			ol_root_attributes_done(&said);
		}
	}
	stack->layers = o->layers ? o->layers + first : NULL;
	stack->count = o->count - first;
	return OL_OK;
}

static int stack_init(
	ol_store *store, struct stack *stack, const ol_rootfs_options *o, ol_error *err)
{
	*stack = (struct stack){ .options = o };
	if (o->count > OL_LAYERS_MAX)
		return ol_fail(err, OL_ELIMIT, "%zu layers: overlayfs stacks at most %d", o->count,
			OL_LAYERS_MAX);
	return look_at_roots(store, stack, err);
}

/* The same directory as the caller's mount namespace sees it: overlayfs takes no other. A
 * descriptor from before a private namespace was entered belongs to the old one. */
static void see_from_here(int *fd)
{
	char path[PATH_MAX];
	ol_autofd int here = -1;
	struct stat was, is;
	ssize_t size;

	size = readlink(ol_fd_path_of(*fd).text, path, sizeof path - 1);
	if (size <= 0)
		return;
	path[size] = '\0';
	here = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (here < 0 || fstat(*fd, &was) < 0 || fstat(here, &is) < 0)
		return;
	if (was.st_dev == is.st_dev && was.st_ino == is.st_ino) {
		(void)close(*fd);
		*fd = ol_steal_fd(&here);
	}
}

static int stack_open(ol_store *store, struct stack *stack, ol_error *err)
{
	const ol_layer_mount_options options = {
		.layers = stack->layers,
		.count = stack->count,
		.user_id = stack->options->user_id,
		.held = stack->options->held,
	};
	int rc;

	stack->fds = ol_alloc_array(stack->count, sizeof *stack->fds);
	rc = ol_layer_mounts_begin(store, &options, stack->fds, err);
	for (size_t i = 0; rc == OL_OK && i < stack->count; i++)
		see_from_here(&stack->fds[i]);
	return rc;
}

/* Rootless, an id may have no place in the namespace and trusted.* no right to be set: the image's
 * root then has what can be had. A file system without xattrs is another matter. */
static int give_attributes(
	int fd, const ol_root_attributes *root, bool userxattr, bool lenient, ol_error *err)
{
	const struct timespec times[2] = { root->mtime, root->mtime };

	if (fchown(fd, root->uid, root->gid) < 0 &&
		!(userxattr && (errno == EPERM || errno == EINVAL)))
		return ol_fail_sys(err, "owner of /");
	if (fchmod(fd, root->mode) < 0)
		return ol_fail_sys(err, "mode of /");
	for (size_t i = 0; i < root->xattr_count; i++) {
		const ol_xattr *x = &root->xattrs[i];

		if (fsetxattr(fd, x->name.data, x->value.data, x->value.size, 0) < 0 &&
			!(userxattr && errno == EPERM) && !(lenient && errno == ENOTSUP))
			return ol_fail_sys(err, "%s of /", x->name.data);
	}
	if (futimens(fd, times) < 0)
		return ol_fail_sys(err, "time of /");
	return OL_OK;
}

/* Where the directories of a stack lie. */
struct place {
	int fd;                /* owned; -1: none */
	int upper, work, base; /* owned; -1: none. upper is root/ in a read-only stack */
	bool is_tmpfs;
};

static void place_done(struct place *place)
{
	int *fds[] = { &place->upper, &place->work, &place->base, &place->fd };

	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (*fds[i] >= 0)
			(void)close(ol_steal_fd(fds[i]));
}

static int make_dir(int dir_fd, const char *name, int *out, ol_error *err)
{
	if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
		return ol_fail_sys(err, "%s", name);
	return ol_dir_open(dir_fd, name, out, err);
}

/* upper/ or root/, with the attributes of "/" when it is new. */
static int make_top(const struct stack *stack, struct place *place, const char *name, ol_error *err)
{
	char fresh[16];
	int rc;

	rc = ol_dir_open(place->fd, name, &place->upper, err);
	if (rc != OL_ENOTFOUND)
		return rc;
	(void)snprintf(fresh, sizeof fresh, "%s.new", name);
	rc = make_dir(place->fd, fresh, &place->upper, err);
	if (rc == OL_OK)
		rc = give_attributes(place->upper, &stack->root, stack->options->userxattr,
			place->is_tmpfs, err);
	if (rc == OL_OK)
		rc = ol_fault("snapshot.rootfs.fresh", err);
	if (rc == OL_OK && renameat(place->fd, fresh, place->fd, name) < 0)
		rc = ol_fail_sys(err, "rename %s", fresh);
	return rc;
}

/* Without its own xattrs overlayfs mounts, and then cannot replace a directory: better not
 * at all. */
static int try_xattr(int fd, bool userxattr, ol_error *err)
{
	const char *name = userxattr ? "user.overlay.orlop" : "trusted.overlay.orlop";

	if (fsetxattr(fd, name, "", 0, 0) < 0 || fremovexattr(fd, name) < 0)
		return ol_fail_sys(err, "%s", name);
	return OL_OK;
}

/* 500 layers and root/ would be one too many; there an upper that is mounted read-only serves. */
static bool needs_upper(const struct stack *stack)
{
	return stack->options->writable || stack->count == OL_LAYERS_MAX;
}

static const char *top_name(const struct stack *stack)
{
	return stack->options->writable ? "upper" : "root";
}

static int fill_place(const struct stack *stack, struct place *place, ol_error *err)
{
	const bool upper = needs_upper(stack);
	int rc = make_top(stack, place, top_name(stack), err);

	if (rc == OL_OK && upper)
		rc = make_dir(place->fd, "work", &place->work, err);
	if (rc == OL_OK && upper)
		rc = try_xattr(place->work, stack->options->userxattr, err);
	if (rc == OL_OK && stack->count == 0)
		rc = make_dir(place->fd, "base", &place->base, err);
	return rc;
}

static int mount_over(const struct stack *stack, const struct place *place, ol_error *err)
{
	const ol_rootfs_options *o = stack->options;
	const bool upper = needs_upper(stack);
	ol_autofree int *lowers = ol_alloc_array(stack->count + 2, sizeof *lowers);
	size_t count = 0;
	ol_overlay_options overlay;

	if (!upper)
		lowers[count++] = place->upper;
	for (size_t i = stack->count; i-- > 0;)
		lowers[count++] = stack->fds[i];
	if (place->base >= 0)
		lowers[count++] = place->base;
	overlay = (ol_overlay_options){
		.lowers = lowers,
		.count = count,
		.upper = upper ? place->upper : -1,
		.work = place->work,
		.read_only = !o->writable,
		.guarded = o->guarded,
		.userxattr = o->userxattr,
		.old_mount = o->old_mount,
		.source = o->source,
		.target = o->target,
	};
	if (ol_idmap_is_set(o->idmap))
		return ol_overlay_mount_mapped(&overlay, place->fd, top_name(stack), o->idmap, err);
	return ol_overlay_mount(&overlay, err);
}

static int mount_in_state(const struct stack *stack, ol_error *err)
{
	struct place place = { .upper = -1, .work = -1, .base = -1 };
	int rc = ol_dir_open(stack->options->state_fd, ".", &place.fd, err);

	if (rc < 0)
		return rc;
	see_from_here(&place.fd);
	rc = fill_place(stack, &place, err);
	if (rc == OL_OK)
		rc = mount_over(stack, &place, err);
	place_done(&place);
	return rc;
}

static int tmpfs_begin(int state_fd, struct place *place, ol_error *err)
{
	ol_autofd int below = -1;
	int rc = make_dir(state_fd, OL_ROOTFS_TMPFS, &below, err);

	if (rc < 0)
		return rc;
	if (mount("orlop", ol_fd_path_of(below).text, "tmpfs", 0, "mode=0700") < 0)
		return ol_fail_sys(err, "tmpfs");
	return ol_dir_open(state_fd, OL_ROOTFS_TMPFS, &place->fd, err);
}

/* The overlay keeps the file system; the mount that was needed to name it goes. */
static void tmpfs_end(int state_fd, struct place *place)
{
	if (place->fd >= 0)
		(void)umount2(ol_fd_path_of(place->fd).text, MNT_DETACH);
	place_done(place);
	(void)unlinkat(state_fd, OL_ROOTFS_TMPFS, AT_REMOVEDIR);
}

static int mount_on_tmpfs(const struct stack *stack, ol_error *err)
{
	struct place place = { -1, -1, -1, -1, true };
	ol_autofd int state = -1;
	int rc = ol_dir_open(stack->options->state_fd, ".", &state, err);

	if (rc < 0)
		return rc;
	see_from_here(&state);
	rc = tmpfs_begin(state, &place, err);
	if (rc == OL_OK)
		rc = fill_place(stack, &place, err);
	if (rc == OL_OK)
		rc = ol_fault("snapshot.rootfs.tmpfs", err);
	if (rc == OL_OK)
		rc = mount_over(stack, &place, err);
	tmpfs_end(state, &place);
	return rc;
}

/* Whether the store's file system takes an upper shows when it is tried. */
static int mount_stack(const struct stack *stack, char **note, ol_error *err)
{
	ol_error first = { 0 };
	int rc = mount_in_state(stack, &first);

	if (rc == OL_OK)
		return OL_OK;
	if (rc == OL_EUNSUPPORTED) {
		rc = mount_on_tmpfs(stack, NULL);
		if (rc == OL_OK) {
			*note = ol_text("what is written lies on a tmpfs, in memory: the store's "
					"file system takes no overlay upper");
			return OL_OK;
		}
		rc = OL_EUNSUPPORTED;
	}
	if (err)
		*err = first;
	return rc;
}

static int mount_opened(const struct stack *stack, char **note, ol_error *err)
{
	int rc = ol_fault("snapshot.rootfs.held", err);

	if (rc == OL_OK)
		rc = mount_stack(stack, note, err);
	if (rc < 0)
		return rc;
	rc = ol_fault("snapshot.rootfs.mounted", err);
	if (rc < 0)
		(void)umount2(stack->options->target, MNT_DETACH | UMOUNT_NOFOLLOW);
	return rc;
}

int ol_rootfs_mount(ol_store *store, const ol_rootfs_options *options, char **note, ol_error *err)
{
	ol_autofree char *said = NULL;
	struct stack stack;
	int rc = stack_init(store, &stack, options, err);

	if (rc == OL_OK)
		rc = stack_open(store, &stack, err);
	if (rc == OL_OK) {
		rc = mount_opened(&stack, &said, err);
		if (rc < 0 && !options->held)
			(void)ol_layer_mounts_end(store, options->user_id, NULL);
	}
	stack_done(&stack);
	if (rc == OL_OK && note)
		*note = ol_steal(&said);
	return rc;
}

int ol_rootfs_hold(ol_store *store, const ol_rootfs_options *options, ol_error *err)
{
	struct stack stack;
	int rc = stack_init(store, &stack, options, err);

	if (rc == OL_OK)
		rc = stack_open(store, &stack, err);
	stack_done(&stack);
	return rc;
}

/* Whether an overlay is mounted exactly there; what else may have come in its place is not ours. */
static bool is_overlay_mount(const char *target)
{
	ol_autofd int fd = open(target, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct statx st;

	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC &&
	       statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int ol_rootfs_unmount(ol_store *store, const char *user_id, const char *target, ol_error *err)
{
	if (target && is_overlay_mount(target) &&
		umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
		return ol_fail_sys(err, "unmount %s", target);
	return ol_layer_mounts_end(store, user_id, err);
}

int ol_rootfs_sweep(ol_store *store, ol_error *err)
{
	return ol_layer_mounts_sweep(store, err);
}
