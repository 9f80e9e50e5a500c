#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cmd/commands.h"

/* This process becomes the program; it returns only where that cannot be started. */
static int become(char *const *argv, ol_context *ctx, ol_error *err)
{
	int sys;

	(void)execvp(argv[0], argv);
	sys = errno;
	ctx->status = sys == ENOENT || sys == ENOTDIR ? 127 : 126;
	(void)ol_fail_sys(err, "%s", argv[0]);
	ol_console_error(ctx->console, err);
	return OL_OK;
}

static int run(ol_context *ctx, ol_error *err)
{
	const char *const *words = ol_args_words(ctx->args, 0);
	const char *shell = getenv("SHELL");
	const char *const fallback[] = { shell && *shell ? shell : "/bin/sh", NULL };
	char *const *argv;

	if (!ctx->entered && !ol_userns_is_inside()) {
		(void)ol_fail(err, OL_EINVAL, "root needs no user namespace");
		return ol_hint(err, OL_EINVAL,
			"`orlop unshare` is for ordinary users; as root mount at once");
	}
	if (ol_args_word_count(ctx->args) == 0)
		words = fallback;
	/* execvp's prototype predates const; it changes nothing. */
	memcpy(&argv, &words, sizeof argv);
	return become(argv, ctx, err);
}

const ol_command ol_command_unshare = {
	.name = "unshare",
	.group = OL_GROUP_MOUNTS,
	.usage = "[COMMAND [ARG...]]",
	.summary = "Run a shell or a command in the user namespace that orlop uses without root",
	.description =
		"For ordinary users. There the user is root over the files of images, and over "
		"nothing else: `orlop mount` and `orlop bundle` work, and what they mount is seen "
		"by the processes of that namespace until the last of them ends. Without a "
		"command $SHELL is started. The exit status is the command's; 126 and 127 tell "
		"that it cannot be started, or is not there.",
	.examples = (const ol_example[]){ { "unshare", "a shell in which images can be mounted" },
		{ "unshare sh -c 'ls -ln $(orlop mount debian:12)'", "look into an image" },
		{ 0 } },
	.words_many = true,
	.options_end = 1,
	.starts_program = true,
	.run = run,
};
