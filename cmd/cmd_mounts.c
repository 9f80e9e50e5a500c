#include "cmd/commands.h"
#include "cmd/mount_list.h"

static const ol_option options[] = {
	{ .name = "quiet", .letter = 'q', .kind = OL_OPTION_FLAG, .help = "Paths only" },
	OL_LISTING_OPTIONS,
	{ 0 },
};

const ol_command ol_command_mounts = {
	.name = "mounts",
	.group = OL_GROUP_MOUNTS,
	.usage = "[OPTIONS]",
	.summary = "List mounts and bundles",
	.description =
		"STATE is mounted; hidden (something else is mounted over it); elsewhere (in "
		"another "
		"mount namespace); unmounted (what was written is kept); or gone (with a reboot, "
		"or "
		"by another's umount). `orlop mount` brings back the last two, `orlop gc` forgets "
		"those that nobody wrote into.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image mounts", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "mounts", "what there is" },
		{ "mounts --format '{{.Target}}: {{.State}}'", "as a template says" },
		{ "mounts -q", "for `orlop umount $(orlop mounts -q)`" }, { 0 } },
	.userns = OL_USERNS_STAYS,
	.run = ol_show_mounts,
};
