#include <string.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/copy_result.h"
#include "cmd/listing.h"
#include "cmd/progress_options.h"
#include "cmd/registry_options.h"
#include "cmd/size.h"
#include "image/index.h"

static int size_option(ol_context *ctx, const char *name, uint64_t *out, ol_error *err)
{
	const char *text = ol_args_text(ctx->args, name);
	int rc = text ? ol_size_parse(text, out, err) : OL_OK;

	return rc < 0 ? ol_wrap(err, rc, "--%s", name) : OL_OK;
}

/* --- create --- */

static ol_json *layer_json(const ol_index_layer *layer)
{
	ol_json *json = ol_json_object();

	ol_json_set_text(json, "Layer", ol_digest_format(&layer->layer).text);
	ol_json_set_int(json, "Size", (int64_t)layer->layer_size);
	ol_json_set_text(json, "Ztoc", ol_digest_format(&layer->ztoc).text);
	ol_json_set_int(json, "ZtocSize", (int64_t)layer->ztoc_size);
	ol_json_set_bool(json, "Existed", layer->existed);
	ol_json_set_text(json, "Reason", layer->why);
	return json;
}

static ol_json *indexed_json(const char *image, const ol_indexed *indexed)
{
	ol_json *json = ol_json_object(), *layers = ol_json_array();

	for (size_t i = 0; i < indexed->layer_count; i++)
		ol_json_push(layers, layer_json(&indexed->layers[i]));
	ol_json_set_text(json, "Image", image);
	ol_json_set_text(json, "Manifest", ol_digest_format(&indexed->manifest).text);
	ol_json_set_text(json, "Platform", ol_platform_format(&indexed->platform).text);
	ol_json_set_text(json, "Index", ol_digest_format(&indexed->index).text);
	ol_json_set_int(json, "IndexSize", (int64_t)indexed->index_size);
	ol_json_set_bool(json, "InStore", indexed->in_store);
	ol_json_set(json, "Layers", layers);
	return json;
}

static int show_indexed(
	ol_context *ctx, const char *image, const ol_indexed *indexed, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = indexed_json(image, indexed);
	ol_auto_str ol_str text = OL_STR((size_t)1 << 20);
	const bool as_json = ol_args_flag(ctx->args, "json");
	int rc = OL_OK;

	if (ol_progress_is_json(ctx->progress)) {
		ol_progress_line(ctx->progress, "done", ol_steal(&json));
		return OL_OK;
	}
	ol_progress_finish(ctx->progress);
	if (as_json)
		rc = ol_json_format(json, OL_JSON_PRETTY, &text, err);
	if (rc < 0)
		return rc;
	ol_console_printf(ctx->console, "%s\n",
		as_json ? ol_str_text(&text) : ol_digest_format(&indexed->index).text);
	return OL_OK;
}

static int create(ol_context *ctx, ol_session *session, ol_error *err)
{
	ol_index_options options = { .ref = ol_args_word(ctx->args, 1),
		.min_layer_bytes = OL_INDEX_MIN_LAYER_BYTES };
	ol_indexed indexed = { 0 };
	ol_platform platform;
	bool is_set = false;
	int rc = ol_context_platform(ctx, &platform, &is_set, err);

	if (rc == OL_OK)
		rc = size_option(ctx, "min-layer-size", &options.min_layer_bytes, err);
	if (rc == OL_OK)
		rc = size_option(ctx, "span-size", &options.span_bytes, err);
	if (rc == OL_OK && ol_args_has(ctx->args, "span-size") &&
		options.span_bytes < OL_INDEX_SPAN_BYTES_MIN)
		rc = ol_fail(err, OL_EINVAL, "--span-size is at least 64k");
	if (rc < 0)
		return rc;
	options.platform = is_set ? &platform : NULL;
	ol_progress_set_verb(ctx->progress, OL_PROGRESS_COPIES);
	rc = ol_index_create(session, &options, &indexed, err);
	if (rc == OL_OK)
		rc = show_indexed(ctx, options.ref, &indexed, err);
	ol_indexed_done(&indexed);
	return rc;
}

/* --- push --- */

static int push(ol_context *ctx, ol_session *session, ol_error *err)
{
	const char *ref = ol_args_word(ctx->args, 1), *target = ol_args_word(ctx->args, 2);
	ol_copy_options options = { 0 };
	ol_copied copied = { 0 };
	ol_platform platform;
	ol_ref to = { 0 };
	bool is_set = false;
	int rc = ol_copy_platform(ctx, &platform, &is_set, err);

	if (rc < 0)
		return rc;
	options.platform = is_set ? &platform : NULL;
	ol_progress_set_verb(ctx->progress, OL_PROGRESS_PUSHES);
	rc = ol_index_push(session, ref, target, &options, &copied, err);
	if (rc < 0)
		return rc;
	if (strncmp(target ? target : ref, "docker://", 9) != 0)
		rc = ol_ref_parse(target ? target : ref, &to, err);
	else
		rc = ol_ref_parse((target ? target : ref) + 9, &to, err);
	if (rc == OL_OK)
		rc = ol_copy_tell(ctx, ol_ref_format(&to).text, &copied, err);
	if (rc == OL_OK && !ol_progress_is_json(ctx->progress))
		ol_console_printf(ctx->console, "%s@%s\n", ol_ref_format(&to).text,
			ol_digest_format(&copied.root).text);
	return rc;
}

/* --- ls, rm --- */

static const ol_column columns[] = {
	{ "Image", "IMAGE" },
	{ "Manifest", "MANIFEST" },
	{ "Index", "INDEX" },
	{ "Layers", "LAYERS" },
	{ "Size", "SIZE" },
	{ NULL, NULL },
};

