#include <signal.h>

#include "store/use.h"
#include "tests/store_box.h"

#define ID_A "aaaa111111111111111111111111111111111111111111111111111111111111"
#define ID_B "aaaa222222222222222222222222222222222222222222222222222222222222"
#define ID_C "cccc333333333333333333333333333333333333333333333333333333333333"

static int add(store_box *box, const char *id, const char *name)
{
	const ol_container_info info = {
		.id = (char *)id,
		.name = (char *)name,
		.image = (char *)"debian:12",
		.root = box_digest("manifest"),
		.config = box_digest("config"),
		.command = (char *)"sh -c \x1b[2J",
		.created = strlen(id) > 4 ? id[4] : 0,
		.state = OL_CONTAINER_CREATED,
	};

	return ol_container_add(box->store, &info, NULL);
}

static void containers_are_found_by_id_prefix_and_name(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *id;
	} cases[] = {
		{ ID_A, OL_OK, ID_A },
		{ "aaaa1", OL_OK, ID_A },
		{ "aaaa2", OL_OK, ID_B },
		{ "aaaa", OL_EINVAL, "" },
		{ "c", OL_OK, ID_C },
		{ "two", OL_OK, ID_B },
		{ "aaaa1111", OL_OK, ID_A },
		{ "bad", OL_OK, ID_C }, /* a name that looks like a prefix */
		{ "d", OL_ENOTFOUND, "" },
		{ "", OL_ENOTFOUND, "" },
		{ "tw", OL_ENOTFOUND, "" },
		{ "AAAA1", OL_ENOTFOUND, "" },
	};
	store_box *box = *state;

	CHECK_INT("a", OL_OK, add(box, ID_A, "one"));
	CHECK_INT("b", OL_OK, add(box, ID_B, "two"));
	CHECK_INT("c", OL_OK, add(box, ID_C, "bad"));
	OL_EACH (cases, c) {
		ol_container_info info = { 0 };

		CHECK_INT(c->text, c->rc, ol_container_get(box->store, c->text, &info, NULL));
		CHECK_STR(c->text, c->id, info.id ? info.id : "");
		ol_container_info_done(&info);
	}
}

static void what_goes_in_comes_out(void **state)
{
	store_box *box = *state;
	ol_container_info info = { 0 };

	CHECK_INT("add", OL_OK, add(box, ID_A, "one"));
	CHECK_INT("taken", OL_EEXISTS, add(box, ID_B, "one"));
	CHECK_INT("taken", OL_EEXISTS, add(box, ID_A, "two"));
	CHECK_INT("get", OL_OK, ol_container_get(box->store, "one", &info, NULL));
	CHECK_STR("image", "debian:12", info.image);
	CHECK_STR("command", "sh -c \\x1b[2J", info.command);
	CHECK_STR("boot", "boot-1", info.boot_id);
	CHECK_INT("state", OL_CONTAINER_CREATED, info.state);
	info.state = OL_CONTAINER_EXITED;
	info.exit_status = 3;
	info.finished = 7;
	CHECK_INT("update", OL_OK, ol_container_update(box->store, &info, NULL));
	ol_container_info_done(&info);
	CHECK_INT("get", OL_OK, ol_container_get(box->store, "one", &info, NULL));
	CHECK_INT("status", 3, info.exit_status);
	CHECK_INT("finished", 7, info.finished);
	CHECK_INT("remove", OL_OK, ol_container_remove(box->store, ID_A, NULL));
	CHECK_INT("remove", OL_ENOTFOUND, ol_container_remove(box->store, ID_A, NULL));
	CHECK_INT("update", OL_ENOTFOUND, ol_container_update(box->store, &info, NULL));
	ol_container_info_done(&info);
}

static void what_cannot_be_a_row_is_refused(void **state)
{
	static const struct {
		const char *id, *name;
	} cases[] = {
		{ "abc", "one" },
		{ "../../../../../../../../../../../../../../../../../../../../etc/xxxx", "one" },
		{ ID_A, "" },
		{ ID_A, "new\nline" },
	};
	store_box *box = *state;
	char id[] = ID_A, relative[] = "mnt", control[] = "/a\nb", image[] = "x";
	int fd;

	OL_EACH (cases, c)
		CHECK_INT(c->name, OL_EINVAL, add(box, c->id, c->name));
	CHECK_INT("dir", OL_EINVAL, ol_container_dir(box->store, "../x", &fd, NULL));
	{
		ol_mount_info mount = {
			.id = id, .target = relative, .image = image, .root = box_digest("r")
		};

		CHECK_INT("relative", OL_EINVAL, ol_mount_add(box->store, &mount, NULL));
		mount.target = control;
		CHECK_INT("control", OL_EINVAL, ol_mount_add(box->store, &mount, NULL));
	}
}

