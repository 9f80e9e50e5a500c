#include "cmd/commands.h"
#include "cmd/lazy_options.h"
#include "cmd/platforms.h"
#include "cmd/progress_options.h"
#include "cmd/registry_options.h"
#include "cmd/size.h"
#include "image/pull.h"

/* --platform, as often as it was given, each a list; else DOCKER_DEFAULT_PLATFORM. */
static int platforms_of(ol_context *ctx, ol_platform *out, size_t *count, ol_error *err)
{
	const char *fallback[] = { getenv("DOCKER_DEFAULT_PLATFORM"), NULL };
	const char *const *lists = ol_args_list(ctx->args, "platform");

	if (!*lists && fallback[0] && *fallback[0] && !ol_args_flag(ctx->args, "all-platforms"))
		lists = fallback;
	return ol_platforms_parse(lists, out, count, err);
}

/* Docker's first lines, where progress goes. */
static void tell_start(const ol_context *ctx, const ol_ref *ref, bool quiet)
{
	ol_ref_string name = ol_ref_name(ref);

	if (quiet || ol_progress_is_json(ctx->progress) ||
		strcmp(ol_args_text(ctx->args, "progress") ? ol_args_text(ctx->args, "progress")
							   : "",
			"none") == 0)
		return;
	if (!strcmp(ref->tag, "latest") && !ol_digest_is_set(&ref->digest) &&
		!strstr(ol_args_word(ctx->args, 0), ":latest"))
		(void)fprintf(ctx->console->err, "Using default tag: latest\n");
	(void)fprintf(ctx->console->err, "%s: Pulling from %s\n",
		ol_digest_is_set(&ref->digest) ? ol_digest_format(&ref->digest).text : ref->tag,
		strncmp(name.text, "docker.io/", 10) == 0 ? name.text + 10 : name.text);
}

/* "3 of 4 layers are lazy: 412MB come when they are read" */
static void tell_lazy(ol_context *ctx, const ol_pull_result *result)
{
	const size_t layers = result->lazy_layers + result->eager_layers;

	if (result->lazy_layers)
		ol_console_printf(ctx->console,
			"%zu of %zu layer%s %s lazy: %s come when they are read\n",
			result->lazy_layers, layers, layers == 1 ? "" : "s",
			result->lazy_layers == 1 ? "is" : "are",
			ol_size_format(result->missing_bytes).text);
}

static void tell_result(ol_context *ctx, const ol_pull_result *result, bool quiet)
{
	ol_ref_string canonical = ol_ref_format(&result->ref),
		      familiar = ol_ref_format_familiar(&result->ref);

	if (ol_progress_is_json(ctx->progress)) {
		ol_json *line = ol_json_object();

		ol_json_set_text(line, "ref", canonical.text);
		ol_json_set_text(line, "digest", ol_digest_format(&result->root).text);
		ol_json_set_text(line, "id", ol_digest_format(&result->config).text);
		ol_json_set_bool(line, "up_to_date", result->up_to_date);
		ol_json_set_int(line, "fetched", (int64_t)result->fetched_bytes);
		ol_json_set_int(line, "resumed", (int64_t)result->resumed_bytes);
		ol_json_set_int(line, "lazy_layers", (int64_t)result->lazy_layers);
		ol_json_set_int(line, "eager_layers", (int64_t)result->eager_layers);
		ol_json_set_int(line, "missing", (int64_t)result->missing_bytes);
		ol_progress_line(ctx->progress, "done", line);
		return;
	}
	ol_progress_finish(ctx->progress);
	if (!quiet) {
		ol_console_printf(
			ctx->console, "Digest: %s\n", ol_digest_format(&result->root).text);
		ol_console_printf(ctx->console, "Status: %s %s\n",
			result->up_to_date ? "Image is up to date for"
					   : "Downloaded newer image for",
			familiar.text);
		tell_lazy(ctx, result);
	}
	ol_console_printf(ctx->console, "%s\n", canonical.text);
}

/* Whole from here on; of what is lazy nothing is left to tell. */
static int wait_for_it(ol_session *session, ol_pull_result *result, ol_error *err)
{
	int rc = ol_lazy_wait(session, ol_digest_format(&result->root).text, err);

	if (rc == OL_OK) {
		result->eager_layers += result->lazy_layers;
		result->lazy_layers = 0;
		result->missing_bytes = 0;
	}
	return rc;
}

