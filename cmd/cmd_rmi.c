#include "cmd/commands.h"
#include "image/names.h"

static void on_removed(void *ctx, const ol_removed *removed)
{
	ol_console_printf(
		ctx, "%s: %s\n", removed->untagged ? "Untagged" : "Deleted", removed->text);
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	if (rc < 0)
		return rc;
	for (const char *const *name = ol_args_words(ctx->args, 0); *name; name++) {
		ol_error failure = { 0 };

		if (ol_remove_image(session, *name, ol_args_flag(ctx->args, "force"), on_removed,
			    ctx->console, &failure) == OL_OK)
			continue;
		ol_console_error(ctx->console, &failure);
		ctx->status = 1;
	}
	return OL_OK;
}

static const ol_option options[] = {
	{ .name = "force",
		.letter = 'f',
		.kind = OL_OPTION_FLAG,
		.help = "Also with several names, or stopped containers made from it" },
	{ 0 },
};

const ol_command ol_command_rmi = {
	.name = "rmi",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Remove images",
	.description = "By name, that name goes, and the image with its last one. By ID, the image "
		       "goes with all its names.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image rm", NULL }, { "image remove", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "rmi debian:12", "by name" },
		{ "rmi $(orlop images -q --filter dangling=true)", "all that lost their name" },
		{ 0 } },
	.words_min = 1,
	.words_many = true,
	.completes = OL_COMPLETES_IMAGES,
	.run = run,
};
