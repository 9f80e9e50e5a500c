#include "exec/unprivileged.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/userns.h"

int ol_unprivileged_begin(ol_bundle *bundle, ol_error *err)
{
	ol_userns *here = ol_arena_alloc(bundle->arena, sizeof *here);
	char text[32] = "0 2147483647"; /* what Docker sets: everybody */
	int rc = ol_userns_read(here, err);

	if (rc < 0)
		return rc;
	if (!here->is_initial) {
		bundle->here = here;
		(void)snprintf(text, sizeof text, "0 %" PRIu32, ol_id_map_last(&here->gids));
	}
	bundle->ping_groups = ol_arena_strdup(bundle->arena, text);
	return OL_OK;
}

static int refuse(const char *what, uint32_t id, const ol_id_map *map, ol_error *err)
{
	(void)ol_fail(err, OL_EINVAL,
		"%s %" PRIu32 " of the container has no place in this user namespace, which has 0 "
		"to %" PRIu32,
		what, id, ol_id_map_last(map));
	return ol_hint(err, OL_EINVAL,
		"give your user ranges in /etc/subuid and /etc/subgid, or choose another user "
		"with --user");
}

int ol_unprivileged_user(ol_bundle *bundle, const ol_container_options *options, ol_error *err)
{
	const ol_userns *here = bundle->here;
	ol_user *user = &bundle->user;

	if (!here)
		return OL_OK;
	if (!ol_id_map_has(&here->uids, user->uid))
		return refuse("user", user->uid, &here->uids, err);
	if (!ol_id_map_has(&here->gids, user->gid))
		return refuse("group", user->gid, &here->gids, err);
	if (!here->has_groups) {
		if (options->group_add && options->group_add[0])
			return ol_fail(err, OL_EINVAL,
				"--group-add: groups cannot be set in a user namespace without a "
				"range of /etc/subgid");
		user->group_count = 0;
	}
	for (size_t i = 0; i < user->group_count; i++)
		if (!ol_id_map_has(&here->gids, user->groups[i]))
			return refuse("group", user->groups[i], &here->gids, err);
	return OL_OK;
}

void ol_unprivileged_limits(ol_bundle *bundle)
{
	ol_bundle_limits *l = &bundle->limits;
	const struct {
		bool asked;
		const char *flag;
	} rows[] = {
		{ l->memory_bytes > 0, "--memory" },
		{ l->nano_cpus > 0, "--cpus" },
		{ l->cpu_shares > 0, "--cpu-shares" },
		{ l->pids > 0, "--pids-limit" },
	};
	ol_auto_str ol_str flags = OL_STR(128), note = OL_STR(256);

	if (!bundle->here)
		return;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].asked)
			(void)ol_str_addf(&flags, "%s%s", flags.size ? ", " : "", rows[i].flag);
	if (flags.size) {
		(void)ol_str_addf(&note,
			"%s: nothing is limited: without root there is no cgroup to set it in",
			ol_str_text(&flags));
		bundle->note = ol_arena_strdup(bundle->arena, ol_str_text(&note));
	}
	*l = (ol_bundle_limits){ 0 };
}

bool ol_unprivileged_takes(const ol_bundle *bundle, const char *option)
{
	if (!bundle->here || strncmp(option, "gid=", 4) != 0)
		return true;
	return ol_id_map_has(&bundle->here->gids, (uint32_t)strtoul(option + 4, NULL, 10));
}
