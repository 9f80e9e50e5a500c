#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "cmd/commands.h"
#include "cmd/limit_option.h"
#include "cmd/platforms.h"
#include "cmd/progress_options.h"
#include "image/convert.h"

/* --NAME N, from 1 to max; 0 where it was not given. */
static int number(
	const ol_context *ctx, const char *name, uint64_t max, uint64_t *out, ol_error *err)
{
	const char *text = ol_args_text(ctx->args, name);
	char flag[64];
	int64_t value = 0;
	int rc;

	*out = 0;
	if (!text)
		return OL_OK;
	(void)snprintf(flag, sizeof flag, "--%s", name);
	rc = ol_integer_parse(flag, text, 1, (int64_t)max, &value, err);
	*out = (uint64_t)value;
	return rc;
}

/* --- the list of paths --- */

/* A path a line; empty lines and those that begin with "#" say nothing. In place. */
static int split_lines(ol_buf *text, ol_arena *arena, const char *const **out, ol_error *err)
{
	size_t count = 0, lines = 1;
	const char **list;
	char *save = NULL;

	for (size_t i = 0; i < text->size; i++) {
		if (text->data[i] == '\0')
			return ol_fail(err, OL_EINVAL, "has a NUL byte: it is no list of paths");
		lines += text->data[i] == '\n';
	}
	list = ol_arena_alloc(arena, (lines + 1) * sizeof *list);
	for (char *line = text->data ? strtok_r(text->data, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		const size_t size = strlen(line);

		if (size > 0 && line[size - 1] == '\r')
			line[size - 1] = '\0';
		if (*line && *line != '#')
			list[count++] = ol_arena_strdup(arena, line);
	}
	*out = list;
	return OL_OK;
}

static int read_first(ol_context *ctx, const char *const **out, ol_error *err)
{
	const char *path = ol_args_text(ctx->args, "prefetch");
	ol_auto_buf ol_buf text = OL_BUF(OL_CONFIG_FILE_BYTES_MAX);
	int rc;

	if (!path)
		return OL_OK;
	rc = ol_file_read(AT_FDCWD, path, false, &text, err);
	if (rc == OL_OK)
		rc = split_lines(&text, ol_args_arena(ctx->args), out, err);
	return rc < 0 ? ol_wrap(err, rc, "--prefetch %.200s", path) : OL_OK;
}

/* --- the command --- */

static int parse_format(const ol_context *ctx, ol_convert_options *options, ol_error *err)
{
	const bool estargz = ol_args_flag(ctx->args, "estargz");
	const bool chunked =
		ol_args_flag(ctx->args, "zstd-chunked") || ol_args_flag(ctx->args, "zstdchunked");
	static const char *const of_estargz[] = { "estargz-compression-level", "estargz-chunk-size",
		"estargz-min-chunk-size", "prefetch" };
	const char *level =
		estargz ? "estargz-compression-level" : "zstd-chunked-compression-level";
	uint64_t value = 0;
	int rc;

	if (estargz == chunked) {
		ol_fail(err, OL_EINVAL, "%s",
			estargz ? "an image is either eStargz or zstd:chunked"
				: "it is not said what the image is to become");
		return ol_hint(err, OL_EINVAL, "--estargz or --zstd-chunked");
	}
	options->format = estargz ? OL_CONVERT_ESTARGZ : OL_CONVERT_ZSTD_CHUNKED;
	for (size_t i = 0; !estargz && i < sizeof of_estargz / sizeof of_estargz[0]; i++)
		if (ol_args_has(ctx->args, of_estargz[i]))
			return ol_fail(err, OL_EINVAL, "--%s goes with --estargz", of_estargz[i]);
	if (estargz && ol_args_has(ctx->args, "zstd-chunked-compression-level"))
		return ol_fail(err, OL_EINVAL,
			"--zstd-chunked-compression-level goes with --zstd-chunked");
	rc = number(ctx, level, estargz ? OL_CONVERT_GZIP_LEVEL_MAX : OL_CONVERT_ZSTD_LEVEL_MAX,
		&value, err);
	options->level = (int)value;
	if (rc == OL_OK)
		rc = number(ctx, "estargz-chunk-size", OL_CONVERT_CHUNK_BYTES_MAX,
			&options->chunk_bytes, err);
	if (rc == OL_OK)
		rc = number(ctx, "estargz-min-chunk-size", OL_CONVERT_CHUNK_BYTES_MAX,
			&options->min_chunk_bytes, err);
	return rc;
}

static ol_json *result_json(const ol_context *ctx, const ol_converted *converted)
{
	const char *target = ol_args_word(ctx->args, 1);
	ol_json *json = ol_json_object();
	ol_ref ref;

	ol_json_set_text(json, "ref",
		ol_ref_parse(target, &ref, NULL) == OL_OK ? ol_ref_format(&ref).text : target);
	ol_json_set_text(json, "digest", ol_digest_format(&converted->root).text);
	ol_json_set_int(json, "size", (int64_t)converted->bytes);
	ol_json_set_int(json, "layers", (int64_t)converted->layers);
	ol_json_set_int(json, "lazyLayers", (int64_t)(converted->layers - converted->plain));
	return json;
}

static int tell(ol_context *ctx, const ol_converted *converted, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(4096);
	ol_auto(ol_json_free) ol_json *json = result_json(ctx, converted);
	int rc = OL_OK;

	if (ol_progress_is_json(ctx->progress)) {
		ol_progress_line(ctx->progress, "done", ol_steal(&json));
		return OL_OK;
	}
	ol_progress_finish(ctx->progress);
	if (ol_args_flag(ctx->args, "json"))
		rc = ol_json_format(json, OL_JSON_COMPACT, &text, err);
	else
		(void)ol_str_add(&text, ol_digest_format(&converted->root).text);
	if (rc == OL_OK)
		ol_console_printf(ctx->console, "%s\n", ol_str_text(&text));
	return rc;
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_platform platforms[OL_PLATFORMS_MAX];
	ol_convert_options options = {
		.source = ol_args_word(ctx->args, 0),
		.target = ol_args_word(ctx->args, 1),
		.platforms = platforms,
		.all_platforms = ol_args_flag(ctx->args, "all-platforms"),
	};
	ol_converted converted = { 0 };
	ol_session *session = NULL;
	int rc = parse_format(ctx, &options, err);

	if (rc == OL_OK)
		rc = ol_platforms_parse(ol_args_list(ctx->args, "platform"), platforms,
			&options.platform_count, err);
	if (rc == OL_OK)
		rc = read_first(ctx, &options.first, err);
	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc == OL_OK)
		rc = ol_convert(session, &options, &converted, err);
	return rc < 0 ? rc : tell(ctx, &converted, err);
}

