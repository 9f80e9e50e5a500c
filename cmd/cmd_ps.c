#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/commands.h"
#include "cmd/lazy_list.h"
#include "cmd/listing.h"
#include "cmd/table.h"
#include "image/run.h"

#define COMMAND_COLUMNS 20

static const ol_column columns[] = {
	{ "ID", "CONTAINER ID" },
	{ "Image", "IMAGE" },
	{ "Command", "COMMAND" },
	{ "RunningFor", "CREATED" },
	{ "CreatedAt", "CREATED AT" },
	{ "Status", "STATUS" },
	{ "State", "STATE" },
	{ "Ports", "PORTS" },
	{ "Names", "NAMES" },
	{ NULL, NULL },
};

typedef struct list {
	ol_listing *listing;
	const char *const *filters;
} list;

static const char *state_of(const ol_container_info *info)
{
	static const char *const states[] = {
		[OL_CONTAINER_CREATED] = "created",
		[OL_CONTAINER_RUNNING] = "running",
		[OL_CONTAINER_EXITED] = "exited",
	};

	return states[info->state];
}

/* Docker's words: "Up 5 minutes", "Exited (0) 2 hours ago", "Created". Owned. */
static char *status_of(const ol_container_info *info)
{
	ol_time_text ago = ol_time_ago(
		info->state == OL_CONTAINER_EXITED ? info->finished : info->started, ol_unix_now());
	size_t size = strlen(ago.text);

	switch (info->state) {
	case OL_CONTAINER_CREATED:
		break;
	case OL_CONTAINER_RUNNING:
		return ol_text("Up %.*s", (int)(size > 4 ? size - 4 : size), ago.text);
	case OL_CONTAINER_EXITED:
		return ol_text("Exited (%d)%s%s", info->exit_status, info->finished ? " " : "",
			info->finished ? ago.text : "");
	}
	return ol_strdup("Created");
}

/* In quotes, shortened: as docker. Owned. */
static char *command_of(const ol_container_info *info, bool whole)
{
	ol_autofree char *text =
		whole ? ol_strdup(info->command)
		      : ol_ellipsis(info->command ? info->command : "", COMMAND_COLUMNS);
	ol_auto_str ol_str out = OL_STR((size_t)1 << 20);

	(void)ol_str_addc(&out, '"');
	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == '"' || *p == '\\')
			(void)ol_str_addc(&out, '\\');
		if (*p == '\n')
			(void)ol_str_add(&out, "\\n");
		else
			(void)ol_str_addc(&out, *p);
	}
	(void)ol_str_addc(&out, '"');
	return ol_buf_steal(&out);
}

static ol_json *machine_row(const ol_container_info *info)
{
	ol_json *json = ol_json_object();

	ol_json_set_text(json, "ID", info->id);
	ol_json_set_text(json, "Name", info->name);
	ol_json_set_text(json, "Image", info->image);
	ol_json_set_text(json, "ImageID", ol_digest_format(&info->config).text);
	ol_json_set_text(json, "Command", info->command);
	ol_json_set_text(json, "State", state_of(info));
	ol_json_set_text(json, "Created", ol_when_rfc3339(info->created).text);
	ol_json_set(json, "Started",
		info->started ? ol_json_string(ol_when_rfc3339(info->started).text)
			      : ol_json_null());
	ol_json_set(json, "Finished",
		info->finished ? ol_json_string(ol_when_rfc3339(info->finished).text)
			       : ol_json_null());
	ol_json_set(json, "ExitCode",
		info->state == OL_CONTAINER_EXITED ? ol_json_integer(info->exit_status)
						   : ol_json_null());
	ol_json_set(json, "Pid",
		info->state == OL_CONTAINER_RUNNING ? ol_json_integer(info->pid) : ol_json_null());
	return json;
}

static ol_json *docker_row(const ol_container_info *info, bool whole)
{
	ol_json *json = ol_json_object();
	ol_autofree char *status = status_of(info), *command = command_of(info, whole);
	ol_autofree char *id =
		ol_strndup(info->id, whole ? strlen(info->id) : strnlen(info->id, 12));

	ol_json_set_text(json, "ID", id);
	ol_json_set_text(json, "Image", info->image);
	ol_json_set_text(json, "Command", command);
	ol_row_set_time(json, "RunningFor", "CreatedAt", info->created);
	ol_json_set_text(json, "Status", status);
	ol_json_set_text(json, "State", state_of(info));
	ol_json_set_text(json, "Ports", "");
	ol_json_set_text(json, "Names", info->name);
	return json;
}

