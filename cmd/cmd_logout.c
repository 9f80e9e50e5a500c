#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/registry_options.h"
#include "image/upkeep.h"

static int run(ol_context *ctx, ol_error *err)
{
	const char *host = ol_args_word(ctx->args, 0) ? ol_args_word(ctx->args, 0) : "docker.io";
	ol_autofree char *where = NULL;
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	if (rc == OL_OK)
		rc = ol_logout(session, host, &where, err);
	if (rc == OL_ENOTFOUND) {
		ol_console_printf(ctx->console, "Not logged in to %s\n", host);
		return OL_OK;
	}
	if (rc == OL_OK)
		ol_console_printf(ctx->console, "Removed the login for %s from %s\n", host, where);
	return rc;
}

static const ol_option options[] = {
	{ .name = "authfile",
		.kind = OL_OPTION_TEXT,
		.value = "FILE",
		.completes = "file",
		.help = "File with credentials (REGISTRY_AUTH_FILE)",
		.otherwise = "docker's" },
	{ 0 },
};

const ol_command ol_command_logout = {
	.name = "logout",
	.group = OL_GROUP_REGISTRY,
	.usage = "[OPTIONS] [HOST]",
	.summary = "Forget the credentials for a registry",
	.description = "Without HOST that is Docker Hub.",
	.options = { options },
	.examples = (const ol_example[]){ { "logout registry.example", "one registry" }, { 0 } },
	.words_max = 1,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
