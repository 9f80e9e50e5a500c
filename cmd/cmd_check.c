#include <inttypes.h>

#include "cmd/commands.h"
#include "cmd/registry_options.h"
#include "image/repair.h"
#include "image/verify.h"

typedef struct findings {
	ol_console *console;
	ol_progress *progress;
	ol_json *list; /* NULL: for people, line by line */
	uint64_t mended, unmended;
} findings;

static void on_found(void *ctx, const ol_finding *finding)
{
	findings *f = ctx;
	bool has_hint = finding->hint && *finding->hint;

	if (f->list) {
		ol_json *fault = ol_json_object();

		ol_json_set_text(fault, "kind", finding->kind);
		ol_json_set(fault, "digest",
			ol_digest_is_set(&finding->digest)
				? ol_json_string(ol_digest_format(&finding->digest).text)
				: ol_json_null());
		ol_json_set(fault, "path",
			*finding->path ? ol_json_string(finding->path) : ol_json_null());
		ol_json_set_text(fault, "what", finding->what);
		ol_json_set_text(fault, "why", finding->why);
		ol_json_set(
			fault, "hint", has_hint ? ol_json_string(finding->hint) : ol_json_null());
		ol_json_push(f->list, fault);
		return;
	}
	ol_progress_finish(f->progress);
	ol_console_printf(f->console, "%s: %s\n", finding->what, finding->why);
	if (has_hint)
		ol_console_printf(f->console, "  %s\n", finding->hint);
}

static void on_mended(void *ctx, const ol_mended *mended)
{
	findings *f = ctx;

	*(mended->mended ? &f->mended : &f->unmended) += 1;
	if (f->list) {
		ol_json *line = ol_json_object();

		ol_json_set_text(line, "what", mended->what);
		ol_json_set_text(line, "how", mended->how);
		ol_json_set_bool(line, "mended", mended->mended);
		ol_json_push(f->list, line);
		return;
	}
	ol_progress_finish(f->progress);
	ol_console_printf(f->console, "%s: %s: %s\n", mended->mended ? "mended" : "not mended",
		mended->what, mended->how);
}

static void say(ol_context *ctx, uint64_t count, const char *one, const char *several)
{
	ol_console_printf(ctx->console, "%" PRIu64 " %s\n", count, count == 1 ? one : several);
}

/* list: "faults" of a check, "actions" of a repair. */
static int tell(ol_context *ctx, findings *f, uint64_t faults, bool repair, ol_error *err)
{
	ol_auto_str ol_str out = OL_STR((size_t)64 << 20);
	ol_auto(ol_json_free) ol_json *json = NULL;
	int rc;

	if (!f->list) {
		if (faults && repair)
			say(ctx, faults, "fault left", "faults left");
		else if (faults)
			say(ctx, faults, "fault found", "faults found");
		else
			ol_console_print(ctx->console, repair && f->unmended
							       ? "no more faults found\n"
							       : "no faults found\n");
		return OL_OK;
	}
	json = ol_json_object();
	ol_json_set_int(json, "count", (int64_t)faults);
	ol_json_set(json, repair ? "actions" : "faults", ol_steal(&f->list));
	rc = ol_json_format(json, OL_JSON_PRETTY, &out, err);
	(void)ol_str_addc(&out, '\n');
	if (rc == OL_OK)
		ol_console_print_view(ctx->console, ol_buf_view(&out));
	return rc;
}

static int check(ol_context *ctx, findings *f, uint64_t *faults, ol_error *err)
{
	const ol_verify_options options = { .quick = ol_args_flag(ctx->args, "quick"),
		.restart = ol_args_flag(ctx->args, "restart"),
		.say_lazy = true,
		.found = on_found,
		.ctx = f };
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	if (rc == OL_OK)
		rc = ol_verify(session, &options, faults, err);
	return rc == OL_ECORRUPT && *faults ? OL_OK : rc;
}

/* The database is mended while the session is opened: what is told begins there. */
static int repair(ol_context *ctx, findings *f, uint64_t *faults, ol_error *err)
{
	const ol_mender mender = { on_mended, f };
	const ol_repair_options options = { .quick = ol_args_flag(ctx->args, "quick"),
		.restart = ol_args_flag(ctx->args, "restart"),
		.mender = &mender };
	ol_session *session = NULL;
	int rc;

	ctx->mender = &mender;
	rc = ol_context_session(ctx, &session, err);
	ctx->mender = NULL;
	return rc == OL_OK ? ol_repair(session, &options, faults, err) : rc;
}

static int run(ol_context *ctx, ol_error *err)
{
	findings f = { .console = ctx->console, .progress = ctx->progress };
	const bool mends = ol_args_flag(ctx->args, "repair");
	uint64_t faults = 0;
	int rc;

	if (ol_args_flag(ctx->args, "json"))
		f.list = ol_json_array();
	rc = mends ? repair(ctx, &f, &faults, err) : check(ctx, &f, &faults, err);
	ol_progress_finish(ctx->progress);
	if (rc == OL_OK) {
		ctx->status = faults || f.unmended ? 1 : 0;
		rc = tell(ctx, &f, faults, mends, err);
	}
	ol_json_free(f.list);
	return rc;
}

static const ol_option options[] = {
	{ .name = "quick",
		.kind = OL_OPTION_FLAG,
		.help = "Look at presence and sizes only, hash nothing" },
	{ .name = "repair",
		.kind = OL_OPTION_FLAG,
		.help = "Mend what is damaged, and only that: say what was done" },
	{ .name = "restart",
		.kind = OL_OPTION_FLAG,
		.help = "Begin anew, where an earlier check was interrupted" },
	{ .name = "json", .kind = OL_OPTION_FLAG, .help = "One JSON object, for programs" },
	{ 0 },
};

const ol_command ol_command_check = {
	.name = "check",
	.group = OL_GROUP_STORE,
	.usage = "[OPTIONS]",
	.summary = "Prove the store: hash all that containers would read",
	.description =
		"Every blob and layer is hashed again and compared with its digest, every "
		"row of the database with its checksum and its files. What is wrong is "
		"named, a line each, and the exit status is 1. A check that is "
		"interrupted goes on where it was when it is started again within a day."
		"\n\n"
		"With --repair what is damaged is mended: a blob or layer is fetched again, "
		"by itself, from where it was pulled; an index is written anew from its tar; "
		"a row of the database is put right or made again from the files. What was "
		"loaded from an archive and is kept nowhere else is named, and the exit "
		"status is 1 if anything is left.",
	.options = { options, ol_registry_options },
	.aliases = (const ol_alias[]){ { "system check", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "check", "all of it" },
		{ "check --repair", "mend what is damaged" },
		{ "check --quick --json", "sizes only, for a program" }, { 0 } },
	.run = run,
};
