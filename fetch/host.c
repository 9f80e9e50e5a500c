#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "fetch/access_priv.h"
#include "fetch/host_priv.h"
#include "fetch/registry_priv.h"
#include "fetch/url.h"

/* Penalties that differ by less are one and the same. */
#define PENALTY_NEWS_MS 500

static ol_host *find(ol_registry *registry, const char *key)
{
	for (ol_host *host = registry->hosts; host; host = host->next)
		if (strcmp(host->key, key) == 0)
			return host;
	return NULL;
}

/* Not yet in the list. */
static ol_host *make(const ol_registry *registry, const char *key, const char *name)
{
	ol_autofree char *url = ol_text("https://%s/", name);
	ol_host *host = ol_alloc(sizeof *host);

	pthread_mutex_init(&host->lock, NULL);
	host->key = ol_strdup(key);
	host->name = ol_strdup(name);
	host->loopback = ol_url_is_loopback(url);
	host->may_be_plain = host->loopback || registry->skip_tls_verify;
	return host;
}

/* Where its configuration does not say it. */
static ol_scheme first_scheme(const ol_registry *registry, ol_host *host, bool plain)
{
	host->assumed = !plain && registry->http_first && host->may_be_plain;
	host->found_http = host->assumed;
	return plain ? OL_SCHEME_HTTP : host->assumed ? OL_SCHEME_TRY_HTTP : OL_SCHEME_UNKNOWN;
}

static int make_plain(ol_registry *registry, const char *name, ol_host **out, ol_error *err)
{
	ol_host *host = make(registry, name, name);

	host->may_be_plain = host->may_be_plain || registry->plain_http;
	host->scheme = first_scheme(registry, host, registry->plain_http);
	*out = host;
	return ol_tls_load(&(ol_tls_ask){ .host = name,
				   .cert_dir = registry->cert_dir,
				   .skip_verify = registry->skip_tls_verify },
		&host->tls, err);
}

static int make_endpoint(ol_registry *registry, const char *key, const ol_endpoint *endpoint,
	const char *source, ol_host **out, ol_error *err)
{
	ol_host *host = make(registry, key, endpoint->host);
	const bool plain = registry->plain_http && endpoint->is_primary;

	host->endpoint = endpoint;
	host->may_be_plain = host->may_be_plain || endpoint->may_be_plain || plain;
	switch (endpoint->transport) {
	case OL_TRANSPORT_TRY:
		host->scheme = first_scheme(registry, host, plain);
		break;
	case OL_TRANSPORT_HTTPS:
		host->scheme = OL_SCHEME_HTTPS;
		break;
	case OL_TRANSPORT_HTTP:
		host->scheme = OL_SCHEME_HTTP;
		break;
	}
	*out = host;
	return ol_tls_load(
		&(ol_tls_ask){ .host = endpoint->host,
			.cert_dir = endpoint->cert_dir ? endpoint->cert_dir : registry->cert_dir,
			.skip_verify = registry->skip_tls_verify || endpoint->skip_verify,
			.authorities = endpoint->authorities,
			.cert = endpoint->cert,
			.key = endpoint->key,
			.alone = endpoint->own_certificates,
			.source = source },
		&host->tls, err);
}

/* Into the list, or away. */
static int keep(ol_registry *registry, ol_host *host, int rc, ol_host **out)
{
	if (rc < 0) {
		ol_host_free(host);
		return rc;
	}
	host->next = registry->hosts;
	registry->hosts = host;
	*out = host;
	return OL_OK;
}

int ol_host_get(ol_registry *registry, const char *name, ol_host **out, ol_error *err)
{
	ol_host *host;
	int rc = OL_OK;

	/* Docker Hub's name is not its API's: distribution/reference, and every client. */
	if (strcmp(name, "docker.io") == 0 || strcmp(name, "index.docker.io") == 0)
		name = "registry-1.docker.io";
	pthread_mutex_lock(&registry->lock);
	host = find(registry, name);
	if (!host) {
		rc = make_plain(registry, name, &host, err);
		rc = keep(registry, host, rc, &host);
	}
	if (rc == OL_OK)
		*out = host;
	pthread_mutex_unlock(&registry->lock);
	return rc;
}

int ol_host_of_endpoint(ol_registry *registry, const ol_endpoint *endpoint, const char *source,
	ol_host **out, ol_error *err)
{
	ol_autofree char *key = NULL;
	ol_host *host;
	int rc = OL_OK;

	if (!source)
		return ol_host_get(registry, endpoint->host, out, err);
	/* What another file or rule says of the same host is another host. */
	key = ol_text("%s %d%d%d%d %s %s %s", endpoint->host, endpoint->transport,
		endpoint->skip_verify, endpoint->may_be_plain, endpoint->is_primary, endpoint->root,
		endpoint->ns ? endpoint->ns : "", source);
	pthread_mutex_lock(&registry->lock);
	host = find(registry, key);
	if (!host) {
		rc = make_endpoint(registry, key, endpoint, source, &host, err);
		rc = keep(registry, host, rc, &host);
	}
	if (rc == OL_OK)
		*out = host;
	pthread_mutex_unlock(&registry->lock);
	return rc;
}

/* The name of a URL's host. */
static int name_of(const char *url, char **out, ol_error *err)
{
	int rc = ol_url_authority(url, out, err);

	if (rc == OL_OK && ol_view_ends(ol_view_of(*out), ol_url_is_https(url) ? ":443" : ":80"))
		*strrchr(*out, ':') = '\0';
	return rc;
}

int ol_host_of_url(ol_registry *registry, const char *url, ol_host **out, ol_error *err)
{
	ol_autofree char *name = NULL;
	int rc = name_of(url, &name, err);

	return rc < 0 ? rc : ol_host_get(registry, name, out, err);
}

