#include <stdio.h>
#include <unistd.h>

#include "cmd/commands.h"
#include "cmd/size.h"
#include "image/prune.h"
#include "image/upkeep.h"

typedef struct plan {
	bool containers, images, garbage;
	ol_prune_options options;
} plan;

static plan plan_of(const ol_context *ctx)
{
	const bool system = ol_args_flag(ctx->args, "system");
	const bool containers = ol_args_flag(ctx->args, "containers");

	return (plan){
		.containers = containers || system,
		.images = !containers || system,
		.garbage = system,
		.options = { .all = ol_args_flag(ctx->args, "all"),
			.imported = ol_args_flag(ctx->args, "imported"),
			.filters = ol_args_list(ctx->args, "filter") },
	};
}

static void warn(const plan *p)
{
	const char *images = p->options.all ? "all images that no container or mount uses"
					    : "all dangling images";

	(void)fputs("WARNING! This will remove", stderr);
	if (p->garbage)
		(void)fprintf(stderr,
			":\n  - all stopped containers\n  - %s\n  - unfinished downloads that "
			"nobody resumes, and what nothing needs\n",
			images);
	else
		(void)fprintf(stderr, " %s.\n", p->images ? images : "all stopped containers");
}

/* As docker asks; where nobody can answer, nothing is removed. */
static int confirm(ol_context *ctx, const plan *p, bool *yes, ol_error *err)
{
	char answer[16] = "";

	*yes = ol_args_flag(ctx->args, "force");
	if (*yes)
		return OL_OK;
	if (!isatty(STDIN_FILENO)) {
		(void)ol_fail(err, OL_EINVAL, "prune asks first, and there is no terminal to ask");
		return ol_hint(err, OL_EINVAL, "--force removes without asking");
	}
	warn(p);
	(void)fputs("Are you sure you want to continue? [y/N] ", stderr);
	(void)fflush(stderr);
	if (!fgets(answer, sizeof answer, stdin))
		answer[0] = '\0';
	*yes = answer[0] == 'y' || answer[0] == 'Y';
	return OL_OK;
}

static void on_event(void *ctx, const ol_prune_event *event)
{
	ol_console *console = ctx;

	switch (event->kind) {
	case OL_PRUNE_UNTAGGED:
		ol_console_printf(console, "Untagged: %s\n", event->text);
		break;
	case OL_PRUNE_DELETED:
		ol_console_printf(console, "Deleted: %s\n", event->text);
		break;
	case OL_PRUNE_CONTAINER:
		ol_console_printf(console, "Removed container: %s\n", event->text);
		break;
	case OL_PRUNE_KEPT:
		ol_console_say(console, "note", "%s stays: %s", event->text, event->why);
		break;
	}
}

static int prune(ol_context *ctx, ol_session *session, const plan *p, ol_error *err)
{
	const ol_prune_listener listener = { on_event, ctx->console };
	ol_gc_result gone = { 0 };
	uint64_t reclaimed = 0;
	int rc = OL_OK;

	if (p->containers)
		rc = ol_prune_containers(session, &p->options, &listener, &reclaimed, err);
	if (rc == OL_OK && p->images)
		rc = ol_prune_images(session, &p->options, &listener, &reclaimed, err);
	if (rc == OL_OK && p->garbage)
		rc = ol_collect(session, &gone, err);
	if (rc < 0)
		return rc;
	ol_progress_finish(ctx->progress);
	ol_console_printf(ctx->console, "Total reclaimed space: %s\n",
		ol_size_format(reclaimed + gone.bytes).text);
	return OL_OK;
}

static int run(ol_context *ctx, ol_error *err)
{
	const plan p = plan_of(ctx);
	ol_session *session = NULL;
	bool yes = false;
	int rc = confirm(ctx, &p, &yes, err);

	if (rc < 0 || !yes)
		return rc;
	rc = ol_context_session(ctx, &session, err);
	return rc < 0 ? rc : prune(ctx, session, &p, err);
}

static const ol_option options[] = {
	{ .name = "all",
		.letter = 'a',
		.kind = OL_OPTION_FLAG,
		.help = "All images that nothing uses, not only those without a name" },
	{ .name = "filter",
		.kind = OL_OPTION_LIST,
		.value = "KEY=VALUE",
		.help = "Only what matches: until=24h (or a time), and of images label=, label!=, "
			"dangling=" },
	{ .name = "force", .letter = 'f', .kind = OL_OPTION_FLAG, .help = "Do not ask" },
	{ .name = "imported",
		.kind = OL_OPTION_FLAG,
		.help = "Also images that were loaded or imported" },
	{ .name = "containers",
		.kind = OL_OPTION_FLAG,
		.help = "Stopped containers instead of images" },
	{ .name = "system",
		.kind = OL_OPTION_FLAG,
		.help = "Stopped containers, images, and what `gc` removes" },
	{ 0 },
};

const ol_command ol_command_prune = {
	.name = "prune",
	.group = OL_GROUP_STORE,
	.usage = "[OPTIONS]",
	.summary = "Remove images that nothing uses",
	.description =
		"Images that lost their name, or with --all every image that no container and no "
		"mount uses. Pinned images stay. So do, unless --imported is given, those that "
		"were "
		"loaded or imported: they may exist nowhere else. What stays for such a reason is "
		"named.\n\n"
		"Asks first, as docker does, unless -f is given; without a terminal it needs that.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image prune", NULL },
		{ "container prune", "--containers" }, { "system prune", "--system" }, { 0 } },
	.examples = (const ol_example[]){ { "prune", "images without a name, after asking" },
		{ "prune --all --force --filter until=720h",
			"all that are older than a month and not in use" },
		{ "container prune -f", "stopped containers" },
		{ "system prune -af", "all that nothing uses" }, { 0 } },
	.run = run,
};
