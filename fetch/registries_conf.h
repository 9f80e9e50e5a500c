#pragma once

/*
 * containers-registries.conf(5), version 2, with its drop-ins and the cache of short names. Files
 * are added one after the other; a later one stands above those before it:
 *
 *	[[registry]] of the same prefix   replaced as a whole
 *	[aliases]                         one by one; "" takes one away
 *	everything else                   replaced where it is set
 */
#include <stdbool.h>

#include "base/own.h"
#include "base/str.h"
#include "manifest/ref.h"

typedef enum ol_mirror_use {
	OL_MIRROR_ALL,
	OL_MIRROR_DIGESTS, /* only for references with a digest */
	OL_MIRROR_TAGS,    /* only for those without */
} ol_mirror_use;

/* All strings belong to the configuration. */
typedef struct ol_registry_mirror {
	const char *location;
	bool insecure;
	ol_mirror_use use;
} ol_registry_mirror;

typedef struct ol_registry_rule {
	const char *prefix;   /* "reg.example/team", "*.example.com" */
	const char *location; /* what prefix becomes; NULL: it stays */
	bool insecure, blocked;
	const ol_registry_mirror *mirrors; /* in order */
	size_t mirror_count;
	const char *file;
	unsigned line;
} ol_registry_rule;

typedef struct ol_registries_conf ol_registries_conf;

ol_registries_conf *ol_registries_conf_new(void);
void ol_registries_conf_free(ol_registries_conf *conf);
OL_DEFINE_AUTO(ol_registries_conf, ol_registries_conf_free)
/* Adds one file's text. OL_EINVAL with the line; file stands in front of it. The version 1 format
 * is OL_EUNSUPPORTED. */
int ol_registries_conf_add(ol_registries_conf *conf, ol_view text, const char *file, ol_error *err);
/* Adds a cache of short names, short-name-aliases.conf: its [aliases] stand above all others. */
int ol_registries_conf_add_cache(
	ol_registries_conf *conf, ol_view text, const char *file, ol_error *err);
/* Reads the files there are. path (--registries-conf) is then the only one and must be there; NULL:
 * CONTAINERS_REGISTRIES_CONF (and _DIR), else the user's, else the system's, with their drop-ins in
 * the order of their names, and the cache. */
int ol_registries_conf_load(const char *path, ol_registries_conf **out, ol_error *err);

/* The rule with the longest prefix of ref; NULL: there is none. */
const ol_registry_rule *ol_registries_conf_find(const ol_registries_conf *conf, const ol_ref *ref);
/* ref as it is called at location, which stands in place of the rule's prefix: "host/repository",
 * without tag and digest, added to out. */
void ol_registry_rule_rewrite(
	const ol_registry_rule *rule, const char *location, const ol_ref *ref, ol_str *out);
/* What a short name stands for; NULL: there is no alias. *file: who says so. */
const char *ol_registries_conf_alias(
	const ol_registries_conf *conf, const char *name, const char **file);
/* Hosts, ended by NULL; *file says where from (NULL: nowhere). */
const char *const *ol_registries_conf_search(const ol_registries_conf *conf, const char **file);
/* credential-helpers, ended by NULL; NULL when not set. */
const char *const *ol_registries_conf_helpers(const ol_registries_conf *conf);
