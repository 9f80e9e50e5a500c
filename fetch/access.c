#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "fetch/access_priv.h"
#include "fetch/challenge.h"
#include "fetch/token_ask_priv.h"
#include "fetch/url.h"

struct ol_access {
	ol_access *next;
	ol_host *host;
	char *repository; /* owned */

	pthread_mutex_t lock; /* guards taken */
	pthread_cond_t given;
	/* Whose turn it is alone touches what follows. While credentials are looked for and the
	 * token server is asked the others wait, so that one asks for all; the lock is free, since
	 * both tell the listener what goes wrong. */
	bool taken;
	unsigned serial; /* changes with everything that changes what the header says */
	bool credentials_loaded;
	ol_credentials credentials;    /* owned */
	ol_auth_scheme scheme;         /* OL_AUTH_OTHER: not challenged yet */
	char *realm, *service, *scope; /* owned */
	char *wanted;                  /* owned: more scopes, separated by spaces; or NULL */
	ol_token token;                /* owned */
	uint64_t renew_at_ms;
	char *refresh; /* owned: replaces credentials for the next token */
};

ol_access *ol_access_get(ol_host *host, const char *repository)
{
	ol_access *access;

	pthread_mutex_lock(&host->lock);
	for (access = host->accesses; access && strcmp(access->repository, repository) != 0;
		access = access->next)
		;
	if (!access) {
		access = ol_alloc(sizeof *access);
		access->host = host;
		access->repository = ol_strdup(repository);
		pthread_mutex_init(&access->lock, NULL);
		pthread_cond_init(&access->given, NULL);
		access->next = host->accesses;
		host->accesses = access;
	}
	pthread_mutex_unlock(&host->lock);
	return access;
}

void ol_access_free_all(ol_host *host)
{
	while (host->accesses) {
		ol_access *access = host->accesses;

		host->accesses = access->next;
		ol_credentials_done(&access->credentials);
		ol_token_done(&access->token);
		ol_secret_free(access->refresh);
		free(access->realm);
		free(access->service);
		free(access->scope);
		free(access->wanted);
		free(access->repository);
		pthread_cond_destroy(&access->given);
		pthread_mutex_destroy(&access->lock);
		free(access);
	}
}

static void take_turn(ol_access *access)
{
	pthread_mutex_lock(&access->lock);
	while (access->taken)
		pthread_cond_wait(&access->given, &access->lock);
	access->taken = true;
	pthread_mutex_unlock(&access->lock);
}

static void give_turn(ol_access *access)
{
	pthread_mutex_lock(&access->lock);
	access->taken = false;
	pthread_cond_signal(&access->given);
	pthread_mutex_unlock(&access->lock);
}

static int load_credentials(ol_registry *registry, ol_access *access, ol_error *err)
{
	ol_credential_options options = {
		.creds = ol_host_takes_creds(access->host) ? registry->creds : NULL,
		.authfile = registry->authfile,
		.helpers = ol_registries_conf_helpers(registry->conf),
		.listener = &registry->listener
	};
	int rc;

	if (access->credentials_loaded)
		return OL_OK;
	rc = ol_credentials_find(&options, ol_host_known_as(access->host), access->repository,
		&access->credentials, err);
	if (rc == OL_OK)
		access->credentials_loaded = true;
	return rc;
}

static void drop_token(ol_access *access)
{
	ol_token_done(&access->token);
	access->serial++;
}

static bool registry_is_https(ol_host *host)
{
	ol_autofree char *base = ol_host_base(host);

	return ol_url_is_https(base);
}

/* Whether one of the scopes in a list, separated by spaces, is this one or begins with it: what
 * "repository:app:pull" asks for "repository:app:pull,push" asks for too. */
static bool lists_scope(const char *list, const char *scope, size_t size)
{
	while (list && *list) {
		size_t length = strcspn(list, " ");

		if (length >= size && strncmp(list, scope, size) == 0 &&
			(length == size || list[size] == ','))
			return true;
		list += length + (list[length] == ' ');
	}
	return false;
}

