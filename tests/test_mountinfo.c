#include "base/alloc.h"
#include "snapshot/mountinfo.h"
#include "tests/check.h"

static void a_mount_is_found_by_place_and_name(void **state)
{
	static const char usual[] =
		"21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
		"30 21 0:40 / /mnt ro,relatime shared:5 master:1 - overlay orlop-a ro,lowerdir=/x\n"
		"31 21 0:41 / /mnt\\040two rw - overlay orlop-b rw\n"
		"32 21 0:42 / /a\\134b rw - overlay orlop-c rw\n"
		"33 21 0:43 / /over rw - overlay orlop-d rw\n"
		"34 33 0:44 / /over rw - tmpfs tmpfs rw\n"
		"35 33 0:45 / /over/deep rw - tmpfs tmpfs rw\n"
		"36 21 0:46 / /tmp rw - tmpfs orlop-e rw\n"
		"37 30 0:47 / /mnt/sub rw - tmpfs tmpfs rw\n";
	static const struct {
		const char *label, *text, *target, *source;
		ol_mount_seen seen;
	} cases[] = {
		{ "there", usual, "/mnt", "orlop-a", OL_MOUNT_THERE },
		{ "space", usual, "/mnt two", "orlop-b", OL_MOUNT_THERE },
		{ "backslash", usual, "/a\\b", "orlop-c", OL_MOUNT_THERE },
		{ "covered", usual, "/over", "orlop-d", OL_MOUNT_COVERED },
		{ "another's", usual, "/mnt", "orlop-b", OL_MOUNT_ABSENT },
		{ "elsewhere", usual, "/mn", "orlop-a", OL_MOUNT_ABSENT },
		{ "above", usual, "/mnt/", "orlop-a", OL_MOUNT_ABSENT },
		{ "escaped as typed", usual, "/mnt\\040two", "orlop-b", OL_MOUNT_ABSENT },
		{ "no overlay", usual, "/tmp", "orlop-e", OL_MOUNT_ABSENT },
		{ "empty", "", "/mnt", "orlop-a", OL_MOUNT_ABSENT },
		{ "no separator", "30 21 0:40 / /mnt rw overlay orlop-a\n", "/mnt", "orlop-a",
			OL_MOUNT_ABSENT },
		{ "cut short", "30 21 0:40 / /mnt rw - overlay", "/mnt", "orlop-a",
			OL_MOUNT_ABSENT },
		{ "no last newline", "30 21 0:40 / /mnt rw - overlay orlop-a", "/mnt", "orlop-a",
			OL_MOUNT_THERE },
		{ "no numbers", "x 21 0:40 / /mnt rw - overlay orlop-a rw\n", "/mnt", "orlop-a",
			OL_MOUNT_ABSENT },
		{ "a cut escape", "30 21 0:40 / /mnt\\04 rw - overlay orlop-a rw\n", "/mnt\\04",
			"orlop-a", OL_MOUNT_THERE },
		{ "after rubbish", "\n \n30\n30 21 0:40 / /mnt rw - overlay orlop-a rw\n", "/mnt",
			"orlop-a", OL_MOUNT_THERE },
	};

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(c->label, c->seen,
			ol_mountinfo_find(ol_view_of(c->text), c->target, c->source));
}

static void this_process_has_mounts(void **state)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_MOUNTINFO_BYTES_MAX);
	ol_mount_line line;
	ol_view rest;
	size_t count = 0;

	(void)state;
	assert_int_equal(OL_OK, ol_mountinfo_read(&text, NULL));
	for (rest = ol_buf_view(&text); ol_mountinfo_next(&rest, &line);)
		count++;
	assert_true(count > 0);
	assert_true(ol_mount_namespace() > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_is_found_by_place_and_name),
		cmocka_unit_test(this_process_has_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
