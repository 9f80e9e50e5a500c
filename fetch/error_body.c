#include "fetch/error_body.h"

#include <string.h>

#include "manifest/json.h"

/* More than this of one reply helps nobody. */
#define ERRORS_SHOWN    3
#define WORDS_BYTES_MAX 300
#define PLAIN_BYTES_MAX 200

/* Text of the far side: one line, bounded. */
static void add_text(ol_str *out, ol_view text)
{
	while (text.size && strchr(" \t\r\n", text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size && strchr(" \t\r\n.", text.data[text.size - 1]))
		text.size--;
	if (text.size > WORDS_BYTES_MAX)
		text.size = WORDS_BYTES_MAX;
	(void)ol_str_add_safe(out, text);
}

/* MANIFEST_UNKNOWN → "manifest unknown", as docker shows it. */
static void add_code(ol_str *out, const char *code)
{
	ol_auto_str ol_str words = OL_STR(64);

	for (const char *p = code; *p && words.size < 64; p++) {
		if (*p == '_')
			(void)ol_str_addc(&words, ' ');
		else if (*p >= 'A' && *p <= 'Z')
			(void)ol_str_addc(&words, (char)(*p - 'A' + 'a'));
		else
			(void)ol_str_addc(&words, *p);
	}
	add_text(out, ol_buf_view(&words));
}

static void add_error(ol_str *out, const ol_json *error)
{
	const char *code = ol_json_text(ol_json_get(error, "code"));
	const char *message = ol_json_text(ol_json_get(error, "message"));
	size_t start;

	if (!code && !message)
		return;
	if (out->size)
		(void)ol_str_add(out, "; ");
	start = out->size;
	if (code && *code)
		add_code(out, code);
	if (!message || !*message || (out->data && strcasecmp(out->data + start, message) == 0))
		return;
	if (out->size > start)
		(void)ol_str_add(out, ": ");
	add_text(out, ol_view_of(message));
}

static void add_json(ol_str *out, const ol_json *root)
{
	static const char *const keys[] = { "error", "error_description", "message", "details",
		"detail" };
	const ol_json *errors = ol_json_get(root, "errors");

	for (size_t i = 0; i < ol_json_count(errors) && i < ERRORS_SHOWN; i++)
		add_error(out, ol_json_at(errors, i));
	for (size_t i = 0; out->size == 0 && i < sizeof keys / sizeof keys[0]; i++) {
		const char *text = ol_json_text(ol_json_get(root, keys[i]));
		const char *more = i == 0 ? ol_json_text(ol_json_get(root, keys[1])) : NULL;

		if (!text || !*text)
			continue;
		add_text(out, ol_view_of(text));
		if (more && *more) {
			(void)ol_str_add(out, ": ");
			add_text(out, ol_view_of(more));
		}
	}
}

static ol_view xml_element(ol_view body, const char *open, const char *close)
{
	const char *start = memmem(body.data, body.size, open, strlen(open));
	const char *end;

	if (!start)
		return ol_view_from("", 0);
	start += strlen(open);
	end = memmem(start, body.size - (size_t)(start - body.data), close, strlen(close));
	return end ? ol_view_from(start, (size_t)(end - start)) : ol_view_from("", 0);
}

void ol_error_body_words(ol_view body, ol_str *out)
{
	ol_auto(ol_json_free) ol_json *root = NULL;
	ol_view code, message;

	if (body.size == 0)
		return;
	if (ol_json_parse(body, &root, NULL) == OL_OK) {
		add_json(out, root);
		return;
	}
	code = xml_element(body, "<Code>", "</Code>");
	message = xml_element(body, "<Message>", "</Message>");
	if (code.size) {
		add_text(out, code);
		if (message.size)
			(void)ol_str_add(out, ": ");
		add_text(out, message);
		return;
	}
	if (body.size <= PLAIN_BYTES_MAX && !memchr(body.data, '<', body.size) &&
		!memchr(body.data, '{', body.size))
		add_text(out, body);
}