/* What the challenge wants and what is wanted besides; owned by the caller. */
static char *all_scopes(const ol_access *access)
{
	ol_auto_str ol_str all = OL_STR(OL_HEADER_BYTES_MAX);

	(void)ol_str_add(&all, access->wanted ? access->wanted : "");
	for (const char *scope = access->scope; scope && *scope;) {
		size_t size = strcspn(scope, " ");

		if (size && !lists_scope(access->wanted, scope, size)) {
			if (all.size)
				(void)ol_str_addc(&all, ' ');
			(void)ol_str_addv(&all, ol_view_from(scope, size));
		}
		scope += size + (scope[size] == ' ');
	}
	return all.size ? ol_strdup(ol_str_text(&all)) : NULL;
}

void ol_access_widen(ol_access *access, const char *scope)
{
	take_turn(access);
	if (!lists_scope(access->wanted, scope, strlen(scope))) {
		char *wider =
			access->wanted ? ol_text("%s %s", access->wanted, scope) : ol_strdup(scope);

		free(access->wanted);
		access->wanted = wider;
		drop_token(access);
	}
	give_turn(access);
}

static int renew_token(ol_registry *registry, ol_access *access, ol_error *err)
{
	ol_autofree char *scopes = all_scopes(access);
	ol_token_ask ask = { .realm = access->realm,
		.service = access->service,
		.scope = scopes,
		.pushes = access->wanted != NULL,
		.credentials = &access->credentials,
		.refresh = access->refresh,
		.registry_is_https = registry_is_https(access->host),
		.via = access->host,
		.for_host = ol_host_known_as(access->host),
		.repository = access->repository };
	ol_token token = { 0 };
	int rc = ol_token_fetch(registry, &ask, &token, err);

	if (rc == OL_EAUTH && ask.refresh) {
		/* A refresh token ends, too; what it stood for may not have. */
		ol_secret_free(access->refresh);
		access->refresh = NULL;
		ask.refresh = NULL;
		rc = ol_token_fetch(registry, &ask, &token, err);
	}
	if (rc < 0)
		return rc;
	ol_token_done(&access->token);
	access->token = token;
	access->renew_at_ms = ol_now_ms() + token.renew_after_ms;
	if (token.refresh) {
		ol_secret_free(access->refresh);
		access->refresh = ol_strdup(token.refresh);
	}
	access->serial++;
	return OL_OK;
}

static int bearer_header(ol_registry *registry, ol_access *access, char **out, ol_error *err)
{
	const char *token = access->credentials.registry_token;
	int rc = OL_OK;

	if (!token) {
		if (!access->token.text || ol_now_ms() >= access->renew_at_ms)
			rc = renew_token(registry, access, err);
		token = access->token.text;
	}
	if (rc == OL_OK)
		*out = ol_text("Bearer %s", token);
	return rc;
}

