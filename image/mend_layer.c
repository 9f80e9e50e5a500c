/*
 * One layer, by the least that makes it whole:
 *
 *	kept compressed blob is wrong     fetched; nothing else is touched that is sound
 *	tar is sound, index is not        the index is written anew from the tar
 *	blob is sound, the rest is not    unpacked from it
 *	neither is                        fetched and unpacked
 *	a lazy layer is wrong             the same: it is whole then
 */
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "image/layer_take_priv.h"
#include "image/mend_priv.h"
#include "image/session_priv.h"
#include "snapshot/unpack.h"
#include "store/draft.h"
#include "store/lazy.h"

struct layer_mend {
	ol_mend *mend; /* lent, as are root and descriptor */
	const ol_mend_root *root;
	const ol_descriptor *blob; /* as the manifest has it */
	ol_digest diff_id;
	ol_layer_info row; /* what is recorded */
	bool has_row, has_index;
	ol_blob_state tar_state, blob_state;
};

static void look(struct layer_mend *self)
{
	ol_store *store = self->mend->session->store;

	self->has_row = ol_layer_recorded(store, &self->diff_id, false, &self->row, NULL) == OL_OK;
	self->has_index = ol_layer_exists(store, &self->diff_id, false);
	self->tar_state = ol_blob_look(store, &self->diff_id);
	self->blob_state = ol_blob_look(store, &self->blob->digest);
}

static bool is_lazy(const struct layer_mend *self)
{
	return self->has_row && strcmp(self->row.driver, OL_LAZY_DRIVER) == 0;
}

/* An index stands on its tar; that of a lazy layer on what is to come; a tree came from whatever is
 * kept beside it. */
static bool is_whole(const struct layer_mend *self)
{
	const bool is_index = self->has_row && strcmp(self->row.driver, "erofs") == 0;

	if (!self->has_index || self->tar_state == OL_BLOB_DAMAGED ||
		self->blob_state == OL_BLOB_DAMAGED)
		return false;
	if (is_lazy(self))
		return true;
	return self->tar_state == OL_BLOB_SOUND || (!is_index && self->blob_state == OL_BLOB_SOUND);
}

/* As it was, but for a lazy one, which becomes what it would have become; only where nothing is
 * recorded, as new layers are. */
static int choose_driver(struct layer_mend *self, const ol_driver **out, ol_error *err)
{
	const bool had_tar = self->tar_state != OL_BLOB_ABSENT &&
			     !ol_digest_eq(&self->diff_id, &self->blob->digest);

	if (!self->has_row)
		return ol_session_need_driver(self->mend->session, out, err);
	/* A tree beside a tar: erofs had it, and handed it over. It will again. */
	*out = ol_driver_named(had_tar || is_lazy(self) ? "erofs" : self->row.driver);
	return *out ? OL_OK
		    : ol_fail(err, OL_ECORRUPT, "its driver is \"%s\", which there is none of",
			      self->row.driver);
}

static const char *origin_of(const struct layer_mend *self)
{
	return self->has_row && self->row.origin[0] ? self->row.origin : self->root->repo;
}

static int put_index(struct layer_mend *self, ol_source *tar, int dir_fd, ol_error *err)
{
	const ol_driver *driver = ol_driver_named("erofs");
	ol_layer_info info = self->row;
	ol_built built = { 0 };
	int rc = driver->reindex(tar, dir_fd, &built, err);

	/* The writer is deterministic: another index would be another tar's, or another orlop's. */
	if (rc == OL_OK)
		rc = ol_digest_check(&info.index_digest, &built.index_digest, err);
	return rc < 0 ? rc
		      : ol_layer_put(self->mend->session->store, &info, dir_fd, "index.erofs", err);
}

static int reindex(struct layer_mend *self, ol_error *err)
{
	ol_store *store = self->mend->session->store;
	ol_auto(ol_draft_close) ol_draft *draft = NULL;
	ol_source *tar;
	int fd = -1, rc = ol_draft_open(store, &draft, err);

	if (rc == OL_OK)
		rc = ol_blob_open(store, &self->diff_id, &fd, err);
	if (rc < 0)
		return rc;
	tar = ol_source_of_fd(fd, self->row.tar_bytes);
	rc = put_index(self, tar, ol_draft_dir_fd(draft), err);
	ol_source_close(tar);
	return rc;
}

static int keep(struct layer_mend *self, int dir_fd, ol_unpacked *unpacked, ol_error *err)
{
	const ol_layer_facts facts = { .media_type = self->has_row ? self->row.media_type
								   : self->blob->media_type,
		.origin = origin_of(self) };

	unpacked->blob = self->has_row ? self->row.blob : self->blob->digest;
	unpacked->blob_size = self->has_row ? self->row.blob_size : self->blob->size;
	return ol_layer_keep(self->mend->session->store, dir_fd, unpacked, &facts, err);
}