static const char *shown(const ol_listing *listing, const ol_digest *digest, ol_digest_text *text)
{
	*text = ol_listing_is_whole(listing) ? ol_digest_format(digest) : ol_digest_short(digest);
	return text->text;
}

static int add_row(void *ctx, const ol_index_row *row, ol_error *err)
{
	ol_listing *listing = ctx;
	ol_json *json = ol_json_object();
	ol_digest_text text;

	ol_json_set_text(json, "Image", row->image);
	ol_json_set_text(json, "Manifest", shown(listing, &row->manifest, &text));
	ol_json_set_text(json, "Index", shown(listing, &row->index, &text));
	ol_json_set_int(json, "Layers", (int64_t)row->layers);
	if (ol_listing_is_json(listing))
		ol_json_set_int(json, "Size", (int64_t)row->bytes);
	else
		ol_json_set_text(json, "Size", ol_size_format(row->bytes).text);
	return ol_listing_add(listing, json, err);
}

static int list(ol_context *ctx, ol_session *session, ol_error *err)
{
	static const ol_listing_shape shape = { columns,
		"{{.Image}}\t{{.Manifest}}\t{{.Index}}\t{{.Layers}}\t{{.Size}}", "Index" };
	ol_auto(ol_listing_free) ol_listing *listing = NULL;
	int rc = ol_listing_open(ctx, &shape, &listing, err);

	if (rc == OL_OK)
		rc = ol_index_each(session, add_row, listing, err);
	return rc < 0 ? rc : ol_listing_end(listing, err);
}

static int remove_index(ol_context *ctx, ol_session *session, ol_error *err)
{
	return ol_index_remove(session, ol_args_word(ctx->args, 1), err);
}

/* --- the group --- */

static int run(ol_context *ctx, ol_error *err)
{
	static const struct {
		const char *name;
		size_t words_min, words_max;
		int (*run)(ol_context *ctx, ol_session *session, ol_error *err);
	} rows[] = {
		{ "create", 2, 2, create },
		{ "push", 2, 3, push },
		{ "ls", 1, 1, list },
		{ "rm", 2, 2, remove_index },
	};
	const char *word = ol_args_word(ctx->args, 0);
	const size_t count = ol_args_word_count(ctx->args);
	ol_session *session = NULL;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int rc;

		if (strcmp(rows[i].name, word) != 0)
			continue;
		if (count < rows[i].words_min || count > rows[i].words_max)
			return ol_fail(err, OL_EINVAL, "orlop index %s: %s", word,
				count < rows[i].words_min ? "an image is missing"
							  : "too many words");
		rc = ol_context_session(ctx, &session, err);
		return rc < 0 ? rc : rows[i].run(ctx, session, err);
	}
	(void)ol_fail(err, OL_EINVAL, "unknown command: orlop index %.100s", word);
	return ol_hint(err, OL_EINVAL, "there are create, push, ls and rm");
}

static const ol_option options[] = {
	{ .name = "platform",
		.kind = OL_OPTION_TEXT,
		.value = "OS/ARCH[/VARIANT]",
		.help = "create: this platform (DOCKER_DEFAULT_PLATFORM); push: this one alone",
		.otherwise = "create: this machine's; push: all" },
	{ .name = "min-layer-size",
		.kind = OL_OPTION_TEXT,
		.value = "SIZE",
		.help = "create: smaller layers, compressed, get no index",
		.otherwise = "10m" },
	{ .name = "span-size",
		.kind = OL_OPTION_TEXT,
		.value = "SIZE",
		.help = "create: bytes of a layer between two places to begin reading at",
		.otherwise = "4m" },
	{ .name = "digestfile",
		.kind = OL_OPTION_TEXT,
		.value = "FILE",
		.completes = "file",
		.help = "push: write the digest that the target has to a file" },
	OL_PROGRESS_OPTIONS,
	OL_LISTING_OPTIONS,
	{ 0 },
};

const ol_command ol_command_index = {
	.name = "index",
	.group = OL_GROUP_IMAGES,
	.usage = "create|push|ls|rm [OPTIONS] [IMAGE] [NAME[:TAG]]",
	.summary = "Make and publish indexes for lazy pulls",
	.description =
		"An index makes an ordinary image lazy: `orlop pull --lazy`, and AWS's "
		"soci-snapshotter, then start it after a few requests. It is a SOCI index of "
		"version 2, and the layers stay as they are.\n\n"
		"`create` reads each layer of IMAGE once, from the registry or from the store, "
		"verifies it and keeps none of it. Small layers get no index, nor do those "
		"that are compressed with zstd: those are pulled whole, and it is said. An image "
		"of "
		"the store is taken where there is one of this name.\n\n"
		"`push` publishes image and index together as NAME, or under the image's own "
		"name: its manifest then names its index, so the digest is another one, which "
		"is printed. A start profile that was recorded goes along.\n\n"
		"The index of an image in the store goes with the image. One of an image that is "
		"not there is kept until it is pushed; `ls` lists those, `rm` removes one.",
	.options = { options, ol_registry_options },
	.examples =
		(const ol_example[]){ { "index create reg.example/app:1.4", "without pulling it" },
			{ "index push reg.example/app:1.4", "the tag then means image and index" },
			{ "index push reg.example/app:1.4 reg.example/app:1.4-soci", "beside it" },
			{ "index ls", "what is kept for a push" }, { 0 } },
	.words_min = 1,
	.words_max = 3,
	.completes = OL_COMPLETES_IMAGES,
	.run = run,
};
