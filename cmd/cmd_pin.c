#include "cmd/commands.h"
#include "image/names.h"

static int pin_one(ol_context *ctx, ol_session *session, const char *word, ol_error *err)
{
	int rc = ol_pin(session, word, true, err);

	if (rc == OL_OK)
		ol_console_printf(ctx->console, "%s\n", word);
	return rc;
}

static int unpin_one(ol_context *ctx, ol_session *session, const char *word, ol_error *err)
{
	int rc = ol_pin(session, word, false, err);

	if (rc == OL_OK)
		ol_console_printf(ctx->console, "%s\n", word);
	return rc;
}

static int run_pin(ol_context *ctx, ol_error *err)
{
	return ol_context_each_word(ctx, pin_one, err);
}

static int run_unpin(ol_context *ctx, ol_error *err)
{
	return ol_context_each_word(ctx, unpin_one, err);
}

const ol_command ol_command_pin = {
	.name = "pin",
	.group = OL_GROUP_IMAGES,
	.usage = "IMAGE [IMAGE...]",
	.summary = "Keep images from being pruned",
	.description = "A pinned image is never pruned, and `rmi` takes it away by force only. The "
		       "pin is the image's: all its names share it.",
	.aliases = (const ol_alias[]){ { "image pin", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "pin debian:12", "until `orlop unpin debian:12`" },
		{ "images --filter pinned=true", "what is pinned" }, { 0 } },
	.words_min = 1,
	.words_many = true,
	.completes = OL_COMPLETES_IMAGES,
	.userns = OL_USERNS_STAYS,
	.run = run_pin,
};

const ol_command ol_command_unpin = {
	.name = "unpin",
	.group = OL_GROUP_IMAGES,
	.usage = "IMAGE [IMAGE...]",
	.summary = "Let images be pruned again",
	.aliases = (const ol_alias[]){ { "image unpin", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "unpin debian:12", "by name" },
		{ "unpin $(orlop images -q --filter pinned=true)", "all that are pinned" }, { 0 } },
	.words_min = 1,
	.words_many = true,
	.completes = OL_COMPLETES_IMAGES,
	.userns = OL_USERNS_STAYS,
	.run = run_unpin,
};