static int check_filters(const char *const *filters, ol_error *err)
{
	static const char *const keys[] = { "id=", "name=", "status=", "exited=", "ancestor=" };

	for (; *filters; filters++) {
		bool known = false;

		for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
			known = known || strncmp(*filters, keys[i], strlen(keys[i])) == 0;
		if (known)
			continue;
		ol_fail(err, OL_EINVAL, "invalid filter '%s'", *filters);
		return ol_hint(
			err, OL_EINVAL, "there are id=, name=, status=, exited= and ancestor=");
	}
	return OL_OK;
}

static bool matches(const ol_container_info *info, const char *key, size_t size, const char *value)
{
	char number[16];

	if (strncmp(key, "id=", size) == 0)
		return strncmp(info->id, value, strlen(value)) == 0;
	if (strncmp(key, "name=", size) == 0)
		return strstr(info->name, value) != NULL;
	if (strncmp(key, "status=", size) == 0)
		return strcmp(state_of(info), value) == 0;
	if (strncmp(key, "ancestor=", size) == 0)
		return strcmp(info->image, value) == 0 ||
		       strncmp(ol_digest_hex(&info->config).text, value, strlen(value)) == 0;
	(void)snprintf(number, sizeof number, "%d", info->exit_status);
	return info->state == OL_CONTAINER_EXITED && strcmp(number, value) == 0;
}

/* As docker: filters of one key are alternatives, those of different keys all hold. */
static bool is_wanted(const ol_container_info *info, const char *const *filters)
{
	for (const char *const *f = filters; *f; f++) {
		size_t size = (size_t)(strchr(*f, '=') - *f) + 1;
		bool one = false;

		for (const char *const *g = filters; *g && !one; g++)
			one = strncmp(*f, *g, size) == 0 && matches(info, *g, size, *g + size);
		if (!one)
			return false;
	}
	return true;
}

static int on_container(void *ctx, const ol_container_info *info, ol_error *err)
{
	list *l = ctx;

	if (!is_wanted(info, l->filters))
		return OL_OK;
	return ol_listing_add(l->listing,
		ol_listing_is_json(l->listing) ? machine_row(info)
					       : docker_row(info, ol_listing_is_whole(l->listing)),
		err);
}

static int fill(ol_context *ctx, ol_session *session, ol_listing *listing, ol_error *err)
{
	list l = { listing, ol_args_list(ctx->args, "filter") };
	bool all = ol_args_flag(ctx->args, "all");

	/* As docker: who asks for a state means all that have it. */
	for (const char *const *f = l.filters; *f; f++)
		all = all || strncmp(*f, "status=", 7) == 0 || strncmp(*f, "exited=", 7) == 0;
	return ol_list_containers(session, all, on_container, &l, err);
}

static int run(ol_context *ctx, ol_error *err)
{
	static const ol_listing_shape shape = { columns,
		"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{."
		"Names}}",
		"ID" };
	int rc;

	if (ol_args_flag(ctx->args, "lazy"))
		return ol_show_lazy(ctx, err);
	rc = check_filters(ol_args_list(ctx->args, "filter"), err);
	return rc < 0 ? rc : ol_listing_show(ctx, &shape, fill, err);
}

static const ol_option options[] = {
	{ .name = "all",
		.letter = 'a',
		.kind = OL_OPTION_FLAG,
		.help = "Those that have ended too" },
	{ .name = "quiet", .letter = 'q', .kind = OL_OPTION_FLAG, .help = "Container IDs only" },
	{ .name = "filter",
		.letter = 'f',
		.kind = OL_OPTION_LIST,
		.value = "KEY=VALUE",
		.help = "Only containers that match: id=, name=, status=, exited=, ancestor=" },
	{ .name = "lazy",
		.kind = OL_OPTION_FLAG,
		.help = "Layers that are not whole yet instead, and how far they are" },
	OL_LISTING_OPTIONS,
	{ 0 },
};

const ol_command ol_command_ps = {
	.name = "ps",
	.group = OL_GROUP_CONTAINERS,
	.usage = "[OPTIONS]",
	.summary = "List containers",
	.description = "A container that was run without `--rm` stays after its end, with what it "
		       "wrote, until `orlop rm` removes it. With `--lazy` the list is of layers: "
		       "what of each is there, "
		       "who waits, and bytes by why they were fetched (demand: somebody read them; "
		       "ahead: beside those; prefetch: a start needs them; background: the rest).",
	.options = { options },
	.aliases = (const ol_alias[]){ { "container ls", NULL }, { "container list", NULL },
		{ "container ps", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "ps", "those that run" },
		{ "ps -a --filter exited=1", "those that ended with status 1" },
		{ "ps -a --format '{{.Names}}: {{.Status}}'", "as a template says" },
		{ "ps --lazy", "what still comes of images that were pulled lazily" }, { 0 } },
	.userns = OL_USERNS_STAYS,
	.run = run,
};
