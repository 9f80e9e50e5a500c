#include "cmd/mount_option.h"

#include <inttypes.h>
#include <limits.h>

#include "base/limits.h"
#include "base/str.h"
#include "cmd/option.h"
#include "cmd/size.h"

#define FIELDS_MAX 32

static int wrong(const char *flag, const char *text, const char *why, ol_error *err)
{
	return ol_fail(
		err, OL_EINVAL, "invalid argument \"%.120s\" for \"%s\" flag: %s", text, flag, why);
}

static const char *add_option(ol_arena *arena, const char *options, const char *one)
{
	size_t size = strlen(options) + strlen(one) + 2;
	char *text = ol_arena_alloc(arena, size);

	(void)snprintf(text, size, "%s%s%s", options, *options ? "," : "", one);
	return text;
}

/* A path as the user means it from here; docker resolves those that start with a dot. */
static const char *host_path(const char *path, ol_arena *arena)
{
	ol_autofree char *here = NULL, *joined = NULL;

	if (path[0] == '/')
		return ol_arena_strdup(arena, path);
	here = getcwd(NULL, 0);
	joined = ol_text("%s/%s", here ? here : "", path);
	return ol_arena_strdup(arena, joined);
}

static int check_target(const char *flag, const char *text, const char *target, ol_error *err)
{
	if (target[0] != '/')
		return wrong(flag, text, "the path in the container must be absolute", err);
	if (target[strspn(target, "/")] == '\0')
		return wrong(flag, text, "the path in the container can't be '/'", err);
	return strlen(target) < OL_PATH_MAX ? OL_OK
					    : wrong(flag, text, "the path is too long", err);
}

