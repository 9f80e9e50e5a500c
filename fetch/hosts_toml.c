#include "fetch/hosts_toml.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/str.h"
#include "fetch/toml.h"

#define HOSTS_MAX (OL_ENDPOINTS_MAX - 1) /* and the server */

/* What a table's values are read with. */
struct reading {
	const char *dir, *domain;
	ol_arena *arena;
	ol_error *err;
};

static int wrong(const ol_toml *value, ol_error *err, const char *key, const char *must)
{
	return ol_fail(err, OL_EINVAL, "line %u: %s %s", ol_toml_line(value), key, must);
}

int ol_duration_parse(const char *text, unsigned *ms, ol_error *err)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ns", 1e-6 }, { "us", 1e-3 }, { "\xc2\xb5s", 1e-3 }, { "\xce\xbcs", 1e-3 },
		{ "ms", 1 }, { "s", 1e3 }, { "m", 6e4 }, { "h", 3.6e6 } };
	const char *p = text;
	double total = 0;

	if (*p == '+')
		p++;
	do {
		size_t digits = strspn(p, "0123456789."),
		       size = strcspn(p + digits, "0123456789.+- ");
		char *end;
		double number = strtod(p, &end);
		bool known = false;

		if (digits == 0 || digits > 18 || end != p + digits)
			return ol_fail(
				err, OL_EINVAL, "\"%s\" is no duration as \"30s\" is one", text);
		for (size_t i = 0; i < sizeof units / sizeof units[0] && !known; i++)
			if (strlen(units[i].unit) == size &&
				memcmp(end, units[i].unit, size) == 0) {
				total += number * units[i].ms;
				known = true;
			}
		if (!known)
			return ol_fail(
				err, OL_EINVAL, "\"%s\" is no duration as \"30s\" is one", text);
		p = end + size;
	} while (*p);
	if (!(total > 0 && total <= 3.6e6))
		return ol_fail(err, OL_EINVAL, "\"%s\" is not between 1ns and 1h", text);
	*ms = total < 1 ? 1 : (unsigned)total;
	return OL_OK;
}

static const char *absolute(const struct reading *r, const char *path)
{
	ol_autofree char *joined = *path == '/' ? ol_strdup(path) : ol_text("%s/%s", r->dir, path);

	return ol_arena_strdup(r->arena, joined);
}

static int read_capabilities(const struct reading *r, const ol_toml *table, unsigned *out)
{
	static const struct {
		const char *name;
		ol_capability capability;
	} known[] = { { "pull", OL_CAN_PULL }, { "resolve", OL_CAN_RESOLVE },
		{ "push", OL_CAN_PUSH }, { "referrers", OL_CAN_REFER } };
	const ol_toml *list = NULL;
	int rc = ol_toml_get_texts(table, "capabilities", &list, r->err);

	if (rc < 0)
		return rc;
	*out = ol_toml_count(list) ? 0 : OL_CAN_ALL;
	for (const ol_toml *item = ol_toml_first(list); item; item = ol_toml_next(item)) {
		unsigned found = 0;

		for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
			if (strcasecmp(ol_toml_text(item), known[i].name) == 0)
				found = known[i].capability;
		if (!found)
			return wrong(item, r->err, "capabilities",
				"are of pull, resolve, push and referrers");
		*out |= found;
	}
	return OL_OK;
}

/* A path, or an array of them. */
static int read_authorities(const struct reading *r, const ol_toml *table, ol_endpoint *out)
{
	const ol_toml *value = ol_toml_get(table, "ca");
	const ol_toml *item = ol_toml_is_array(value) ? ol_toml_first(value) : value;
	const char **paths;
	size_t count = 0;

	if (!value)
		return OL_OK;
	paths = ol_arena_alloc(r->arena, (OL_CONFIG_LIST_MAX + 1) * sizeof *paths);
	for (; item; item = ol_toml_is_array(value) ? ol_toml_next(item) : NULL) {
		if (ol_toml_type_of(item) != OL_TOML_STRING)
			return wrong(item, r->err, "ca", "is a path or an array of paths");
		if (count == OL_CONFIG_LIST_MAX)
			return ol_fail(r->err, OL_ELIMIT, "line %u: more than %d paths",
				ol_toml_line(item), OL_CONFIG_LIST_MAX);
		paths[count++] = absolute(r, ol_toml_text(item));
	}
	out->authorities = paths;
	return OL_OK;
}

/* [cert, key], where an empty key stands in cert's file. */
static int read_pair(const struct reading *r, const ol_toml *item, ol_endpoint *out)
{
	const ol_toml *cert = item, *key = NULL;
	const char *key_path;

	if (ol_toml_is_array(item)) {
		cert = ol_toml_first(item);
		key = ol_toml_next(cert);
		if (ol_toml_count(item) != 2 || ol_toml_type_of(key) != OL_TOML_STRING)
			cert = NULL;
	}
	if (!cert || ol_toml_type_of(cert) != OL_TOML_STRING || !*ol_toml_text(cert))
		return wrong(item, r->err, "client",
			"is a path, an array of paths, or one of pairs of paths");
	if (out->cert)
		return OL_OK; /* the first is offered: libcurl has room for one */
	key_path = key ? ol_toml_text(key) : "";
	out->cert = absolute(r, ol_toml_text(cert));
	out->key = *key_path ? absolute(r, key_path) : out->cert;
	return OL_OK;
}

