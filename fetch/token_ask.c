#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/limits.h"
#include "fetch/error_body.h"
#include "fetch/exchange_priv.h"
#include "fetch/token_ask_priv.h"
#include "fetch/url.h"

static const char client_id[] = "orlop";

static void secret_p(char **text)
{
	ol_secret_free(*text);
}

static void wipe(ol_str *str)
{
	if (str->data)
		explicit_bzero(str->data, str->cap);
	ol_buf_done(str);
}

char *ol_basic_header(const char *user, const char *password)
{
	__attribute__((cleanup(secret_p))) char *pair = ol_text("%s:%s", user, password);
	__attribute__((cleanup(wipe))) ol_str header = OL_STR(OL_TOKEN_BYTES_MAX);

	(void)ol_str_add(&header, "Basic ");
	(void)ol_base64_format(ol_view_of(pair), &header);
	return ol_strdup(ol_str_text(&header));
}

/* One scope parameter for each in a list separated by spaces. */
static void add_scopes(ol_str *form, const char *scopes)
{
	while (scopes && *scopes) {
		size_t size = strcspn(scopes, " ");
		ol_autofree char *scope = ol_strndup(scopes, size);

		if (size)
			ol_form_add(form, "scope", scope);
		scopes += size + (scopes[size] == ' ');
	}
}

static int get(ol_registry *registry, ol_host *host, const ol_token_ask *ask, ol_reply *reply,
	ol_error *err)
{
	const ol_credentials *credentials = ask->credentials;
	ol_patience patience = ol_registry_patience(registry);
	ol_auto_str ol_str query = OL_STR(OL_HEADER_BYTES_MAX);
	ol_autofree char *url = NULL;
	__attribute__((cleanup(secret_p))) char *basic = NULL;

	if (ask->service)
		ol_form_add(&query, "service", ask->service);
	add_scopes(&query, ask->scope);
	ol_form_add(&query, "client_id", client_id);
	if (credentials->user) {
		ol_form_add(&query, "account", credentials->user);
		basic = ol_basic_header(credentials->user, credentials->password);
	}
	url = ol_text(
		"%s%c%s", ask->realm, strchr(ask->realm, '?') ? '&' : '?', ol_str_text(&query));
	return ol_exchange_plain(registry, host,
		&(ol_request){ .method = OL_METHOD_GET,
			.url = url,
			.authorization = basic,
			.tls = &host->tls,
			.proxy = host->endpoint ? host->endpoint->proxy : NULL,
			.connect_ms = host->endpoint ? host->endpoint->connect_ms : 0,
			.decode = true,
			.body_max = OL_TOKEN_BYTES_MAX },
		&patience, reply, err);
}

static int post(ol_registry *registry, ol_host *host, const ol_token_ask *ask, const char *refresh,
	ol_reply *reply, ol_error *err)
{
	const ol_credentials *credentials = ask->credentials;
	ol_patience patience = ol_registry_patience(registry);
	__attribute__((cleanup(wipe))) ol_str form = OL_STR(OL_TOKEN_BYTES_MAX);

	if (refresh) {
		ol_form_add(&form, "grant_type", "refresh_token");
		ol_form_add(&form, "refresh_token", refresh);
	} else {
		ol_form_add(&form, "grant_type", "password");
		ol_form_add(&form, "username", credentials->user);
		ol_form_add(&form, "password", credentials->password);
		ol_form_add(&form, "access_type", "offline");
	}
	if (ask->service)
		ol_form_add(&form, "service", ask->service);
	if (ask->scope)
		ol_form_add(&form, "scope", ask->scope);
	ol_form_add(&form, "client_id", client_id);
	return ol_exchange_plain(registry, host,
		&(ol_request){ .method = OL_METHOD_POST,
			.url = ask->realm,
			.form = ol_buf_view(&form),
			.tls = &host->tls,
			.proxy = host->endpoint ? host->endpoint->proxy : NULL,
			.connect_ms = host->endpoint ? host->endpoint->connect_ms : 0,
			.decode = true,
			.body_max = OL_TOKEN_BYTES_MAX },
		&patience, reply, err);
}

static int refused(const ol_token_ask *ask, const ol_host *host, const ol_reply *reply, bool secret,
	ol_error *err)
{
	ol_auto_str ol_str words = OL_STR(1024);
	const char *colon;

	ol_error_body_words(ol_buf_view(&reply->body), &words);
	colon = words.size ? ": " : "";
	if (reply->status != 400 && reply->status != 401 && reply->status != 403)
		return ol_fail(err, OL_EUNAVAILABLE, "token server %s answers %ld%s%s", host->name,
			reply->status, colon, ol_str_text(&words));
	if (secret || !*ask->repository)
		ol_fail(err, OL_EAUTH, "%s refuses %s%s%s", ask->for_host,
			secret ? "these credentials" : "to go without credentials", colon,
			ol_str_text(&words));
	else
		ol_fail(err, OL_EAUTH,
			"%s access denied for %s, repository does not exist or may require "
			"authorization%s%s",
			ask->pushes ? "push" : "pull", ask->repository, colon, ol_str_text(&words));
	return ol_hint(err, OL_EAUTH, "orlop login %s", ask->for_host);
}

static int check_realm(const ol_token_ask *ask, bool secret, ol_error *err)
{
	ol_autofree char *authority = NULL;

	if (!ask->realm || ol_url_authority(ask->realm, &authority, NULL) < 0)
		return ol_fail(err, OL_EAUTH, "%s names no token server", ask->for_host);
	if (secret && ask->registry_is_https && !ol_url_is_https(ask->realm))
		return ol_fail(err, OL_EAUTH, "%s wants its credentials sent to %s in the clear",
			ask->for_host, authority);
	return OL_OK;
}

int ol_token_fetch(ol_registry *registry, const ol_token_ask *ask, ol_token *out, ol_error *err)
{
	const ol_credentials *credentials = ask->credentials;
	const char *refresh = ask->refresh ? ask->refresh : credentials->identity_token;
	bool secret = refresh || credentials->user;
	ol_reply reply = { 0 };
	ol_host *host = NULL;
	int rc = check_realm(ask, secret, err);

	if (rc == OL_OK)
		rc = ol_host_via(registry, ask->realm, ask->via, &host, err);
	if (!host)
		return rc; /* which says why */
	if (refresh)
		rc = post(registry, host, ask, refresh, &reply, err);
	else
		rc = get(registry, host, ask, &reply, err);
	/* Some servers know the other form alone. */
	if (rc == OL_OK && !refresh && credentials->user &&
		(reply.status == 404 || reply.status == 405)) {
		wipe(&reply.body);
		ol_reply_done(&reply);
		rc = post(registry, host, ask, NULL, &reply, err);
	}
	if (rc == OL_OK && reply.status != 200)
		rc = refused(ask, host, &reply, secret, err);
	else if (rc == OL_OK) {
		rc = ol_token_parse(ol_buf_view(&reply.body), ol_unix_now(), out, err);
		if (rc < 0)
			rc = ol_wrap(err, OL_EUNAVAILABLE, "token server %s", host->name);
	}
	wipe(&reply.body);
	ol_reply_done(&reply);
	return rc;
}
