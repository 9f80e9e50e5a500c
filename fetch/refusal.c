/* The words for replies that are not what was asked for: docker's where docker has some. */
#include <string.h>

#include "fetch/access_priv.h"
#include "fetch/error_body.h"
#include "fetch/exchange_priv.h"

static const char *status_words(long status)
{
	static const struct {
		short status;
		const char *words;
	} known[] = {
		{ 400, "bad request" },
		{ 404, "not found" },
		{ 405, "method not allowed" },
		{ 408, "request timeout" },
		{ 413, "content too large" },
		{ 416, "range not satisfiable" },
		{ 429, "too many requests" },
		{ 500, "internal server error" },
		{ 502, "bad gateway" },
		{ 503, "service unavailable" },
		{ 504, "gateway timeout" },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].status == status)
			return known[i].words;
	return "unexpected";
}

static bool writes(const ol_ask *ask)
{
	return ask->method != OL_METHOD_GET && ask->method != OL_METHOD_HEAD;
}

static int denied(const ol_ask *ask, const char *words, ol_error *err)
{
	ol_access *access = ol_access_get(ask->host, ask->repository);
	const char *colon = *words ? ": " : "";

	if (ol_access_has_credentials(access) && !*ask->repository)
		ol_fail(err, OL_EAUTH, "%s refuses these credentials%s%s",
			ol_host_known_as(ask->host), colon, words);
	else if (!*ask->repository)
		ol_fail(err, OL_EAUTH, "%s wants credentials%s%s", ol_host_known_as(ask->host),
			colon, words);
	else
		ol_fail(err, OL_EAUTH,
			"%s access denied for %s, repository does not exist or may require "
			"authorization%s%s",
			writes(ask) ? "push" : "pull", ask->repository, colon, words);
	return ol_hint(err, OL_EAUTH, "orlop login %s", ol_host_known_as(ask->host));
}

int ol_exchange_refusal(const ol_ask *ask, const ol_reply *reply, const char *what, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(1024);
	const char *words, *colon;

	ol_error_body_words(ol_buf_view(&reply->body), &text);
	words = ol_str_text(&text);
	colon = *words ? ": " : "";
	switch (reply->status) {
	case 413:
		ol_fail(err, OL_ELIMIT, "%s takes no %s: it is too large%s%s",
			ol_host_known_as(ask->host), what ? what : "request", colon, words);
		return ol_hint(err, OL_ELIMIT,
			"the registry, or a proxy before it, limits the size of what is sent");
	case 507:
		return ol_fail(err, OL_EUNAVAILABLE, "%s has no room left%s%s",
			ol_host_known_as(ask->host), colon, words);
	case 401:
	case 403:
		return denied(ask, words, err);
	case 404:
		if (!what) {
			return ol_fail(err, OL_EUNSUPPORTED, "%s is no registry: /v2/ is not found",
				ol_host_known_as(ask->host));
		}
		return ol_fail(err, OL_ENOTFOUND, "%s not found%s%s", what, colon, words);
	case 429:
		ol_fail(err, OL_EUNAVAILABLE, "%s: %s", ol_host_known_as(ask->host),
			*words ? words : "too many requests");
		return ol_hint(err, OL_EUNAVAILABLE,
			"wait, or log in for a higher limit: orlop login %s",
			ol_host_known_as(ask->host));
	default: /* statuses are many, and the rest lead nowhere else */
		return ol_fail(err, OL_EUNAVAILABLE, "%s answers %ld %s%s%s",
			ol_host_known_as(ask->host), reply->status, status_words(reply->status),
			colon, words);
	}
}
