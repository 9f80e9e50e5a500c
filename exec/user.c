#include "exec/user.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/own.h"
#include "exec/inside.h"

/* (uid_t)-1 means "leave it" to setresuid, so it is nobody's id. */
#define ID_MAX 0xfffffffeU
/* A kernel takes no more in setgroups. */
#define GROUPS_MAX 65536

#define PASSWD_FIELDS 7
#define GROUP_FIELDS  4

typedef struct passwd_line {
	ol_view name, home;
	uint32_t uid, gid;
} passwd_line;

typedef struct group_line {
	ol_view name, members;
	uint32_t gid;
} group_line;

static bool parse_id(ol_view text, uint32_t *out)
{
	uint64_t value = 0;

	if (text.size == 0 || text.size > 10)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.data[i] - '0');
	}
	if (value > ID_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool is_number(ol_view text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	return text.size > 0;
}

static bool same(ol_view a, ol_view b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Takes what stands before the separator off the front; false at the end. */
static bool take(ol_view *from, char separator, ol_view *out)
{
	const char *end;

	if (!from->data)
		return false;
	end = from->size ? memchr(from->data, separator, from->size) : NULL;
	if (!end) {
		*out = *from;
		*from = (ol_view){ NULL, 0 };
		return true;
	}
	*out = (ol_view){ from->data, (size_t)(end - from->data) };
	*from = (ol_view){ end + 1, from->size - out->size - 1 };
	return true;
}

static size_t split(ol_view line, ol_view *fields, size_t count)
{
	size_t got = 0;

	while (got < count && take(&line, ':', &fields[got]))
		got++;
	return got;
}

static bool next_user(ol_view *rest, passwd_line *out)
{
	ol_view line, f[PASSWD_FIELDS] = { { NULL, 0 } };

	while (take(rest, '\n', &line)) {
		if (split(line, f, PASSWD_FIELDS) < 4 || f[0].size == 0)
			continue;
		if (!parse_id(f[2], &out->uid) || !parse_id(f[3], &out->gid))
			continue;
		out->name = f[0];
		out->home = f[5];
		return true;
	}
	return false;
}

static bool next_group(ol_view *rest, group_line *out)
{
	ol_view line, f[GROUP_FIELDS] = { { NULL, 0 } };

	while (take(rest, '\n', &line)) {
		if (split(line, f, GROUP_FIELDS) < 3 || f[0].size == 0)
			continue;
		if (!parse_id(f[2], &out->gid))
			continue;
		out->name = f[0];
		out->members = f[3];
		return true;
	}
	return false;
}

/* A name, else a number: Docker takes the first line where either fits. */
static int find_user(ol_view passwd, ol_view who, passwd_line *out, bool *known, ol_error *err)
{
	uint32_t uid = 0;
	bool number = parse_id(who, &uid);

	*known = false;
	for (passwd_line line; next_user(&passwd, &line);)
		if (same(line.name, who) || (number && line.uid == uid)) {
			*out = line;
			*known = true;
			return OL_OK;
		}
	if (number) {
		*out = (passwd_line){ .uid = uid };
		return OL_OK;
	}
	if (is_number(who))
		return ol_fail(err, OL_EINVAL, "user %.*s is not between 0 and %u", (int)who.size,
			who.data, ID_MAX);
	return ol_fail(err, OL_EINVAL,
		"unable to find user %.*s: no matching entries in the image's passwd file",
		(int)who.size, who.data);
}

static int find_group(ol_view group, ol_view which, uint32_t *out, ol_error *err)
{
	uint32_t gid = 0;
	bool number = parse_id(which, &gid);

	for (group_line line; next_group(&group, &line);)
		if (same(line.name, which) || (number && line.gid == gid)) {
			*out = line.gid;
			return OL_OK;
		}
	if (number) {
		*out = gid;
		return OL_OK;
	}
	if (is_number(which))
		return ol_fail(err, OL_EINVAL, "group %.*s is not between 0 and %u",
			(int)which.size, which.data, ID_MAX);
	return ol_fail(err, OL_EINVAL,
		"unable to find group %.*s: no matching entries in the image's group file",
		(int)which.size, which.data);
}

static int add_group(ol_user *user, size_t *cap, uint32_t gid, ol_error *err)
{
	for (size_t i = 0; i < user->group_count; i++)
		if (user->groups[i] == gid)
			return OL_OK;
	if (user->group_count == GROUPS_MAX)
		return ol_fail(err, OL_ELIMIT, "more than %d groups", GROUPS_MAX);
	OL_GROW(user->groups, user->group_count, *cap);
	user->groups[user->group_count++] = gid;
	return OL_OK;
}

static bool is_member(ol_view members, ol_view name)
{
	ol_view member;

	while (take(&members, ',', &member))
		if (same(member, name))
			return true;
	return false;
}

/* Docker's HOME is that of the first line with the number, whatever name was asked for. */
static char *home_of(ol_view passwd, uint32_t uid)
{
	for (passwd_line line; next_user(&passwd, &line);)
		if (line.uid == uid && line.home.size > 0 &&
			!memchr(line.home.data, 0, line.home.size))
			return ol_strndup(line.home.data, line.home.size);
		else if (line.uid == uid)
			break;
	return ol_strdup("/");
}

static int resolve(ol_view passwd, ol_view group, const char *text, ol_user *user, ol_error *err)
{
	const char *colon = strchr(text, ':');
	ol_view who = { text, colon ? (size_t)(colon - text) : strlen(text) };
	ol_view which = ol_view_of(colon ? colon + 1 : "");
	passwd_line line = { .uid = 0 };
	bool known = false;
	size_t cap = 0;
	int rc;

	rc = find_user(passwd, who.size ? who : ol_view_of("0"), &line, &known, err);
	if (rc < 0)
		return rc;
	user->uid = line.uid;
	user->gid = line.gid;
	if (which.size > 0) {
		rc = find_group(group, which, &user->gid, err);
		if (rc < 0)
			return rc;
	}
	rc = add_group(user, &cap, user->gid, err);
	for (group_line g; rc == OL_OK && known && which.size == 0 && next_group(&group, &g);)
		if (is_member(g.members, line.name))
			rc = add_group(user, &cap, g.gid, err);
	return rc;
}

static int add_asked(ol_view group, const char *const *names, ol_user *user, ol_error *err)
{
	size_t cap = user->group_count;

	for (; names && *names; names++) {
		uint32_t gid = 0;
		int rc = find_group(group, ol_view_of(*names), &gid, err);

		if (rc == OL_OK)
			rc = add_group(user, &cap, gid, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

void ol_user_done(ol_user *user)
{
	free(user->groups);
	free(user->home);
	*user = (ol_user){ .uid = 0 };
}

int ol_user_resolve(ol_view passwd, ol_view group, const char *text, const char *const *group_add,
	ol_user *out, ol_error *err)
{
	ol_user user = { .uid = 0 };
	int rc = resolve(passwd, group, text, &user, err);

	if (rc == OL_OK)
		rc = add_asked(group, group_add, &user, err);
	if (rc < 0) {
		ol_user_done(&user);
		return rc;
	}
	user.home = home_of(passwd, user.uid);
	*out = user;
	return OL_OK;
}

int ol_user_lookup(
	int root_fd, const char *text, const char *const *group_add, ol_user *out, ol_error *err)
{
	ol_auto_buf ol_buf passwd = OL_BUF(OL_PASSWD_BYTES_MAX),
			   group = OL_BUF(OL_PASSWD_BYTES_MAX);
	int rc = ol_inside_read(root_fd, "etc/passwd", &passwd, err);

	if (rc < 0 && rc != OL_ENOTFOUND)
		return rc;
	rc = ol_inside_read(root_fd, "etc/group", &group, err);
	if (rc < 0 && rc != OL_ENOTFOUND)
		return rc;
	return ol_user_resolve(
		ol_buf_view(&passwd), ol_buf_view(&group), text, group_add, out, err);
}