static int run(ol_context *ctx, ol_error *err)
{
	const bool quiet = ol_args_flag(ctx->args, "quiet");
	ol_platform platforms[OL_PLATFORMS_MAX];
	ol_pull_options options = {
		.ref = ol_args_word(ctx->args, 0),
		.platforms = platforms,
		.all_platforms = ol_args_flag(ctx->args, "all-platforms"),
		.keep_blobs = ol_args_flag(ctx->args, "keep-blobs"),
		.pin = ol_args_flag(ctx->args, "pin"),
		.durable = ol_args_flag(ctx->args, "durable"),
	};
	ol_lazy_options lazy;
	ol_pull_result result = { 0 };
	ol_session *session = NULL;
	ol_ref ref = { 0 };
	int rc = platforms_of(ctx, platforms, &options.platform_count, err);

	if (rc == OL_OK)
		rc = ol_lazy_options_read(ctx->args, &lazy, &options.lazy, err);
	/* What the environment says gives way to what was typed. */
	if (options.keep_blobs && !ol_args_has(ctx->args, "lazy"))
		options.lazy = NULL;

	if (rc == OL_OK && options.all_platforms && options.platform_count)
		return ol_fail(err, OL_EINVAL, "--platform and --all-platforms exclude each other");
	if (rc == OL_OK)
		rc = ol_ref_parse(options.ref, &ref, err);
	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc == OL_OK)
		rc = ol_pull_ref(session, options.ref, &ref, err);
	if (rc < 0)
		return rc;
	tell_start(ctx, &ref, quiet);
	rc = ol_pull(session, &options, &result, err);
	if (rc == OL_OK && ol_args_flag(ctx->args, "wait"))
		rc = wait_for_it(session, &result, err);
	if (rc == OL_ECANCELED)
		return ol_hint(err, rc, "pull it again: it goes on where it stopped");
	if (rc < 0)
		return rc;
	tell_result(ctx, &result, quiet);
	return options.durable ? OL_OK : ol_session_sync_behind(session, err);
}

static const ol_option options[] = {
	{ .name = "platform",
		.kind = OL_OPTION_LIST,
		.value = "OS/ARCH[/VARIANT]",
		.help = "Which platform of the image (DOCKER_DEFAULT_PLATFORM); several times or "
			"with commas for several",
		.otherwise = "this machine's" },
	{ .name = "all-platforms", .kind = OL_OPTION_FLAG, .help = "Every platform the image has" },
	OL_PROGRESS_OPTIONS,
	{ .name = "keep-blobs",
		.kind = OL_OPTION_FLAG,
		.help = "Keep the layers as the registry has them too, compressed" },
	{ .name = "pin", .kind = OL_OPTION_FLAG, .help = "Never prune the image" },
	{ .name = "durable",
		.kind = OL_OPTION_FLAG,
		.help = "Return when all of it is on disk, not only written" },
	{ .name = "wait",
		.kind = OL_OPTION_FLAG,
		.help = "With --lazy: return when every layer is whole" },
	{ 0 },
};

const ol_command ol_command_pull = {
	.name = "pull",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] NAME[:TAG|@DIGEST]",
	.summary = "Download an image from a registry",
	.description = "Every byte is verified against the digest it was asked by. A pull that was "
		       "interrupted goes on where it stopped, also after a "
		       "crash; nothing is listed before all of it is there.\n\n"
		       "The last line is the image's full reference; with `--quiet` it is the only "
		       "one. `--progress=json` writes one JSON object a line, "
		       "described in docs/progress.md.\n\n"
		       "With --lazy only tables of contents are fetched of the layers that have "
		       "one which the image's manifest binds by digest: eStargz, zstd:chunked, "
		       "SOCI. The image can be mounted and run at once; what is read is fetched "
		       "and verified then, and the rest in the background. Layers without one, and "
		       "small ones, are pulled whole, and it is said which and why.",
	.options = { options, ol_lazy_options_table, ol_registry_options },
	.aliases = (const ol_alias[]){ { "image pull", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "pull debian:12", "from Docker Hub" },
		{ "pull --platform linux/arm64,linux/amd64 ghcr.io/owner/app:1.4",
			"for two platforms" },
		{ "pull "
		  "alpine@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1",
			"exactly this one" },
		{ "pull --progress=json debian:12", "watched by a program" },
		{ "pull --lazy --lazy-rate 4m ghcr.io/owner/app:1.4-esgz",
			"usable at once, the rest at 4 MiB a second" },
		{ "pull --lazy --wait ghcr.io/owner/app:1.4-esgz", "and back when it is whole" },
		{ 0 } },
	.words_min = 1,
	.words_max = 1,
	.completes = OL_COMPLETES_IMAGES,
	.run = run,
};
