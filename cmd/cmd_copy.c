#include "cmd/commands.h"
#include "cmd/copy_result.h"
#include "cmd/progress_options.h"

static ol_copy_side target_side(const ol_args *args)
{
	return (ol_copy_side){
		.creds = ol_args_text(args, "dest-creds"),
		.cert_dir = ol_args_text(args, "dest-cert-dir"),
		.skip_tls_verify = ol_args_has(args, "dest-tls-verify") &&
				   !ol_args_flag(args, "dest-tls-verify"),
	};
}

static int run(ol_context *ctx, ol_error *err)
{
	const char *target = ol_args_word(ctx->args, 1);
	const ol_copy_side side = target_side(ctx->args);
	ol_copy_options copy = { .source = ol_args_word(ctx->args, 0),
		.target = target,
		.recompress = ol_args_flag(ctx->args, "recompress"),
		.target_side = &side };
	ol_session *session = NULL;
	ol_copied copied = { 0 };
	ol_platform platform;
	bool is_set = false;
	int rc = ol_copy_platform(ctx, &platform, &is_set, err);

	if (rc == OL_OK && is_set && ol_args_flag(ctx->args, "all"))
		rc = ol_fail(err, OL_EINVAL, "--platform and --all exclude each other");
	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc < 0)
		return rc;
	copy.platform = is_set ? &platform : NULL;
	ol_progress_set_verb(ctx->progress, OL_PROGRESS_COPIES);
	rc = ol_copy_image(session, &copy, &copied, err);
	if (rc == OL_ECANCELED)
		(void)ol_hint(err, rc, "copy it again: what has arrived is not sent twice");
	if (rc < 0)
		return ol_wrap(err, rc, "cannot copy %.255s", copy.source);
	rc = ol_copy_tell(ctx, target, &copied, err);
	if (rc == OL_OK && !ol_progress_is_json(ctx->progress) && !ol_args_flag(ctx->args, "quiet"))
		ol_console_printf(ctx->console, "%s\n", ol_digest_format(&copied.root).text);
	return rc;
}

#define SIDE_OPTIONS(side, which)                                                                  \
	{ .name = side "-creds",                                                                   \
		.kind = OL_OPTION_TEXT,                                                            \
		.value = "USER[:PASS]",                                                            \
		.help = "Credentials for the " which "'s registry; prefer orlop login" },          \
		{ .name = side "-tls-verify",                                                      \
			.kind = OL_OPTION_FLAG,                                                    \
			.help = "Refuse certificates of the " which                                \
				" that cannot be verified; =false takes any",                      \
			.otherwise = "true" },                                                     \
	{                                                                                          \
		.name = side "-cert-dir", .kind = OL_OPTION_TEXT, .value = "DIR",                  \
		.completes = "dir",                                                                \
		.help = "Folder with *.crt, *.cert and *.key for the " which "'s registry"         \
	}

static const ol_option options[] = {
	OL_COPY_OPTIONS,
	{ .name = "all",
		.letter = 'a',
		.kind = OL_OPTION_FLAG,
		.help = "All platforms: what is done anyway" },
	SIDE_OPTIONS("src", "source"),
	SIDE_OPTIONS("dest", "target"),
	{ .name = "authfile",
		.kind = OL_OPTION_TEXT,
		.value = "FILE",
		.completes = "file",
		.help = "File with credentials (REGISTRY_AUTH_FILE)",
		.otherwise = "docker's, then containers'" },
	{ .name = "retry",
		.kind = OL_OPTION_TEXT,
		.value = "N",
		.help = "How often a request that failed is tried again" },
	OL_PROGRESS_OPTIONS,
	{ 0 },
};

const ol_command ol_command_copy = {
	.name = "copy",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] SOURCE TARGET",
	.summary = "Copy an image between registries, layouts, archives and the store",
	.description =
		"SOURCE and TARGET are docker://REF (a registry), oci:DIR[:NAME] (an OCI image "
		"layout), oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], or REF or store:REF "
		"(the store).\n\n"
		"An index is copied with all it lists, and digests stay as they are. Within a "
		"registry nothing is moved; between two, blobs pass through without being "
		"unpacked. The digest that the target has is printed.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image copy", NULL }, { 0 } },
	.examples =
		(const ol_example[]){ { "copy docker://debian:12 docker://reg.example/debian:12",
					      "from registry to registry" },
			{ "copy docker://debian:12 oci-archive:debian.tar:12", "into a file" },
			{ "copy docker-archive:app.tar app:1.4", "into the store" }, { 0 } },
	.words_min = 2,
	.words_max = 2,
	.completes = OL_COMPLETES_IMAGES,
	.run = run,
};
