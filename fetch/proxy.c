#include "fetch/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/view.h"
#include "fetch/url.h"

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* An address of either family in network order; its size, 0 if it is none. Brackets are left out.
 */
static size_t read_address(ol_view text, unsigned char bytes[16])
{
	char copy[64];

	if (text.size > 2 && text.data[0] == '[' && text.data[text.size - 1] == ']')
		text = ol_view_from(text.data + 1, text.size - 2);
	if (text.size == 0 || text.size >= sizeof copy)
		return 0;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	if (inet_pton(AF_INET, copy, bytes) == 1)
		return 4;
	return inet_pton(AF_INET6, copy, bytes) == 1 ? 16 : 0;
}

/* "10.0.0.0/8" */
static bool in_network(ol_view entry, const char *slash, const char *host)
{
	unsigned char network[16], address[16];
	size_t size = read_address(ol_view_from(entry.data, (size_t)(slash - entry.data)), network);
	size_t digits = entry.size - (size_t)(slash - entry.data) - 1;
	unsigned bits = 0;

	if (size == 0 || digits == 0 || digits > 3 ||
		read_address(ol_view_of(host), address) != size)
		return false;
	for (const char *p = slash + 1; p < entry.data + entry.size; p++) {
		if (*p < '0' || *p > '9')
			return false;
		bits = bits * 10 + (unsigned)(*p - '0');
	}
	if (bits > size * 8 || memcmp(network, address, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (network[bits / 8] ^ address[bits / 8]) >> (8 - bits % 8) == 0;
}

/* host is name, or ends with "." name. */
static bool is_below(const char *host, ol_view name)
{
	size_t size = strlen(host);

	return size >= name.size &&
	       strncasecmp(host + size - name.size, name.data, name.size) == 0 &&
	       (size == name.size || host[size - name.size - 1] == '.');
}

static bool entry_excepts(ol_view entry, const char *host, const char *port)
{
	const char *slash = memchr(entry.data, '/', entry.size);
	unsigned char wanted[16], address[16];
	const char *colon = memrchr(entry.data, ':', entry.size);
	size_t size;

	if (ol_view_is(entry, "*"))
		return true;
	if (slash)
		return in_network(entry, slash, host);
	size = read_address(entry, wanted);
	if (size)
		return read_address(ol_view_of(host), address) == size &&
		       memcmp(wanted, address, size) == 0;
	if (colon) {
		ol_view behind =
			ol_view_from(colon + 1, entry.size - (size_t)(colon - entry.data) - 1);

		if (!ol_view_is(behind, port))
			return false;
		return entry_excepts(
			ol_view_from(entry.data, (size_t)(colon - entry.data)), host, port);
	}
	if (entry.size && entry.data[0] == '.')
		entry = ol_view_from(entry.data + 1, entry.size - 1);
	return entry.size > 0 && is_below(host, entry);
}

bool ol_proxy_excepts(const char *list, const char *host, const char *port)
{
	while (*list) {
		size_t size = strcspn(list, ", \t");

		if (size && entry_excepts(ol_view_from(list, size), host, port))
			return true;
		list += size + (list[size] != '\0');
	}
	return false;
}

/* The first of them that is set; *why is its name. */
static const char *first_of(const char *const *names, const char **why)
{
	for (; *names; names++)
		if (env(*names)) {
			*why = *names;
			return env(*names);
		}
	return NULL;
}

const char *ol_proxy_for(const char *url, const char **why)
{
	const bool in_cgi = getenv("REQUEST_METHOD") != NULL;
	const char *const https[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
		NULL };
	const char *const http[] = { "http_proxy", in_cgi ? "all_proxy" : "HTTP_PROXY", "all_proxy",
		"ALL_PROXY", NULL };
	const char *const none[] = { "no_proxy", "NO_PROXY", NULL };
	const char *excepting = NULL, *proxy, *list;
	ol_autofree char *authority = NULL;
	char *colon;

	*why = NULL;
	if (ol_url_is_loopback(url) || ol_url_authority(url, &authority, NULL) < 0)
		return NULL;
	proxy = first_of(ol_url_is_https(url) ? https : http, why);
	list = first_of(none, &excepting);
	colon = strrchr(authority, ':');
	*colon = '\0';
	if (!proxy || !list || !ol_proxy_excepts(list, authority, colon + 1))
		return proxy;
	*why = excepting;
	return NULL;
}

char *ol_proxy_shown(const char *proxy)
{
	const char *at = strrchr(proxy, '@');
	size_t scheme =
		strspn(proxy, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	if (!at)
		return ol_strdup(proxy);
	scheme = strncmp(proxy + scheme, "://", 3) == 0 ? scheme + 3 : 0;
	return ol_text("%.*s%s", (int)scheme, proxy, at + 1);
}
