#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "exec/user.h"
#include "tests/check.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "broken line\n"
			     "short:x:7\n"
			     "big:x:4294967296:5:::\n"
			     "minus:x:4294967295:5:::\n"
			     "user:x:1000:1000:A User:/home/user:/bin/sh\n"
			     "twin:x:1000:50::/home/twin:/bin/sh\n"
			     "homeless:x:9:9:::\n"
			     "77:x:88:89::/named:/bin/sh\n"
			     "last:x:5:6::/last:/bin/sh"; /* no newline */
static const char group[] = "root:x:0:\n"
			    "user:x:1000:\n"
			    "adm:x:4:user,root\n"
			    "audio:x:29:other,user\n"
			    "userish:x:30:users,useruser\n"
			    "bad:x:99999999999:user\n"
			    "66:x:67:\n"
			    "end:x:31:last";

/* "uid:gid:group,group:home", so that a table can hold it. */
static void as_text(const ol_user *user, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%u:%u:", user->uid, user->gid);

	for (size_t i = 0; i < user->group_count && used < size; i++)
		used += (size_t)snprintf(
			text + used, size - used, "%s%u", i ? "," : "", user->groups[i]);
	if (used < size)
		(void)snprintf(text + used, size - used, ":%s", user->home);
}

static void a_user_is_found_as_docker_finds_it(void **state)
{
	static const struct {
		const char *text, *want;
		int rc;
	} cases[] = {
		{ "", "0:0:0,4:/root", OL_OK },
		{ "root", "0:0:0,4:/root", OL_OK },
		{ "0", "0:0:0,4:/root", OL_OK },
		{ "user", "1000:1000:1000,4,29:/home/user", OL_OK },
		{ "1000", "1000:1000:1000,4,29:/home/user", OL_OK },
		{ "twin", "1000:50:50:/home/user", OL_OK },
		{ "user:adm", "1000:4:4:/home/user", OL_OK },
		{ "user:5", "1000:5:5:/home/user", OL_OK },
		{ "55:66", "55:67:67:/", OL_OK }, /* a group called 66 */
		{ "55:68", "55:68:68:/", OL_OK },
		{ "55:adm", "55:4:4:/", OL_OK },
		{ "55", "55:0:0:/", OL_OK },
		{ "77", "88:89:89:/named", OL_OK }, /* a user called 77 */
		{ "homeless", "9:9:9:/", OL_OK },
		{ "last", "5:6:6,31:/last", OL_OK },
		{ ":adm", "0:4:4:/root", OL_OK },
		{ "4294967294", "4294967294:0:0:/", OL_OK },
		{ "4294967295", "", OL_EINVAL },
		{ "4294967296", "", OL_EINVAL },
		{ "18446744073709551616", "", OL_EINVAL },
		{ "99999999999999999999999", "", OL_EINVAL },
		{ "0:4294967295", "", OL_EINVAL },
		{ "-1", "", OL_EINVAL },
		{ "+1", "", OL_EINVAL },
		{ " 1", "", OL_EINVAL },
		{ "1 ", "", OL_EINVAL },
		{ "0x10", "", OL_EINVAL },
		{ "nobody", "", OL_EINVAL },
		{ "user:nobody", "", OL_EINVAL },
		{ "big", "", OL_EINVAL },
		{ "minus", "", OL_EINVAL },
		{ "short", "", OL_EINVAL },
		{ "broken line", "", OL_EINVAL },
		{ "user:bad", "", OL_EINVAL },
		{ "user:adm:x", "", OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_user user = { .uid = 0 };
		ol_error err = { .code = 0 };
		char text[256] = "";

		CHECK_INT(c->text, c->rc,
			ol_user_resolve(
				ol_view_of(passwd), ol_view_of(group), c->text, NULL, &user, &err));
		if (c->rc == OL_OK)
			as_text(&user, text, sizeof text);
		CHECK_STR(c->text, c->want, text);
		ol_user_done(&user);
	}
}

static void groups_can_be_added(void **state)
{
	static const char *const add[] = { "audio", "7", "29", NULL };
	static const char *const unknown[] = { "nope", NULL };
	ol_user user = { .uid = 0 };
	char text[256];

	(void)state;
	assert_int_equal(OL_OK,
		ol_user_resolve(ol_view_of(passwd), ol_view_of(group), "5:6", add, &user, NULL));
	as_text(&user, text, sizeof text);
	assert_string_equal("5:6:6,29,7:/last", text);
	ol_user_done(&user);
	assert_int_equal(OL_EINVAL,
		ol_user_resolve(ol_view_of(passwd), ol_view_of(group), "", unknown, &user, NULL));
}

static void empty_files_leave_root_and_numbers(void **state)
{
	ol_view none = { NULL, 0 };
	ol_user user = { .uid = 0 };

	(void)state;
	assert_int_equal(OL_OK, ol_user_resolve(none, none, "", NULL, &user, NULL));
	assert_string_equal("/", user.home);
	ol_user_done(&user);
	assert_int_equal(OL_EINVAL, ol_user_resolve(none, none, "root", NULL, &user, NULL));
}

/* A root in a scratch folder, beside which lies what no lookup may see. */
typedef struct box {
	char path[64];
	int outer_fd, root_fd;
} box;

static void box_init(box *b)
{
	(void)snprintf(b->path, sizeof b->path, "/tmp/orlop-user.XXXXXX");
	assert_non_null(mkdtemp(b->path));
	b->outer_fd = open(b->path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_true(b->outer_fd >= 0);
	assert_int_equal(0, mkdirat(b->outer_fd, "root", 0755));
	assert_int_equal(0, mkdirat(b->outer_fd, "root/etc", 0755));
	b->root_fd = openat(b->outer_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(b->root_fd >= 0);
}

static void box_done(box *b)
{
	(void)close(b->root_fd);
	(void)close(b->outer_fd);
	assert_int_equal(OL_OK, ol_remove_tree(AT_FDCWD, b->path, NULL));
}

static void write_file(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(OL_OK, ol_write_all(fd, text, strlen(text), NULL));
	(void)close(fd);
}

static void a_link_in_the_image_cannot_show_the_hosts_users(void **state)
{
	ol_user user = { .uid = 0 };
	ol_autofree char *absolute = NULL;
	box b;

	(void)state;
	box_init(&b);
	write_file(b.outer_fd, "secret", "spy:x:4242:4242::/spy:/bin/sh\n");
	/* Out of the root by dots, and by an absolute name. */
	assert_int_equal(0, symlinkat("../../secret", b.root_fd, "etc/passwd"));
	assert_int_equal(OL_EINVAL, ol_user_lookup(b.root_fd, "spy", NULL, &user, NULL));
	assert_int_equal(0, unlinkat(b.root_fd, "etc/passwd", 0));
	absolute = ol_text("%s/secret", b.path);
	assert_int_equal(0, symlinkat(absolute, b.root_fd, "etc/passwd"));
	assert_int_equal(OL_EINVAL, ol_user_lookup(b.root_fd, "spy", NULL, &user, NULL));
	/* The whole of /etc elsewhere. */
	assert_int_equal(0, unlinkat(b.root_fd, "etc/passwd", 0));
	assert_int_equal(0, unlinkat(b.root_fd, "etc", AT_REMOVEDIR));
	assert_int_equal(0, symlinkat("/etc", b.root_fd, "etc"));
	/* A loop is an error, not the host's file. */
	assert_true(ol_user_lookup(b.root_fd, "root", NULL, &user, NULL) < 0);
	/* A link that stays inside is followed. */
	assert_int_equal(0, unlinkat(b.root_fd, "etc", 0));
	assert_int_equal(0, mkdirat(b.root_fd, "real", 0755));
	write_file(b.root_fd, "real/passwd", "inner:x:12:13::/:\n");
	assert_int_equal(0, symlinkat("/real", b.root_fd, "etc"));
	assert_int_equal(OL_OK, ol_user_lookup(b.root_fd, "inner", NULL, &user, NULL));
	assert_int_equal(12, user.uid);
	ol_user_done(&user);
	box_done(&b);
}

static void what_is_not_a_small_regular_file_is_refused(void **state)
{
	ol_user user = { .uid = 0 };
	ol_autofree char *large = ol_alloc(OL_PASSWD_BYTES_MAX + 2);
	box b;

	(void)state;
	box_init(&b);
	assert_int_equal(0, mkfifoat(b.root_fd, "etc/passwd", 0644));
	assert_int_equal(OL_EINVAL, ol_user_lookup(b.root_fd, "root", NULL, &user, NULL));
	assert_int_equal(0, unlinkat(b.root_fd, "etc/passwd", 0));
	assert_int_equal(0, mkdirat(b.root_fd, "etc/passwd", 0755));
	assert_int_equal(OL_EINVAL, ol_user_lookup(b.root_fd, "root", NULL, &user, NULL));
	assert_int_equal(0, unlinkat(b.root_fd, "etc/passwd", AT_REMOVEDIR));
	memset(large, 'x', OL_PASSWD_BYTES_MAX + 1);
	write_file(b.root_fd, "etc/passwd", large);
	assert_int_equal(OL_ELIMIT, ol_user_lookup(b.root_fd, "root", NULL, &user, NULL));
	box_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_is_found_as_docker_finds_it),
		cmocka_unit_test(groups_can_be_added),
		cmocka_unit_test(empty_files_leave_root_and_numbers),
		cmocka_unit_test(a_link_in_the_image_cannot_show_the_hosts_users),
		cmocka_unit_test(what_is_not_a_small_regular_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
