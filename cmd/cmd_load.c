#include <malloc.h>

#include "cmd/commands.h"
#include "cmd/platforms.h"
#include "cmd/progress_options.h"
#include "image/load.h"

/* Docker's words, one line for each name. */
static void tell(void *arg, const ol_loaded *loaded)
{
	ol_context *ctx = arg;
	ol_ref ref;

	if (ol_progress_is_json(ctx->progress)) {
		ol_json *line = ol_json_object();

		ol_json_set_text(line, "ref", loaded->name);
		ol_json_set_text(line, "digest", ol_digest_format(&loaded->root).text);
		ol_json_set_text(line, "id", ol_digest_format(&loaded->config).text);
		ol_progress_line(ctx->progress, "done", line);
		return;
	}
	ol_progress_finish(ctx->progress);
	if (*loaded->name && ol_ref_parse(loaded->name, &ref, NULL) == OL_OK)
		ol_console_printf(
			ctx->console, "Loaded image: %s\n", ol_ref_format_familiar(&ref).text);
	else
		ol_console_printf(ctx->console, "Loaded image ID: %s\n",
			ol_digest_format(&loaded->config).text);
}

static int run(ol_context *ctx, ol_error *err)
{
	const char *word = ol_args_word(ctx->args, 0), *input = ol_args_text(ctx->args, "input");
	ol_platform platforms[OL_PLATFORMS_MAX];
	ol_load_options options = {
		.input = input ? input : word,
		.platforms = platforms,
		.tag = ol_args_text(ctx->args, "tag"),
		.pin = ol_args_flag(ctx->args, "pin"),
	};
	ol_session *session = NULL;
	int rc = ol_platforms_parse(
		ol_args_list(ctx->args, "platform"), platforms, &options.platform_count, err);

	if (rc < 0)
		return rc;
	if (input && word)
		return ol_fail(err, OL_EINVAL, "one archive at a time: %s or %s", input, word);
	if ((!options.input || strcmp(options.input, "-") == 0) && isatty(STDIN_FILENO)) {
		(void)ol_fail(err, OL_EINVAL, "standard input is a terminal, not an archive");
		return ol_hint(err, OL_EINVAL, "name the archive: orlop load -i FILE");
	}
	/* Each thread would reserve 64 MiB of addresses for what it allocates, which is little:
	 * with them an archive cannot be loaded where addresses are few (ulimit -v). */
	(void)mallopt(M_ARENA_MAX, 1);
	rc = ol_context_session(ctx, &session, err);
	return rc < 0 ? rc : ol_load(session, &options, tell, ctx, err);
}

static const ol_option options[] = {
	{ .name = "input",
		.letter = 'i',
		.kind = OL_OPTION_TEXT,
		.value = "FILE",
		.completes = "file",
		.help = "The archive, or the folder of an OCI layout",
		.otherwise = "standard input" },
	{ .name = "platform",
		.kind = OL_OPTION_LIST,
		.value = "OS/ARCH[/VARIANT]",
		.help = "Only this platform of each image; several times or with commas for "
			"several",
		.otherwise = "all that are there whole" },
	{ .name = "tag",
		.letter = 't',
		.kind = OL_OPTION_TEXT,
		.value = "NAME[:TAG]",
		.help = "What to call the image that the archive has no name for" },
	{ .name = "pin", .kind = OL_OPTION_FLAG, .help = "Never prune what is loaded" },
	OL_PROGRESS_OPTIONS,
	{ 0 },
};

const ol_command ol_command_load = {
	.name = "load",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] [FILE]",
	.summary = "Load images from an archive",
	.description =
		"Reads what `docker save`, `podman save`, `skopeo copy`, `umoci`, `ctr image "
		"export` "
		"and `orlop save` write: docker-archive (old and new), oci-archive, the folder of "
		"an OCI layout, and both in one; plain or compressed with gzip, zstd, xz or bzip2. "
		"The archive is read once, from a pipe if need be, and unpacked as it comes: no "
		"temporary copy is made.\n\n"
		"An image is listed when all of it was verified and is on disk; where one image of "
		"the archive is damaged, none is. What other platforms than this machine's need "
		"may "
		"be absent. Layers that the archive lacks are taken from the store, so that what "
		"`orlop save --since` wrote can be loaded where its base is.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image load", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "load -i app.tar.gz", "from a file" },
		{ "load < app.tar", "from standard input" },
		{ "load -i ./layout -t app:1.4", "from a folder that does not say the name" },
		{ "load --platform linux/arm64 -i app.tar", "one platform of several" }, { 0 } },
	.words_min = 0,
	.words_max = 1,
	.run = run,
};
