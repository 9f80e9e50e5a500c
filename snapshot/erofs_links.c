/*
 * What hard links mean. A link names a path, and means the inode that the path had when the link
 * was made, so that
 *
 *	a (file)   b -> a   a (another file)   c -> b
 *
 * leaves b and c as two names of the first file. Wanted links, keyed by (target's path, the
 * link's sequence), are merged with all records, keyed by (path, sequence): what a link means is
 * the last record of that path before it. Where that is a link itself, the question is asked
 * again one step further back; sequences fall with every step, so this ends.
 *
 * Facts found, keyed by the record they are about, with a first byte that says what they are:
 *
 *	's' u64   this link means the inode of the entry with that sequence
 *	'x' path  this link means a path of the layers below
 *	't'       some link means this entry's inode
 */
#include "base/alloc.h"
#include "snapshot/erofs_writer_priv.h"

/* Links to links to links: archivers name the first of them, so that this is 1. */
#define LINK_STEPS_MAX 64

/* The last record of a path, as far as a link to it cares. */
struct last {
	enum { LAST_NOTHING, LAST_INODE, LAST_LINK, LAST_DIR } kind;
	uint64_t sequence;
	ol_erofs_key key; /* of the path */
	ol_buf target;    /* of LAST_LINK; owned */
};

static int path_error(ol_view path_key, const char *what, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(OL_PATH_MAX);
	ol_auto_str ol_str safe = OL_STR((size_t)4 * OL_PATH_MAX);

	ol_erofs_key_text(path_key, &text);
	ol_str_add_safe(&safe, ol_buf_view(&text));
	return ol_fail(err, OL_ECORRUPT, "%s: %s", ol_str_text(&safe), what);
}

static int remember(struct last *last, ol_view key, ol_view value)
{
	ol_view path = ol_erofs_key_path(key);
	ol_erofs_record record = ol_erofs_record_decode(value);

	if (ol_erofs_view_compare(path, ol_view_from(last->key.bytes, last->key.size)) != 0) {
		memcpy(last->key.bytes, path.data, path.size);
		last->key.size = path.size;
		last->kind = LAST_NOTHING;
	}
	switch (record.head.type) {
	case OL_TAR_WHITEOUT: /* removes what the layers below have, not what this one has */
		return OL_OK;
	case OL_TAR_DIR:
	case OL_TAR_OPAQUE:
	case OL_EROFS_IMPLIED:
		last->kind = LAST_DIR;
		return OL_OK;
	case OL_TAR_HARDLINK:
		last->kind = LAST_LINK;
		ol_buf_clear(&last->target);
		ol_buf_add(&last->target, record.target.data, record.target.size);
		break;
	default:
		last->kind = LAST_INODE;
		break;
	}
	last->sequence = ol_erofs_key_sequence(key);
	return last->target.rc;
}

/* Facts about the link (its key is origin) and about what it means. */
static int found_inode(ol_sorter *out, ol_view origin, struct last *last, ol_error *err)
{
	char fact[9] = { 's' };
	int rc;

	memcpy(fact + 1, &last->sequence, sizeof last->sequence);
	rc = ol_sorter_add(out, origin, ol_view_from(fact, sizeof fact), err);
	if (rc < 0)
		return rc;
	return ol_sorter_add(
		out, ol_erofs_key_record(&last->key, last->sequence), ol_view_of("t"), err);
}

static int found_nothing(ol_sorter *out, ol_view origin, ol_view target_key, ol_error *err)
{
	ol_auto_str ol_str fact = OL_STR(OL_PATH_MAX + 2);
	int rc;

	ol_str_addc(&fact, 'x');
	ol_erofs_key_text(target_key, &fact);
	rc = ol_str_error(&fact, err);
	return rc < 0 ? rc : ol_sorter_add(out, origin, ol_buf_view(&fact), err);
}

static int answer(const ol_erofs_link_job *job, ol_sorter *again, struct last *last, ol_view wanted,
	ol_view origin, ol_error *err)
{
	ol_view path = ol_erofs_key_path(wanted);
	ol_erofs_key key;

	if (ol_erofs_view_compare(path, ol_view_from(last->key.bytes, last->key.size)) != 0)
		return found_nothing(job->out, origin, path, err);
	switch (last->kind) {
	case LAST_NOTHING:
		return found_nothing(job->out, origin, path, err);
	case LAST_INODE:
		return found_inode(job->out, origin, last, err);
	case LAST_LINK:
		ol_erofs_key_set(&key, ol_buf_view(&last->target));
		return ol_sorter_add(again, ol_erofs_key_record(&key, last->sequence), origin, err);
	case LAST_DIR:
		break;
	}
	return path_error(path, "hard link to a directory", err);
}

/* One step: every link of wanted gets its answer, or goes to again. */
static int step(const ol_erofs_link_job *job, ol_sorter *wanted, ol_sorter *again,
	struct last *last, ol_error *err)
{
	ol_view key, value, wanted_key, origin;
	bool more, wanted_more;
	int rc = ol_sorter_sort(wanted, err);

	if (rc == OL_OK)
		rc = ol_sorter_rewind(job->records, err);
	if (rc == OL_OK)
		rc = ol_sorter_next(wanted, &wanted_key, &origin, &wanted_more, err);
	if (rc == OL_OK)
		rc = ol_sorter_next(job->records, &key, &value, &more, err);
	while (rc == OL_OK && wanted_more) {
		if (more && ol_erofs_view_compare(key, wanted_key) < 0) {
			rc = remember(last, key, value);
			if (rc == OL_OK)
				rc = ol_sorter_next(job->records, &key, &value, &more, err);
			continue;
		}
		rc = answer(job, again, last, wanted_key, origin, err);
		if (rc == OL_OK)
			rc = ol_sorter_next(wanted, &wanted_key, &origin, &wanted_more, err);
	}
	return rc;
}

int ol_erofs_links_resolve(const ol_erofs_link_job *job, ol_error *err)
{
	ol_auto(ol_sorter_free) ol_sorter *own = NULL; /* of all steps but the first */
	ol_sorter *wanted = job->wanted;
	struct last last = { .target = OL_BUF(OL_PATH_MAX) };
	int rc = OL_OK;

	for (unsigned steps = 0; rc == OL_OK && ol_sorter_count(wanted); steps++) {
		ol_sorter *again = ol_sorter_new(job->temp_fd, job->budget_bytes);

		last.kind = LAST_NOTHING;
		last.key.size = 0;
		if (steps == LINK_STEPS_MAX)
			rc = ol_fail(err, OL_EUNSUPPORTED, "hard links to hard links in %u steps",
				steps);
		else
			rc = step(job, wanted, again, &last, err);
		ol_sorter_free(own);
		own = again;
		wanted = again;
	}
	ol_buf_done(&last.target);
	return rc;
}
