/*
 * Pulling an image, as a story:
 *
 *	resolve     what does the reference mean now?            one HEAD; of a new name one GET
 *	is_complete then nothing is fetched                      no GET
 *	documents   index → platforms → manifests → configs      each hashed against its descriptor
 *	lazy        those that can do without their bytes        pull_lazy.c
 *	layers      all that are missing at once                 pull_layers.c
 *	chains      layers that lean on those below              incoming_chains.c
 *	keep        edges, then the name: only now is it listed  incoming.c
 *
 * What is in is in: each verified blob and layer is kept as soon as it is whole, under the pull's
 * lease, so that a pull that was killed goes on where it stopped. Only the last step makes an image
 * of it.
 */
#include "image/pull.h"

#include <string.h>

#include "base/alloc.h"
#include "base/trace.h"
#include "image/lazy_early_priv.h"
#include "image/pull_priv.h"
#include "store/lazy.h"
#include "store/name.h"

/* Once: what is asked for early reads it from threads. */
static int need_registry(ol_pull_state *pull, ol_error *err)
{
	return pull->registry ? OL_OK
			      : ol_session_registry(pull->incoming.session, &pull->registry, err);
}

/* A manifest or index: from the store where it is there, else from the registry, verified
 * and kept. */
static int get_document(ol_pull_state *pull, const ol_digest *digest, const char *media_type,
	ol_document **out, ol_error *err)
{
	ol_store *store = pull->incoming.session->store;
	ol_auto_buf ol_buf body = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_resolved got = { 0 };
	int rc;

	rc = ol_lease_add(pull->incoming.lease, digest, err);
	if (rc < 0)
		return rc;
	if (ol_blob_exists(store, digest) &&
		ol_document_load(store, digest, media_type, out, NULL) == OL_OK)
		return OL_OK;
	if (pull->root.size && ol_digest_eq(digest, &pull->incoming.resolved.digest)) {
		got = pull->incoming.resolved;
		rc = ol_buf_add(&body, pull->root.data, pull->root.size);
	} else {
		rc = need_registry(pull, err);
		if (rc == OL_OK)
			rc = ol_registry_get_manifest(
				pull->registry, &pull->ref, digest, &body, &got, err);
	}
	if (rc < 0)
		return rc;
	rc = ol_document_parse(
		ol_buf_view(&body), *media_type ? media_type : got.media_type, out, err);
	if (rc < 0)
		return ol_wrap(err, rc, "manifest %s", ol_digest_format(digest).text);
	rc = ol_blob_put(store, digest, ol_buf_view(&body), false, err);
	if (rc < 0) {
		ol_document_free(*out);
		*out = NULL;
	}
	return rc;
}

static int get_config(void *ctx, const ol_descriptor *descriptor, ol_config **out, ol_error *err)
{
	ol_pull_state *pull = ctx;
	ol_store *store = pull->incoming.session->store;
	ol_auto_buf ol_buf body = OL_BUF(OL_CONFIG_BYTES_MAX);
	int rc;

	rc = ol_lease_add(pull->incoming.lease, &descriptor->digest, err);
	if (rc < 0)
		return rc;
	if (ol_blob_exists(store, &descriptor->digest) &&
		ol_config_load(store, &descriptor->digest, out, NULL) == OL_OK)
		return OL_OK;
	if (descriptor->data.size) {
		rc = ol_buf_add(&body, descriptor->data.data, descriptor->data.size);
	} else {
		rc = need_registry(pull, err);
		if (rc == OL_OK)
			rc = ol_registry_get_small_blob(pull->registry, &pull->ref, descriptor,
				OL_CONFIG_BYTES_MAX, &body, err);
	}
	if (rc < 0)
		return ol_wrap(err, rc, "config"); /* which blob that is stands there already */
	rc = ol_blob_put(store, &descriptor->digest, ol_buf_view(&body), false, err);
	if (rc == OL_OK)
		rc = ol_config_parse(ol_buf_view(&body), out, err);
	return rc < 0 ? ol_wrap(err, rc, "config %s", ol_digest_format(&descriptor->digest).text)
		      : OL_OK;
}

/* Takes document. want: the platform its config must serve, for entries that did not say theirs;
 * NULL: any. OL_ENOTFOUND: it serves another. */
