#include <unistd.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/lazy_options.h"
#include "cmd/progress_options.h"
#include "cmd/registry_options.h"
#include "cmd/run_options.h"

/* Docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+ */
static int check_name(const char *name, ol_error *err)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	if (!name || (strchr(first, name[0]) && name[1] && strlen(name) <= 128 &&
			     name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY"
					       "Z0123456789_.-")] == '\0'))
		return OL_OK;
	return ol_fail(err, OL_EINVAL,
		"Invalid container name (%.80s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name);
}

static void tell_network(const ol_context *ctx)
{
	if (ctx->console->err_tty && !ol_args_has(ctx->args, "network") &&
		!ol_args_has(ctx->args, "net") && !ol_args_flag(ctx->args, "quiet"))
		ol_console_say(ctx->console, "note",
			"the container has no network: --network host shares the host's, --network "
			"none says it is meant");
}

/* As docker: a terminal inside whose input is a pipe would echo it and end at the wrong byte. */
static bool lacks_terminal(const ol_container_options *options)
{
	return options->tty && options->interactive && !isatty(STDIN_FILENO);
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_run_options options = {
		.image = ol_args_word(ctx->args, 0),
		.remove = ol_args_flag(ctx->args, "rm"),
		.record = ol_args_flag(ctx->args, "record"),
		.name = ol_args_text(ctx->args, "name"),
		.runtime = ol_args_text(ctx->args, "runtime"),
		.cidfile = ol_args_text(ctx->args, "cidfile"),
	};
	ol_platform platform = { 0 };
	ol_lazy_options lazy;
	ol_session *session = NULL;
	int rc = check_name(options.name, err);

	if (rc == OL_OK)
		rc = ol_lazy_options_read(ctx->args, &lazy, &options.lazy, err);
	if (rc == OL_OK)
		rc = ol_container_options_read(ctx, &platform, &options, err);
	if (rc == OL_OK && lacks_terminal(&options.container)) {
		(void)ol_fail(err, OL_EINVAL, "the input device is not a TTY");
		(void)ol_hint(err, OL_EINVAL, "leave out -t");
		ol_console_error(ctx->console, err);
		ctx->status = 1; /* docker's, though run's own failures are 125 */
		return OL_OK;
	}
	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc < 0)
		return rc;
	if (ol_args_word_count(ctx->args) > 1)
		options.container.args = ol_args_words(ctx->args, 1);
	tell_network(ctx);
	rc = ol_run(session, &options, &ctx->status, err);
	/* The program could not be started: that is the container's status, with words of ours. */
	if (rc == OL_OK && (ctx->status == 126 || ctx->status == 127) && err->text[0])
		ol_console_error(ctx->console, err);
	return rc;
}

static const ol_option options[] = {
	{ .name = "cidfile",
		.kind = OL_OPTION_TEXT,
		.value = "FILE",
		.completes = "file",
		.help = "Write the container's ID to a file" },
	{ .name = "name",
		.kind = OL_OPTION_TEXT,
		.value = "NAME",
		.help = "Name of the container",
		.otherwise = "made up" },
	{ .name = "record",
		.kind = OL_OPTION_FLAG,
		.help = "Learn what the start of a lazy image reads, to fetch it first next time" },
	{ .name = "rm", .kind = OL_OPTION_FLAG, .help = "Remove the container when it ends" },
	{ .name = "runtime",
		.kind = OL_OPTION_TEXT,
		.value = "NAME",
		.help = "Let crun, runc or another OCI runtime start it",
		.otherwise = "orlop itself" },
	OL_PROGRESS_OPTIONS,
	{ 0 },
};

const ol_command ol_command_run = {
	.name = "run",
	.group = OL_GROUP_CONTAINERS,
	.usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.summary = "Run a program in a new container from an image",
	.description =
		"The image is pulled if it is missing. The program runs in the foreground; its "
		"exit status becomes that of orlop, 125 is a failure of orlop "
		"itself, 126 a program that cannot be started, 127 one that is not there.\n\n"
		"Without `--network host` the container has no network but its own loopback. "
		"Without `--rm` it stays after its end, listed by "
		"`orlop ps -a`. All that stands behind the image belongs to the container.\n\n"
		"With --lazy an image that is missing is pulled as by `orlop pull --lazy`: the "
		"program starts after a few requests, and what it reads is fetched then. An image "
		"that is there already stays as it is.",
	.options = { options, ol_container_options_table, ol_container_refused_table,
		ol_lazy_options_table, ol_registry_options },
	.aliases = (const ol_alias[]){ { "container run", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "run --rm -it debian:12",
						  "a shell, removed when it ends" },
		{ "run --rm -v \"$PWD\":/src:ro -w /src --network host golang:1.22 go test ./...",
			"a folder of the host, and its network" },
		{ "run --rm --read-only --cap-drop ALL -m 256m --pids-limit 64 debian:12 id",
			"on a short leash" },
		{ "run --rm --lazy ghcr.io/owner/app:1.4-esgz", "started before it is all here" },
		{ 0 } },
	.words_min = 1,
	.words_many = true,
	.options_end = 1,
	.completes = OL_COMPLETES_IMAGES,
	.starts_program = true,
	.run = run,
};