static bool is_propagation(const char *word)
{
	static const char *const words[] = { "private", "rprivate", "shared", "rshared", "slave",
		"rslave" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

/* One word behind the second colon of -v. */
static int volume_mode(
	const char *text, const char *word, ol_arena *arena, ol_mount_option *out, ol_error *err)
{
	/* SELinux labels and macOS caching: nothing to do here, as in docker where there is
	 * neither. */
	static const char *const without_effect[] = { "rw", "z", "Z", "cached", "delegated",
		"consistent" };

	if (strcmp(word, "ro") == 0) {
		out->read_only = true;
		return OL_OK;
	}
	if (is_propagation(word)) {
		out->options = add_option(arena, out->options, word);
		return OL_OK;
	}
	for (size_t i = 0; i < sizeof without_effect / sizeof without_effect[0]; i++)
		if (strcmp(word, without_effect[i]) == 0)
			return OL_OK;
	ol_fail(err, OL_EINVAL,
		"invalid argument \"%.120s\" for \"--volume\" flag: invalid mode: %.40s", text,
		word);
	return ol_hint(
		err, OL_EINVAL, "there are ro, rw, z, Z, and [r]private, [r]shared, [r]slave");
}

int ol_volume_parse(const char *text, ol_arena *arena, ol_mount_option *out, ol_error *err)
{
	char *copy = ol_arena_strdup(arena, text), *target = strchr(copy, ':'), *modes, *word;
	int rc;

	*out = (ol_mount_option){ .type = "bind", .options = "", .create_source = true };
	if (!target) {
		ol_fail(err, OL_EUNSUPPORTED,
			"--volume %.120s: volumes without a host folder are not supported", text);
		return ol_hint(err, OL_EUNSUPPORTED,
			"share a folder with -v /host/path:%.60s, or use --tmpfs %.60s", text,
			text);
	}
	*target++ = '\0';
	modes = strchr(target, ':');
	if (modes)
		*modes++ = '\0';
	if (!*copy || !*target || (modes && (!*modes || strchr(modes, ':'))))
		return wrong("--volume", text, "it is HOST:CONTAINER[:MODE]", err);
	if (copy[0] != '/' && copy[0] != '.') {
		ol_fail(err, OL_EUNSUPPORTED, "--volume %.120s: named volumes are not supported",
			text);
		return ol_hint(err, OL_EUNSUPPORTED,
			"name a folder of the host by its path: -v /host/%.40s:%.60s", copy,
			target);
	}
	rc = check_target("--volume", text, target, err);
	while (rc == OL_OK && modes) {
		word = strsep(&modes, ",");
		rc = volume_mode(text, word, arena, out, err);
	}
	out->source = host_path(copy, arena);
	out->target = target;
	return rc;
}

/* Fields of a line of CSV (RFC 4180): "…" may hold commas, "" in it is a quote. */
static int csv_fields(
	const char *text, ol_arena *arena, char **fields, size_t *count, ol_error *err)
{
	char *out = ol_arena_alloc(arena, strlen(text) + 1);
	const char *p = text;

	for (*count = 0;; p++) {
		bool quoted = *p == '"';

		if (*count == FIELDS_MAX)
			return wrong("--mount", text, "too many fields", err);
		fields[(*count)++] = out;
		p += quoted;
		while (*p && (quoted || *p != ',')) {
			if (quoted && *p == '"') {
				if (p[1] != '"')
					break;
				p++;
			} else if (*p == '"') {
				return wrong("--mount", text,
					"a quote in a field that does not start with one", err);
			}
			*out++ = *p++;
		}
		*out++ = '\0';
		if (quoted && *p++ != '"')
			return wrong("--mount", text, "a quote that does not end", err);
		if (!*p)
			return OL_OK;
		if (*p != ',')
			return wrong("--mount", text, "text after a quoted field", err);
	}
}

typedef struct mount_state {
	const char *text; /* the whole option */
	ol_arena *arena;
	ol_mount_option *out;
	bool bind_only, tmpfs_only;
} mount_state;

static int set_type(mount_state *s, const char *value, ol_error *err)
{
	if (strcmp(value, "bind") == 0 || strcmp(value, "tmpfs") == 0) {
		s->out->type = strcmp(value, "bind") == 0 ? "bind" : "tmpfs";
		return OL_OK;
	}
	ol_fail(err, OL_EUNSUPPORTED, "--mount %.120s: type=%.40s is not supported", s->text,
		value);
	return ol_hint(err, OL_EUNSUPPORTED, "there are type=bind and type=tmpfs");
}

static int set_source(mount_state *s, const char *value, ol_error *err)
{
	if (!*value)
		return wrong("--mount", s->text, "source is empty", err);
	s->out->source = host_path(value, s->arena);
	return OL_OK;
}

static int set_target(mount_state *s, const char *value, ol_error *err)
{
	s->out->target = value;
	return check_target("--mount", s->text, value, err);
}

static int set_read_only(mount_state *s, const char *value, ol_error *err)
{
	if (!value)
		s->out->read_only = true;
	else if (!ol_bool_parse(value, &s->out->read_only))
		return wrong("--mount", s->text, "readonly is true or false", err);
	return OL_OK;
}

static int set_propagation(mount_state *s, const char *value, ol_error *err)
{
	if (!is_propagation(value))
		return wrong("--mount", s->text,
			"bind-propagation is [r]private, [r]shared or [r]slave", err);
	s->bind_only = true;
	s->out->options = add_option(s->arena, s->out->options, value);
	return OL_OK;
}

static int set_tmpfs_size(mount_state *s, const char *value, ol_error *err)
{
	char option[32];
	uint64_t size;

	if (ol_size_parse(value, &size, NULL) < 0)
		return wrong("--mount", s->text, "tmpfs-size is a size: 64m", err);
	(void)snprintf(option, sizeof option, "size=%" PRIu64, size);
	s->tmpfs_only = true;
	s->out->options = add_option(s->arena, s->out->options, option);
	return OL_OK;
}

static int set_tmpfs_mode(mount_state *s, const char *value, ol_error *err)
{
	char option[16];
	size_t size = strlen(value);

	if (size == 0 || size > 5 || strspn(value, "01234567") != size)
		return wrong("--mount", s->text, "tmpfs-mode is octal: 1777", err);
	(void)snprintf(option, sizeof option, "mode=%s", value);
	s->tmpfs_only = true;
	s->out->options = add_option(s->arena, s->out->options, option);
	return OL_OK;
}

static int set_nothing(mount_state *s, const char *value, ol_error *err)
{
	(void)s;
	(void)value;
	(void)err;
	return OL_OK;
}

static int set_key(mount_state *s, char *field, ol_error *err)
{
	static const struct {
		const char *key;
		bool without_value; /* is allowed */
		int (*set)(mount_state *s, const char *value, ol_error *err);
	} keys[] = {
		{ "type", false, set_type },
		{ "source", false, set_source },
		{ "src", false, set_source },
		{ "target", false, set_target },
		{ "dst", false, set_target },
		{ "destination", false, set_target },
		{ "readonly", true, set_read_only },
		{ "ro", true, set_read_only },
		{ "bind-propagation", false, set_propagation },
		{ "tmpfs-size", false, set_tmpfs_size },
		{ "tmpfs-mode", false, set_tmpfs_mode },
		{ "consistency", false, set_nothing },
	};
	char *value = strchr(field, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (strcasecmp(field, keys[i].key) != 0)
			continue;
		if (!value && !keys[i].without_value)
			return wrong(
				"--mount", s->text, "every field but readonly is KEY=VALUE", err);
		return keys[i].set(s, value, err);
	}
	ol_fail(err, OL_EINVAL,
		"invalid argument \"%.120s\" for \"--mount\" flag: unexpected key '%.40s'", s->text,
		field);
	return ol_hint(err, OL_EINVAL,
		"there are type, source, target, readonly, bind-propagation, tmpfs-size and "
		"tmpfs-mode");
}

int ol_mount_parse(const char *text, ol_arena *arena, ol_mount_option *out, ol_error *err)
{
	mount_state s = { .text = text, .arena = arena, .out = out };
	char *fields[FIELDS_MAX];
	size_t count;
	int rc = csv_fields(text, arena, fields, &count, err);

	*out = (ol_mount_option){ .options = "" };
	for (size_t i = 0; rc == OL_OK && i < count; i++)
		rc = set_key(&s, fields[i], err);
	if (rc < 0)
		return rc;
	if (!out->type)
		return set_type(&s, "volume", err); /* docker's default */
	if (!out->target)
		return wrong("--mount", text, "target is required", err);
	if (strcmp(out->type, "bind") == 0 && !out->source)
		return wrong("--mount", text, "a bind needs a source", err);
	if (strcmp(out->type, "tmpfs") == 0 && out->source)
		return wrong("--mount", text, "a tmpfs has no source", err);
	if (s.tmpfs_only && strcmp(out->type, "tmpfs") != 0)
		return wrong(
			"--mount", text, "tmpfs-size and tmpfs-mode belong to type=tmpfs", err);
	if (s.bind_only && strcmp(out->type, "bind") != 0)
		return wrong("--mount", text, "bind-propagation belongs to type=bind", err);
	return OL_OK;
}

int ol_tmpfs_parse(const char *text, ol_arena *arena, ol_mount_option *out, ol_error *err)
{
	char *copy = ol_arena_strdup(arena, text), *options = strchr(copy, ':');

	*out = (ol_mount_option){ .type = "tmpfs", .options = "" };
	if (options) {
		*options++ = '\0';
		out->options = options;
	}
	out->target = copy;
	return check_target("--tmpfs", text, copy, err);
}
