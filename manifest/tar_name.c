/*
 * Names of members and targets: cleaned, bounded, and told apart from whiteouts.
 */
#include "manifest/tar_priv.h"

#define MARK "wh."

/* ".wh.x" is a mark, ".wh..wh.x" AUFS's own. */
static bool is_mark(ol_view part)
{
	return ol_view_starts(part, "." MARK);
}

static bool is_meta(ol_view part)
{
	return ol_view_starts(part, "." MARK "." MARK);
}

/* Takes the next component off text; false at the end. Empty ones and "." are passed over. */
static bool next_part(ol_view *text, ol_view *part)
{
	while (text->size > 0) {
		const char *slash = memchr(text->data, '/', text->size);
		size_t size = slash ? (size_t)(slash - text->data) : text->size;

		*part = (ol_view){ text->data, size };
		size += slash ? 1 : 0;
		*text = (ol_view){ text->data + size, text->size - size };
		if (part->size > 0 && !ol_view_is(*part, "."))
			return true;
	}
	return false;
}

/* Makes of name (size bytes, of them dir_size before its last slash) what its marker means. A name
 * beneath AUFS metadata has the mark SKIP already, and is not looked at: its last component may be
 * anything. */
static int take_mark(char *name, size_t size, size_t dir_size, ol_tar_mark *mark, ol_error *err)
{
	char *last = name + (dir_size ? dir_size + 1 : 0);
	ol_view part = { last, size - (size_t)(last - name) };
	const size_t prefix = strlen("." MARK);

	if (*mark == OL_TAR_MARK_SKIP) {
		bool beneath = dir_size > 0 && strstr(name, "." MARK "." MARK) < last;

		if (!beneath && ol_view_is(part, "." MARK "." MARK ".opq")) {
			name[dir_size] = '\0';
			*mark = OL_TAR_MARK_OPAQUE;
		}
		return OL_OK;
	}
	if (ol_view_is(part, "." MARK) || ol_view_is(part, "." MARK ".") ||
		ol_view_is(part, "." MARK ".."))
		return ol_fail(err, OL_ECORRUPT, "a whiteout that names no file");
	memmove(last, last + prefix, part.size - prefix + 1);
	return OL_OK;
}

int ol_tar_name_clean(ol_view raw, char name[OL_PATH_MAX], ol_tar_mark *mark, ol_error *err)
{
	size_t size = 0, dir_size = 0;
	unsigned depth = 0;
	ol_view part = { NULL, 0 };

	*mark = OL_TAR_PLAIN;
	name[0] = '\0';
	if (memchr(raw.data, '\0', raw.size))
		return ol_fail(err, OL_ECORRUPT, "a name with a NUL byte");
	while (next_part(&raw, &part)) {
		if (ol_view_is(part, ".."))
			return ol_fail(err, OL_ECORRUPT, "a name with a \"..\" component");
		if (part.size > OL_NAME_MAX || size + 1 + part.size >= OL_PATH_MAX ||
			++depth > OL_PATH_DEPTH_MAX)
			return ol_fail(err, OL_ELIMIT, "a name too long or too deep");
		if (*mark == OL_TAR_MARK_WHITEOUT)
			return ol_fail(err, OL_ECORRUPT, "a name beneath a whiteout");
		if (*mark == OL_TAR_PLAIN && is_mark(part))
			*mark = is_meta(part) ? OL_TAR_MARK_SKIP : OL_TAR_MARK_WHITEOUT;
		dir_size = size;
		if (size > 0)
			name[size++] = '/';
		memcpy(name + size, part.data, part.size);
		size += part.size;
		name[size] = '\0';
	}
	return *mark == OL_TAR_PLAIN ? OL_OK : take_mark(name, size, dir_size, mark, err);
}

bool ol_tar_keeps_xattr(ol_view name)
{
	static const struct {
		const char *prefix;
		bool keep;
	} rules[] = {
		/* the first that fits decides */
		{ "trusted.overlay.", false },
		{ "user.overlay.", false },
		{ "trusted.orlop.", false },
		{ "user.orlop.", false },
		{ "trusted.", true },
		{ "user.", true },
	};

	if (name.size > OL_NAME_MAX)
		return false;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (ol_view_starts(name, rules[i].prefix))
			return rules[i].keep && name.size > strlen(rules[i].prefix);
	return ol_view_is(name, "security.capability") ||
	       ol_view_is(name, "system.posix_acl_access") ||
	       ol_view_is(name, "system.posix_acl_default");
}
