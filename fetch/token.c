#include "fetch/token.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "manifest/json.h"

#define LIFE_SECONDS_DEFAULT 60
#define LIFE_SECONDS_MAX     ((int64_t)30 * 24 * 3600)
#define SLACK_MS_MAX         30000

void ol_secret_free(char *text)
{
	if (!text)
		return;
	explicit_bzero(text, strlen(text));
	free(text);
}

void ol_token_done(ol_token *token)
{
	ol_secret_free(token->text);
	ol_secret_free(token->refresh);
	*token = (ol_token){ 0 };
}

/* A header must not be split by what stands in it. */
static bool fits_header(const char *text)
{
	if (!*text)
		return false;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			return false;
	return true;
}

static uint64_t renewal(const ol_json *root, int64_t now)
{
	double said = ol_json_number(ol_json_get(root, "expires_in"), 0);
	const char *issued = ol_json_text(ol_json_get(root, "issued_at"));
	struct timespec when;
	int64_t life = LIFE_SECONDS_DEFAULT;
	uint64_t ms, slack;

	if (said > (double)LIFE_SECONDS_MAX)
		life = LIFE_SECONDS_MAX;
	else if (said >= 1)
		life = (int64_t)said;
	/* A token server may hand out one it has made before. Clocks that disagree must not make it
	 * expire at once. */
	if (issued && ol_time_parse(ol_view_of(issued), &when) && when.tv_sec < now &&
		now - when.tv_sec < life)
		life -= now - when.tv_sec;
	ms = (uint64_t)life * 1000;
	slack = ms / 4;
	return ms - (slack < SLACK_MS_MAX ? slack : SLACK_MS_MAX);
}

int ol_token_parse(ol_view body, int64_t now, ol_token *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *root = NULL;
	const char *text, *refresh;
	int rc = ol_json_parse(body, &root, err);

	if (rc < 0)
		return ol_fail(err, OL_EINVAL,
			"its answer is no JSON"); /* the parser's words could quote a token */
	text = ol_json_text(ol_json_get(root, "token"));
	if (!text || !*text)
		text = ol_json_text(ol_json_get(root, "access_token"));
	if (!text || !fits_header(text))
		return ol_fail(err, OL_EINVAL, "its answer holds no token");
	refresh = ol_json_text(ol_json_get(root, "refresh_token"));
	out->text = ol_strdup(text);
	out->refresh = refresh && *refresh ? ol_strdup(refresh) : NULL;
	out->renew_after_ms = renewal(root, now);
	return OL_OK;
}

void ol_form_add(ol_str *form, const char *name, const char *value)
{
	static const char hex[] = "0123456789ABCDEF";

	if (form->size)
		(void)ol_str_addc(form, '&');
	(void)ol_str_add(form, name);
	(void)ol_str_addc(form, '=');
	for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
		bool plain = (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
			     (*p >= 'A' && *p <= 'Z') || strchr("-._~", *p);

		if (plain) {
			(void)ol_str_addc(form, (char)*p);
			continue;
		}
		(void)ol_str_addc(form, '%');
		(void)ol_str_addc(form, hex[*p >> 4]);
		(void)ol_str_addc(form, hex[*p & 15]);
	}
}
