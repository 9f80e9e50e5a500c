#include <fcntl.h>
#include <unistd.h>

#include "cmd/commands.h"
#include "image/lazy.h"

/*
 * The two processes behind lazy layers: started by commands and by each other, with what they talk
 * by as descriptor 3 (image/lazy_start.c, snapshot/lazy_holder.h). Hidden: nobody types them.
 */
#define PASSED_FD 3

/* Descriptor 3, as it was passed; not ours to hand on. */
static int take_passed(ol_error *err)
{
	if (fcntl(PASSED_FD, F_SETFD, FD_CLOEXEC) < 0) {
		(void)ol_fail(err, OL_EINVAL, "descriptor 3 was not passed");
		return ol_hint(err, OL_EINVAL, "orlop starts this command itself");
	}
	return OL_OK;
}

static int run_holder(ol_context *ctx, ol_error *err)
{
	const bool adopt = ol_args_flag(ctx->args, "adopt");
	const bool ready = ol_args_flag(ctx->args, "ready");
	ol_session *session = NULL;
	int rc = adopt || ready ? take_passed(err) : OL_OK;

	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	return rc < 0 ? rc
		      : ol_lazy_holder_main(session, ol_args_text(ctx->args, "engine"), adopt,
				ready ? PASSED_FD : -1, err);
}

static const ol_option holder_options[] = {
	{ .name = "adopt",
		.kind = OL_OPTION_FLAG,
		.help = "Go on for a holder that died; its worker is at descriptor 3" },
	{ .name = "engine",
		.kind = OL_OPTION_TEXT,
		.value = "NAME",
		.choices = "fanotify|fuse",
		.help = "Serve by this one" },
	{ .name = "ready",
		.kind = OL_OPTION_FLAG,
		.help = "Write \"+\" to descriptor 3 once layers can be watched" },
	{ 0 },
};

const ol_command ol_command_lazy_holder = {
	.name = "lazy-holder",
	.group = OL_GROUP_HIDDEN,
	.usage = "[--adopt | --ready] [--engine NAME]",
	.summary = "Hold what readers of lazy layers wait for",
	.options = { holder_options },
	.examples = (const ol_example[]){ { "lazy-holder", "what `run` starts beside it" }, { 0 } },
	.run = run_holder,
};

static int run_worker(ol_context *ctx, ol_error *err)
{
	ol_session *session = NULL;
	int rc = take_passed(err);

	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	return rc < 0 ? rc : ol_lazy_worker_main(session, PASSED_FD, err);
}

const ol_command ol_command_lazy_worker = {
	.name = "lazy-worker",
	.group = OL_GROUP_HIDDEN,
	.usage = "",
	.summary = "Fill lazy layers for a lazy-holder",
	.examples = (const ol_example[]){ { "lazy-worker", "what a lazy-holder starts" }, { 0 } },
	.run = run_worker,
};
