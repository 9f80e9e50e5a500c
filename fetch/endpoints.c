#include "fetch/endpoints.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/userns.h"
#include "fetch/hosts_toml.h"

void ol_endpoints_done(ol_endpoints *endpoints)
{
	ol_arena_free(endpoints->arena);
	*endpoints = (ol_endpoints){ 0 };
}

/* label or number characters, dots and dashes; or an IPv6 address in brackets. */
static bool is_host(ol_view text)
{
	const bool bracketed = text.size > 2 && text.data[0] == '[';

	if (bracketed && text.data[text.size - 1] != ']')
		return false;
	for (size_t i = bracketed; i < text.size - bracketed; i++) {
		const char c = text.data[i];

		if (bracketed ? !strchr("0123456789abcdefABCDEF:.", c)
			      : !strchr("0123456789abcdefghijklmnopqrstuvwxyz"
					"ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_",
					c) ||
					(c == '.' && (i == 0 || i + 1 == text.size)))
			return false;
	}
	return text.size > 0 && text.size <= OL_REFERENCE_NAME_MAX;
}

bool ol_endpoint_host(ol_view text, ol_transport transport, ol_arena *arena, const char **name)
{
	const char *const usual = transport == OL_TRANSPORT_HTTPS  ? ":443"
				  : transport == OL_TRANSPORT_HTTP ? ":80"
								   : NULL;
	size_t digits = text.size;
	ol_view host = text;
	char *made;

	if (text.size == 0 || memchr(text.data, '\0', text.size))
		return false;
	while (digits > 0 && text.data[digits - 1] >= '0' && text.data[digits - 1] <= '9')
		digits--;
	if (digits > 0 && text.data[digits - 1] == ':') {
		if (digits == text.size || text.size - digits > 5)
			return false;
		host.size = digits - 1;
	}
	if (!is_host(host))
		return false;
	if (usual && ol_view_ends(text, usual))
		text = host;
	made = ol_arena_strndup(arena, text.data, text.size);
	for (char *p = made; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	/* Docker Hub's name is not its API's. */
	if (strcmp(made, "docker.io") == 0 || strcmp(made, "index.docker.io") == 0)
		made = ol_arena_strdup(arena, "registry-1.docker.io");
	*name = made;
	return true;
}

/* One hosts directory's places for a domain, first to last. */
#define PLACES_MAX 3

static size_t places_of(const char *dir, const char *domain, char **out)
{
	const char *colon = strrchr(domain, ':');
	size_t count = 0;

	if (colon && !strchr(colon, ']'))
		out[count++] =
			ol_text("%s/%.*s_%s_", dir, (int)(colon - domain), domain, colon + 1);
	out[count++] = ol_text("%s/%s", dir, domain);
	out[count++] = ol_text("%s/_default", dir);
	return count;
}

static int is_certificate(const struct dirent *entry)
{
	static const char *const ends[] = { ".crt", ".cert", ".key" };

	for (size_t i = 0; i < 3; i++)
		if (entry->d_name[0] != '.' && ol_view_ends(ol_view_of(entry->d_name), ends[i]))
			return 1;
	return 0;
}

static bool has_certificates(const char *dir)
{
	struct dirent **entries = NULL;
	int count = scandir(dir, &entries, is_certificate, NULL);

	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return count > 0;
}

/* The registry itself, and nothing between. */
static int add_plain(const ol_ref *ref, ol_endpoints *out, ol_error *err)
{
	out->list = ol_arena_alloc(out->arena, sizeof *out->list);
	out->count = 1;
	out->list[0] =
		(ol_endpoint){ .root = "/v2", .capabilities = OL_CAN_ALL, .is_primary = true };
	if (!ol_endpoint_host(
		    ol_view_of(ref->domain), OL_TRANSPORT_TRY, out->arena, &out->list[0].host))
		return ol_fail(err, OL_EINVAL, "\"%.200s\" is no host", ref->domain);
	return OL_OK;
}

/* One place: OL_ENOTFOUND when it decides nothing. */
static int try_place(const char *place, const ol_ref *ref, ol_endpoints *out, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_CONFIG_FILE_BYTES_MAX);
	ol_autofree char *file = ol_text("%s/hosts.toml", place);
	ol_error why = { 0 };
	int rc = ol_file_read(AT_FDCWD, file, false, &text, &why);

	if (rc == OL_OK && text.size > 0) {
		rc = ol_hosts_toml_parse(
			ol_buf_view(&text), place, ref->domain, out->arena, out, err);
		out->source = ol_arena_strdup(out->arena, file);
		return rc < 0 ? ol_wrap(err, rc, "%s", file) : OL_OK;
	}
	if (rc < 0 && rc != OL_ENOTFOUND && why.sys != ENOTDIR) {
		if (err)
			*err = why;
		return rc;
	}
	if (!has_certificates(place))
		return OL_ENOTFOUND;
	rc = add_plain(ref, out, err);
	if (rc < 0)
		return rc;
	out->source = ol_arena_strdup(out->arena, place);
	out->list[0].cert_dir = out->source;
	out->list[0].own_certificates = true;
	return OL_OK;
}

