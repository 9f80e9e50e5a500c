#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/idmap_option.h"
#include "cmd/lazy_options.h"
#include "cmd/mount_list.h"
#include "cmd/registry_options.h"
#include "image/expose.h"
#include "image/pull.h"

/* With --lazy an image that is missing is pulled; without, mounting asks nobody. */
static int bring(ol_session *session, const ol_expose_options *expose, const ol_lazy_options *lazy,
	ol_error *err)
{
	const ol_pull_options pull = { .ref = expose->image,
		.platforms = expose->platform,
		.platform_count = expose->platform != NULL,
		.lazy = lazy };
	ol_pull_result pulled;
	ol_image image = { 0 };
	int rc = ol_image_find(session, expose->image, expose->platform, &image, err);

	ol_image_done(&image);
	if (rc != OL_ENOTFOUND)
		return rc;
	rc = ol_pull(session, &pull, &pulled, err);
	return rc == OL_OK ? ol_session_sync_behind(session, err) : rc;
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_expose_options expose = {
		.image = ol_args_word(ctx->args, 0),
		.dir = ol_args_word(ctx->args, 1),
		.writable = ol_args_flag(ctx->args, "rw"),
	};
	ol_autofree char *path = NULL;
	ol_platform platform = { 0 };
	bool has_platform = false;
	ol_lazy_options lazy;
	const ol_lazy_options *use_lazy = NULL;
	ol_idmap idmap;
	ol_session *session = NULL;
	int rc;

	if (!expose.image)
		return ol_show_mounts(ctx, err);
	rc = ol_context_platform(ctx, &platform, &has_platform, err);
	if (rc == OL_OK)
		rc = ol_lazy_options_read(ctx->args, &lazy, &use_lazy, err);
	if (rc == OL_OK)
		rc = ol_idmap_option(ctx->args, &idmap, err);
	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc < 0)
		return rc;
	expose.idmap = &idmap;
	expose.platform = has_platform ? &platform : NULL;
	if (use_lazy)
		rc = bring(session, &expose, use_lazy, err);
	if (rc == OL_OK)
		rc = ol_expose(session, &expose, &path, err);
	if (rc == OL_OK)
		ol_console_printf(ctx->console, "%s\n", path);
	return rc;
}

static const ol_option options[] = {
	{ .name = "rw",
		.kind = OL_OPTION_FLAG,
		.help = "Writable: what is written is kept for the next mount of the folder, the "
			"image is not touched" },
	OL_IDMAP_OPTION,
	OL_PLATFORM_OPTION("Which platform of the image"),
	{ .name = "quiet",
		.letter = 'q',
		.kind = OL_OPTION_FLAG,
		.help = "In the list, paths only" },
	OL_LISTING_OPTIONS,
	{ 0 },
};

const ol_command ol_command_mount = {
	.name = "mount",
	.group = OL_GROUP_MOUNTS,
	.usage = "[OPTIONS] [IMAGE [DIR]]",
	.summary = "Show an image as a folder, or list what is shown",
	.description =
		"Prints the path. Without DIR that is a new folder under the run root. The image "
		"must be there: `orlop pull` brings it, or --lazy, with what it takes to begin. "
		"The mount stays until `orlop umount` or a "
		"reboot, and keeps its layers from being removed; nothing of orlop runs for it. "
		"Mounting the same again counts: it takes as many `orlop umount` to end it.\n\n"
		"With --rw what is written survives `orlop umount` and a reboot: mounting the "
		"image "
		"at DIR again goes on with it, `orlop umount --rm` removes it.\n\n"
		"With --idmap the files show the owners that a runtime's user namespace gives its "
		"ids, and what is written is kept under the image's own. It takes Linux 5.19.",
	.options = { options, ol_lazy_options_table, ol_registry_options },
	.aliases = (const ol_alias[]){ { "image mount", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "mount debian:12",
						  "read-only, at a path that is printed" },
		{ "mount --rw debian:12 /mnt", "writable, at a path of choice" },
		{ "mount --rw --idmap 0:100000:65536 debian:12 /mnt", "for a user namespace" },
		{ "mount", "what is mounted" }, { 0 } },
	.words_max = 2,
	.completes = OL_COMPLETES_IMAGES,
	.leaves_mounts = true,
	.run = run,
};