static int read_client(const struct reading *r, const ol_toml *table, ol_endpoint *out)
{
	const ol_toml *value = ol_toml_get(table, "client");
	int rc = OL_OK;

	if (!value || !ol_toml_is_array(value))
		return value ? read_pair(r, value, out) : OL_OK;
	for (const ol_toml *item = ol_toml_first(value); rc == OL_OK && item;
		item = ol_toml_next(item))
		rc = read_pair(r, item, out);
	return rc;
}

/* RFC 9110 "Fields": a token; what it holds has no line end. */
static bool is_header_name(const char *name)
{
	if (!*name || strlen(name) > 256)
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
			return false;
	return true;
}

static bool is_header_value(const char *value)
{
	for (const char *p = value; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return false;
	return strlen(value) <= 4096;
}

static int add_header(const struct reading *r, const ol_toml *item, const char *name,
	const char **list, size_t *count)
{
	ol_autofree char *line = NULL;

	if (ol_toml_type_of(item) != OL_TOML_STRING)
		return wrong(item, r->err, name, "is a string or an array of strings");
	if (!is_header_name(name) || !is_header_value(ol_toml_text(item)))
		return wrong(item, r->err, "header", "has a name or a value that HTTP has not");
	if (*count == OL_HEADERS_MAX)
		return ol_fail(r->err, OL_ELIMIT, "line %u: more than %d headers",
			ol_toml_line(item), OL_HEADERS_MAX);
	/* libcurl leaves a header with nothing behind the colon out, but for one that ends so. */
	line = *ol_toml_text(item) ? ol_text("%s: %s", name, ol_toml_text(item))
				   : ol_text("%s;", name);
	list[(*count)++] = ol_arena_strdup(r->arena, line);
	return OL_OK;
}

static int read_headers(const struct reading *r, const ol_toml *table, ol_endpoint *out)
{
	const ol_toml *headers = NULL;
	const char **list;
	size_t count = 0;
	int rc = ol_toml_get_table(table, "header", &headers, r->err);

	if (rc < 0 || !headers)
		return rc;
	list = ol_arena_alloc(r->arena, (OL_HEADERS_MAX + 1) * sizeof *list);
	for (const ol_toml *h = ol_toml_first(headers); rc == OL_OK && h; h = ol_toml_next(h)) {
		if (!ol_toml_is_array(h))
			rc = add_header(r, h, ol_toml_key(h), list, &count);
		else
			for (const ol_toml *item = ol_toml_first(h); rc == OL_OK && item;
				item = ol_toml_next(item))
				rc = add_header(r, item, ol_toml_key(h), list, &count);
	}
	out->headers = list;
	return rc;
}

static int read_proxy(const struct reading *r, const ol_toml *table, ol_endpoint *out)
{
	static const char *const schemes[] = { "http://", "https://", "socks5://", "socks5h://" };
	const char *proxy = NULL;
	int rc = ol_toml_get_text(table, "proxy", &proxy, r->err);

	if (rc < 0 || !proxy)
		return rc;
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t size = strlen(schemes[i]), host = strcspn(proxy, "?# \t\n");

		if (strncmp(proxy, schemes[i], size) == 0 && host == strlen(proxy) &&
			strcspn(proxy + size, "/") > 0) {
			out->proxy = ol_arena_strdup(r->arena, proxy);
			return OL_OK;
		}
	}
	return wrong(ol_toml_get(table, "proxy"), r->err, "proxy",
		"is a URL of http, https, socks5 or socks5h with a host alone");
}

/* The path of an API: without a slash at its end, and without what a path cannot hold. */
static bool clean_root(const char *path, ol_str *out)
{
	for (const char *p = path; *p;) {
		size_t size;

		p += strspn(p, "/");
		size = strcspn(p, "/");
		if (size == 1 && *p == '.') {
			p += size;
			continue;
		}
		if ((size == 2 && memcmp(p, "..", 2) == 0) || strcspn(p, "?#@ \\\"<>%") < size)
			return false;
		for (size_t i = 0; i < size; i++)
			if ((unsigned char)p[i] <= ' ' || (unsigned char)p[i] >= 0x7f)
				return false;
		if (size)
			(void)ol_str_addf(out, "/%.*s", (int)size, p);
		p += size;
	}
	return true;
}

