#include "cmd/output_option.h"

#include <string.h>

bool ol_output_is_stdout(const ol_args *args)
{
	const char *output;

	if (!ol_args_knows(args, "output"))
		return false;
	output = ol_args_text(args, "output");
	return !output || strcmp(output, "-") == 0;
}

int ol_output_check(const ol_context *ctx, ol_error *err)
{
	if (ol_output_is_stdout(ctx->args) && ctx->console->out_tty)
		return ol_fail(err, OL_EINVAL,
			"cowardly refusing to save to a terminal. Use the -o flag or redirect");
	return OL_OK;
}
