#include "cmd/commands.h"
#include "image/run.h"

static int run(ol_context *ctx, ol_error *err)
{
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	if (rc < 0)
		return rc;
	for (const char *const *target = ol_args_words(ctx->args, 0); *target; target++) {
		ol_error failure = { 0 };

		if (ol_unexpose(session, *target, &failure) == OL_OK)
			continue;
		ol_console_error(ctx->console, &failure);
		ctx->status = 1;
	}
	return OL_OK;
}

const ol_command ol_command_umount = {
	.name = "umount",
	.group = OL_GROUP_MOUNTS,
	.usage = "DIR|IMAGE [DIR|IMAGE...]",
	.summary = "End a mount or bundle",
	.description = "What was written into a writable mount goes with it.",
	.aliases = (const ol_alias[]){ { "unmount", NULL }, { "image umount", NULL },
		{ "image unmount", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "umount /mnt", "by path" },
		{ "umount debian:12", "by image, where it is mounted once" }, { 0 } },
	.words_min = 1,
	.words_many = true,
	.completes = OL_COMPLETES_MOUNTS,
	.run = run,
};
