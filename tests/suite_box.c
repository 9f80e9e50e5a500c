#include "tests/suite_box.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/userns.h"
#include "snapshot/layer_mount.h"
#include "snapshot/unpack.h"
#include "store/blob.h"
#include "store/use.h"
#include "tests/layer_recipe.h"

/* On the store's file system, as an ingest's folder is. */
#define STAGING "root/ingest/staging"

const char suite_base_recipe[] = ". d 0751 1:2 1\n"
				 "d d 0755 0:0 1\n"
				 "d/f f 0644 0:0 1 x\n";

void suite_must(const char *what, int rc, const ol_error *err)
{
	if (rc < 0)
		print_error("%s: %s\n", what, err->text);
	CHECK_INT(what, OL_OK, rc);
}

char *suite_path(const suite_box *box, const char *name)
{
	return ol_text("%s/%s", box->dir, name);
}

void suite_open_store(suite_box *box, const char *boot_id)
{
	ol_autofree char *root = suite_path(box, "root"), *run = suite_path(box, "run");
	const ol_store_options options = { .root = root, .run_root = run, .boot_id = boot_id };
	ol_error err = { 0 };

	suite_must("store", ol_store_open(&options, &box->store, &err), &err);
}

suite_box *suite_begin(void **state)
{
	suite_run *run = *state;
	const char *tmp = getenv("TMPDIR");
	suite_box *box = ol_alloc(sizeof *box);
	ol_error err = { 0 };

	run->box = box;
	box->userxattr = ol_userns_is_inside();
	(void)snprintf(
		box->dir, sizeof box->dir, "%.40s/orlop-suite-XXXXXX", tmp ? tmp : "/var/tmp");
	assert_non_null(mkdtemp(box->dir));
	box->dir_fd = open(box->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	box->target = suite_path(box, "target");
	assert_int_equal(0, mkdir(box->target, 0700));
	suite_open_store(box, NULL);
	if (run->driver)
		suite_must("probe", run->driver->probe(box->store, &err), &err);
	return box;
}

/* Whatever a test that failed left mounted. */
static void unmount_all(const suite_box *box)
{
	ol_autofree char *line = NULL;
	FILE *file;
	size_t cap = 0;
	bool again = true;

	while (again && (file = fopen("/proc/self/mounts", "re"))) {
		again = false;
		while (!again && getline(&line, &cap, file) > 0) {
			char *place = strchr(line, ' ');
			size_t size = place ? strcspn(place + 1, " ") : 0;

			if (!place || strncmp(place + 1, box->dir, strlen(box->dir)) != 0)
				continue;
			place[1 + size] = '\0';
			again = umount2(place + 1, MNT_DETACH) == 0;
		}
		(void)fclose(file);
	}
}

int suite_end(void **state)
{
	suite_run *run = *state;
	suite_box *box = ol_steal(&run->box);

	if (!box)
		return 0;
	ol_store_close(box->store);
	unmount_all(box);
	(void)close(box->dir_fd);
	CHECK_INT("clean up", OL_OK, ol_remove_tree(AT_FDCWD, box->dir, NULL));
	free(box->target);
	free(box);
	return 0;
}

static int staging_new(const suite_box *box)
{
	int fd = -1;

	suite_must("staging", ol_remove_tree(box->dir_fd, STAGING, NULL), &(ol_error){ 0 });
	assert_int_equal(0, mkdirat(box->dir_fd, STAGING, 0700));
	suite_must("staging", ol_dir_open(box->dir_fd, STAGING, &fd, NULL), &(ol_error){ 0 });
	return fd;
}

static void publish(suite_box *box, ol_layer_info *info, const ol_built *built, int staging)
{
	ol_error err = { 0 };

	(void)snprintf(info->driver, sizeof info->driver, "%s", built->driver);
	info->leans = built->leans;
	info->entries = built->entries;
	info->disk_bytes = built->disk_bytes;
	info->index_digest = built->index_digest;
	if (built->has_tar)
		suite_must("adopt",
			ol_blob_adopt(
				box->store, &info->diff_id, info->tar_bytes, staging, "tar", &err),
			&err);
	suite_must("put",
		ol_layer_put(box->store, info, staging,
			strcmp(built->driver, "erofs") == 0 ? "index.erofs" : "fs", &err),
		&err);
	suite_must("get", ol_layer_get(box->store, &info->key, info->is_chain, info, &err), &err);
}

static void advance_chain(suite_box *box, const ol_digest *diff_id)
{
	ol_autofree char *text = ol_text(
		"%s %s", ol_digest_format(&box->chain).text, ol_digest_format(diff_id).text);

	box->chain = ol_digest_is_set(&box->chain) ? ol_digest_of(OL_SHA256, text, strlen(text))
						   : *diff_id;
}

/* Unpacks a layer's tar with a driver and puts it on the stack, as a pull does. */
void suite_add_tar(suite_box *box, const ol_driver *driver, ol_view tar)
{
	ol_autofd int staging = staging_new(box);
	ol_reader *reader = ol_reader_of_memory(tar.data, tar.size);
	ol_layer_info info = {
		.key = ol_digest_of(OL_SHA256, tar.data, tar.size),
		.media_type = "application/vnd.oci.image.layer.v1.tar",
		.blob_size = tar.size,
		.tar_bytes = tar.size,
	};
	const ol_unpack_options options = {
		.driver = driver,
		.builder = { .dir_fd = staging, .userxattr = box->userxattr },
		.compression = OL_COMPRESSION_NONE,
		.blob = info.key,
		.blob_size = tar.size,
		.diff_id = info.key,
	};
	ol_unpacked unpacked;
	ol_error err = { 0 };

	suite_must("unpack", ol_unpack(reader, &options, &unpacked, &err), &err);
	ol_reader_close(reader);
	info.diff_id = info.blob = info.key;
	publish(box, &info, &unpacked.built, staging);
	advance_chain(box, &info.diff_id);
	if (info.leans) {
		ol_autofd int completed = staging_new(box);
		ol_built built;

		suite_must("complete",
			ol_driver_named(info.driver)
				->complete(box->store, &info, box->layers, box->count, completed,
					&built, &err),
			&err);
		built.has_tar = false;
		info.key = box->chain;
		info.is_chain = true;
		publish(box, &info, &built, completed);
	}
	assert_false(info.leans);
	box->layers[box->count++] = info;
}

void suite_add(suite_box *box, const ol_driver *driver, const char *recipe)
{
	ol_auto_buf ol_buf tar = recipe_tar(recipe);

	suite_add_tar(box, driver, ol_buf_view(&tar));
}

ol_rootfs_options suite_options(suite_box *box, const char *user_id, int state_fd)
{
	return (ol_rootfs_options){
		.layers = box->layers,
		.count = box->count,
		.user_id = user_id,
		.state_fd = state_fd,
		.userxattr = box->userxattr,
		.target = box->target,
	};
}

int suite_state_open(suite_box *box, const char *user_id)
{
	ol_error err = { 0 };
	int fd = -1;

	suite_must("state", ol_container_dir(box->store, user_id, &fd, &err), &err);
	return fd;
}

void suite_state_remove(suite_box *box, const char *user_id)
{
	ol_autofree char *path = ol_text("root/containers/%s", user_id);

	suite_must("state", ol_remove_tree(box->dir_fd, path, NULL), &(ol_error){ 0 });
}

void suite_mount(suite_box *box, const ol_rootfs_options *options)
{
	ol_autofree char *note = NULL;
	ol_error err = { 0 };

	suite_must("mount", ol_rootfs_mount(box->store, options, &note, &err), &err);
	if (note)
		print_message("# %s\n", note);
}

void suite_unmount(suite_box *box, const char *user_id)
{
	ol_error err = { 0 };

	suite_must("unmount", ol_rootfs_unmount(box->store, user_id, box->target, &err), &err);
}

void suite_check_tree(const char *label, const char *tree, const char *dir)
{
	ol_auto_str ol_str differences = recipe_compare(tree, dir);

	if (differences.size > 0) {
		print_error("%s:\n%s", label, differences.data);
		fail();
	}
}

bool suite_is_mounted(const suite_box *box, const ol_digest *key)
{
	ol_layer_mount_name name = ol_layer_mount_name_of(key);

	return faccessat(ol_store_run_fd(box->store), name.text, F_OK, 0) == 0;
}

void suite_write_file(const suite_box *box, const char *name, const char *text)
{
	ol_autofree char *path = ol_text("%s/%s", box->target, name);
	ol_autofd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(OL_OK, ol_write_all(fd, text, strlen(text), NULL));
}
