#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/listing.h"
#include "cmd/size.h"
#include "image/run.h"
#include "image/usage.h"

static const ol_column columns[] = {
	{ "Type", "TYPE" },
	{ "TotalCount", "TOTAL" },
	{ "Active", "ACTIVE" },
	{ "Size", "SIZE" },
	{ "OnDisk", "ON DISK" },
	{ "Shared", "SHARED" },
	{ "Reclaimable", "RECLAIMABLE" },
	{ NULL, NULL },
};

static const ol_listing_shape shape = { columns,
	"{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.OnDisk}}\t{{.Shared}}\t{{."
	"Reclaimable}}",
	"Type" };

static ol_json *machine_row(const ol_usage_row *row)
{
	ol_json *json = ol_json_object();

	ol_json_set_text(json, "Type", row->type);
	ol_json_set_int(json, "TotalCount", (int64_t)row->total);
	ol_json_set_int(json, "Active", (int64_t)row->active);
	ol_json_set_int(json, "Size", (int64_t)row->size);
	ol_json_set_int(json, "OnDisk", (int64_t)row->disk);
	ol_json_set_int(json, "Shared", (int64_t)row->shared);
	ol_json_set_int(json, "Reclaimable", (int64_t)row->reclaimable);
	return json;
}

static void set_count(ol_json *json, const char *field, uint64_t count)
{
	ol_autofree char *text = ol_text("%llu", (unsigned long long)count);

	ol_json_set_text(json, field, text);
}

/* "1.2GB (45%)", of what is on disk, as docker. */
static ol_json *docker_row(const ol_usage_row *row)
{
	ol_json *json = ol_json_object();
	ol_autofree char *reclaimable =
		row->disk ? ol_text("%s (%u%%)", ol_size_format(row->reclaimable).text,
				    (unsigned)((double)row->reclaimable * 100 / (double)row->disk))
			  : ol_strdup(ol_size_format(row->reclaimable).text);

	ol_json_set_text(json, "Type", row->type);
	set_count(json, "TotalCount", row->total);
	set_count(json, "Active", row->active);
	ol_json_set_text(json, "Size", ol_size_format(row->size).text);
	ol_json_set_text(json, "OnDisk", ol_size_format(row->disk).text);
	ol_json_set_text(json, "Shared", ol_size_format(row->shared).text);
	ol_json_set_text(json, "Reclaimable", reclaimable);
	return json;
}

static int on_row(void *ctx, const ol_usage_row *row, ol_error *err)
{
	ol_listing *listing = ctx;

	return ol_listing_add(
		listing, ol_listing_is_json(listing) ? machine_row(row) : docker_row(row), err);
}

static const ol_column image_columns[] = {
	{ "Repository", "REPOSITORY" },
	{ "Tag", "TAG" },
	{ "ID", "IMAGE ID" },
	{ "CreatedSince", "CREATED" },
	{ "Size", "SIZE" },
	{ "SharedSize", "SHARED SIZE" },
	{ "UniqueSize", "UNIQUE SIZE" },
	{ "Containers", "CONTAINERS" },
	{ NULL, NULL },
};

static const ol_listing_shape image_shape = { image_columns,
	"{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{."
	"UniqueSize}}\t{{.Containers}}",
	"ID" };

static int on_image(
	void *ctx, const ol_image_row *row, uint64_t shared, uint64_t unique, ol_error *err)
{
	ol_listing *listing = ctx;
	ol_json *json = ol_json_object();

	ol_json_set_text(json, "Repository", row->repository);
	ol_json_set_text(json, "Tag", row->tag);
	if (ol_listing_is_json(listing)) {
		ol_json_set_text(json, "ID", ol_digest_format(&row->id).text);
		ol_json_set_text(json, "Created", ol_when_rfc3339(row->created).text);
		ol_json_set_int(json, "Size", (int64_t)row->size);
		ol_json_set_int(json, "SharedSize", (int64_t)shared);
		ol_json_set_int(json, "UniqueSize", (int64_t)unique);
		ol_json_set_int(json, "Containers", row->containers);
		return ol_listing_add(listing, json, err);
	}
	ol_json_set_text(json, "ID", ol_digest_short(&row->id).text);
	ol_json_set_text(json, "CreatedSince", ol_when_since(row->created).text);
	ol_json_set_text(json, "Size", ol_size_format(row->size).text);
	ol_json_set_text(json, "SharedSize", ol_size_format(shared).text);
	ol_json_set_text(json, "UniqueSize", ol_size_format(unique).text);
	set_count(json, "Containers", row->containers);
	return ol_listing_add(listing, json, err);
}

/* The images one by one, and for people the totals above them. */
static int show_images(ol_context *ctx, ol_session *session, ol_error *err)
{
	ol_auto(ol_listing_free) ol_listing *listing = NULL;
	int rc = ol_listing_open(ctx, &image_shape, &listing, err);

	if (rc == OL_OK)
		rc = ol_usage_images(session, on_image, listing, err);
	return rc < 0 ? rc : ol_listing_end(listing, err);
}

static int show_totals(ol_context *ctx, ol_session *session, ol_error *err)
{
	ol_auto(ol_listing_free) ol_listing *listing = NULL;
	int rc = ol_listing_open(ctx, &shape, &listing, err);

	if (rc == OL_OK)
		rc = ol_usage(session, on_row, listing, err);
	return rc < 0 ? rc : ol_listing_end(listing, err);
}

static int run(ol_context *ctx, ol_error *err)
{
	const bool verbose = ol_args_flag(ctx->args, "verbose");
	const bool table = !ol_args_has(ctx->args, "format") && !ol_args_flag(ctx->args, "json");
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	if (rc == OL_OK && (table || !verbose))
		rc = show_totals(ctx, session, err);
	if (rc == OL_OK && verbose && table)
		ol_console_print(ctx->console, "\n");
	if (rc == OL_OK && verbose)
		rc = show_images(ctx, session, err);
	return rc;
}

static const ol_option options[] = {
	{ .name = "verbose",
		.letter = 'v',
		.kind = OL_OPTION_FLAG,
		.help = "Also each image: what it has for itself, and with others" },
	OL_LISTING_OPTIONS,
	{ 0 },
};

const ol_command ol_command_df = {
	.name = "df",
	.group = OL_GROUP_STORE,
	.usage = "[OPTIONS]",
	.summary = "Show what the store takes on disk, and what could be given back",
	.description = "SIZE counts bytes as they are, of each image by itself; ON DISK what they "
		       "take, where "
		       "layers that images share are there once. The row Images holds all that is "
		       "kept for "
		       "images: documents, layers, and compressed layers that are kept (the row "
		       "Blobs).\n\n"
		       "RECLAIMABLE is what `orlop prune --all` would give back of images, `orlop "
		       "container "
		       "prune` of containers, and `orlop gc` of layers and downloads. Images that "
		       "are pinned, "
		       "imported or in use are not among it.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "system df", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "df", "in a few lines" },
		{ "df -v", "each image as well" }, { "df --json", "bytes, for a program" }, { 0 } },
	.run = run,
};
