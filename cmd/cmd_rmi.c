#include "cmd/commands.h"
#include "image/list.h"
#include "image/names.h"

static void on_removed(void *ctx, const ol_removed *removed)
{
	ol_console_printf(
		ctx, "%s: %s\n", removed->untagged ? "Untagged" : "Deleted", removed->text);
}

static int remove_one(ol_context *ctx, ol_session *session, const char *word, ol_error *err)
{
	const ol_remove_options options = { .force = ol_args_flag(ctx->args, "force") };
	int rc = ol_remove_image(session, word, &options, on_removed, ctx->console, err);

	return rc == OL_ENOTFOUND && ol_args_flag(ctx->args, "ignore") ? OL_OK : rc;
}

typedef struct every {
	ol_context *ctx;
	ol_session *session;
} every;

static int on_row(void *arg, const ol_image_row *row, ol_error *err)
{
	const every *e = arg;
	const ol_digest_text root = ol_digest_format(&row->digest);
	ol_error failure = { 0 };

	(void)err;
	if (remove_one(e->ctx, e->session, *row->name ? row->name : root.text, &failure) < 0) {
		ol_console_error(e->ctx->console, &failure);
		e->ctx->status = 1;
	}
	return OL_OK;
}

static int run(ol_context *ctx, ol_error *err)
{
	const bool all = ol_args_flag(ctx->args, "all");
	every e = { .ctx = ctx };
	int rc;

	if (all && ol_args_word_count(ctx->args) > 0)
		return ol_fail(err, OL_EINVAL, "--all takes no images");
	if (!all && ol_args_word_count(ctx->args) == 0)
		return ol_fail(err, OL_EINVAL,
			"\"rmi\" requires at least 1 argument, or --all for every image");
	if (!all)
		return ol_context_each_word(ctx, remove_one, err);
	rc = ol_context_session(ctx, &e.session, err);
	return rc < 0 ? rc : ol_list_images(e.session, &(ol_list_options){ 0 }, on_row, &e, err);
}

static const ol_option options[] = {
	{ .name = "all",
		.letter = 'a',
		.kind = OL_OPTION_FLAG,
		.help = "All images; with -f also pinned ones and those that containers use" },
	{ .name = "force",
		.letter = 'f',
		.kind = OL_OPTION_FLAG,
		.help = "Also with several names, a pin, or stopped containers made from it" },
	{ .name = "ignore",
		.letter = 'i',
		.kind = OL_OPTION_FLAG,
		.help = "An image that is not there is no failure" },
	{ .name = "no-prune",
		.kind = OL_OPTION_FLAG,
		.help = "For docker's sake: there are no untagged parents that would go" },
	{ 0 },
};

const ol_command ol_command_rmi = {
	.name = "rmi",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] [IMAGE...]",
	.summary = "Remove images",
	.description = "By name, that name goes, and the image with its last one. By ID, the image "
		       "goes with all its names.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image rm", NULL }, { "image remove", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "rmi debian:12", "by name" },
		{ "rmi $(orlop images -q --filter dangling=true)", "all that lost their name" },
		{ "rmi --all", "all but what is pinned or in use" }, { 0 } },
	.words_many = true,
	.completes = OL_COMPLETES_IMAGES,
	.run = run,
};
