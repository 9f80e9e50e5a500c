#include <string.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/copy_result.h"
#include "cmd/progress_options.h"
#include "cmd/registry_options.h"

struct push {
	ol_context *ctx;
	ol_session *session;
	const char *target; /* NULL: as the source */
	ol_copy_options options;
	bool quiet;
};

/* "docker://" in front is understood, as skopeo's users write it. */
static const char *plain_name(const char *text)
{
	return strncmp(text, "docker://", 9) == 0 ? text + 9 : text;
}

/* Docker's first line. */
static void tell_start(const struct push *push, const ol_ref *to)
{
	const ol_context *ctx = push->ctx;
	const char *progress = ol_args_text(ctx->args, "progress");

	if (!push->quiet && !ol_progress_is_json(ctx->progress) &&
		!(progress && strcmp(progress, "none") == 0))
		(void)fprintf(ctx->console->err, "The push refers to repository [%s]\n",
			ol_ref_name(to).text);
}

static int push_one(struct push *push, const char *source, ol_error *err)
{
	ol_context *ctx = push->ctx;
	ol_copied copied = { 0 };
	ol_ref_string name;
	ol_ref to = { 0 };
	int rc = ol_ref_parse(plain_name(push->target ? push->target : source), &to, NULL);

	if (rc == OL_OK)
		tell_start(push, &to);
	rc = ol_push(push->session, source, push->target, &push->options, &copied, err);
	if (rc < 0)
		return rc;
	name = ol_ref_format(&to);
	rc = ol_copy_tell(ctx, name.text, &copied, err);
	if (rc < 0 || ol_progress_is_json(ctx->progress))
		return rc;
	if (push->quiet)
		ol_console_printf(ctx->console, "%s\n", name.text);
	else
		ol_console_printf(ctx->console, "%s: digest: %s size: %llu\n",
			*to.tag ? to.tag : ol_digest_format(&to.digest).text,
			ol_digest_format(&copied.root).text, (unsigned long long)copied.size);
	return OL_OK;
}

static int push_tag(void *ctx, const char *name, ol_error *err)
{
	return push_one(ctx, name, err);
}

static int push_all(struct push *push, const char *repository, ol_error *err)
{
	ol_ref ref;
	int rc = ol_ref_parse(repository, &ref, err);

	if (rc < 0)
		return rc;
	if (push->target || ol_digest_is_set(&ref.digest) ||
		strcmp(repository, ol_ref_name_familiar(&ref).text) == 0 ||
		strcmp(repository, ol_ref_name(&ref).text) == 0)
		return push->target ? ol_fail(err, OL_EINVAL,
					      "--all-tags goes with one name, and no other")
				    : ol_push_tags(push->session, repository, push_tag, push, err);
	return ol_fail(err, OL_EINVAL, "tag can't be used with --all-tags/-a"); /* docker's words */
}

static int run(ol_context *ctx, ol_error *err)
{
	const char *source = ol_args_word(ctx->args, 0);
	struct push push = { .ctx = ctx,
		.target = ol_args_word(ctx->args, 1),
		.options = { .recompress = ol_args_flag(ctx->args, "recompress") },
		.quiet = ol_args_flag(ctx->args, "quiet") };
	ol_platform platform;
	bool is_set = false;
	int rc = ol_copy_platform(ctx, &platform, &is_set, err);

	if (rc == OL_OK)
		rc = ol_context_session(ctx, &push.session, err);
	if (rc < 0)
		return rc;
	push.options.platform = is_set ? &platform : NULL;
	ol_progress_set_verb(ctx->progress, OL_PROGRESS_PUSHES);
	rc = ol_args_flag(ctx->args, "all-tags") ? push_all(&push, source, err)
						 : push_one(&push, source, err);
	return rc == OL_ECANCELED ? ol_hint(err, rc, "push it again: what has arrived stays there")
				  : rc;
}

static const ol_option options[] = {
	{ .name = "all-tags",
		.letter = 'a',
		.kind = OL_OPTION_FLAG,
		.help = "All tags of the repository that are in the store" },
	OL_COPY_OPTIONS,
	OL_PROGRESS_OPTIONS,
	{ .name = "disable-content-trust",
		.kind = OL_OPTION_FLAG,
		.help = "For docker's sake: nothing is signed here" },
	{ 0 },
};

const ol_command ol_command_push = {
	.name = "push",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] IMAGE [NAME[:TAG]]",
	.summary = "Upload an image to a registry",
	.description =
		"The digest stays what it was pulled by. A layer that the registry has is left "
		"alone, or mounted from another of its repositories; one whose compressed bytes "
		"were not kept is fetched from where it was pulled from and passed on. Where that "
		"fails, `--recompress` makes it anew, and the new digest is printed.\n\n"
		"Of an image for several platforms of which one was pulled, that one goes. A push "
		"that was interrupted is pushed again: what has arrived is not sent twice.",
	.options = { options, ol_registry_options },
	.aliases = (const ol_alias[]){ { "image push", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "push reg.example/app:1.4", "under its own name" },
		{ "push debian:12 reg.example/mirror/debian:12", "under another" },
		{ "push --all-tags reg.example/app", "every tag there is" }, { 0 } },
	.words_min = 1,
	.words_max = 2,
	.completes = OL_COMPLETES_IMAGES,
	.run = run,
};
