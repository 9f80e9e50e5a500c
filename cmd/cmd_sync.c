#include "cmd/commands.h"

/* What a pull starts behind it (ol_session_sync_behind): brings to disk what is only written. May
 * be killed at any time. */
static int run(ol_context *ctx, ol_error *err)
{
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	return rc < 0 ? rc : ol_store_sync(ol_session_store(session), ctx->cancel, err);
}

const ol_command ol_command_sync = {
	.name = "sync",
	.group = OL_GROUP_HIDDEN,
	.usage = "",
	.summary = "Bring to disk what is only written",
	.examples = (const ol_example[]){ { "sync", "what a pull does behind it" }, { 0 } },
	.run = run,
};
