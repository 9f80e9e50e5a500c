#include <stdio.h>

#include "cmd/commands.h"
#include "cmd/listing.h"
#include "cmd/size.h"
#include "image/list.h"

static const ol_column columns[] = {
	{ "Repository", "REPOSITORY" },
	{ "Tag", "TAG" },
	{ "Digest", "DIGEST" },
	{ "ID", "IMAGE ID" },
	{ "Platform", "PLATFORM" },
	{ "CreatedSince", "CREATED" },
	{ "CreatedAt", "CREATED AT" },
	{ "Size", "SIZE" },
	{ "Containers", "CONTAINERS" },
	{ "Pinned", "PINNED" },
	{ "Imported", "IMPORTED" },
	{ NULL, NULL },
};

/* Whole values, for --json. */
static ol_json *machine_row(const ol_image_row *row)
{
	ol_json *json = ol_json_object(), *labels = ol_json_object();

	ol_json_set(json, "Name", *row->name ? ol_json_string(row->name) : ol_json_null());
	ol_json_set_text(json, "Repository", row->repository);
	ol_json_set_text(json, "Tag", row->tag);
	ol_json_set_text(json, "ID", ol_digest_format(&row->id).text);
	ol_json_set_text(json, "Digest", ol_digest_format(&row->digest).text);
	ol_json_set_text(json, "Manifest", ol_digest_format(&row->manifest).text);
	ol_json_set_text(json, "Platform", ol_platform_format(&row->platform).text);
	ol_json_set_text(json, "Created", ol_when_rfc3339(row->created).text);
	ol_json_set_text(json, "Pulled", ol_when_rfc3339(row->pulled).text);
	ol_json_set_int(json, "Size", (int64_t)row->size);
	ol_json_set_int(json, "Containers", row->containers);
	ol_json_set_bool(json, "Pinned", row->pinned);
	ol_json_set_bool(json, "Imported", row->imported);
	for (size_t i = 0; row->config && i < row->config->label_count; i++)
		ol_json_set_text(labels, row->config->labels[i].key, row->config->labels[i].value);
	ol_json_set(json, "Labels", labels);
	return json;
}

static void set_wanted(const ol_listing *l, ol_json *json, const char *field, const char *text)
{
	if (ol_listing_wants(l, field))
		ol_json_set_text(json, field, text);
}

static ol_json *docker_row(const ol_listing *l, const ol_image_row *row)
{
	ol_json *json = ol_json_object();
	char containers[16];

	(void)snprintf(containers, sizeof containers, "%u", row->containers);
	set_wanted(l, json, "Repository", row->repository);
	set_wanted(l, json, "Tag", row->tag);
	set_wanted(l, json, "ID",
		ol_listing_is_whole(l) ? ol_digest_format(&row->id).text
				       : ol_digest_short(&row->id).text);
	set_wanted(l, json, "Size", ol_size_format(row->size).text);
	set_wanted(l, json, "Containers", containers);
	set_wanted(l, json, "Pinned", row->pinned ? "true" : "false");
	set_wanted(l, json, "Imported", row->imported ? "true" : "false");
	if (ol_listing_wants(l, "Digest"))
		ol_json_set_text(json, "Digest",
			ol_digest_is_set(&row->digest) ? ol_digest_format(&row->digest).text
						       : "<none>");
	if (ol_listing_wants(l, "Platform"))
		ol_json_set_text(json, "Platform", ol_platform_format(&row->platform).text);
	if (ol_listing_wants(l, "CreatedAt"))
		ol_row_set_time(json, "CreatedSince", "CreatedAt", row->created);
	else if (ol_listing_wants(l, "CreatedSince"))
		ol_json_set_text(json, "CreatedSince", ol_when_since(row->created).text);
	return json;
}

static int on_image(void *ctx, const ol_image_row *row, ol_error *err)
{
	ol_listing *l = ctx;

	return ol_listing_add(
		l, ol_listing_is_json(l) ? machine_row(row) : docker_row(l, row), err);
}

static const char *table_for(bool digests, bool platforms)
{
	static const char *const tables[] = {
		"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
		"{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
		"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Platform}}\t{{.CreatedSince}}\t{{.Size}}",
		"{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.Platform}}\t{{.CreatedSince}}"
		"\t{{.Size}}",
	};

	return tables[digests + 2 * platforms];
}

static bool is_all(const ol_args *args)
{
	return ol_args_flag(args, "all") || ol_args_flag(args, "all-platforms");
}

static int fill(ol_context *ctx, ol_session *session, ol_listing *listing, ol_error *err)
{
	const ol_list_options options = {
		.all = is_all(ctx->args),
		.labels = ol_args_flag(ctx->args, "json"),
		.match = ol_args_word(ctx->args, 0),
		.filters = ol_args_list(ctx->args, "filter"),
	};

	return ol_list_images(session, &options, on_image, listing, err);
}

static int run(ol_context *ctx, ol_error *err)
{
	const ol_listing_shape shape = { columns,
		table_for(ol_args_flag(ctx->args, "digests"), is_all(ctx->args)), "ID" };

	return ol_listing_show(ctx, &shape, fill, err);
}

static const ol_option options[] = {
	{ .name = "all",
		.letter = 'a',
		.kind = OL_OPTION_FLAG,
		.help = "A row for each platform that is there" },
	{ .name = "all-platforms", .kind = OL_OPTION_FLAG, .help = "The same as --all" },
	{ .name = "quiet", .letter = 'q', .kind = OL_OPTION_FLAG, .help = "Image IDs only" },
	{ .name = "digests", .kind = OL_OPTION_FLAG, .help = "Show digests" },
	{ .name = "filter",
		.letter = 'f',
		.kind = OL_OPTION_LIST,
		.value = "KEY=VALUE",
		.help = "Only images that match: dangling=, label=, reference=, before=, since=, "
			"until=, pinned=, imported=, containers=" },
	OL_LISTING_OPTIONS,
	{ 0 },
};

const ol_command ol_command_images = {
	.name = "images",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] [REPOSITORY[:TAG]]",
	.summary = "List images",
	.description = "The size of an image is that of its layers as files, uncompressed; layers "
		       "that several images share are kept once. The "
		       "image ID is the digest of its configuration: the same for the same image "
		       "from any registry.\n\n"
		       "REPOSITORY may have `*`, `?` and `[...]`.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image ls", NULL }, { "image list", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "images", "all of them, newest first" },
		{ "images 'ghcr.io/*/*' --filter dangling=false",
			"those of one registry that have a name" },
		{ "images --format '{{.ID}} {{.Repository}}:{{.Tag}}'", "as a template says" },
		{ "images --json", "for a program" }, { 0 } },
	.words_max = 1,
	.completes = OL_COMPLETES_IMAGES,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
