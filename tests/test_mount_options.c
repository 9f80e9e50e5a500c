#include <sys/mount.h>

#include "exec/mount_options.h"
#include "tests/check.h"

static void options_are_flags_or_data(void **state)
{
	static const struct {
		const char *name;
		const char *options[5];
		uint64_t set, clear, propagation;
		bool recursive;
	} cases[] = {
		{ "nothing", { NULL }, 0, 0, 0, false },
		{ "ro", { "ro" }, MOUNT_ATTR_RDONLY, 0, 0, false },
		{ "later wins", { "ro", "rw" }, 0, MOUNT_ATTR_RDONLY, 0, false },
		{ "later wins back", { "rw", "ro" }, MOUNT_ATTR_RDONLY, 0, 0, false },
		{ "several", { "nosuid", "nodev", "noexec" },
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, 0, false },
		{ "undone", { "noexec", "nosuid", "exec" }, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOEXEC, 0,
			false },
		{ "times exclude each other", { "noatime", "strictatime" }, MOUNT_ATTR_STRICTATIME,
			MOUNT_ATTR__ATIME, 0, false },
		{ "a bind", { "rbind", "rprivate" }, 0, 0, MS_PRIVATE, true },
		{ "a slave", { "bind", "rslave", "ro" }, MOUNT_ATTR_RDONLY, 0, MS_SLAVE, false },
		{ "data leaves them alone", { "size=1m", "mode=700", "shared" }, 0, 0, 0, false },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_mount_flags flags = ol_mount_flags_of(c->options);

		CHECK_INT(c->name, (long long)c->set, (long long)flags.set);
		CHECK_INT(c->name, (long long)c->clear, (long long)flags.clear);
		CHECK_INT(c->name, (long long)c->propagation, (long long)flags.propagation);
		CHECK_INT(c->name, c->recursive, flags.recursive);
	}
}

static void what_is_no_flag_is_the_file_systems(void **state)
{
	static const struct {
		const char *option;
		ol_mount_option_kind kind;
	} cases[] = {
		{ "ro", OL_MOUNT_ATTRIBUTE },
		{ "rslave", OL_MOUNT_PROPAGATION },
		{ "rbind", OL_MOUNT_BIND },
		{ "z", OL_MOUNT_BIND },
		{ "size=64m", OL_MOUNT_DATA },
		{ "RO", OL_MOUNT_DATA },
		{ "", OL_MOUNT_DATA },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_mount_flags flags = { .set = 0 };

		CHECK_INT(c->option, (long long)c->kind,
			(long long)ol_mount_flags_add(&flags, c->option));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_flags_or_data),
		cmocka_unit_test(what_is_no_flag_is_the_file_systems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
