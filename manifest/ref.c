/*
 *	reference = [ domain "/" ] path [ ":" tag ] [ "@" digest ]
 *
 * Neither path nor tag can hold "@", and a path cannot hold ":", so the first of each divides. What
 * stands before the first "/" is a domain if nothing else could look like it: a dot, a colon, an
 * upper-case letter, "localhost". Docker's rules then fill in what is missing.
 */
#include "manifest/ref.h"

#include <string.h>

#include "base/str.h"

#define DEFAULT_DOMAIN "docker.io"
#define LIBRARY        "library/"

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c);
}

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool is_alnum(char c)
{
	return is_lower_or_digit(c) || is_upper(c);
}

static bool has_upper(ol_view v)
{
	for (size_t i = 0; i < v.size; i++)
		if (is_upper(v.data[i]))
			return true;
	return false;
}

static bool find(ol_view v, char c, size_t *at)
{
	const char *found = v.size ? memchr(v.data, c, v.size) : NULL;

	if (found)
		*at = (size_t)(found - v.data);
	return found != NULL;
}

/* Cuts v at c: v keeps what stands before, and what stands after is given. */
static bool cut(ol_view *v, char c, ol_view *after)
{
	size_t at;

	if (!find(*v, c, &at))
		return false;
	*after = ol_view_from(v->data + at + 1, v->size - at - 1);
	v->size = at;
	return true;
}

/* part is what is wrong with the reference: it may come from an archive, and be long. */
static int refuse(const char *what, ol_view part, const char *why, ol_error *err)
{
	ol_auto_str ol_str safe = OL_STR((size_t)4 * OL_REFERENCE_NAME_MAX);

	if (part.size > OL_REFERENCE_NAME_MAX)
		part.size = OL_REFERENCE_NAME_MAX;
	(void)ol_str_add_safe(&safe, part);
	return ol_fail(err, OL_EINVAL, "%s \"%s\" %s", what, ol_str_text(&safe), why);
}

/* label ::= [a-zA-Z0-9] | [a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9] */
static bool is_label(ol_view v)
{
	for (size_t i = 0; i < v.size; i++)
		if (!is_alnum(v.data[i]) && (v.data[i] != '-' || i == 0 || i == v.size - 1))
			return false;
	return v.size > 0;
}

/* host ::= label ("." label)* | "[" [0-9a-fA-F:]+ "]" */
static bool is_host(ol_view v)
{
	ol_view rest;

	if (v.size > 2 && v.data[0] == '[' && v.data[v.size - 1] == ']') {
		for (size_t i = 1; i < v.size - 1; i++)
			if (!is_digit(v.data[i]) && !is_one_of(v.data[i], "abcdefABCDEF:"))
				return false;
		return true;
	}
	while (cut(&v, '.', &rest)) {
		if (!is_label(v))
			return false;
		v = rest;
	}
	return is_label(v);
}

/* domain ::= host [":" [0-9]+] */
static bool is_domain(ol_view v)
{
	size_t colon = v.size;

	/* The port's colon is the last: an IPv6 address has its own, but within brackets. */
	while (colon > 0 && is_digit(v.data[colon - 1]))
		colon--;
	if (colon > 0 && colon < v.size && v.data[colon - 1] == ':')
		v.size = colon - 1;
	return is_host(v);
}

/* separator ::= "." | "_" | "__" | "-"+; 0 where there is none. */
static size_t separator_size(ol_view v)
{
	size_t dashes = 0;

	while (dashes < v.size && v.data[dashes] == '-')
		dashes++;
	if (dashes)
		return dashes;
	if (ol_view_starts(v, "__"))
		return 2;
	return ol_view_starts(v, ".") || ol_view_starts(v, "_");
}

/* component ::= [a-z0-9]+ (separator [a-z0-9]+)* */
static bool is_component(ol_view v)
{
	for (size_t i = 0; i < v.size;) {
		size_t start = i, separator;

		while (i < v.size && is_lower_or_digit(v.data[i]))
			i++;
		if (i == start)
			return false;
		if (i == v.size)
			return true;
		separator = separator_size(ol_view_from(v.data + i, v.size - i));
		if (separator == 0)
			return false;
		i += separator;
	}
	return false;
}

static bool is_path(ol_view v)
{
	ol_view rest;

	while (cut(&v, '/', &rest)) {
		if (!is_component(v))
			return false;
		v = rest;
	}
	return is_component(v);
}

/* tag ::= [A-Za-z0-9_] [A-Za-z0-9_.-]{0,127} */
static bool is_tag(ol_view v)
{
	if (v.size == 0 || v.size > OL_TAG_MAX || v.data[0] == '.' || v.data[0] == '-')
		return false;
	for (size_t i = 0; i < v.size; i++)
		if (!is_alnum(v.data[i]) && !is_one_of(v.data[i], "_.-"))
			return false;
	return true;
}

static bool is_image_id(ol_view v)
{
	uint8_t bytes[32];

	return ol_hex_parse(v, bytes, sizeof bytes) == OL_OK;
}

/* Whether the first component of a name is a domain, and not the first part of a path. */
static bool looks_like_domain(ol_view first)
{
	size_t at;

	return find(first, '.', &at) || find(first, ':', &at) || ol_view_is(first, "localhost") ||
	       has_upper(first);
}

