#include "cmd/commands.h"
#include "image/run.h"

static int remove_one(ol_context *ctx, ol_session *session, const char *word, ol_error *err)
{
	int rc = ol_remove_container(session, word, ol_args_flag(ctx->args, "force"), err);

	if (rc == OL_OK)
		ol_console_printf(ctx->console, "%s\n", word);
	return rc;
}

static int run(ol_context *ctx, ol_error *err)
{
	return ol_context_each_word(ctx, remove_one, err);
}

static const ol_option options[] = {
	{ .name = "force",
		.letter = 'f',
		.kind = OL_OPTION_FLAG,
		.help = "Kill it first if it runs" },
	{ .name = "volumes",
		.letter = 'v',
		.kind = OL_OPTION_FLAG,
		.help = "For docker's sake: what a container wrote goes with it anyway" },
	{ 0 },
};

const ol_command ol_command_rm = {
	.name = "rm",
	.group = OL_GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Remove containers, and what they wrote",
	.options = { options },
	.aliases =
		(const ol_alias[]){ { "container rm", NULL }, { "container remove", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "rm build-1", "by name" },
		{ "rm $(orlop ps -aq --filter status=exited)", "all that have ended" }, { 0 } },
	.words_min = 1,
	.words_many = true,
	.completes = OL_COMPLETES_CONTAINERS,
	.run = run,
};
