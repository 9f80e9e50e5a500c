#include "cmd/command.h"
#include "cmd/registry_options.h"

/* What commands run with: the session, opened when it is needed, and the options that several
 * commands share. */

const ol_option ol_registry_options[] = {
	OL_TRANSPORT_OPTIONS,
	{ .name = "creds",
		.kind = OL_OPTION_TEXT,
		.value = "USER[:PASS]",
		.help = "Credentials for the registry; they stay in your shell's history: prefer "
			"orlop "
			"login" },
	{ .name = "short-names",
		.kind = OL_OPTION_TEXT,
		.value = "HOW",
		.choices = "aliases|search",
		.help = "A name without a registry: an alias of registries.conf, else docker.io's; "
			"or search its unqualified-search-registries",
		.otherwise = "aliases" },
	{ .name = "retry",
		.kind = OL_OPTION_TEXT,
		.value = "N",
		.help = "How often a request that failed is tried again" },
	{ 0 },
};

static const char *text_of(const ol_args *args, const char *name)
{
	return ol_args_knows(args, name) ? ol_args_text(args, name) : NULL;
}

/* The first of the two that was given: commands with two ends call the first end's src-…. */
static const char *side_text(const ol_args *args, const char *name, const char *source_name)
{
	const char *text = text_of(args, name);

	return text ? text : text_of(args, source_name);
}

static bool is_off(const ol_args *args, const char *name)
{
	return ol_args_knows(args, name) && ol_args_has(args, name) && !ol_args_flag(args, name);
}

static int retries_of(const ol_args *args, int *out, ol_error *err)
{
	const char *text = text_of(args, "retry");
	size_t size = text ? strlen(text) : 0;

	*out = -1;
	if (!text)
		return OL_OK;
	if (size == 0 || size > 2 || strspn(text, "0123456789") != size)
		return ol_fail(err, OL_EINVAL,
			"invalid argument \"%s\" for \"--retry\" flag: it is a number from 0 to 99",
			text);
	*out = (int)strtol(text, NULL, 10);
	return OL_OK;
}

int ol_context_session(ol_context *ctx, ol_session **out, ol_error *err)
{
	const ol_args *args = ctx->args;
	ol_session_options options = {
		.root = ol_args_text(args, "root"),
		.run_root = ol_args_text(args, "run-root"),
		.driver = ol_args_text(args, "driver"),
		.cert_dir = side_text(args, "cert-dir", "src-cert-dir"),
		.creds = side_text(args, "creds", "src-creds"),
		.authfile = text_of(args, "authfile"),
		.hosts_dir = text_of(args, "hosts-dir"),
		.registries_conf = text_of(args, "registries-conf"),
		.cancel = ctx->cancel,
		.listener = ol_progress_listener(ctx->progress),
		.program = "/proc/self/exe",
		.lazy_engine = text_of(args, "lazy-engine"),
		.mender = ctx->mender,
		.userns = ctx->userns.why,
	};
	int rc = retries_of(args, &options.retries, err);

	if (rc < 0)
		return rc;
	if (ol_args_knows(args, "short-names")) {
		const char *how = ol_args_text(args, "short-names");

		options.search_names = how && strcmp(how, "search") == 0;
	}
	if (ol_args_knows(args, "plain-http"))
		options.plain_http = ol_args_flag(args, "plain-http");
	options.skip_tls_verify = is_off(args, "tls-verify") || is_off(args, "src-tls-verify");
	if (!ctx->session)
		rc = ol_session_open(&options, &ctx->session, err);
	*out = ctx->session;
	return rc;
}

int ol_context_each_word(ol_context *ctx,
	int (*call)(ol_context *ctx, ol_session *session, const char *word, ol_error *err),
	ol_error *err)
{
	ol_session *session = NULL;
	int rc = ol_context_session(ctx, &session, err);

	if (rc < 0)
		return rc;
	for (const char *const *word = ol_args_words(ctx->args, 0); *word; word++) {
		ol_error failure = { 0 };

		if (call(ctx, session, *word, &failure) == OL_OK)
			continue;
		ol_console_error(ctx->console, &failure);
		ctx->status = 1;
	}
	return OL_OK;
}

int ol_context_platform(ol_context *ctx, ol_platform *out, bool *is_set, ol_error *err)
{
	const char *text = ol_args_text(ctx->args, "platform");

	if (!text || !*text)
		text = getenv("DOCKER_DEFAULT_PLATFORM");
	*is_set = text && *text;
	return *is_set ? ol_platform_parse(text, out, err) : OL_OK;
}
