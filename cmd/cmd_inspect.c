#include "cmd/commands.h"
#include "cmd/listing.h"
#include "image/list.h"
#include "image/run.h"

typedef struct what {
	bool containers, images;
	const ol_platform *platform; /* NULL: not said */
} what;

static int find(ol_session *session, const char *name, const what *w, ol_json **out, ol_error *err)
{
	int rc = OL_ENOTFOUND;

	/* As docker: a container of that name before an image. */
	if (w->containers)
		rc = ol_inspect_container(session, name, out, err);
	if (rc == OL_ENOTFOUND && w->images)
		rc = ol_inspect_image(session, name, w->platform, out, err);
	if (rc == OL_ENOTFOUND && w->containers && w->images)
		return ol_fail(err, rc, "No such object: %s", name);
	return rc;
}

static int show(ol_context *ctx, const ol_json *found, ol_error *err)
{
	const char *format = ol_args_text(ctx->args, "format");
	ol_auto_str ol_str out = OL_STR((size_t)256 << 20);
	int rc;

	if (format)
		return ol_show_each(ctx, found, format, err);
	rc = ol_json_format(found, OL_JSON_PRETTY, &out, err);
	if (rc < 0)
		return rc;
	(void)ol_str_addc(&out, '\n');
	ol_console_print_view(ctx->console, ol_buf_view(&out));
	return OL_OK;
}

static int run(ol_context *ctx, ol_error *err)
{
	const char *type = ol_args_text(ctx->args, "type");
	ol_auto(ol_json_free) ol_json *found = ol_json_array();
	what w = { .containers = !type || strcmp(type, "container") == 0,
		.images = !type || strcmp(type, "image") == 0 };
	ol_platform platform = { 0 };
	bool has_platform = false;
	ol_session *session = NULL;
	int rc;

	if (ol_args_has(ctx->args, "platform")) {
		rc = ol_context_platform(ctx, &platform, &has_platform, err);
		if (rc < 0)
			return rc;
		w.platform = &platform;
	}
	rc = ol_context_session(ctx, &session, err);
	if (rc < 0)
		return rc;
	for (const char *const *name = ol_args_words(ctx->args, 0); *name; name++) {
		ol_json *one = NULL;
		ol_error failure = { 0 };

		rc = find(session, *name, &w, &one, &failure);
		if (rc == OL_OK) {
			ol_json_push(found, one);
			continue;
		}
		ol_console_error(ctx->console, &failure);
		ctx->status = 1;
	}
	return show(ctx, found, err);
}

static const ol_option options[] = {
	{ .name = "format",
		.letter = 'f',
		.kind = OL_OPTION_TEXT,
		.value = "FORMAT",
		.help = "json (a line each), or a template: '{{.Config.Env}}'" },
	{ .name = "type",
		.kind = OL_OPTION_TEXT,
		.value = "TYPE",
		.choices = "image|container",
		.help = "Look at one sort of objects only" },
	{ .name = "platform",
		.kind = OL_OPTION_TEXT,
		.value = "OS/ARCH[/VARIANT]",
		.help = "Which platform of an image" },
	{ 0 },
};

const ol_command ol_command_inspect = {
	.name = "inspect",
	.group = OL_GROUP_IMAGES,
	.usage = "[OPTIONS] NAME|ID [NAME|ID...]",
	.summary = "Show all that is known of images and containers, as JSON",
	.description = "The JSON is an array, its members are Docker's. A template is run for each "
		       "object. What a template may have: fields "
		       "`.A.B`, variables, `range`, `if`, `else`, pipes, and the functions `json`, "
		       "`join`, `split`, `index`, `len`, `println`, `upper`, "
		       "`lower`, `truncate`, `eq`, `ne`, `and`, `or` and `not`.",
	.options = { options },
	.aliases = (const ol_alias[]){ { "image inspect", "--type=image" },
		{ "container inspect", "--type=container" }, { 0 } },
	.examples = (const ol_example[]){ { "inspect debian:12", "all of it" },
		{ "inspect --format '{{json .Config.Env}}' debian:12", "one member" },
		{ "inspect --format '{{range $k, $v := .Config.Labels}}{{println $k $v}}{{end}}' "
		  "debian:12",
			"labels, a line each" },
		{ 0 } },
	.words_min = 1,
	.words_many = true,
	.completes = OL_COMPLETES_BOTH,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
