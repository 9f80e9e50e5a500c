#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/listing.h"
#include "image/run.h"

static const ol_column columns[] = {
	{ "Target", "TARGET" },
	{ "Image", "IMAGE" },
	{ "ID", "IMAGE ID" },
	{ "Mode", "MODE" },
	{ "CreatedSince", "CREATED" },
	{ "CreatedAt", "CREATED AT" },
	{ NULL, NULL },
};

typedef struct list {
	ol_listing *listing;
	bool whole;
} list;

static int on_mount(void *ctx, const ol_mount_info *info, ol_error *err)
{
	list *l = ctx;
	ol_json *row = ol_json_object();
	bool whole = l->whole || ol_listing_is_json(l->listing);

	ol_json_set_text(row, "Target", info->target);
	ol_json_set_text(row, "Image", info->image);
	ol_json_set_text(row, "ID",
		whole ? ol_digest_format(&info->config).text : ol_digest_short(&info->config).text);
	ol_json_set_text(row, "Mode", info->writable ? "rw" : "ro");
	if (ol_listing_is_json(l->listing))
		ol_json_set_text(row, "Created", ol_when_rfc3339(info->created).text);
	else
		ol_row_set_time(row, "CreatedSince", "CreatedAt", info->created);
	return ol_listing_add(l->listing, row, err);
}

static int list_mounts(ol_context *ctx, ol_session *session, ol_error *err)
{
	static const ol_listing_shape shape = { columns,
		"{{.Target}}\t{{.Image}}\t{{.ID}}\t{{.Mode}}\t{{.CreatedSince}}", "Target" };
	ol_auto(ol_listing_free) ol_listing *listing = NULL;
	list l = { .whole = ol_args_flag(ctx->args, "no-trunc") };
	int rc = ol_listing_open(ctx, &shape, &listing, err);

	l.listing = listing;
	if (rc == OL_OK)
		rc = ol_list_mounts(session, on_mount, &l, err);
	return rc < 0 ? rc : ol_listing_end(listing, err);
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
	ol_session *session = NULL;
	int rc = ol_context_platform(ctx, &platform, &has_platform, err);

	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc < 0)
		return rc;
	if (!expose.image)
		return list_mounts(ctx, session, err);
	expose.platform = has_platform ? &platform : NULL;
	rc = ol_expose(session, &expose, &path, err);
	if (rc == OL_OK)
		ol_console_printf(ctx->console, "%s\n", path);
	return rc;
}

static const ol_option options[] = {
	{ .name = "rw",
		.kind = OL_OPTION_FLAG,
		.help = "Writable: changes are kept until umount, the image is not touched" },
	{ .name = "platform",
		.kind = OL_OPTION_TEXT,
		.value = "OS/ARCH[/VARIANT]",
		.help = "Which platform of the image (DOCKER_DEFAULT_PLATFORM)",
		.otherwise = "this machine's" },
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
		"must be there: `orlop pull` brings it. The mount "
		"stays until `orlop umount` or a reboot, and keeps its layers from being removed.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image mount", NULL }, { 0 } },
	.examples =
		(const ol_example[]){ { "mount debian:12", "read-only, at a path that is printed" },
			{ "mount --rw debian:12 /mnt", "writable, at a path of choice" },
			{ "mount", "what is mounted" }, { 0 } },
	.words_max = 2,
	.completes = OL_COMPLETES_IMAGES,
	.leaves_mounts = true,
	.run = run,
};