static const ol_option options[] = {
	{ .name = "estargz",
		.kind = OL_OPTION_FLAG,
		.help = "Make layers eStargz, for stargz-snapshotter, podman and orlop" },
	{ .name = "estargz-compression-level",
		.kind = OL_OPTION_TEXT,
		.value = "N",
		.help = "gzip's level, 1 to 9",
		.otherwise = "6" },
	{ .name = "estargz-chunk-size",
		.kind = OL_OPTION_TEXT,
		.value = "BYTES",
		.help = "The most of a file that is verified, and fetched, at once",
		.otherwise = "4194304" },
	{ .name = "estargz-min-chunk-size",
		.kind = OL_OPTION_TEXT,
		.value = "BYTES",
		.help = "Small files share a gzip member until it holds as much: smaller layers, "
			"larger reads",
		.otherwise = "each file has its own" },
	{ .name = "prefetch",
		.kind = OL_OPTION_TEXT,
		.value = "FILE",
		.completes = "file",
		.help = "Paths that a start needs, one a line: they come first in their layers" },
	{ .name = "zstd-chunked",
		.kind = OL_OPTION_FLAG,
		.help = "Make layers zstd:chunked, for podman, CRI-O and orlop" },
	{ .name = "zstdchunked",
		.kind = OL_OPTION_FLAG,
		.help = "nerdctl's word for --zstd-chunked" },
	{ .name = "zstd-chunked-compression-level",
		.kind = OL_OPTION_TEXT,
		.value = "N",
		.help = "zstd's level, 1 to 19",
		.otherwise = "3" },
	{ .name = "oci",
		.kind = OL_OPTION_FLAG,
		.help = "For nerdctl's sake: what is made always has OCI media types" },
	{ .name = "platform",
		.kind = OL_OPTION_LIST,
		.value = "OS/ARCH[/VARIANT]",
		.help = "This platform; several times or with commas for several",
		.otherwise = "the one that a run would take" },
	{ .name = "all-platforms",
		.kind = OL_OPTION_FLAG,
		.help = "All platforms that are in the store" },
	{ .name = "json", .kind = OL_OPTION_FLAG, .help = "Tell the result as JSON" },
	OL_PROGRESS_OPTIONS,
	{ 0 },
};

const ol_command ol_command_convert = {
	.name = "convert",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] IMAGE NAME[:TAG]",
	.summary = "Make an image that can be pulled lazily",
	.description =
		"The new image has the same files, configuration and history, and a table of "
		"contents in each layer, so that it can be started before it is pulled: by orlop "
		"(`run --lazy`), and with --estargz by stargz-snapshotter, with --zstd-chunked by "
		"podman and CRI-O. All others pull it as any image. Its compressed layers are "
		"kept: "
		"push, copy and save give exactly them.\n\n"
		"eStargz layers are new tars, so the image ID changes; zstd:chunked layers are the "
		"same tars, and it stays. A layer that holds what a table of contents cannot say "
		"(the same name twice, a name that is not UTF-8, a sparse file) goes without one, "
		"and a warning says so. The same image and options give the same digest.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image convert", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "convert --estargz app:1.4 reg.example/app:1.4-esgz",
						  "and then push it" },
		{ "convert --estargz --prefetch start.txt app:1.4 app:esgz",
			"what a start reads comes first" },
		{ "convert --zstd-chunked app:1.4 reg.example/app:1.4-zstd", "the same image ID" },
		{ 0 } },
	.words_min = 2,
	.words_max = 2,
	.completes = OL_COMPLETES_IMAGES,
	.run = run,
};
