#include <inttypes.h>

#include "cmd/commands.h"
#include "image/upkeep.h"

typedef struct findings {
	ol_console *console;
	ol_progress *progress;
	ol_json *list; /* NULL: for people, line by line */
} findings;

static void on_found(void *ctx, const ol_finding *finding)
{
	findings *f = ctx;
	bool has_hint = finding->hint && *finding->hint;

	if (f->list) {
		ol_json *fault = ol_json_object();

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

static int tell(ol_context *ctx, findings *f, uint64_t faults, ol_error *err)
{
	ol_auto_str ol_str out = OL_STR((size_t)64 << 20);
	ol_auto(ol_json_free) ol_json *json = NULL;
	int rc;

	if (!f->list) {
		if (faults)
			ol_console_printf(ctx->console, "%" PRIu64 " fault%s found\n", faults,
				faults == 1 ? "" : "s");
		else
			ol_console_print(ctx->console, "no faults found\n");
		return OL_OK;
	}
	json = ol_json_object();
	ol_json_set_int(json, "count", (int64_t)faults);
	ol_json_set(json, "faults", ol_steal(&f->list));
	rc = ol_json_format(json, OL_JSON_PRETTY, &out, err);
	(void)ol_str_addc(&out, '\n');
	if (rc == OL_OK)
		ol_console_print_view(ctx->console, ol_buf_view(&out));
	return rc;
}

static int run(ol_context *ctx, ol_error *err)
{
	findings f = { .console = ctx->console, .progress = ctx->progress };
	const ol_verify_options options = {
		.quick = ol_args_flag(ctx->args, "quick"), .found = on_found, .ctx = &f
	};
	uint64_t faults = 0;
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err), told;

	if (rc < 0)
		return rc;
	if (ol_args_flag(ctx->args, "json"))
		f.list = ol_json_array();
	rc = ol_verify(session, &options, &faults, err);
	ol_progress_finish(ctx->progress);
	if (rc == OL_OK || (rc == OL_ECORRUPT && faults)) {
		ctx->status = faults ? 1 : 0;
		told = tell(ctx, &f, faults, err);
		rc = told;
	}
	ol_json_free(f.list);
	return rc;
}

static const ol_option options[] = {
	{ .name = "quick",
		.kind = OL_OPTION_FLAG,
		.help = "Look at presence and sizes only, hash nothing" },
	{ .name = "json", .kind = OL_OPTION_FLAG, .help = "One JSON object, for programs" },
	{ 0 },
};

const ol_command ol_command_check = {
	.name = "check",
	.group = OL_GROUP_STORE,
	.usage = "[OPTIONS]",
	.summary = "Prove the store: hash all that containers would read",
	.description = "Every blob and layer is hashed again and compared with its digest, every "
		       "row of the database with its files. What is wrong is named, "
		       "a line each, and the exit status is 1.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "system check", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "check", "all of it" },
		{ "check --quick --json", "sizes only, for a program" }, { 0 } },
	.run = run,
};
