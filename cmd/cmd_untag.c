#include "cmd/commands.h"
#include "image/names.h"

static int run(ol_context *ctx, ol_error *err)
{
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	if (rc < 0)
		return rc;
	for (const char *const *name = ol_args_words(ctx->args, 0); *name; name++) {
		ol_error failure = { 0 };

		if (ol_untag(session, *name, &failure) == OL_OK) {
			ol_console_printf(ctx->console, "Untagged: %s\n", *name);
			continue;
		}
		ol_console_error(ctx->console, &failure);
		ctx->status = 1;
	}
	return OL_OK;
}

const ol_command ol_command_untag = {
	.name = "untag",
	.group = OL_GROUP_IMAGES,
	.usage = "NAME[:TAG] [NAME[:TAG]...]",
	.summary = "Take names from images, and keep the images",
	.description =
		"An image without a name is listed as `<none>` until `orlop rmi` removes it.",
	.aliases = (const ol_alias[]){ { "image untag", NULL }, { 0 } },
	.examples =
		(const ol_example[]){
			{ "untag registry.example/base:stable", "the image stays" }, { 0 } },
	.words_min = 1,
	.words_many = true,
	.completes = OL_COMPLETES_IMAGES,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
