#include "fetch/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/view.h"
#include "fetch/curl_lazy_priv.h"

static void url_cleanup_p(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void part_free_p(char **part)
{
	curl_free(*part);
}

static int parse(CURLU *url, const char *text, ol_error *err)
{
	__attribute__((cleanup(part_free_p))) char *scheme = NULL;
	int rc = ol_curl_need(err);

	if (rc < 0)
		return rc;
	if (!url || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return ol_fail(err, OL_EINVAL, "not a URL");
	if (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)
		return ol_fail(err, OL_EINVAL, "not an http or https URL");
	return OL_OK;
}

int ol_url_join(const char *base, const char *location, char **out, ol_error *err)
{
	__attribute__((cleanup(url_cleanup_p))) CURLU *url = curl_url();
	__attribute__((cleanup(part_free_p))) char *text = NULL;
	int rc = parse(url, base, err);

	if (rc == OL_OK)
		rc = parse(url, location, err); /* on a handle that holds a URL this resolves */
	if (rc < 0)
		return rc;
	(void)curl_url_set(url, CURLUPART_USER, NULL, 0);
	(void)curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
	(void)curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return ol_fail(err, OL_EINVAL, "not a URL");
	*out = ol_strdup(text);
	return OL_OK;
}

int ol_url_authority(const char *text, char **out, ol_error *err)
{
	__attribute__((cleanup(url_cleanup_p))) CURLU *url = curl_url();
	__attribute__((cleanup(part_free_p))) char *host = NULL;
	__attribute__((cleanup(part_free_p))) char *port = NULL;
	int rc = parse(url, text, err);

	if (rc < 0)
		return rc;
	if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
		curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		return ol_fail(err, OL_EINVAL, "not a URL");
	*out = ol_text("%s:%s", host, port);
	for (char *p = *out; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return OL_OK;
}

bool ol_url_is_https(const char *url)
{
	return strncasecmp(url, "https://", 8) == 0;
}

bool ol_url_is_loopback(const char *url)
{
	ol_autofree char *authority = NULL;
	struct in_addr address;
	ol_view host;

	if (ol_url_authority(url, &authority, NULL) < 0)
		return false;
	*strrchr(authority, ':') = '\0';
	host = ol_view_of(authority);
	if (ol_view_is(host, "localhost") || ol_view_ends(host, ".localhost") ||
		ol_view_is(host, "[::1]"))
		return true;
	return inet_pton(AF_INET, authority, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool ol_url_same_origin(const char *a, const char *b)
{
	ol_autofree char *left = NULL;
	ol_autofree char *right = NULL;

	(void)ol_url_authority(a, &left, NULL);
	(void)ol_url_authority(b, &right, NULL);
	return left && right && strcmp(left, right) == 0 &&
	       ol_url_is_https(a) == ol_url_is_https(b);
}

char *ol_url_shown(const char *text)
{
	__attribute__((cleanup(url_cleanup_p))) CURLU *url = curl_url();
	__attribute__((cleanup(part_free_p))) char *whole = NULL;

	if (parse(url, text, NULL) < 0)
		return ol_strdup("(not a URL)");
	(void)curl_url_set(url, CURLUPART_USER, NULL, 0);
	(void)curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
	(void)curl_url_set(url, CURLUPART_QUERY, NULL, 0);
	(void)curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(url, CURLUPART_URL, &whole, 0) != CURLUE_OK)
		return ol_strdup("(not a URL)");
	return ol_strdup(whole);
}
