#include "cmd/commands.h"
#include "image/names.h"

static int run(ol_context *ctx, ol_error *err)
{
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	return rc < 0 ? rc
		      : ol_tag(session, ol_args_word(ctx->args, 0), ol_args_word(ctx->args, 1),
				err);
}

const ol_command ol_command_tag = {
	.name = "tag",
	.group = OL_GROUP_IMAGES,
	.usage = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	.summary = "Give an image another name",
	.description = "An image that had the name before stays, as `<none>` if it was its last.",
	.aliases = (const ol_alias[]){ { "image tag", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "tag debian:12 registry.example/base:stable",
						  "a second name" },
		{ "tag 6a8b2c9d0e1f mine", "by ID" }, { 0 } },
	.words_min = 2,
	.words_max = 2,
	.completes = OL_COMPLETES_IMAGES,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
