#pragma once

/*
 * The environment's proxies: http_proxy, https_proxy, all_proxy and no_proxy, each also in upper
 * case, which comes second (HTTP_PROXY not in a CGI program: there it may be a request's header).
 * Loopback is never asked through a proxy. no_proxy is a list, parted by commas or spaces:
 *
 *	*                    nothing goes through a proxy
 *	example.com          that host and all below it; .example.com is the same
 *	example.com:5000     that port of it alone
 *	10.0.0.0/8, fd00::/8 addresses
 */
#include <stdbool.h>

/* The proxy for a URL (lent by the environment), or NULL; *why: the variable that says so, NULL
 * where none does. */
const char *ol_proxy_for(const char *url, const char **why);
/* Whether host ("reg.example", "10.0.0.1", "[::1]"), at port, stands in a list like no_proxy. */
bool ol_proxy_excepts(const char *list, const char *host, const char *port);
/* A proxy's URL for people: without the name and password that may stand in it. New memory. */
char *ol_proxy_shown(const char *proxy);