/* Text in, at *used; the callers have checked that it fits. */
static void put(char *out, size_t *used, ol_view text)
{
	memcpy(out + *used, text.data, text.size);
	*used += text.size;
	out[*used] = '\0';
}

static int parse_name(ol_view domain, ol_view path, ol_ref *ref, ol_error *err)
{
	size_t used = 0, slash;
	bool library;

	if (!is_domain(domain))
		return refuse("registry", domain, "is not a host name with an optional port", err);
	if (ol_view_is(domain, "index.docker.io"))
		domain = ol_view_of(DEFAULT_DOMAIN);
	if (has_upper(path)) {
		(void)refuse("repository", path, "has upper-case letters", err);
		return ol_hint(err, OL_EINVAL, "names of repositories are all lower case");
	}
	if (!is_path(path))
		return refuse("repository", path, "is not a name", err);
	library = ol_view_is(domain, DEFAULT_DOMAIN) && !find(path, '/', &slash);
	if (domain.size + 1 + (library ? strlen(LIBRARY) : 0) + path.size > OL_REFERENCE_NAME_MAX)
		return ol_fail(
			err, OL_EINVAL, "name is longer than %d characters", OL_REFERENCE_NAME_MAX);

	put(ref->domain, &used, domain);
	used = 0;
	if (library)
		put(ref->path, &used, ol_view_of(LIBRARY));
	put(ref->path, &used, path);
	return OL_OK;
}

int ol_ref_parse(const char *text, ol_ref *out, ol_error *err)
{
	ol_view name = ol_view_of(text), domain, rest, tag = { 0 }, digest = { 0 };
	bool tagged, digested;
	size_t used = 0;
	ol_ref ref = { 0 };
	int rc;

	if (name.size == 0)
		return ol_fail(err, OL_EINVAL, "the name of an image is empty");
	if (is_image_id(name)) {
		(void)refuse("repository", name, "is an image id", err);
		return ol_hint(
			err, OL_EINVAL, "to name an image by its digest, write NAME@sha256:DIGEST");
	}
	if (ol_view_starts(name, "https://") || ol_view_starts(name, "http://")) {
		(void)ol_fail(err, OL_EINVAL, "a URL is not the name of an image");
		return ol_hint(
			err, OL_EINVAL, "leave out what stands before the registry's host name");
	}

	digested = cut(&name, '@', &digest);
	domain = name;
	if (!cut(&domain, '/', &rest) || !looks_like_domain(domain)) {
		domain = ol_view_of(DEFAULT_DOMAIN);
		rest = name;
	}
	tagged = cut(&rest, ':', &tag);
	rc = parse_name(domain, rest, &ref, err);
	if (rc < 0)
		return rc;
	if (tagged && !is_tag(tag))
		return refuse("tag", tag, "is not a tag", err);
	if (digested) {
		rc = ol_digest_parse(digest, &ref.digest, err);
		if (rc < 0)
			return rc;
	}

	if (!tagged && !digested)
		tag = ol_view_of("latest");
	if (tag.size)
		put(ref.tag, &used, tag);
	*out = ref;
	return OL_OK;
}

static ol_ref_string compose(const char *domain, const char *path, const ol_ref *ref)
{
	ol_ref_string out = { "" };
	size_t used = 0;

	if (domain[0]) {
		put(out.text, &used, ol_view_of(domain));
		put(out.text, &used, ol_view_of("/"));
	}
	put(out.text, &used, ol_view_of(path));
	if (ref && ref->tag[0]) {
		put(out.text, &used, ol_view_of(":"));
		put(out.text, &used, ol_view_of(ref->tag));
	}
	if (ref && ol_digest_is_set(&ref->digest)) {
		put(out.text, &used, ol_view_of("@"));
		put(out.text, &used, ol_view_of(ol_digest_format(&ref->digest).text));
	}
	return out;
}

/* What Docker leaves out, unless the rest would then be read as something else (docker.io/a.b/c, an
 * image id). */
static ol_ref_string compose_familiar(const ol_ref *ref, const ol_ref *with)
{
	ol_view first = ol_view_of(ref->path), rest = { 0 };
	size_t slash;

	if (strcmp(ref->domain, DEFAULT_DOMAIN) != 0)
		return compose(ref->domain, ref->path, with);
	(void)cut(&first, '/', &rest);
	if (ol_view_is(first, "library") && !find(rest, '/', &slash) && !is_image_id(rest))
		return compose("", ref->path + strlen(LIBRARY), with);
	if (looks_like_domain(first))
		return compose(ref->domain, ref->path, with);
	return compose("", ref->path, with);
}

ol_ref_string ol_ref_format(const ol_ref *ref)
{
	return compose(ref->domain, ref->path, ref);
}

ol_ref_string ol_ref_format_familiar(const ol_ref *ref)
{
	return compose_familiar(ref, ref);
}

ol_ref_string ol_ref_name(const ol_ref *ref)
{
	return compose(ref->domain, ref->path, NULL);
}

ol_ref_string ol_ref_name_familiar(const ol_ref *ref)
{
	return compose_familiar(ref, NULL);
}
