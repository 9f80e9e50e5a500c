#include "fetch/docker_config.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/limits.h"
#include "fetch/token.h"

static const char hub_key[] = "https://index.docker.io/v1/";

static bool is_hub(ol_view host)
{
	return ol_view_is(host, "docker.io") || ol_view_is(host, "index.docker.io") ||
	       ol_view_is(host, "registry-1.docker.io");
}

char *ol_docker_config_key(const char *host)
{
	return ol_strdup(is_hub(ol_view_of(host)) ? hub_key : host);
}

/* A key's host, and the path behind it where that is a repository's. */
static void split_key(const char *key, ol_view *host, ol_view *path)
{
	bool schemed = strncasecmp(key, "https://", 8) == 0 || strncasecmp(key, "http://", 7) == 0;
	const char *start = schemed ? strstr(key, "://") + 3 : key;
	size_t size = strcspn(start, "/");

	*host = ol_view_from(start, size);
	*path = ol_view_of(start + size + (start[size] == '/'));
	while (path->size && path->data[path->size - 1] == '/')
		path->size--;
	/* With a scheme it is an API's path, as it is where it only says its version. */
	if (schemed || ol_view_is(*path, "v1") || ol_view_is(*path, "v2"))
		path->size = 0;
}

static bool same_host(ol_view key, const char *host)
{
	return ol_view_is(key, host) || (is_hub(key) && is_hub(ol_view_of(host)));
}

/* How well a key serves a repository: 0 not at all, else more for a longer path, and for the
 * literal name. */
static size_t match(const char *key, const char *host, const char *path)
{
	ol_view key_host, key_path;

	split_key(key, &key_host, &key_path);
	if (!same_host(key_host, host))
		return 0;
	if (key_path.size && (strncmp(path, key_path.data, key_path.size) != 0 ||
				     (path[key_path.size] != '/' && path[key_path.size] != '\0')))
		return 0;
	return 2 * key_path.size + (strcmp(key, host) == 0 ? 2 : 1);
}

int ol_docker_config_parse(ol_view text, ol_docker_config *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *root = NULL;
	const ol_json *member = NULL;
	const char *store = NULL;
	int rc = ol_json_parse(text, &root, err);

	if (rc < 0)
		return ol_fail(
			err, rc, "is not JSON"); /* the parser's words could quote a secret */
	if (!ol_json_is_object(root))
		return ol_fail(err, OL_EINVAL, "is not a JSON object");
	rc = ol_json_get_object(root, "auths", &member, err);
	if (rc == OL_OK)
		rc = ol_json_get_object(root, "credHelpers", &member, err);
	if (rc == OL_OK)
		rc = ol_json_get_text(root, "credsStore", &store, err);
	if (rc < 0)
		return rc;
	out->root = ol_steal(&root);
	return OL_OK;
}

void ol_docker_config_done(ol_docker_config *config)
{
	ol_json_free(config->root);
	config->root = NULL;
}

/* "auth": base64 of user:password. Docker pads old ones with NULs. */
static int decode_auth(const char *text, ol_credentials *out, ol_error *err)
{
	ol_auto_buf ol_buf pair = OL_BUF(OL_TOKEN_BYTES_MAX);
	const char *colon;
	int rc = ol_base64_parse(ol_view_of(text), &pair, NULL);

	if (rc == OL_OK) {
		while (pair.size && pair.data[pair.size - 1] == '\0')
			pair.size--;
		colon = pair.size ? memchr(pair.data, ':', pair.size) : NULL;
		if (colon && colon > pair.data && strlen(pair.data) >= pair.size) {
			out->user = ol_strndup(pair.data, (size_t)(colon - pair.data));
			out->password = ol_strdup(colon + 1);
		} else {
			rc = OL_EINVAL;
		}
	}
	if (pair.data)
		explicit_bzero(pair.data, pair.cap);
	if (rc < 0)
		return ol_fail(err, OL_EINVAL, "its \"auth\" is not user:password in base64");
	return OL_OK;
}

static int read_entry(const ol_json *entry, ol_credentials *out, ol_error *err)
{
	const char *auth = NULL, *user = NULL, *password = NULL, *identity = NULL, *registry = NULL;
	int rc = ol_json_get_text(entry, "auth", &auth, err);

	if (rc == OL_OK)
		rc = ol_json_get_text(entry, "username", &user, err);
	if (rc == OL_OK)
		rc = ol_json_get_text(entry, "password", &password, err);
	if (rc == OL_OK)
		rc = ol_json_get_text(entry, "identitytoken", &identity, err);
	if (rc == OL_OK)
		rc = ol_json_get_text(entry, "registrytoken", &registry, err);
	if (rc == OL_OK && auth && *auth)
		rc = decode_auth(auth, out, err);
	if (rc < 0)
		return rc;
	if (!out->user && user && *user) {
		out->user = ol_strdup(user);
		out->password = ol_strdup(password ? password : "");
	}
	if (identity && *identity)
		out->identity_token = ol_strdup(identity);
	if (registry && *registry)
		out->registry_token = ol_strdup(registry);
	return OL_OK;
}

