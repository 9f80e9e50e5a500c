#pragma once

/*
 * What the suite of drivers works with: a store in a folder of its own, layers built from recipes,
 * and root file systems mounted from them.
 */
#include "base/limits.h"
#include "snapshot/driver.h"
#include "snapshot/rootfs.h"
#include "tests/check.h"

#define USER_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define USER_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* A store of a test, and the stack it has built so far. */
typedef struct suite_box {
	char dir[64];
	char *target; /* owned: where root file systems are mounted */
	int dir_fd;
	ol_store *store;
	ol_layer_info layers[OL_LAYERS_MAX]; /* bottom first, mountable */
	size_t count;
	ol_digest chain;
	bool userxattr; /* layers and mounts use user.overlay.*, as without root */
} suite_box;

struct image;

/* What a test is run with: its state. */
typedef struct suite_run {
	const ol_driver *driver; /* NULL: the test picks them */
	const struct image *image;
	suite_box *box; /* owned; while one is begun */
} suite_run;

/* Both a recipe and its tree: a directory and a file. */
extern const char suite_base_recipe[];

/* A test of the suite; the tables end with one without a name. */
typedef struct suite_test {
	const char *name;
	CMUnitTestFunction call;
} suite_test;
extern const suite_test suite_user_tests[];  /* suite_users.c */
extern const suite_test suite_idmap_tests[]; /* suite_idmap.c */

/* Fails the test, with the words of err. */
void suite_must(const char *what, int rc, const ol_error *err);
char *suite_path(const suite_box *box, const char *name);
/* boot_id NULL: the machine's. */
void suite_open_store(suite_box *box, const char *boot_id);
/* A store of its own for this test, which suite_end removes with all that is mounted in it: a
 * test's teardown, or called before the next one is begun. */
suite_box *suite_begin(void **state);
int suite_end(void **state);
/* Unpacks a layer's tar with a driver and puts it on the stack, completed where it leans, as a pull
 * does. */
void suite_add_tar(suite_box *box, const ol_driver *driver, ol_view tar);
void suite_add(suite_box *box, const ol_driver *driver, const char *recipe);
ol_rootfs_options suite_options(suite_box *box, const char *user_id, int state_fd);
/* containers/<user id>/ */
int suite_state_open(suite_box *box, const char *user_id);
void suite_state_remove(suite_box *box, const char *user_id);
void suite_mount(suite_box *box, const ol_rootfs_options *options);
void suite_unmount(suite_box *box, const char *user_id);
/* dir must show exactly this tree. */
void suite_check_tree(const char *label, const char *tree, const char *dir);
/* Whether the layer has its place under the run dir. */
bool suite_is_mounted(const suite_box *box, const ol_digest *key);
/* A file in the mounted tree. */
void suite_write_file(const suite_box *box, const char *name, const char *text);
