#include <string.h>

#include "base/alloc.h"
#include "fetch/access_priv.h"
#include "fetch/host_priv.h"
#include "fetch/registry_priv.h"
#include "fetch/url.h"

/* Penalties that differ by less are one and the same. */
#define PENALTY_NEWS_MS 500

static ol_host *find(ol_registry *registry, const char *name)
{
	for (ol_host *host = registry->hosts; host; host = host->next)
		if (strcmp(host->name, name) == 0)
			return host;
	return NULL;
}

static int make(ol_registry *registry, const char *name, ol_host **out, ol_error *err)
{
	ol_autofree char *url = ol_text("https://%s/", name);
	ol_host *host = ol_alloc(sizeof *host);
	int rc;

	pthread_mutex_init(&host->lock, NULL);
	host->name = ol_strdup(name);
	host->loopback = ol_url_is_loopback(url);
	host->may_be_plain = registry->plain_http || host->loopback || registry->skip_tls_verify;
	host->scheme = registry->plain_http ? OL_SCHEME_HTTP : OL_SCHEME_UNKNOWN;
	rc = ol_tls_load(name, registry->cert_dir, registry->skip_tls_verify, &host->tls, err);
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
	if (!host)
		rc = make(registry, name, &host, err);
	if (rc == OL_OK)
		*out = host;
	pthread_mutex_unlock(&registry->lock);
	return rc;
}

int ol_host_of_url(ol_registry *registry, const char *url, ol_host **out, ol_error *err)
{
	ol_autofree char *authority = NULL;
	int rc = ol_url_authority(url, &authority, err);
	ol_view view;

	if (rc < 0)
		return rc;
	view = ol_view_of(authority);
	if (ol_view_ends(view, ol_url_is_https(url) ? ":443" : ":80"))
		*strrchr(authority, ':') = '\0';
	return ol_host_get(registry, authority, out, err);
}

void ol_host_free(ol_host *host)
{
	if (!host)
		return;
	ol_access_free_all(host);
	ol_tls_done(&host->tls);
	pthread_mutex_destroy(&host->lock);
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

void ol_host_answered(ol_host *host, const char *url)
{
	pthread_mutex_lock(&host->lock);
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
	if (host->scheme == OL_SCHEME_UNKNOWN)
		host->scheme = OL_SCHEME_TRY_HTTP;
	pthread_mutex_unlock(&host->lock);
	return may;
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
