#include <inttypes.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/listing.h"
#include "cmd/size.h"
#include "cmd/table.h"
#include "image/list.h"

#define CREATED_BY_COLUMNS 45

static const ol_column columns[] = {
	{ "ID", "IMAGE" },
	{ "CreatedSince", "CREATED" },
	{ "CreatedAt", "CREATED AT" },
	{ "CreatedBy", "CREATED BY" },
	{ "Size", "SIZE" },
	{ "Comment", "COMMENT" },
	{ NULL, NULL },
};

typedef struct list {
	ol_listing *listing;
	bool human;
} list;

static ol_json *machine_row(const ol_history_row *row)
{
	ol_json *json = ol_json_object();

	ol_json_set(json, "ID",
		ol_digest_is_set(&row->id) ? ol_json_string(ol_digest_format(&row->id).text)
					   : ol_json_null());
	ol_json_set_text(json, "Created", ol_when_rfc3339(row->created).text);
	ol_json_set_text(json, "CreatedBy", row->created_by);
	ol_json_set_int(json, "Size", (int64_t)row->size);
	ol_json_set_text(json, "Comment", row->comment);
	return json;
}

static ol_json *docker_row(const ol_history_row *row, bool whole, bool human)
{
	ol_json *json = ol_json_object();
	ol_autofree char *created_by = whole ? ol_strdup(row->created_by)
					     : ol_ellipsis(row->created_by, CREATED_BY_COLUMNS);
	ol_autofree char *bytes = ol_text("%" PRIu64, row->size);

	/* As docker: a tab would begin a new cell. */
	for (char *p = created_by; (p = strchr(p, '\t'));)
		*p = ' ';
	ol_json_set_text(json, "ID",
		!ol_digest_is_set(&row->id) ? "<missing>"
		: whole                     ? ol_digest_format(&row->id).text
					    : ol_digest_short(&row->id).text);
	ol_row_set_time(json, "CreatedSince", "CreatedAt", row->created);
	if (!human)
		ol_json_set_text(json, "CreatedSince", ol_when_rfc3339(row->created).text);
	ol_json_set_text(json, "CreatedBy", created_by);
	ol_json_set_text(json, "Size", human ? ol_size_format(row->size).text : bytes);
	ol_json_set_text(json, "Comment", row->comment);
	return json;
}

static int on_row(void *ctx, const ol_history_row *row, ol_error *err)
{
	list *l = ctx;

	return ol_listing_add(l->listing,
		ol_listing_is_json(l->listing)
			? machine_row(row)
			: docker_row(row, ol_listing_is_whole(l->listing), l->human),
		err);
}

static int fill(ol_context *ctx, ol_session *session, ol_listing *listing, ol_error *err)
{
	list l = { listing,
		.human = !ol_args_has(ctx->args, "human") || ol_args_flag(ctx->args, "human") };
	ol_platform platform = { 0 };
	bool has_platform = false;
	int rc = OL_OK;

	if (ol_args_has(ctx->args, "platform"))
		rc = ol_context_platform(ctx, &platform, &has_platform, err);
	if (rc == OL_OK)
		rc = ol_image_history(session, ol_args_word(ctx->args, 0),
			has_platform ? &platform : NULL, on_row, &l, err);
	return rc;
}

static int run(ol_context *ctx, ol_error *err)
{
	static const ol_listing_shape shape = { columns,
		"{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}", "ID" };

	return ol_listing_show(ctx, &shape, fill, err);
}

static const ol_option options[] = {
	{ .name = "quiet", .letter = 'q', .kind = OL_OPTION_FLAG, .help = "IDs only" },
	{ .name = "human",
		.letter = 'H',
		.kind = OL_OPTION_FLAG,
		.help = "Sizes and dates for people; =false for exact ones",
		.otherwise = "true" },
	{ .name = "platform",
		.kind = OL_OPTION_TEXT,
		.value = "OS/ARCH[/VARIANT]",
		.help = "Which platform of the image" },
	OL_LISTING_OPTIONS,
	{ 0 },
};

const ol_command ol_command_history = {
	.name = "history",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] IMAGE",
	.summary = "Show how an image was made, step by step",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image history", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "history debian:12", "newest step first" },
		{ "history --no-trunc --format '{{.CreatedBy}}' debian:12",
			"the commands in full" },
		{ 0 } },
	.words_min = 1,
	.words_max = 1,
	.completes = OL_COMPLETES_IMAGES,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
