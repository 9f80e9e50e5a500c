#include "cmd/commands.h"
#include "cmd/completion.h"

#define SCRIPT_BYTES_MAX ((size_t)1 << 20)

static int run(ol_context *ctx, ol_error *err)
{
	ol_auto_str ol_str out = OL_STR(SCRIPT_BYTES_MAX);
	int rc = ol_completion_script(ol_args_word(ctx->args, 0), &out, err);

	if (rc == OL_OK)
		ol_console_print_view(ctx->console, ol_buf_view(&out));
	return rc;
}

const ol_command ol_command_completion = {
	.name = "completion",
	.group = OL_GROUP_HIDDEN,
	.usage = "bash|zsh|fish",
	.summary = "Print a completion script for a shell",
	.examples =
		(const ol_example[]){
			{ "completion bash > /usr/share/bash-completion/completions/orlop",
				"what make install does" },
			{ 0 } },
	.words_min = 1,
	.words_max = 1,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