static int add_image(ol_pull_state *pull, const ol_digest *digest, ol_document *document,
	const ol_platform *want, ol_error *err)
{
	if (pull->options->lazy && !want)
		ol_lazy_early_begin(
			pull, &(ol_incoming_image){ .manifest = *digest, .document = document });
	return ol_incoming_add(&pull->incoming, digest, document, want,
		&(ol_incoming_source){ .get_config = get_config, .ctx = pull }, err);
}

static int add_entry(ol_pull_state *pull, const ol_descriptor *entry, const ol_platform *want,
	unsigned depth, ol_error *err);

/* The best entry that says its platform; else the first of those that do not whose
 * config serves. */
static int add_best(ol_pull_state *pull, const ol_document *index, const ol_platform *want,
	unsigned depth, ol_error *err)
{
	ol_autofree const ol_descriptor **candidates =
		ol_alloc_array(index->manifest_count + 1, sizeof(void *));
	size_t count = ol_index_candidates(index, want, candidates);
	const ol_descriptor *none;
	int rc = OL_ENOTFOUND;

	if (count > 0 && candidates[0]->has_platform)
		return add_entry(pull, candidates[0], want, depth, err);
	for (size_t i = 0; rc == OL_ENOTFOUND && i < count; i++)
		rc = add_entry(pull, candidates[i], want, depth, err);
	return count > 0 ? rc
			 : ol_index_choose(index, want, &none,
				   err); /* whose words list the platforms there are */
}

static int add_all(ol_pull_state *pull, const ol_document *index, unsigned depth, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];

		if (!ol_descriptor_is_attestation(entry) && !entry->artifact_type &&
			ol_digest_is_set(&entry->digest))
			rc = add_entry(pull, entry, NULL, depth, err);
		if (rc == OL_EUNSUPPORTED)
			rc = OL_OK; /* an artifact among the images */
	}
	return rc;
}

/* want NULL: every platform. */
static int add_from_index(ol_pull_state *pull, const ol_document *index, const ol_platform *want,
	unsigned depth, ol_error *err)
{
	if (depth >= OL_INDEX_DEPTH_MAX)
		return ol_fail(
			err, OL_ELIMIT, "indexes are nested more than %d deep", OL_INDEX_DEPTH_MAX);
	return want ? add_best(pull, index, want, depth, err) : add_all(pull, index, depth, err);
}

static int add_entry(ol_pull_state *pull, const ol_descriptor *entry, const ol_platform *want,
	unsigned depth, ol_error *err)
{
	ol_document *document = NULL;
	int rc = get_document(pull, &entry->digest, entry->media_type, &document, err);

	if (rc < 0)
		return rc;
	if (document->kind == OL_DOCUMENT_MANIFEST)
		return add_image(
			pull, &entry->digest, document, entry->has_platform ? NULL : want, err);
	rc = add_from_index(pull, document, want, depth + 1, err);
	ol_document_free(document);
	return rc;
}

static int warn_platform(ol_pull_state *pull, const ol_platform *want)
{
	const ol_platform *have = &pull->incoming.images[0].platform;

	if (ol_platform_match(want, have) < 0)
		ol_tell_text(&pull->incoming.session->options.listener, OL_EVENT_WARNING,
			"the image's platform (%s) does not match the one asked for (%s)",
			ol_platform_format(have).text, ol_platform_format(want).text);
	return OL_OK;
}

static int get_documents(ol_pull_state *pull, ol_error *err)
{
	const ol_pull_options *o = pull->options;
	ol_platform want;
	int rc = get_document(pull, &pull->incoming.resolved.digest,
		pull->incoming.resolved.media_type, &pull->incoming.root, err);

	if (rc == OL_OK)
		rc = ol_platform_wanted(o->platform_count ? &o->platforms[0] : NULL, &want, err);
	if (rc < 0)
		return rc;
	if (pull->incoming.root->kind == OL_DOCUMENT_MANIFEST) {
		rc = add_image(pull, &pull->incoming.resolved.digest,
			ol_steal(&pull->incoming.root), NULL, err);
		return rc < 0 ? rc : warn_platform(pull, &want);
	}
	if (o->all_platforms) {
		rc = add_from_index(pull, pull->incoming.root, NULL, 0, err);
		return rc == OL_OK && pull->incoming.count == 0
			       ? ol_fail(err, OL_ENOTFOUND, "the index lists no image")
			       : rc;
	}
	rc = add_from_index(pull, pull->incoming.root, &want, 0, err);
	for (size_t i = 1; rc == OL_OK && i < o->platform_count; i++)
		rc = add_from_index(pull, pull->incoming.root, &o->platforms[i], 0, err);
	return rc;
}