/* From what is in the store: the tar itself, or the compressed blob. */
static int unpack_local(struct layer_mend *self, const ol_digest *source, ol_error *err)
{
	ol_session *session = self->mend->session;
	ol_auto(ol_draft_close) ol_draft *draft = NULL;
	ol_unpack_options options = {
		.blob = *source, .diff_id = self->diff_id, .cancel = session->options.cancel
	};
	ol_unpacked unpacked = { 0 };
	ol_blob_info info = { 0 };
	ol_reader *reader;
	int fd = -1, rc = choose_driver(self, &options.driver, err);

	if (rc == OL_OK)
		rc = ol_draft_open(session->store, &draft, err);
	if (rc == OL_OK)
		rc = ol_blob_stat(session->store, source, &info, err);
	if (rc == OL_OK)
		rc = ol_blob_open(session->store, source, &fd, err);
	if (rc < 0)
		return rc;
	options.blob_size = info.size;
	options.builder = ol_session_builder(session, ol_draft_dir_fd(draft));
	reader = ol_reader_of_fd(fd);
	rc = ol_unpack(reader, &options, &unpacked, err);
	ol_reader_close(reader);
	return rc < 0 ? rc : keep(self, ol_draft_dir_fd(draft), &unpacked, err);
}

/* One request, for this blob alone. */
static int refetch(struct layer_mend *self, ol_error *err)
{
	const ol_pull_options pull_options = { .keep_blobs = self->blob_state != OL_BLOB_ABSENT };
	ol_pull_state pull = {
		.incoming = { .session = self->mend->session, .lease = self->mend->lease },
		.options = &pull_options,
	};
	int rc = ol_ref_parse(origin_of(self), &pull.ref, err);

	if (rc == OL_OK)
		rc = choose_driver(self, &pull.driver, err);
	if (rc == OL_OK)
		rc = ol_session_registry(self->mend->session, &pull.registry, err);
	return rc < 0 ? rc : ol_layer_refetch(&pull, self->blob, &self->diff_id, err);
}

/* What was wrong, each with what was done. */
static void tell(struct layer_mend *self, const char *how)
{
	const bool own_tar = ol_digest_eq(&self->diff_id, &self->blob->digest);
	ol_mend *mend = self->mend;

	if (self->blob_state == OL_BLOB_DAMAGED && !own_tar)
		ol_mend_tell(mend, true, "blob", &self->blob->digest, "%s", how);
	if (self->tar_state == OL_BLOB_DAMAGED)
		ol_mend_tell(mend, true, "blob", &self->diff_id, "%s", how);
	if (!self->has_index ||
		(self->tar_state == OL_BLOB_ABSENT && self->blob_state == OL_BLOB_ABSENT))
		ol_mend_tell(mend, true, "layer", &self->diff_id, "%s", how);
}

static int make_whole(struct layer_mend *self, char how[300], ol_error *err)
{
	const bool blob_wrong = self->blob_state == OL_BLOB_DAMAGED &&
				!ol_digest_eq(&self->diff_id, &self->blob->digest);

	if (!blob_wrong && self->tar_state == OL_BLOB_SOUND && self->has_row && !is_lazy(self) &&
		ol_digest_is_set(&self->row.index_digest)) {
		(void)snprintf(how, 300, "its index was written anew from its tar");
		return reindex(self, err);
	}
	if (!blob_wrong && self->tar_state == OL_BLOB_SOUND) {
		(void)snprintf(how, 300, "made again from its tar");
		return unpack_local(self, &self->diff_id, err);
	}
	if (self->blob_state == OL_BLOB_SOUND) {
		(void)snprintf(how, 300, "made again from its compressed layer %s",
			ol_digest_format(&self->blob->digest).text);
		return unpack_local(self, &self->blob->digest, err);
	}
	if (!*origin_of(self))
		return OL_ENOTFOUND;
	(void)snprintf(how, 300, "fetched again from %s", origin_of(self));
	return refetch(self, err);
}

int ol_mend_layer(ol_mend *mend, const ol_mend_root *root, const ol_incoming_image *image, size_t k,
	bool *sound, ol_error *err)
{
	struct layer_mend self = { .mend = mend,
		.root = root,
		.blob = &image->document->layers[k],
		.diff_id = image->config->diff_ids[k] };
	ol_error why = { 0 };
	char how[300] = "";
	int rc = ol_lease_add(mend->lease, &self.diff_id, err);

	if (rc == OL_OK)
		rc = ol_lease_add(mend->lease, &self.blob->digest, err);
	if (rc < 0)
		return rc;
	ol_mend_see(mend, &self.diff_id);
	ol_mend_see(mend, &self.blob->digest);
	look(&self);
	*sound = is_whole(&self);
	if (*sound)
		return OL_OK;
	rc = make_whole(&self, how, &why);
	if (rc == OL_ECANCELED)
		return ol_fail(err, rc, "interrupted");
	if (rc == OL_OK) {
		tell(&self, how);
		look(&self);
		*sound = is_whole(&self);
	}
	if (!*sound)
		ol_mend_give_up(
			mend, root, origin_of(&self), "layer", &self.diff_id, rc < 0 ? &why : NULL);
	return OL_OK;
}
