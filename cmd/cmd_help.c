#include "cmd/commands.h"
#include "cmd/help.h"

static int run(ol_context *ctx, ol_error *err)
{
	const char *const *words = ol_args_words(ctx->args, 0);
	int count = (int)ol_args_word_count(ctx->args), used;
	const char *implied, *nearest;
	const ol_command *command;

	if (count == 0) {
		ol_help_program(ctx->console, NULL);
		return OL_OK;
	}
	command =
		ol_command_find((char *const *)(uintptr_t)words, count, &used, &implied, &nearest);
	if (command) {
		ol_help_command(ctx->console, command);
		return OL_OK;
	}
	ol_fail(err, OL_EINVAL, "unknown command: orlop %s", words[0]);
	return nearest ? ol_hint(err, OL_EINVAL, "did you mean `orlop help %s`?", nearest)
		       : ol_hint(err, OL_EINVAL, "`orlop help` lists the commands");
}

const ol_command ol_command_help = {
	.name = "help",
	.group = OL_GROUP_HELP,
	.usage = "[COMMAND]",
	.summary = "Show help for a command, or list the commands",
	.examples = (const ol_example[]){ { "help", "all commands" }, { "help run", "one of them" },
		{ "help image ls", "by docker's spelling" }, { 0 } },
	.words_max = 2,
	.completes = OL_COMPLETES_COMMANDS,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