/* blob: the compressed one, where it must be there too; else NULL. */
static bool has_layer(const ol_pull_state *pull, const ol_digest *diff_id, const ol_digest *blob)
{
	ol_store *store = pull->incoming.session->store;

	return ol_layer_is_usable(store, diff_id, blob) ||
	       (pull->options->lazy && ol_layer_is_lazy(store, diff_id));
}

/* Chains that were made of lazy layers are made anew where all must be whole. */
static bool has_chains(const ol_pull_state *pull, const ol_config *config)
{
	ol_layer_stack stack = { 0 };
	bool has =
		ol_layer_stack_load(pull->incoming.session->store, config, &stack, NULL) == OL_OK;

	for (size_t i = 0; has && !pull->options->lazy && i < stack.count; i++)
		has = strcmp(stack.layers[i].driver, OL_LAZY_DRIVER) != 0;
	ol_layer_stack_done(&stack);
	return has;
}

/* Everything that the wanted platforms of this root need is in the store. Looks at rows, reads
 * three small documents. */
static bool is_complete(ol_pull_state *pull)
{
	bool complete = true;

	for (size_t i = 0; complete && i < pull->incoming.count; i++) {
		const ol_config *config = pull->incoming.images[i].config;
		const ol_descriptor *layers = pull->incoming.images[i].document->layers;

		for (size_t k = 0; complete && k < config->diff_id_count; k++)
			complete = has_layer(pull, &config->diff_ids[k],
				pull->options->keep_blobs ? &layers[k].digest : NULL);
		complete = complete && has_chains(pull, config);
	}
	return complete;
}

/* The root that the reference's name stands for here; false: nothing has that name. */
static bool find_named(const ol_pull_state *pull, ol_digest *root)
{
	const ol_ref_string name = ol_ref_format(&pull->ref);
	ol_name_info info = { 0 };

	if (ol_name_get(pull->incoming.session->store, name.text, &info, NULL) < 0)
		return false;
	*root = info.root;
	ol_name_info_done(&info);
	return true;
}

/* Then there will be more to fetch than what it means. */
static bool is_new(const ol_pull_state *pull)
{
	ol_digest root;

	return ol_digest_is_set(&pull->ref.digest) || !find_named(pull, &root);
}

static int resolve_ref(ol_pull_state *pull, ol_error *err)
{
	ol_resolved *out = &pull->incoming.resolved;
	ol_blob_info info;
	int rc;

	if (ol_digest_is_set(&pull->ref.digest) &&
		ol_blob_stat(pull->incoming.session->store, &pull->ref.digest, &info, NULL) ==
			OL_OK) {
		/* A digest means the same for ever: what the store has need not be asked for. */
		out->digest = pull->ref.digest;
		out->size = info.size;
		return OL_OK;
	}
	rc = need_registry(pull, err);
	if (rc < 0)
		return rc;
	return is_new(pull)
		       ? ol_registry_get_named(pull->registry, &pull->ref, &pull->root, out, err)
		       : ol_registry_resolve(pull->registry, &pull->ref, out, err);
}

/* A name that is searched for is what is found first. Somebody who cannot be asked ends the search:
 * it would bring another's image. */
static int resolve(ol_pull_state *pull, ol_error *err)
{
	const ol_name_choices *choices = &pull->choices;
	ol_auto_str ol_str reasons = OL_STR(1024);
	int rc = OL_ENOTFOUND;

	if (choices->is_found)
		ol_tell_text(&pull->incoming.session->options.listener, OL_EVENT_NOTE,
			"%.100s is %s%.300s: %s", pull->options->ref,
			choices->count > 1 ? "searched for by " : "", choices->rule,
			ol_ref_name(&choices->refs[0]).text);
	for (size_t i = 0; (rc == OL_ENOTFOUND || rc == OL_EAUTH) && i < choices->count; i++) {
		ol_error why = { 0 };

		pull->ref = choices->refs[i];
		rc = resolve_ref(pull, &why);
		if (rc < 0 && err)
			*err = why;
		if (rc < 0)
			(void)ol_str_addf(&reasons, "%s%.200s", i ? "; " : "", why.text);
	}
	if (rc < 0 && choices->count > 1)
		return ol_fail(err, rc, "%s", ol_str_text(&reasons));
	return rc;
}