static bool holds_anything(const ol_json *entry)
{
	static const char *const keys[] = { "auth", "username", "identitytoken", "registrytoken" };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const ol_json *value = ol_json_get(entry, keys[i]);
		const char *text = ol_json_text(value);

		if (value && (!text || *text))
			return true; /* of a wrong type, too: that is told, not passed over */
	}
	return false;
}

int ol_docker_config_find(const ol_docker_config *config, const char *host, const char *path,
	ol_credentials *out, bool *found, ol_error *err)
{
	const ol_json *auths = ol_json_get(config->root, "auths");
	const ol_json *best = NULL, *entry;
	const char *key;
	size_t best_rank = 0;
	void *it = NULL;
	ol_credentials credentials = { 0 };
	int rc;

	while (ol_json_next(auths, &it, &key, &entry)) {
		size_t rank = match(key, host, path);

		if (rank > best_rank && holds_anything(entry)) {
			best = entry;
			best_rank = rank;
		}
	}
	*found = best != NULL;
	if (!best)
		return OL_OK;
	rc = read_entry(best, &credentials, err);
	if (rc < 0) {
		ol_credentials_done(&credentials);
		return ol_wrap(err, rc, "entry for %s", host);
	}
	*out = credentials;
	return OL_OK;
}

/* The key in a section that means the whole of host, or NULL. */
static const char *key_of(const ol_json *section, const char *host)
{
	const ol_json *value;
	const char *key, *best = NULL;
	size_t best_rank = 0;
	void *it = NULL;

	while (ol_json_next(section, &it, &key, &value)) {
		size_t rank = match(key, host, "");

		if (rank > best_rank) {
			best = key;
			best_rank = rank;
		}
	}
	return best;
}

bool ol_docker_config_helper(const ol_docker_config *config, const char *host, unsigned index,
	const char **suffix, char **server)
{
	const ol_json *helpers = ol_json_get(config->root, "credHelpers");
	const char *helper_key = key_of(helpers, host);
	const char *specific = helper_key ? ol_json_text(ol_json_get(helpers, helper_key)) : NULL;
	const char *common = ol_json_text(ol_json_get(config->root, "credsStore"));
	const char *stored = key_of(ol_json_get(config->root, "auths"), host);

	if (specific && *specific && index-- == 0) {
		*suffix = specific;
		*server = ol_strdup(helper_key);
		return true;
	}
	if (!common || !*common || index > 0)
		return false;
	*suffix = common;
	*server = stored ? ol_strdup(stored) : ol_docker_config_key(host);
	return true;
}

/* A section to write to, made where it is missing. jansson hands out members const, hence
 * the copy. */
static ol_json *section_copy(const ol_docker_config *config, const char *name)
{
	const ol_json *section = ol_json_get(config->root, name);

	return section ? ol_json_copy(section) : ol_json_object();
}

void ol_docker_config_set(
	ol_docker_config *config, const char *host, const char *user, const char *password)
{
	ol_json *auths = section_copy(config, "auths");
	ol_autofree char *new_key = ol_docker_config_key(host);
	const char *old_key = key_of(auths, host);
	ol_autofree char *key = ol_strdup(old_key ? old_key : new_key);
	const ol_json *old = ol_json_get(auths, key);
	ol_json *entry = ol_json_is_object(old) ? ol_json_copy(old) : ol_json_object();

	ol_json_remove(entry, "auth");
	ol_json_remove(entry, "username");
	ol_json_remove(entry, "password");
	ol_json_remove(entry, "identitytoken");
	ol_json_remove(entry, "registrytoken");
	if (user) {
		ol_auto_str ol_str auth = OL_STR(OL_TOKEN_BYTES_MAX);
		char *pair = ol_text("%s:%s", user, password);

		(void)ol_base64_format(ol_view_of(pair), &auth);
		ol_secret_free(pair);
		ol_json_set_text(entry, "auth", ol_str_text(&auth));
		if (auth.data)
			explicit_bzero(auth.data, auth.cap);
	}
	ol_json_set(auths, key, entry);
	ol_json_set(config->root, "auths", auths);
}

bool ol_docker_config_remove(ol_docker_config *config, const char *host)
{
	ol_json *auths = section_copy(config, "auths");
	const char *key;
	bool any = false;

	while ((key = key_of(auths, host))) {
		ol_autofree char *gone = ol_strdup(key);

		any = true;
		ol_json_remove(auths, gone);
	}
	ol_json_set(config->root, "auths", auths);
	return any;
}
