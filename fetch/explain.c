#include "fetch/explain.h"

#include <string.h>

#include "base/alloc.h"
#include "fetch/proxy.h"
#include "fetch/route_priv.h"
#include "fetch/url.h"

/* NULL is left out. */
static void set_text(ol_json *object, const char *key, const char *text)
{
	if (text)
		ol_json_set_text(object, key, text);
}

static ol_json *capabilities_of(const ol_endpoint *endpoint)
{
	static const char *const names[] = { "pull", "resolve", "push", "referrers" };
	ol_json *list = ol_json_array();

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (endpoint->capabilities >> i & 1)
			ol_json_push(list, ol_json_string(names[i]));
	return list;
}

static ol_json *tls_of(const ol_host *host, bool is_http)
{
	const ol_tls *tls = &host->tls;
	ol_json *object = ol_json_object();

	ol_json_set_bool(object, "Used", !is_http);
	ol_json_set_bool(object, "MayBePlain", host->may_be_plain);
	if (is_http)
		return object;
	ol_json_set_bool(object, "Verified", !tls->skip_verify);
	if (!tls->skip_verify)
		set_text(object, "System", tls->ca_file ? tls->ca_file : tls->ca_path);
	ol_json_set_bool(object, "OwnCAs", tls->authorities.size > 0);
	set_text(object, "Certificate", tls->cert);
	set_text(object, "Key", tls->key);
	set_text(object, "Source", tls->source);
	return object;
}

static int credentials_of(ol_registry *registry, const ol_way *way, ol_json **out, ol_error *err)
{
	const ol_credential_options options = {
		.creds = ol_host_takes_creds(way->host) ? registry->creds : NULL,
		.authfile = registry->authfile,
		.helpers = ol_registries_conf_helpers(registry->conf),
		.listener = &registry->listener,
	};
	ol_credentials found = { 0 };
	ol_json *object;
	int rc = ol_credentials_find(
		&options, ol_host_known_as(way->host), way->endpoint->repository, &found, err);

	if (rc < 0)
		return rc;
	object = ol_json_object();
	ol_json_set_text(object, "Kind",
		found.registry_token   ? "registry token"
		: found.identity_token ? "identity token"
		: found.user           ? "password"
				       : "anonymous");
	set_text(object, "User", found.user);
	set_text(object, "Source", found.source);
	ol_credentials_done(&found);
	*out = object;
	return OL_OK;
}

static ol_json *proxy_of(const ol_endpoint *endpoint, const char *url, const char *file)
{
	const char *why = NULL;
	const char *proxy = endpoint->proxy ? endpoint->proxy : ol_proxy_for(url, &why);
	ol_json *object = ol_json_object();

	if (proxy) {
		ol_autofree char *shown = ol_proxy_shown(proxy);

		ol_json_set_text(object, "URL", shown);
	}
	set_text(object, "Source", endpoint->proxy ? file : why);
	return object;
}

/* Their names: a value may be a secret. */
static ol_json *headers_of(const ol_endpoint *endpoint)
{
	ol_json *list = ol_json_array();

	for (const char *const *header = endpoint->headers; header && *header; header++) {
		ol_autofree char *name = ol_strndup(*header, strcspn(*header, ":;"));

		ol_json_push(list, ol_json_string(name));
	}
	return list;
}

static int endpoint_of(ol_registry *registry, const ol_route *route, const ol_way *way,
	ol_json **out, ol_error *err)
{
	const ol_endpoint *endpoint = way->endpoint;
	ol_autofree char *base = ol_host_base(way->host);
	ol_autofree char *url = ol_text("%s%s/%s", base, endpoint->root, endpoint->repository);
	ol_json *object, *credentials = NULL;
	int rc = credentials_of(registry, way, &credentials, err);

	if (rc < 0)
		return ol_wrap(err, rc, "credentials for %s", way->host->name);
	object = ol_json_object();
	ol_json_set_text(object, "URL", url);
	ol_json_set_bool(object, "Mirror", !endpoint->is_primary);
	ol_json_set(object, "Capabilities", capabilities_of(endpoint));
	set_text(object, "Namespace", endpoint->ns);
	if (endpoint->connect_ms)
		ol_json_set_int(object, "DialTimeoutMilliseconds", endpoint->connect_ms);
	if (endpoint->headers)
		ol_json_set(object, "Headers", headers_of(endpoint));
	ol_json_set(object, "TLS", tls_of(way->host, !ol_url_is_https(base)));
	ol_json_set(object, "Credentials", credentials);
	ol_json_set(object, "Proxy", proxy_of(endpoint, url, route->endpoints.source));
	*out = object;
	return OL_OK;
}

int ol_registry_explain(ol_registry *registry, const ol_ref *ref, ol_json **out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *object = ol_json_object();
	ol_json *list = ol_json_array();
	ol_route *route;
	int rc;

	ol_json_set_text(object, "Reference", ol_ref_format(ref).text);
	ol_json_set(object, "Endpoints", list);
	rc = ol_route_get(registry, ref, &route, err);
	if (rc < 0)
		return rc;
	set_text(object, "Source", route->endpoints.source);
	set_text(object, "Prefix", route->endpoints.rule);
	for (size_t i = 0; rc == OL_OK && i < route->endpoints.count; i++) {
		ol_json *endpoint = NULL;

		rc = endpoint_of(registry, route, &route->ways[i], &endpoint, err);
		if (rc == OL_OK)
			ol_json_push(list, endpoint);
	}
	if (rc == OL_OK)
		*out = ol_steal(&object);
	return rc;
}