static int try_dir(const char *dir, const ol_ref *ref, ol_endpoints *out, ol_error *err)
{
	char *places[PLACES_MAX];
	size_t count = places_of(dir, ref->domain, places);
	int rc = OL_ENOTFOUND;

	for (size_t i = 0; i < count; i++) {
		if (rc == OL_ENOTFOUND)
			rc = try_place(places[i], ref, out, err);
		free(places[i]);
	}
	return rc;
}

/* hosts.toml: OL_ENOTFOUND when none is for this reference. */
static int from_hosts(
	const ol_endpoint_options *options, const ol_ref *ref, ol_endpoints *out, ol_error *err)
{
	const char *named = options->hosts_dir, *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int rc = OL_ENOTFOUND;

	if (!named || !*named)
		named = getenv("ORLOP_HOSTS_DIR");
	if (named && *named)
		return try_dir(named, ref, out, err);
	if (!ol_userns_is_root()) {
		ol_autofree char *own = config && *config
						? ol_text("%s/containerd/certs.d", config)
						: ol_text("%s/.config/containerd/certs.d",
							  home && *home ? home : "/nonexistent");

		rc = try_dir(own, ref, out, err);
	}
	return rc == OL_ENOTFOUND ? try_dir("/etc/containerd/certs.d", ref, out, err) : rc;
}

/* "host[:port]/repository" of a rule, as an endpoint. */
static int add_location(const ol_registry_rule *rule, const char *location, bool insecure,
	const ol_ref *ref, ol_endpoints *out, ol_error *err)
{
	ol_endpoint *endpoint = &out->list[out->count++];
	ol_auto_str ol_str name = OL_STR((size_t)2 * OL_REF_TEXT_MAX);
	const char *slash, *text;

	ol_registry_rule_rewrite(rule, location, ref, &name);
	text = ol_str_text(&name);
	slash = strchr(text, '/');
	*endpoint = (ol_endpoint){ .root = "/v2",
		.capabilities = OL_CAN_ALL & ~(unsigned)OL_CAN_PUSH,
		.skip_verify = insecure,
		.may_be_plain = insecure };
	if (!slash || !slash[1] || strlen(text) > OL_REFERENCE_NAME_MAX ||
		!ol_endpoint_host(ol_view_from(text, (size_t)(slash - text)), OL_TRANSPORT_TRY,
			out->arena, &endpoint->host))
		return ol_fail(err, OL_EINVAL,
			"%s: line %u: with \"%s\" in place of \"%s\" there is no repository left",
			rule->file, rule->line, location ? location : "", rule->prefix);
	endpoint->repository = ol_arena_strdup(out->arena, slash + 1);
	return OL_OK;
}

static int from_conf(
	const ol_endpoint_options *options, const ol_ref *ref, ol_endpoints *out, ol_error *err)
{
	const ol_registry_rule *rule = ol_registries_conf_find(options->conf, ref);
	const bool by_digest = ol_digest_is_set(&ref->digest);
	int rc = OL_OK;

	if (!rule)
		return OL_ENOTFOUND;
	if (rule->blocked) {
		(void)ol_fail(err, OL_EAUTH, "registry %s is blocked in %s, line %u", rule->prefix,
			rule->file, rule->line);
		return ol_hint(
			err, OL_EAUTH, "to allow it, take `blocked = true` out of that file");
	}
	out->source = ol_arena_strdup(out->arena, rule->file);
	out->rule = ol_arena_strdup(out->arena, rule->prefix);
	if (options->itself) {
		rc = add_plain(ref, out, err);
		if (rc == OL_OK)
			out->list[0].skip_verify = out->list[0].may_be_plain = rule->insecure;
		return rc;
	}
	out->list = ol_arena_alloc(out->arena, (rule->mirror_count + 1) * sizeof *out->list);
	for (size_t i = 0; rc == OL_OK && i < rule->mirror_count; i++) {
		const ol_registry_mirror *mirror = &rule->mirrors[i];

		if (mirror->use == OL_MIRROR_ALL || (mirror->use == OL_MIRROR_DIGESTS) == by_digest)
			rc = add_location(rule, mirror->location, mirror->insecure, ref, out, err);
	}
	/* A wildcard without a location leaves the name as it is. */
	if (rc == OL_OK)
		rc = add_location(rule, rule->location, rule->insecure, ref, out, err);
	if (rc < 0)
		return rc;
	out->list[out->count - 1].is_primary = true;
	out->list[out->count - 1].capabilities = OL_CAN_ALL;
	return OL_OK;
}

int ol_endpoints_find(
	const ol_endpoint_options *options, const ol_ref *ref, ol_endpoints *out, ol_error *err)
{
	ol_endpoints found = { .arena = ol_arena_new() };
	int rc = from_hosts(options, ref, &found, err);

	if (rc == OL_ENOTFOUND)
		rc = from_conf(options, ref, &found, err);
	if (rc == OL_ENOTFOUND)
		rc = add_plain(ref, &found, err);
	if (rc < 0) {
		ol_endpoints_done(&found);
		return rc;
	}
	for (size_t i = 0; i < found.count; i++)
		if (!found.list[i].repository)
			found.list[i].repository = ol_arena_strdup(found.arena, ref->path);
	*out = found;
	return OL_OK;
}
