#include "base/userns.h"
#include "exec/unprivileged.h"
#include "tests/check.h"

/* A bundle in a user namespace with these ids, groups allowed or not. */
struct box {
	ol_bundle bundle;
	ol_userns here;
	uint32_t groups[2];
};

static void box_init(struct box *box, uint32_t ids, bool has_groups)
{
	*box = (struct box){ .here = { .has_groups = has_groups } };
	box->bundle.arena = ol_arena_new();
	box->bundle.here = &box->here;
	assert_int_equal(OL_OK, ol_id_map_add(&box->here.uids, 0, 1000, ids, NULL));
	assert_int_equal(OL_OK, ol_id_map_add(&box->here.gids, 0, 1000, ids, NULL));
}

static void box_done(struct box *box)
{
	ol_arena_free(box->bundle.arena);
}

/* Who is in the mapping runs; others are refused by number. */
static void a_user_without_a_place_is_refused(void **state)
{
	static const struct {
		const char *label;
		uint32_t ids, uid, gid, group;
		bool has_groups;
		const char *group_add;
		const char *words; /* NULL: it is taken */
		size_t groups;     /* that are left */
	} cases[] = {
		{ "root alone", 1, 0, 0, 0, false, NULL, NULL, 0 },
		{ "no groups, so none", 1, 0, 0, 7, false, NULL, NULL, 0 },
		{ "a user", 65537, 1000, 1000, 1000, true, NULL, NULL, 1 },
		{ "the last", 65537, 65536, 65536, 65536, true, "65536", NULL, 1 },
		{ "user past the end", 65537, 65537, 0, 0, true, NULL, "user 65537 of", 0 },
		{ "group past the end", 65537, 0, 65537, 0, true, NULL, "group 65537 of", 0 },
		{ "further group past the end", 65537, 0, 0, 70000, true, NULL, "group 70000 of",
			0 },
		{ "user with one id", 1, 1000, 0, 0, false, NULL, "user 1000 of", 0 },
		{ "asked for a group", 1, 0, 0, 0, false, "7", "--group-add", 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		const char *const add[] = { c->group_add, NULL };
		const ol_container_options options = { .group_add = c->group_add ? add : NULL };
		ol_error err = { 0 };
		struct box box;

		box_init(&box, c->ids, c->has_groups);
		box.groups[0] = c->group;
		box.bundle.user = (ol_user){
			.uid = c->uid, .gid = c->gid, .groups = box.groups, .group_count = 1
		};
		CHECK_INT(c->label, c->words ? OL_EINVAL : OL_OK,
			ol_unprivileged_user(&box.bundle, &options, &err));
		if (c->words)
			CHECK_INT(c->label, 1, strstr(err.text, c->words) != NULL);
		else
			CHECK_INT(c->label, (long long)c->groups,
				(long long)box.bundle.user.group_count);
		box_done(&box);
	}
}

static void limits_are_named_and_gone(void **state)
{
	static const struct {
		ol_bundle_limits limits;
		const char *flags; /* NULL: no note */
	} cases[] = {
		{ { 0 }, NULL },
		{ { .memory_bytes = 1, .memory_swap_bytes = 2 }, "--memory: " },
		{ { .nano_cpus = 1, .pids = 1 }, "--cpus, --pids-limit: " },
		{ { .memory_bytes = 1, .nano_cpus = 1, .cpu_shares = 1, .pids = 1 },
			"--memory, --cpus, --cpu-shares, --pids-limit: " },
	};

	(void)state;
	OL_EACH (cases, c) {
		const char *label = c->flags ? c->flags : "none";
		struct box box;

		box_init(&box, 1, false);
		box.bundle.limits = c->limits;
		ol_unprivileged_limits(&box.bundle);
		CHECK_INT(label, c->flags != NULL, box.bundle.note != NULL);
		if (c->flags)
			CHECK_INT(label, true,
				box.bundle.note &&
					strncmp(box.bundle.note, c->flags, strlen(c->flags)) == 0);
		CHECK_INT(label, 0, (long long)box.bundle.limits.memory_bytes);
		CHECK_INT(label, 0, box.bundle.limits.pids);
		/* As root nothing of it happens. */
		box.bundle.here = NULL;
		box.bundle.note = NULL;
		box.bundle.limits = c->limits;
		ol_unprivileged_limits(&box.bundle);
		CHECK_INT(label, 1, box.bundle.note == NULL);
		CHECK_INT(label, (long long)c->limits.memory_bytes,
			(long long)box.bundle.limits.memory_bytes);
		box_done(&box);
	}
}

static void options_with_a_group_need_its_place(void **state)
{
	static const struct {
		uint32_t ids;
		const char *option;
		bool takes;
	} cases[] = {
		{ 1, "gid=5", false },
		{ 65537, "gid=5", true },
		{ 1, "gid=0", true },
		{ 1, "mode=0620", true },
		{ 5, "gid=5", false },
		{ 6, "gid=5", true },
	};

	(void)state;
	OL_EACH (cases, c) {
		struct box box;

		box_init(&box, c->ids, true);
		CHECK_INT(c->option, c->takes, ol_unprivileged_takes(&box.bundle, c->option));
		box.bundle.here = NULL;
		CHECK_INT(c->option, true, ol_unprivileged_takes(&box.bundle, c->option));
		box_done(&box);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_without_a_place_is_refused),
		cmocka_unit_test(limits_are_named_and_gone),
		cmocka_unit_test(options_with_a_group_need_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
