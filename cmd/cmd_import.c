#include <string.h>

#include "cmd/commands.h"
#include "cmd/progress_options.h"
#include "image/import.h"

static int check_input(const char *input, ol_error *err)
{
	if (strstr(input, "://")) {
		ol_fail(err, OL_EUNSUPPORTED, "orlop imports files, not URLs: %.200s", input);
		return ol_hint(err, OL_EUNSUPPORTED, "curl -fL URL | orlop import -");
	}
	if (strcmp(input, "-") == 0 && isatty(STDIN_FILENO)) {
		ol_fail(err, OL_EINVAL, "standard input is a terminal, not a tar");
		return ol_hint(err, OL_EINVAL, "name a file: orlop import FILE");
	}
	return OL_OK;
}

static void tell(ol_context *ctx, const char *name, const ol_digest *config)
{
	const ol_digest_text id = ol_digest_format(config);
	ol_ref ref;

	if (ol_progress_is_json(ctx->progress)) {
		ol_json *line = ol_json_object();
		const bool named = name && ol_ref_parse(name, &ref, NULL) == OL_OK;

		ol_json_set_text(line, "ref", named ? ol_ref_format(&ref).text : "");
		ol_json_set_text(line, "id", id.text);
		ol_progress_line(ctx->progress, "done", line);
		return;
	}
	ol_progress_finish(ctx->progress);
	ol_console_printf(ctx->console, "%s\n", id.text);
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_platform platform;
	ol_import_options options = {
		.input = ol_args_word(ctx->args, 0),
		.name = ol_args_word(ctx->args, 1),
		.message = ol_args_text(ctx->args, "message"),
		.changes = ol_args_list(ctx->args, "change"),
		.pin = ol_args_flag(ctx->args, "pin"),
	};
	ol_session *session = NULL;
	ol_digest config = { 0 };
	bool is_set = false;
	int rc = check_input(options.input, err);

	if (rc == OL_OK)
		rc = ol_context_platform(ctx, &platform, &is_set, err);
	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc < 0)
		return rc;
	options.platform = is_set ? &platform : NULL;
	rc = ol_import(session, &options, &config, err);
	if (rc == OL_OK)
		tell(ctx, options.name, &config);
	return rc;
}

static const ol_option options[] = {
	{ .name = "change",
		.letter = 'c',
		.kind = OL_OPTION_LIST,
		.value = "INSTRUCTION",
		.help = "Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, "
			"STOPSIGNAL, USER, VOLUME, WORKDIR" },
	{ .name = "message",
		.letter = 'm',
		.kind = OL_OPTION_TEXT,
		.value = "TEXT",
		.help = "What the image's history says",
		.otherwise = "Imported from FILE" },
	OL_PLATFORM_OPTION("What the files are for"),
	{ .name = "pin", .kind = OL_OPTION_FLAG, .help = "Never prune the image" },
	OL_PROGRESS_OPTIONS,
	{ 0 },
};

const ol_command ol_command_import = {
	.name = "import",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] FILE|- [NAME[:TAG]]",
	.summary = "Make an image of a root file system's tar",
	.description =
		"The tar may be plain or compressed with gzip, zstd, xz or bzip2; it becomes the "
		"image's one layer. What is printed is the image's ID.\n\n"
		"With SOURCE_DATE_EPOCH set, the same file and options give the same image.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image import", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "import rootfs.tar.xz base:1", "from a file" },
		{ "import -c 'CMD [\"/bin/sh\"]' -c 'ENV LANG=C.UTF-8' - base < rootfs.tar",
			"from standard input, with a config" },
		{ 0 } },
	.words_min = 1,
	.words_max = 2,
	.run = run,
};