static void a_running_row_without_its_process_has_exited(void **state)
{
	static const struct {
		const char *label, *boot;
		pid_t pid;
		int64_t start_off;
		ol_container_state state;
	} cases[] = {
		{ "it lives", "boot-1", 1, 0, OL_CONTAINER_RUNNING },
		{ "another process has its pid", "boot-1", 1, 1, OL_CONTAINER_EXITED },
		{ "another boot", "boot-0", 1, 0, OL_CONTAINER_EXITED },
		{ "no process", "boot-1", 0, 0, OL_CONTAINER_EXITED },
	};
	store_box *box = *state;

	CHECK_INT("add", OL_OK, add(box, ID_A, "one"));
	OL_EACH (cases, c) {
		ol_container_info info = { 0 };
		char *stored;

		CHECK_INT(c->label, OL_OK, ol_container_get(box->store, ID_A, &info, NULL));
		stored = info.boot_id;
		info.boot_id = (char *)c->boot;
		info.state = OL_CONTAINER_RUNNING;
		info.pid = c->pid ? getpid() : 0;
		info.pid_start = ol_process_start(getpid()) + (uint64_t)c->start_off;
		CHECK_INT(c->label, OL_OK, ol_container_update(box->store, &info, NULL));
		info.boot_id = stored;
		ol_container_info_done(&info);
		CHECK_INT(c->label, OL_OK, ol_container_get(box->store, ID_A, &info, NULL));
		CHECK_INT(c->label, c->state, info.state);
		CHECK_INT(c->label, c->state == OL_CONTAINER_EXITED ? 255 : 0, info.exit_status);
		ol_container_info_done(&info);
	}
}

static int join_ids(void *ctx, const ol_container_info *info, ol_error *err)
{
	char *text = ctx;
	size_t used = strlen(text);

	(void)err;
	(void)snprintf(text + used, 100 - used, "%.5s ", info->id);
	return OL_OK;
}

static void each_is_newest_first(void **state)
{
	store_box *box = *state;
	char text[100] = "";

	CHECK_INT("a", OL_OK, add(box, ID_A, "one"));
	CHECK_INT("c", OL_OK, add(box, ID_C, "three"));
	CHECK_INT("b", OL_OK, add(box, ID_B, "two"));
	CHECK_INT("each", OL_OK, ol_container_each(box->store, join_ids, text, NULL));
	CHECK_STR("order", "cccc3 aaaa2 aaaa1 ", text);
}

static void a_container_has_a_folder(void **state)
{
	store_box *box = *state;
	int fd = -1;

	CHECK_INT("dir", OL_OK, ol_container_dir(box->store, ID_A, &fd, NULL));
	assert_true(box_has(box, "root/containers/" ID_A));
	CHECK_INT("close", 0, close(fd));
	CHECK_INT("again", OL_OK, ol_container_dir(box->store, ID_A, &fd, NULL));
	CHECK_INT("close", 0, close(fd));
}

static int add_mount(store_box *box, const char *id, const char *target)
{
	const ol_mount_info info = { .id = (char *)id,
		.target = (char *)target,
		.image = (char *)"debian",
		.root = box_digest("r"),
		.writable = true };

	return ol_mount_add(box->store, &info, NULL);
}

static void mounts_are_found_by_target_id_and_image(void **state)
{
	store_box *box = *state;
	ol_mount_info info = { 0 };

	CHECK_INT("add", OL_OK, add_mount(box, ID_A, "/mnt/a"));
	CHECK_INT("by image", OL_OK, ol_mount_get(box->store, "debian", &info, NULL));
	CHECK_STR("target", "/mnt/a", info.target);
	assert_true(info.writable);
	ol_mount_info_done(&info);
	CHECK_INT("taken", OL_EEXISTS, add_mount(box, ID_B, "/mnt/a"));
	CHECK_INT("add", OL_OK, add_mount(box, ID_B, "/mnt/b"));
	CHECK_INT("by image", OL_EINVAL, ol_mount_get(box->store, "debian", &info, NULL));
	CHECK_INT("by target", OL_OK, ol_mount_get(box->store, "/mnt/b", &info, NULL));
	CHECK_STR("id", ID_B, info.id);
	ol_mount_info_done(&info);
	CHECK_INT("by id", OL_OK, ol_mount_get(box->store, ID_A, &info, NULL));
	ol_mount_info_done(&info);
	CHECK_INT("none", OL_ENOTFOUND, ol_mount_get(box->store, "/mnt", &info, NULL));
	CHECK_INT("remove", OL_OK, ol_mount_remove(box->store, ID_A, NULL));
	CHECK_INT("remove", OL_ENOTFOUND, ol_mount_remove(box->store, ID_A, NULL));
}

