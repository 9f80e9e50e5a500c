#include <inttypes.h>

#include "cmd/commands.h"
#include "cmd/listing.h"
#include "cmd/size.h"
#include "image/upkeep.h"

static void human(ol_console *console, const ol_json *document)
{
	static const struct {
		const char *key, *one, *many;
	} rows[] = {
		{ "blobs", "blob", "blobs" },
		{ "layers", "layer", "layers" },
		{ "ingests", "unfinished download", "unfinished downloads" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t count = ol_json_int(ol_json_get(document, rows[i].key), 0);

		if (count)
			ol_console_printf(console, "Deleted: %" PRId64 " %s\n", count,
				count == 1 ? rows[i].one : rows[i].many);
	}
	ol_console_printf(console, "Total reclaimed space: %s\n",
		ol_size_format((uint64_t)ol_json_int(ol_json_get(document, "bytes"), 0)).text);
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *document = NULL;
	ol_gc_result result = { 0 };
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	if (rc == OL_OK)
		rc = ol_collect(session, &result, err);
	if (rc < 0)
		return rc;
	ol_progress_finish(ctx->progress);
	document = ol_json_object();
	ol_json_set_int(document, "blobs", (int64_t)result.blobs);
	ol_json_set_int(document, "layers", (int64_t)result.layers);
	ol_json_set_int(document, "ingests", (int64_t)result.ingests);
	ol_json_set_int(document, "bytes", (int64_t)result.bytes);
	return ol_show_document(ctx, document, human, err);
}

static const ol_option options[] = {
	OL_DOCUMENT_OPTIONS("{{.bytes}}"),
	{ 0 },
};

const ol_command ol_command_gc = {
	.name = "gc",
	.group = OL_GROUP_STORE,
	.usage = "[OPTIONS]",
	.summary = "Remove what no image, container or mount needs",
	.description = "Also ends mounts whose users are gone, and finishes what an interrupted "
		       "command left. Images stay, those without a name too; other "
		       "commands go on meanwhile.",
	.options = { options },
	.examples = (const ol_example[]){ { "gc", "says what went" }, { 0 } },
	.run = run,
};