int ol_access_header(struct ol_registry *registry, ol_access *access, char **out,
	ol_access_use *use, ol_error *err)
{
	int rc = OL_OK;

	*out = NULL;
	take_turn(access);
	switch (access->scheme) {
	case OL_AUTH_OTHER:
		break;
	case OL_AUTH_BASIC:
		*out = ol_basic_header(access->credentials.user, access->credentials.password);
		break;
	case OL_AUTH_BEARER:
		rc = bearer_header(registry, access, out, err);
		break;
	}
	use->serial = access->serial;
	give_turn(access);
	return rc;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void replace(char **field, char **with)
{
	free(*field);
	*field = ol_steal(with);
}

/* Credentials that were good may be renewed by their helper: hours later they are others. */
static int reload(ol_registry *registry, ol_access *access, bool *again, ol_error *err)
{
	ol_credentials before = access->credentials;
	int rc;

	access->credentials = (ol_credentials){ 0 };
	access->credentials_loaded = false;
	rc = load_credentials(registry, access, err);
	*again = rc == OL_OK &&
		 !(same_text(before.user, access->credentials.user) &&
			 same_text(before.password, access->credentials.password) &&
			 same_text(before.identity_token, access->credentials.identity_token));
	if (rc == OL_OK && access->scheme == OL_AUTH_BASIC && !access->credentials.user)
		access->scheme = OL_AUTH_OTHER; /* there are none any more */
	ol_credentials_done(&before);
	access->serial++;
	return rc;
}

static int take_bearer(ol_registry *registry, ol_access *access, ol_challenge *challenge,
	ol_access_use *use, bool *again, ol_error *err)
{
	bool first = access->scheme != OL_AUTH_BEARER;
	bool wider = challenge->scope && !same_text(challenge->scope, access->scope);
	bool invalid = challenge->error && strcmp(challenge->error, "insufficient_scope") != 0;
	bool old = ol_now_ms() >= access->renew_at_ms;
	int rc;

	if (first) {
		rc = load_credentials(registry, access, err);
		if (rc < 0)
			return rc;
		access->scheme = OL_AUTH_BEARER;
	} else if (access->credentials.registry_token) {
		return OL_OK; /* there is no other */
	} else if (!wider) {
		if (use->renewed || !(invalid || old))
			return OL_OK;
		use->renewed = true;
	}
	*again = true;
	replace(&access->realm, &challenge->realm);
	replace(&access->service, &challenge->service);
	if (challenge->scope)
		replace(&access->scope, &challenge->scope);
	if (!access->scope && *access->repository)
		access->scope = ol_text("repository:%s:pull", access->repository);
	drop_token(access);
	return OL_OK;
}

static int take_basic(
	ol_registry *registry, ol_access *access, ol_access_use *use, bool *again, ol_error *err)
{
	int rc;

	if (access->scheme == OL_AUTH_BASIC) {
		if (use->renewed)
			return OL_OK;
		use->renewed = true;
		return reload(registry, access, again, err);
	}
	rc = load_credentials(registry, access, err);
	if (rc < 0 || !access->credentials.user)
		return rc;
	access->scheme = OL_AUTH_BASIC;
	access->serial++;
	*again = true;
	return OL_OK;
}

/* All challenges of a reply; a line that is not understood is worth less than one that is. */
static size_t read_challenges(const ol_reply *reply, ol_challenge *list)
{
	size_t count = 0;
	ol_view line;

	for (size_t i = 0; ol_reply_header(reply, "www-authenticate", i, &line); i++)
		(void)ol_challenges_parse(line, list, &count, NULL);
	return count;
}

static ol_challenge *pick(ol_challenge *list, size_t count, ol_auth_scheme scheme)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].scheme == scheme)
			return &list[i];
	return NULL;
}

static int judge(ol_registry *registry, ol_access *access, const ol_reply *reply,
	ol_access_use *use, bool *again, ol_error *err)
{
	ol_challenge list[OL_CHALLENGES_MAX];
	size_t count = read_challenges(reply, list);
	ol_challenge *bearer = pick(list, count, OL_AUTH_BEARER);
	int rc = OL_OK;

	if (bearer)
		rc = take_bearer(registry, access, bearer, use, again, err);
	else if (pick(list, count, OL_AUTH_BASIC))
		rc = take_basic(registry, access, use, again, err);
	else if (reply->status == 401 && count > 0 && access->scheme == OL_AUTH_OTHER)
		rc = ol_fail(err, OL_EAUTH,
			"%s wants a kind of authentication that is not known here",
			ol_host_known_as(access->host));
	else if (!use->renewed && access->scheme == OL_AUTH_BASIC) {
		/* ECR: credentials that have expired are a 403 without a challenge. */
		use->renewed = true;
		rc = reload(registry, access, again, err);
	} else if (!use->renewed && access->scheme == OL_AUTH_BEARER && reply->status != 403) {
		/* ECR Public: a token that has expired is a 400. */
		use->renewed = *again = true;
		drop_token(access);
	}
	ol_challenges_done(list, count);
	return rc;
}

int ol_access_refused(struct ol_registry *registry, ol_access *access, const ol_reply *reply,
	ol_access_use *use, bool *again, ol_error *err)
{
	int rc = OL_OK;

	*again = false;
	take_turn(access);
	if (use->serial != access->serial)
		*again = true; /* somebody was refused before us, and knows better now */
	else
		rc = judge(registry, access, reply, use, again, err);
	give_turn(access);
	return rc;
}

bool ol_access_has_credentials(ol_access *access)
{
	bool has;

	take_turn(access);
	has = access->credentials.user || access->credentials.identity_token ||
	      access->credentials.registry_token;
	give_turn(access);
	return has;
}