/* The reference means this root already: nothing changes for who looks at the list. */
static bool is_named(const ol_pull_state *pull)
{
	ol_digest root;

	return ol_digest_is_set(&pull->ref.digest) ||
	       (find_named(pull, &root) && ol_digest_eq(&root, &pull->incoming.resolved.digest));
}

static int keep(ol_pull_state *pull, ol_error *err)
{
	const bool by_digest = ol_digest_is_set(&pull->ref.digest);
	const ol_ref_string name = ol_ref_format(&pull->ref), repo = ol_ref_name(&pull->ref);

	return ol_incoming_keep(&pull->incoming,
		&(ol_keep_as){ .name = by_digest ? "" : name.text,
			.repo = repo.text,
			.pinned = pull->options->pin },
		err);
}

static int get_layers(ol_pull_state *pull, ol_error *err)
{
	int rc = ol_session_need_driver(pull->incoming.session, &pull->driver, err);

	if (rc == OL_OK)
		rc = need_registry(pull, err);
	if (rc < 0)
		return rc;
	ol_pull_plan(pull);
	rc = pull->options->lazy ? ol_pull_lazy(pull, err) : ol_pull_lazy_want(pull, err);
	if (rc == OL_OK)
		rc = ol_pull_layers(pull, err);
	if (rc < 0)
		return rc;
	return pull->options->lazy ? ol_pull_lazy_chains(pull, err)
				   : ol_incoming_chains(&pull->incoming, err);
}

/* The steps of the story, between begin and done. */
static int run(ol_pull_state *pull, ol_pull_result *out, ol_error *err)
{
	bool complete;
	int rc = resolve(pull, err);

	if (rc < 0)
		return rc;
	ol_tell(&pull->incoming.session->options.listener,
		&(ol_event){ .kind = OL_EVENT_RESOLVED,
			.digest = pull->incoming.resolved.digest,
			.text = pull->options->ref });
	rc = get_documents(pull, err);
	if (rc < 0)
		return rc;
	if (!*pull->incoming.resolved.media_type)
		(void)snprintf(pull->incoming.resolved.media_type,
			sizeof pull->incoming.resolved.media_type, "%s",
			pull->incoming.root ? pull->incoming.root->media_type
					    : pull->incoming.images[0].document->media_type);
	complete = is_complete(pull);
	out->up_to_date = complete && is_named(pull);
	if (!complete)
		rc = get_layers(pull, err);
	if (rc == OL_OK)
		rc = ol_cancel_check(pull->incoming.session->options.cancel, err);
	if (rc == OL_OK)
		rc = keep(pull, err);
	if (rc == OL_OK && pull->options->lazy)
		rc = ol_pull_lazy_begin(pull, out, err);
	if (rc == OL_OK && pull->options->durable)
		rc = ol_store_sync(
			pull->incoming.session->store, pull->incoming.session->options.cancel, err);
	return rc;
}

int ol_pull_ref(ol_session *session, const char *text, ol_ref *out, ol_error *err)
{
	ol_name_choices choices = { 0 };
	int rc = ol_session_names(session, text, &choices, err);

	if (rc == OL_OK)
		*out = choices.refs[0];
	ol_name_choices_done(&choices);
	return rc;
}

int ol_pull(ol_session *session, const ol_pull_options *options, ol_pull_result *out, ol_error *err)
{
	ol_pull_state pull = { .incoming = { .session = session },
		.options = options,
		.root = OL_BUF(OL_MANIFEST_BYTES_MAX) };
	ol_pull_result result = { 0 };
	int rc = options->lazy && options->keep_blobs
			 ? ol_fail(err, OL_EINVAL, "--lazy and --keep-blobs exclude each other")
			 : ol_session_names(session, options->ref, &pull.choices, err);

	if (rc == OL_OK)
		rc = ol_lease_begin_resumable(session->store, "pull", &pull.incoming.lease, err);
	if (rc == OL_OK)
		rc = run(&pull, &result, err);
	if (rc == OL_OK) {
		result.ref = pull.ref;
		result.root = pull.incoming.resolved.digest;
		result.config = pull.incoming.images[0].document->config.digest;
		result.fetched_bytes = pull.fetched_bytes;
		result.resumed_bytes = pull.resumed_bytes;
		*out = result;
	}
	ol_lazy_early_end(pull.early);
	ol_incoming_done(&pull.incoming);
	ol_name_choices_done(&pull.choices);
	ol_buf_done(&pull.root);
	free(pull.layers);
	return rc < 0 ? ol_wrap(err, rc, "cannot pull %.255s", options->ref) : OL_OK;
}
