#include <string.h>

#include "cmd/commands.h"
#include "cmd/output_option.h"
#include "cmd/platforms.h"
#include "cmd/progress_options.h"
#include "image/save.h"

static ol_archive_format format_of(const char *text)
{
	static const struct {
		const char *name;
		ol_archive_format format;
	} rows[] = {
		{ "docker-archive", OL_ARCHIVE_DOCKER },
		{ "oci-archive", OL_ARCHIVE_OCI },
		{ "oci-dir", OL_ARCHIVE_OCI_DIR },
	};

	for (size_t i = 0; text && i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(text, rows[i].name) == 0)
			return rows[i].format;
	return OL_ARCHIVE_DOCKER;
}

static int check_output(const ol_context *ctx, ol_archive_format format, ol_error *err)
{
	if (format == OL_ARCHIVE_OCI_DIR && ol_output_is_stdout(ctx->args))
		return ol_fail(
			err, OL_EINVAL, "--format oci-dir makes a folder: name it with --output");
	return ol_output_check(ctx, err);
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_platform platforms[OL_PLATFORMS_MAX];
	ol_save_options options = {
		.images = ol_args_words(ctx->args, 0),
		.image_count = ol_args_word_count(ctx->args),
		.platforms = platforms,
		.format = format_of(ol_args_text(ctx->args, "format")),
		.output = ol_args_text(ctx->args, "output"),
		.since = ol_args_list(ctx->args, "since"),
	};
	ol_session *session = NULL;
	int rc = check_output(ctx, options.format, err);

	if (rc == OL_OK)
		rc = ol_platforms_parse(ol_args_list(ctx->args, "platform"), platforms,
			&options.platform_count, err);
	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	return rc < 0 ? rc : ol_save(session, &options, err);
}

static const ol_option options[] = {
	OL_OUTPUT_OPTION("Write to a file (oci-dir: a folder)"),
	{ .name = "format",
		.kind = OL_OPTION_TEXT,
		.value = "FORMAT",
		.choices = "docker-archive|oci-archive|oci-dir",
		.help = "What is written",
		.otherwise = "docker-archive" },
	{ .name = "platform",
		.kind = OL_OPTION_LIST,
		.value = "OS/ARCH[/VARIANT]",
		.help = "Only this platform; several times or with commas for several",
		.otherwise = "all that are in the store" },
	{ .name = "since",
		.kind = OL_OPTION_LIST,
		.value = "IMAGE",
		.help = "Leave out the layers of this image, which the receiver has" },
	OL_PROGRESS_OPTIONS,
	{ 0 },
};

const ol_command ol_command_save = {
	.name = "save",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Save images to an archive",
	.description =
		"A `docker-archive` is an OCI layout with Docker's files beside: `docker load`, "
		"`podman load`, skopeo and `orlop load` read it. Its layers are uncompressed. "
		"The OCI formats have the layers as they were pulled where they were kept "
		"(`pull --keep-blobs`): the manifest's digest is then preserved, and so is the "
		"index of an image of several platforms; otherwise they have the uncompressed "
		"layers under the same image ID.\n\n"
		"The same images give the same bytes. A file appears when it is whole; an OCI "
		"layout that is there already is added to.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image save", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "save -o app.tar app:1.4", "to a file" },
		{ "save app:1.4 | ssh host docker load", "to another machine" },
		{ "save --format oci-dir -o layout app:1.4",
			"an OCI layout, for skopeo and umoci" },
		{ "save --since app:1.3 -o update.tar app:1.4", "only what 1.4 has more" }, { 0 } },
	.words_min = 1,
	.words_many = true,
	.completes = OL_COMPLETES_IMAGES,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
