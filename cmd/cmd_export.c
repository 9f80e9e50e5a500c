#include <string.h>

#include "cmd/commands.h"
#include "cmd/output_option.h"
#include "cmd/progress_options.h"
#include "image/export.h"

static int run(ol_context *ctx, ol_error *err)
{
	const char *format = ol_args_text(ctx->args, "format");
	ol_platform platform;
	ol_export_options options = {
		.name = ol_args_word(ctx->args, 0),
		.format = format && strcmp(format, "erofs") == 0 ? OL_EXPORT_EROFS : OL_EXPORT_TAR,
		.output = ol_args_text(ctx->args, "output"),
	};
	bool is_set = false;
	ol_session *session = NULL;
	int rc = ol_context_platform(ctx, &platform, &is_set, err);

	if (rc == OL_OK)
		rc = ol_output_check(ctx, err);
	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc < 0)
		return rc;
	options.platform = is_set ? &platform : NULL;
	return ol_export(session, &options, err);
}

static const ol_option options[] = {
	OL_OUTPUT_OPTION("Write to a file"),
	{ .name = "format",
		.kind = OL_OPTION_TEXT,
		.value = "FORMAT",
		.choices = "tar|erofs",
		.help = "What is written",
		.otherwise = "tar" },
	OL_PLATFORM_OPTION("Which platform of an image"),
	OL_PROGRESS_OPTIONS,
	{ 0 },
};

const ol_command ol_command_export = {
	.name = "export",
	.group = OL_GROUP_CONTAINERS,
	.usage = "[OPTIONS] CONTAINER|IMAGE",
	.summary = "Write a container's or image's files as one tar",
	.description =
		"All layers become one tree, as a container sees it, with owners, xattrs, hard "
		"links, "
		"devices and times; a container's has what it wrote, too. What no tar can hold, a "
		"socket, is left out and named. `orlop import` makes an image of the tar.\n\n"
		"`--format erofs` writes an EROFS file system with the files in it, for a virtual "
		"machine to mount as its disk (Linux 5.15 or later).\n\n"
		"The same files give the same bytes. A file appears when it is whole.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "container export", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "export -o rootfs.tar debian:12", "an image's files" },
		{ "export my-container | tar -x -C rootfs", "a container's, into a folder" },
		{ "export --format erofs -o rootfs.erofs debian:12", "a disk for a microVM" },
		{ 0 } },
	.words_min = 1,
	.words_max = 1,
	.completes = OL_COMPLETES_BOTH,
	.run = run,
};