static void what_changes_of_a_mount_is_kept(void **state)
{
	store_box *box = *state;
	ol_mount_info info = { 0 };
	ol_mount_info change = { .id = (char *)ID_A,
		.users = 3,
		.boot_id = (char *)"boot-9",
		.mount_namespace = UINT64_C(0xf0000001),
		.idmap = (char *)"0:100000:65536" };

	CHECK_INT("none", OL_ENOTFOUND, ol_mount_update(box->store, &change, NULL));
	CHECK_INT("add", OL_OK, add_mount(box, ID_A, "/mnt/a"));
	CHECK_INT("get", OL_OK, ol_mount_get(box->store, "/mnt/a", &info, NULL));
	CHECK_STR("boot", ol_store_boot_id(box->store), info.boot_id);
	CHECK_STR("idmap", "", info.idmap);
	ol_mount_info_done(&info);
	CHECK_INT("update", OL_OK, ol_mount_update(box->store, &change, NULL));
	CHECK_INT("get", OL_OK, ol_mount_get(box->store, "/mnt/a", &info, NULL));
	CHECK_INT("users", 3, info.users);
	CHECK_INT("namespace", 0xf0000001, (int64_t)info.mount_namespace);
	CHECK_STR("boot", "boot-9", info.boot_id);
	CHECK_STR("idmap", "0:100000:65536", info.idmap);
	CHECK_STR("image", "debian", info.image);
	assert_true(info.writable);
	ol_mount_info_done(&info);
	change.users = -1;
	CHECK_INT("fewer than none", OL_EINVAL, ol_mount_update(box->store, &change, NULL));
	change.users = 1;
	change.idmap = (char *)"0:1\n";
	CHECK_INT("control", OL_EINVAL, ol_mount_update(box->store, &change, NULL));
}

static void the_last_user_learns_what_is_unused(void **state)
{
	store_box *box = *state;
	ol_digest keys[3] = { box_digest("1"), box_digest("2"), box_digest("3") };
	ol_autofree ol_digest *first = NULL, *second = NULL, *third = NULL;
	size_t count = 9;

	CHECK_INT("a", OL_OK, ol_use_add(box->store, ID_A, keys, 2, NULL));
	CHECK_INT("a twice", OL_OK, ol_use_add(box->store, ID_A, keys, 2, NULL));
	CHECK_INT("b", OL_OK, ol_use_add(box->store, ID_B, keys + 1, 2, NULL));
	CHECK_INT("end a", OL_OK, ol_use_end(box->store, ID_A, &first, &count, NULL));
	CHECK_INT("one is unused", 1, (long long)count);
	assert_true(ol_digest_eq(&first[0], &keys[0]));
	CHECK_INT("end b", OL_OK, ol_use_end(box->store, ID_B, &second, &count, NULL));
	CHECK_INT("two are unused", 2, (long long)count);
	CHECK_INT("end again", OL_OK, ol_use_end(box->store, ID_B, &third, &count, NULL));
	CHECK_INT("nothing", 0, (long long)count);
	CHECK_INT("a name serves", OL_OK, ol_use_add(box->store, "sweep", keys, 1, NULL));
	CHECK_INT("empty", OL_EINVAL, ol_use_add(box->store, "", keys, 1, NULL));
}

static void a_process_is_alive_until_it_is_not(void **state)
{
	uint64_t start = ol_process_start(getpid());
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	assert_true(start > 0);
	assert_true(ol_process_alive(getpid(), start));
	assert_false(ol_process_alive(getpid(), start + 1));
	assert_false(ol_process_alive(0, 0));
	assert_false(ol_process_alive(-1, 1));
	start = ol_process_start(pid);
	assert_true(ol_process_alive(pid, start));
	CHECK_INT("kill", 0, kill(pid, SIGKILL));
	/* Dead, before and after somebody waits for it. */
	CHECK_INT("dead", 0, waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT));
	assert_false(ol_process_alive(pid, start));
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_false(ol_process_alive(pid, start));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(containers_are_found_by_id_prefix_and_name),
		BOX_TEST(what_goes_in_comes_out),
		BOX_TEST(what_cannot_be_a_row_is_refused),
		BOX_TEST(a_running_row_without_its_process_has_exited),
		BOX_TEST(each_is_newest_first),
		BOX_TEST(a_container_has_a_folder),
		BOX_TEST(mounts_are_found_by_target_id_and_image),
		BOX_TEST(what_changes_of_a_mount_is_kept),
		BOX_TEST(the_last_user_learns_what_is_unused),
		cmocka_unit_test(a_process_is_alive_until_it_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
