#include <sys/utsname.h>

#include "cmd/commands.h"
#include "cmd/listing.h"

static void human(ol_console *console, const ol_json *document)
{
	ol_console_printf(console, "orlop %s\n Compiler:  %s\n Platform:  %s\n Kernel:    %s\n",
		ol_json_text(ol_json_get(document, "Version")),
		ol_json_text(ol_json_get(document, "Compiler")),
		ol_json_text(ol_json_get(document, "Platform")),
		ol_json_text(ol_json_get(document, "Kernel")));
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *document = ol_json_object();
	ol_platform host = ol_platform_host();
	struct utsname system;

	if (uname(&system) < 0)
		return ol_fail_sys(err, "uname");
	ol_json_set_text(document, "Version", ORLOP_VERSION);
#ifdef __clang__
	ol_json_set_text(document, "Compiler", "clang " __clang_version__);
#else
	ol_json_set_text(document, "Compiler", "gcc " __VERSION__);
#endif
	ol_json_set_text(document, "Platform", ol_platform_format(&host).text);
	ol_json_set_text(document, "Kernel", system.release);
	return ol_show_document(ctx, document, human, err);
}

static const ol_option options[] = {
	OL_DOCUMENT_OPTIONS("{{.Version}}"),
	{ 0 },
};

const ol_command ol_command_version = {
	.name = "version",
	.group = OL_GROUP_HELP,
	.usage = "[OPTIONS]",
	.summary = "Show the version",
	.options = { options },
	.examples = (const ol_example[]){ { "version", "with what it was built by and runs on" },
		{ "version --format '{{.Version}}'", "the number alone" }, { 0 } },
	.userns = OL_USERNS_STAYS,
	.run = run,
};
