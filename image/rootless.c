#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/userns.h"
#include "image/rootless_priv.h"

#define IDMAP           "idmap"
#define IDMAP_BYTES_MAX ((size_t)32 << 10) /* two maps of 340 lines, 33 bytes each at most */
#define WORDS_BYTES_MAX 200                /* of a mapping in one line */

/* "0 is 1000, 1-65536 are 100000-165535" */
static void add_words(const ol_id_map *map, ol_str *out)
{
	for (size_t i = 0; i < map->count && out->size < WORDS_BYTES_MAX; i++) {
		const ol_id_range *r = &map->ranges[i];

		if (r->count == 1)
			(void)ol_str_addf(out, "%s%" PRIu32 " is %" PRIu32, i ? ", " : "",
				r->inside, r->outside);
		else
			(void)ol_str_addf(out, "%s%" PRIu32 "-%" PRIu32 " are %" PRIu32 "-%" PRIu32,
				i ? ", " : "", r->inside, r->inside + r->count - 1, r->outside,
				r->outside + r->count - 1);
	}
}

static int fail_changed(const ol_id_map *was, const ol_id_map *is, const char *whose, ol_error *err)
{
	ol_auto_str ol_str before = OL_STR(1024), now = OL_STR(1024);

	add_words(was, &before);
	add_words(is, &now);
	(void)ol_fail(err, OL_EINVAL,
		"the store's files belong to other %s ids than this user namespace has: in the "
		"store %.150s; now %.150s",
		whose, ol_str_text(&before), ol_str_text(&now));
	return ol_hint(err, OL_EINVAL,
		"give the ranges of /etc/subuid and /etc/subgid back, and have newuidmap, or name "
		"another store with --root");
}

static int note_maps(ol_session *session, const ol_userns *here, int flags, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(IDMAP_BYTES_MAX);

	ol_userns_format(here, &text);
	return ol_publish(
		ol_store_root_fd(session->store), IDMAP, ol_buf_view(&text), 0600, flags, err);
}

/* A mapping that has grown, because the user was given ranges, still means the same for what is
 * there. */
static int hold_maps(ol_session *session, const ol_userns *here, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(IDMAP_BYTES_MAX);
	ol_autofree ol_userns *was = ol_alloc(sizeof *was);
	int root_fd = ol_store_root_fd(session->store);
	int rc = ol_file_read(root_fd, IDMAP, true, &text, err);

	if (rc == OL_ENOTFOUND) {
		rc = note_maps(session, here, 0, err);
		if (rc != OL_EEXISTS) /* else another command came first */
			return rc;
		rc = ol_file_read(root_fd, IDMAP, true, &text, err);
	}
	if (rc == OL_OK)
		rc = ol_userns_parse(ol_buf_view(&text), was, err);
	if (rc < 0)
		return ol_wrap(err, rc, "%s/" IDMAP, ol_store_root(session->store));
	if (!ol_id_map_covers(&here->uids, &was->uids))
		return fail_changed(&was->uids, &here->uids, "user", err);
	if (!ol_id_map_covers(&here->gids, &was->gids))
		return fail_changed(&was->gids, &here->gids, "group", err);
	if (ol_id_map_covers(&was->uids, &here->uids) && ol_id_map_covers(&was->gids, &here->gids))
		return OL_OK;
	return note_maps(session, here, OL_PUBLISH_REPLACE, err);
}

/* Root would write what the user then can neither read nor remove. */
static int refuse_users(ol_session *session, ol_error *err)
{
	if (faccessat(ol_store_root_fd(session->store), IDMAP, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return OL_OK;
	(void)ol_fail(err, OL_EINVAL, "the store in %s is an ordinary user's, not root's",
		ol_store_root(session->store));
	return ol_hint(err, OL_EINVAL, "run orlop as that user, or name another store with --root");
}

int ol_rootless_begin(ol_session *session, ol_error *err)
{
	ol_autofree ol_userns *here = ol_alloc(sizeof *here);
	int rc = ol_userns_read(here, err);

	if (rc < 0)
		return rc;
	session->rootless = !here->is_initial;
	if (session->rootless)
		return hold_maps(session, here, err);
	return geteuid() == 0 ? refuse_users(session, err) : OL_OK;
}

int ol_rootless_own(const char *path, ol_error *err)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return ol_fail_sys(err, "run folder %s", path);
	if (lstat(path, &st) < 0)
		return ol_fail_sys(err, "run folder %s", path);
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 0022))
		return OL_OK;
	(void)ol_fail(err, OL_EINVAL, "run folder %s belongs to somebody else", path);
	return ol_hint(err, OL_EINVAL, "set XDG_RUNTIME_DIR, or name another with --run-root");
}

void ol_rootless_tell_lacks(ol_session *session)
{
	const ol_listener *listener = &session->options.listener;
	uint64_t devices = atomic_exchange(&session->lacks.devices, 0);
	uint64_t owners = atomic_exchange(&session->lacks.owners, 0);

	if (devices > 0)
		ol_tell_text(listener, OL_EVENT_NOTE,
			"%" PRIu64 " device node%s of the image cannot be made without root: an "
			"empty file stands in place of each",
			devices, devices == 1 ? "" : "s");
	if (owners > 0)
		ol_tell_text(listener, OL_EVENT_NOTE,
			"%" PRIu64 " file%s of the image belong%s to users or groups that this "
			"user has no ids for: root has them instead (see /etc/subuid, /etc/subgid)",
			owners, owners == 1 ? "" : "s", owners == 1 ? "s" : "");
}

void ol_rootless_describe(const ol_session *session, ol_json *object)
{
	ol_autofree ol_userns *here = ol_alloc(sizeof *here);
	ol_json *maps;

	ol_json_set_bool(object, "Rootless", session->rootless || geteuid() != 0);
	if (session->options.userns && *session->options.userns)
		ol_json_set_text(object, "RootlessIds", session->options.userns);
	if (!session->rootless || ol_userns_read(here, NULL) < 0)
		return;
	maps = ol_json_object();
	for (int i = 0; i < 2; i++) {
		ol_auto_str ol_str words = OL_STR(1024);

		add_words(i == 0 ? &here->uids : &here->gids, &words);
		ol_json_set_text(maps, i == 0 ? "Users" : "Groups", ol_str_text(&words));
	}
	ol_json_set(object, "IdMapping", maps);
}