/* "https://mirror.example:5000/path", or without its scheme. */
static int read_url(const struct reading *r, const char *url, bool override_path, ol_endpoint *out)
{
	ol_auto_str ol_str root = OL_STR(4096);
	const char *rest = url;
	size_t size;

	out->transport = OL_TRANSPORT_HTTPS;
	if (strncmp(url, "http://", 7) == 0) {
		out->transport = OL_TRANSPORT_HTTP;
		rest = url + 7;
	} else if (strncmp(url, "https://", 8) == 0) {
		rest = url + 8;
	}
	size = strcspn(rest, "/");
	if (!ol_endpoint_host(ol_view_from(rest, size), out->transport, r->arena, &out->host) ||
		!clean_root(rest + size, &root))
		return ol_fail(r->err, OL_EINVAL, "\"%.200s\" is no URL of a registry", url);
	if (!override_path && !ol_view_ends(ol_view_from(ol_str_text(&root), root.size), "/v2"))
		(void)ol_str_add(&root, "/v2");
	out->root = ol_arena_strdup(r->arena, ol_str_text(&root));
	return ol_str_error(&root, r->err);
}

/* The registry that references name, where nothing else stands for it. */
static int read_default(const struct reading *r, ol_endpoint *out)
{
	out->transport = OL_TRANSPORT_TRY;
	out->root = "/v2";
	if (!ol_endpoint_host(ol_view_of(r->domain), OL_TRANSPORT_TRY, r->arena, &out->host))
		return ol_fail(r->err, OL_EINVAL, "\"%.200s\" is no host", r->domain);
	return OL_OK;
}

/* url NULL: the registry itself. */
static int read_host(
	const struct reading *r, const ol_toml *table, const char *url, ol_endpoint *out)
{
	ol_endpoint endpoint = { .own_certificates = true };
	bool override_path = false;
	const char *timeout = NULL;
	int rc = ol_toml_get_bool(table, "override_path", &override_path, r->err);

	if (rc == OL_OK)
		rc = ol_toml_get_bool(table, "skip_verify", &endpoint.skip_verify, r->err);
	if (rc == OL_OK)
		rc = ol_toml_get_text(table, "dial_timeout", &timeout, r->err);
	if (rc == OL_OK && timeout && *timeout)
		rc = ol_duration_parse(timeout, &endpoint.connect_ms, r->err);
	if (rc == OL_OK)
		rc = url ? read_url(r, url, override_path, &endpoint) : read_default(r, &endpoint);
	if (rc == OL_OK)
		rc = read_capabilities(r, table, &endpoint.capabilities);
	if (rc == OL_OK)
		rc = read_authorities(r, table, &endpoint);
	if (rc == OL_OK)
		rc = read_client(r, table, &endpoint);
	if (rc == OL_OK)
		rc = read_headers(r, table, &endpoint);
	if (rc == OL_OK)
		rc = read_proxy(r, table, &endpoint);
	if (rc < 0)
		return rc;
	/* As containerd: who configures TLS for http may mean https after all. */
	if (endpoint.transport == OL_TRANSPORT_HTTP && strchr(endpoint.host, ':') &&
		(endpoint.authorities || endpoint.cert || ol_toml_get(table, "skip_verify"))) {
		endpoint.transport = OL_TRANSPORT_TRY;
		endpoint.may_be_plain = true;
	}
	*out = endpoint;
	return OL_OK;
}

static void set_namespace(const struct reading *r, ol_endpoint *endpoint)
{
	const char *itself = NULL;

	(void)ol_endpoint_host(ol_view_of(r->domain), OL_TRANSPORT_TRY, r->arena, &itself);
	assert(endpoint->host);
	if (!itself || strcmp(itself, endpoint->host) != 0)
		endpoint->ns = ol_arena_strdup(r->arena, r->domain);
}

static int read_document(const struct reading *r, const ol_toml *root, ol_endpoints *out)
{
	const ol_toml *hosts = NULL;
	const char *server = NULL;
	size_t count = 0;
	int rc = ol_toml_get_table(root, "host", &hosts, r->err);

	if (rc == OL_OK)
		rc = ol_toml_get_text(root, "server", &server, r->err);
	if (rc < 0)
		return rc;
	if (ol_toml_count(hosts) > HOSTS_MAX)
		return ol_fail(r->err, OL_ELIMIT, "more than %d hosts", HOSTS_MAX);
	out->list = ol_arena_alloc(r->arena, (ol_toml_count(hosts) + 1) * sizeof *out->list);
	for (const ol_toml *host = ol_toml_first(hosts); host; host = ol_toml_next(host)) {
		if (!ol_toml_is_table(host))
			return wrong(host, r->err, "host", "holds tables: [host.\"https://…\"]");
		rc = read_host(r, host, ol_toml_key(host), &out->list[count++]);
		if (rc < 0)
			return ol_wrap(r->err, rc, "host at line %u", ol_toml_line(host));
	}
	rc = read_host(r, root, server && *server ? server : NULL, &out->list[count]);
	if (rc < 0)
		return rc;
	out->list[count++].is_primary = true;
	for (size_t i = 0; i < count; i++)
		set_namespace(r, &out->list[i]);
	out->count = count;
	return OL_OK;
}

int ol_hosts_toml_parse(ol_view text, const char *dir, const char *domain, ol_arena *arena,
	ol_endpoints *out, ol_error *err)
{
	const struct reading reading = { dir, domain, arena, err };
	ol_auto(ol_toml_free) ol_toml *root = NULL;
	int rc = ol_toml_parse(text, &root, err);

	return rc < 0 ? rc : read_document(&reading, root, out);
}
