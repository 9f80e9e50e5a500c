#include <ctype.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/listing.h"
#include "cmd/size.h"
#include "image/upkeep.h"

/* "StoreRoot" as people write it: "Store Root". */
static void add_title(ol_str *out, const char *key)
{
	for (const char *p = key; *p; p++) {
		if (p > key && isupper((unsigned char)*p) && islower((unsigned char)p[-1]))
			(void)ol_str_addc(out, ' ');
		(void)ol_str_addc(out, *p);
	}
}

static bool ends_with(const char *text, const char *end)
{
	return ol_view_ends(ol_view_of(text), end);
}

static void show(ol_console *console, const ol_json *object, int indent)
{
	void *it = NULL;
	const char *key;
	const ol_json *member;

	while (ol_json_next(object, &it, &key, &member)) {
		ol_auto_str ol_str name = OL_STR(1024), value = OL_STR((size_t)1 << 20);

		add_title(&name, key);
		if (ol_json_is_object(member)) {
			ol_console_printf(console, "%*s%s:\n", indent, "", ol_str_text(&name));
			show(console, member, indent + 1);
			continue;
		}
		if (ol_json_is_string(member))
			(void)ol_str_add_safe(&value, ol_view_of(ol_json_text(member)));
		else if (ol_json_is_number(member) && ends_with(key, "Bytes"))
			(void)ol_str_add(
				&value, ol_size_format((uint64_t)ol_json_int(member, 0)).text);
		else
			(void)ol_json_format(member, OL_JSON_COMPACT, &value, NULL);
		ol_console_printf(console, "%*s%.*s: %s\n", indent, "",
			(int)(name.size - (ends_with(key, "Bytes") ? strlen(" Bytes") : 0)),
			ol_str_text(&name), ol_str_text(&value));
	}
}

static void human(ol_console *console, const ol_json *document)
{
	show(console, document, 0);
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *document = NULL;
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	if (rc == OL_OK)
		rc = ol_describe(session, &document, err);
	return rc < 0 ? rc : ol_show_document(ctx, document, human, err);
}

static const ol_option options[] = {
	OL_DOCUMENT_OPTIONS("{{.Driver}}"),
	{ .name = "lazy-engine",
		.kind = OL_OPTION_TEXT,
		.value = "NAME",
		.choices = "auto|fanotify|fuse",
		.help = "Try this engine of lazy layers (ORLOP_LAZY_ENGINE)",
		.otherwise = "the one in use, else the best" },
	{ 0 },
};

const ol_command ol_command_info = {
	.name = "info",
	.group = OL_GROUP_HELP,
	.usage = "[OPTIONS]",
	.summary = "Show the store, the driver and why it is used",
	.options = { options },
	.aliases = (const ol_alias[]){ { "system info", NULL }, { 0 } },
	.examples = (const ol_example[]){ { "info", "for people" },
		{ "info --format '{{.Driver}}'", "one member" }, { 0 } },
	.userns = OL_USERNS_TRIES,
	.run = run,
};
