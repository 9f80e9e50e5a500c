#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/idmap_option.h"
#include "cmd/lazy_options.h"
#include "cmd/progress_options.h"
#include "cmd/registry_options.h"
#include "cmd/run_options.h"

static int run(ol_context *ctx, ol_error *err)
{
	ol_run_options options = { .image = ol_args_word(ctx->args, 0), .runtime = "" };
	const char *dir = ol_args_word(ctx->args, 1);
	ol_platform platform = { 0 };
	ol_lazy_options lazy;
	ol_session *session = NULL;
	ol_idmap idmap;
	int rc = ol_lazy_options_read(ctx->args, &lazy, &options.lazy, err);

	if (rc == OL_OK)
		rc = ol_container_options_read(ctx, &platform, &options, err);
	if (rc == OL_OK)
		rc = ol_idmap_option(ctx->args, &idmap, err);
	options.container.idmap = &idmap;
	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc < 0)
		return rc;
	if (ol_args_word_count(ctx->args) > 2)
		options.container.args = ol_args_words(ctx->args, 2);
	return ol_make_bundle(session, &options, dir, err);
}

static const ol_option options[] = {
	OL_PROGRESS_OPTIONS,
	OL_IDMAP_OPTION,
	{ .name = "uidmap",
		.kind = OL_OPTION_LIST,
		.value = "MAP",
		.help = "Users of a user namespace: CONTAINER:HOST:SIZE[,...], as --idmap" },
	{ .name = "gidmap",
		.kind = OL_OPTION_LIST,
		.value = "MAP",
		.help = "Its groups",
		.otherwise = "as --uidmap" },
	{ 0 },
};

const ol_command ol_command_bundle = {
	.name = "bundle",
	.group = OL_GROUP_MOUNTS,
	.usage = "[OPTIONS] IMAGE DIR [COMMAND] [ARG...]",
	.summary = "Make an OCI bundle for another runtime",
	.description =
		"DIR gets config.json, made from the image and the options, and rootfs, the "
		"image mounted writable. `orlop umount DIR` ends it.\n\n"
		"With --idmap, or --uidmap and --gidmap, config.json asks for a user namespace "
		"and rootfs shows the owners that fit it.",
	.options = { options, ol_container_options_table, ol_container_refused_table,
		ol_lazy_options_table, ol_registry_options },
	.examples = (const ol_example[]){ { "bundle -e DEBUG=1 debian:12 ./web sleep 60",
						  "then: crun run --bundle ./web web" },
		{ "bundle --idmap 0:100000:65536 debian:12 ./web", "with a user namespace" },
		{ "umount ./web", "when it is not needed any more" }, { 0 } },
	.words_min = 2,
	.words_many = true,
	.options_end = 2,
	.completes = OL_COMPLETES_IMAGES,
	.leaves_mounts = true,
	.run = run,
};
