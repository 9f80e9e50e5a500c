#include <inttypes.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "image/expose.h"

struct umount {
	ol_context *ctx;
	ol_session *session;
	ol_unexpose_options options;
};

/* One that cannot be ended does not keep the others from it. */
static void end(struct umount *u, const char *name)
{
	ol_error failure = { 0 };
	int64_t left = 0;

	if (ol_unexpose(u->session, name, &u->options, &left, &failure) < 0) {
		ol_console_error(u->ctx->console, &failure);
		u->ctx->status = 1;
	} else if (left > 0) {
		ol_console_say(u->ctx->console, "note", "%s stays for %" PRId64 " other user%s",
			name, left, left == 1 ? "" : "s");
	}
}

static int end_listed(void *ctx, const ol_mount_info *info, ol_mount_state state, ol_error *err)
{
	struct umount *u = ctx;

	(void)err;
	/* What was ended already, and kept, is not "all that is mounted". */
	if (state != OL_MOUNT_UNMOUNTED || u->options.remove)
		end(u, info->target);
	return OL_OK;
}

static int run(ol_context *ctx, ol_error *err)
{
	struct umount u = { .ctx = ctx,
		.options = { .force = ol_args_flag(ctx->args, "force"),
			.remove = ol_args_flag(ctx->args, "rm") } };
	const bool all = ol_args_flag(ctx->args, "all");
	int rc;

	if (all == (ol_args_word_count(ctx->args) > 0))
		return ol_fail(err, OL_EINVAL,
			all ? "--all takes no other words" : "name what to unmount, or say --all");
	rc = ol_context_session(ctx, &u.session, err);
	if (rc == OL_OK && all)
		rc = ol_list_mounts(u.session, end_listed, &u, err);
	for (const char *const *name = ol_args_words(ctx->args, 0); rc == OL_OK && *name; name++)
		end(&u, *name);
	return rc;
}

static const ol_option options[] = {
	{ .name = "all", .letter = 'a', .kind = OL_OPTION_FLAG, .help = "All mounts and bundles" },
	{ .name = "force",
		.letter = 'f',
		.kind = OL_OPTION_FLAG,
		.help = "Whoever else uses it; and forget what another mount namespace holds" },
	{ .name = "rm",
		.kind = OL_OPTION_FLAG,
		.help = "Remove what was written into a writable mount, too" },
	{ 0 },
};

const ol_command ol_command_umount = {
	.name = "umount",
	.group = OL_GROUP_MOUNTS,
	.usage = "[OPTIONS] DIR|IMAGE|ID [DIR|IMAGE|ID...]",
	.summary = "End a mount or bundle",
	.description =
		"What was asked for several times stays until as many `orlop umount`, or --force. "
		"What "
		"was written into a `mount --rw` is kept for the next mount of the image at that "
		"folder, unless --rm is given; what was written into a bundle goes with it.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "unmount", NULL }, { "image umount", NULL },
		{ "image unmount", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "umount /mnt", "by path" },
		{ "umount debian:12", "by image, where it is mounted once" },
		{ "umount --all --rm", "all of them, with what was written" }, { 0 } },
	.words_many = true,
	.completes = OL_COMPLETES_MOUNTS,
	.run = run,
};