int ol_host_via(ol_registry *registry, const char *url, ol_host *via, ol_host **out, ol_error *err)
{
	ol_autofree char *base = ol_host_base(via);
	ol_autofree char *name = NULL;
	ol_autofree char *key = NULL;
	ol_host *host;
	int rc;

	if (ol_url_same_origin(url, base)) {
		*out = via;
		return OL_OK;
	}
	if (!via->endpoint)
		return ol_host_of_url(registry, url, out, err);
	rc = name_of(url, &name, err);
	if (rc < 0)
		return rc;
	key = ol_text("%s by %s", name, via->key);
	pthread_mutex_lock(&registry->lock);
	host = find(registry, key);
	if (!host) {
		host = make(registry, key, name);
		host->endpoint = via->endpoint;
		host->borrowed = true;
		ol_tls_share(&via->tls, &host->tls);
		rc = keep(registry, host, OL_OK, &host);
	}
	*out = host;
	pthread_mutex_unlock(&registry->lock);
	return rc;
}

void ol_host_free(ol_host *host)
{
	if (!host)
		return;
	ol_access_free_all(host);
	ol_tls_done(&host->tls);
	pthread_mutex_destroy(&host->lock);
	free(host->key);
	free(host->name);
	free(host);
}

/* "host:5000" or "[::1]:5000", not "[::1]". */
static bool has_port(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon && !strchr(colon, ']');
}

char *ol_host_base(ol_host *host)
{
	ol_scheme scheme;

	pthread_mutex_lock(&host->lock);
	scheme = host->scheme;
	pthread_mutex_unlock(&host->lock);
	return ol_text("%s://%s",
		scheme == OL_SCHEME_HTTP || scheme == OL_SCHEME_TRY_HTTP ? "http" : "https",
		host->name);
}

char *ol_host_url(ol_host *host, const char *path)
{
	ol_autofree char *base = ol_host_base(host);
	const ol_endpoint *endpoint = host->borrowed ? NULL : host->endpoint;

	if (!endpoint)
		return ol_text("%s%s", base, path);
	return ol_text("%s%s%s%s%s", base, endpoint->root, path + strlen("/v2"),
		!endpoint->ns       ? ""
		: strchr(path, '?') ? "&ns="
				    : "?ns=",
		endpoint->ns ? endpoint->ns : "");
}

const char *ol_host_known_as(const ol_host *host)
{
	return strcmp(host->name, "registry-1.docker.io") == 0 ? "docker.io" : host->name;
}

bool ol_host_takes_creds(const ol_host *host)
{
	return !host->endpoint || (host->endpoint->is_primary && !host->borrowed);
}

void ol_host_answered(ol_host *host, const char *url)
{
	pthread_mutex_lock(&host->lock);
	host->assumed = false;
	if (host->scheme == OL_SCHEME_UNKNOWN || host->scheme == OL_SCHEME_TRY_HTTP)
		host->scheme = ol_url_is_https(url) ? OL_SCHEME_HTTPS : OL_SCHEME_HTTP;
	pthread_mutex_unlock(&host->lock);
}

bool ol_host_fall_back(ol_host *host, bool refused)
{
	bool may;

	/* Without a port in its name http is another port, where somebody may be. */
	if (!host->may_be_plain || (refused && has_port(host->name)))
		return false;
	/* Never after TLS was spoken once: that would be somebody in between. */
	pthread_mutex_lock(&host->lock);
	may = host->scheme != OL_SCHEME_HTTPS;
	if (host->scheme == OL_SCHEME_UNKNOWN) {
		host->scheme = OL_SCHEME_TRY_HTTP;
		host->found_http = true;
	}
	pthread_mutex_unlock(&host->lock);
	return may;
}

bool ol_host_found_http(ol_host *host)
{
	bool found;

	pthread_mutex_lock(&host->lock);
	found = host->found_http && host->scheme == OL_SCHEME_HTTP;
	pthread_mutex_unlock(&host->lock);
	return found;
}

bool ol_host_doubt(ol_host *host)
{
	bool doubt;

	pthread_mutex_lock(&host->lock);
	doubt = host->assumed;
	host->assumed = false;
	if (doubt)
		host->scheme = OL_SCHEME_UNKNOWN;
	pthread_mutex_unlock(&host->lock);
	return doubt;
}

void ol_host_unreached(ol_host *host)
{
	pthread_mutex_lock(&host->lock);
	if (host->scheme == OL_SCHEME_TRY_HTTP)
		host->scheme = OL_SCHEME_UNKNOWN;
	pthread_mutex_unlock(&host->lock);
}

bool ol_host_penalise(ol_host *host, uint64_t until_ms)
{
	bool news;

	pthread_mutex_lock(&host->lock);
	news = until_ms > host->penalty_until_ms + PENALTY_NEWS_MS;
	if (until_ms > host->penalty_until_ms)
		host->penalty_until_ms = until_ms;
	pthread_mutex_unlock(&host->lock);
	return news;
}

uint64_t ol_host_penalty(ol_host *host)
{
	uint64_t until;

	pthread_mutex_lock(&host->lock);
	until = host->penalty_until_ms;
	pthread_mutex_unlock(&host->lock);
	return until;
}

bool ol_host_put_out(ol_host *host, const char *why)
{
	bool news;

	pthread_mutex_lock(&host->lock);
	news = !*host->out;
	if (news)
		(void)snprintf(host->out, sizeof host->out, "%s", *why ? why : "failed");
	pthread_mutex_unlock(&host->lock);
	return news;
}

bool ol_host_is_out(ol_host *host)
{
	bool is_out;

	pthread_mutex_lock(&host->lock);
	is_out = *host->out;
	pthread_mutex_unlock(&host->lock);
	return is_out;
}
