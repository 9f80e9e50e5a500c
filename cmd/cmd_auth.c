#include <inttypes.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/listing.h"
#include "cmd/registry_options.h"
#include "image/explain.h"

static const char *text_of(const ol_json *object, const char *key)
{
	const char *text = ol_json_text(ol_json_get(object, key));

	return text ? text : "";
}

/* "a, b, c" of an array of strings. */
static void add_list(ol_str *out, const ol_json *list)
{
	for (size_t i = 0; i < ol_json_count(list); i++)
		(void)ol_str_addf(out, "%s%s", i ? ", " : "", ol_json_text(ol_json_at(list, i)));
}

/* One line, made safe: files name hosts, headers and users. */
static void line(ol_console *console, const char *label, const ol_str *text)
{
	ol_auto_str ol_str safe = OL_STR((size_t)64 << 10);

	(void)ol_str_add_safe(&safe, ol_view_from(ol_str_text(text), text->size));
	ol_console_printf(console, "   %-12s %s\n", label, ol_str_text(&safe));
}

static void show_tls(ol_console *console, const ol_json *tls)
{
	ol_auto_str ol_str text = OL_STR((size_t)16 << 10);

	if (!ol_json_true(ol_json_get(tls, "Used"))) {
		(void)ol_str_add(&text, "none: plain HTTP");
	} else {
		(void)ol_str_add(&text, ol_json_true(ol_json_get(tls, "Verified"))
						? "verified by "
						: "not verified");
		(void)ol_str_add(&text, text_of(tls, "System"));
		if (ol_json_true(ol_json_get(tls, "OwnCAs")))
			(void)ol_str_add(&text, " and CAs of its own");
		if (*text_of(tls, "Certificate"))
			(void)ol_str_addf(&text, "; our certificate %s, key %s",
				text_of(tls, "Certificate"), text_of(tls, "Key"));
		if (*text_of(tls, "Source"))
			(void)ol_str_addf(&text, " (%s)", text_of(tls, "Source"));
		if (ol_json_true(ol_json_get(tls, "MayBePlain")))
			(void)ol_str_add(&text, "; plain HTTP where TLS is not spoken");
	}
	line(console, "tls", &text);
}

static void show_credentials(ol_console *console, const ol_json *credentials)
{
	ol_auto_str ol_str text = OL_STR((size_t)16 << 10);

	(void)ol_str_add(&text, text_of(credentials, "Kind"));
	if (*text_of(credentials, "User"))
		(void)ol_str_addf(&text, " of %s", text_of(credentials, "User"));
	if (*text_of(credentials, "Source"))
		(void)ol_str_addf(&text, ", from %s", text_of(credentials, "Source"));
	line(console, "credentials", &text);
}

static void show_proxy(ol_console *console, const ol_json *proxy)
{
	ol_auto_str ol_str text = OL_STR((size_t)16 << 10);

	(void)ol_str_add(&text, *text_of(proxy, "URL") ? text_of(proxy, "URL") : "none");
	if (*text_of(proxy, "Source"))
		(void)ol_str_addf(&text, " (%s)", text_of(proxy, "Source"));
	line(console, "proxy", &text);
}

static void show_endpoint(ol_console *console, size_t number, const ol_json *endpoint)
{
	ol_auto_str ol_str text = OL_STR((size_t)16 << 10), may = OL_STR(256);
	ol_auto_str ol_str headers = OL_STR((size_t)32 << 10);
	const int64_t dial_ms = ol_json_int(ol_json_get(endpoint, "DialTimeoutMilliseconds"), 0);

	(void)ol_str_add_safe(&text, ol_view_of(text_of(endpoint, "URL")));
	ol_console_printf(console, "%zu. %s%s\n", number, ol_str_text(&text),
		ol_json_true(ol_json_get(endpoint, "Mirror")) ? " (mirror)" : "");
	add_list(&may, ol_json_get(endpoint, "Capabilities"));
	if (*text_of(endpoint, "Namespace"))
		(void)ol_str_addf(&may, "; is told ns=%s", text_of(endpoint, "Namespace"));
	line(console, "asked for", &may);
	show_tls(console, ol_json_get(endpoint, "TLS"));
	show_credentials(console, ol_json_get(endpoint, "Credentials"));
	show_proxy(console, ol_json_get(endpoint, "Proxy"));
	if (ol_json_count(ol_json_get(endpoint, "Headers"))) {
		add_list(&headers, ol_json_get(endpoint, "Headers"));
		line(console, "headers", &headers);
	}
	if (dial_ms) {
		ol_buf_clear(&headers);
		(void)ol_str_addf(&headers, "%" PRId64 " ms", dial_ms);
		line(console, "to connect", &headers);
	}
}

static void show_reference(ol_console *console, const ol_json *reference)
{
	const ol_json *endpoints = ol_json_get(reference, "Endpoints");

	ol_console_printf(console, "%s: %s%s%s%s\n", text_of(reference, "Reference"),
		*text_of(reference, "Source") ? text_of(reference, "Source")
					      : "nothing is configured for this registry",
		*text_of(reference, "Prefix") ? ", prefix \"" : "", text_of(reference, "Prefix"),
		*text_of(reference, "Prefix") ? "\"" : "");
	for (size_t i = 0; i < ol_json_count(endpoints); i++)
		show_endpoint(console, i + 1, ol_json_at(endpoints, i));
}

static void human(ol_console *console, const ol_json *document)
{
	const ol_json *references = ol_json_get(document, "References");

	if (ol_json_true(ol_json_get(document, "Short")))
		ol_console_printf(console, "%s is a short name: %s\n", text_of(document, "Name"),
			text_of(document, "Rule"));
	for (size_t i = 0; i < ol_json_count(references); i++)
		show_reference(console, ol_json_at(references, i));
}

static int run(ol_context *ctx, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *document = NULL;
	ol_session *session = NULL;
	int rc;

	if (strcmp(ol_args_word(ctx->args, 0), "explain") != 0) {
		(void)ol_fail(err, OL_EINVAL, "unknown command: orlop auth %.100s",
			ol_args_word(ctx->args, 0));
		return ol_hint(err, OL_EINVAL, "there is `orlop auth explain NAME`");
	}
	rc = ol_context_session(ctx, &session, err);
	if (rc == OL_OK)
		rc = ol_explain(session, ol_args_word(ctx->args, 1), &document, err);
	return rc < 0 ? rc : ol_show_document(ctx, document, human, err);
}

static const ol_option options[] = {
	OL_DOCUMENT_OPTIONS("{{json .References}}"),
	{ 0 },
};

const ol_command ol_command_auth = {
	.name = "auth",
	.group = OL_GROUP_REGISTRY,
	.usage = "explain [OPTIONS] NAME[:TAG|@DIGEST]",
	.summary = "Show who would be asked for an image, and with what credentials",
	.description =
		"Says what a short name stands for, and in which order its registry's mirrors and "
		"the "
		"registry itself would be asked: with which TLS, credentials and proxy, and which "
		"file or variable says so. Nobody is asked but credential helpers, and no secret "
		"is "
		"shown.\n\n"
		"For one registry the first of these decides alone: hosts.toml for it or for "
		"`_default`; registries.conf; the plain host with Docker's, then containers' "
		"certs.d.",
	.options = { options, ol_registry_options },
	.examples = (const ol_example[]){ { "auth explain debian:12", "for people" },
		{ "auth explain --json registry.example/app", "for programs" }, { 0 } },
	.words_min = 2,
	.words_max = 2,
	.completes = OL_COMPLETES_IMAGES,
	.run = run,
};
