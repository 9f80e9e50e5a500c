/*
 * Copying an image, as a story:
 *
 *	places     what the two names mean                              transport.c
 *	origin     read where it is; an archive passes into the store first
 *	plan       root → documents → blobs                             copy_plan.c
 *	blobs      skipped, mounted, or moved, several at once          copy_blobs.c
 *	documents  children first, the root and its name last           copy_plan.c
 *	finish     an archive appears, a layout lists it
 *
 * Where the target is the store, or an archive that is written from it, the image is brought into
 * the store as pull and load do; what has no name there of its own goes with the copy's lease.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/copy_priv.h"
#include "image/names.h"
#include "store/name.h"

int ol_copy_check(ol_copy *copy, ol_error *err)
{
	int rc = ol_cancel_check(copy->session->options.cancel, err);

	if (rc < 0)
		ol_cancel_fire(copy->stop);
	return rc < 0 ? rc : ol_cancel_check(copy->stop, err);
}

static int make_registry(
	const ol_session *session, const ol_copy_side *side, ol_registry **out, ol_error *err)
{
	const ol_session_options *o = &session->options;
	const ol_registry_options options = {
		.plain_http = side->plain_http,
		.skip_tls_verify = side->skip_tls_verify,
		.cert_dir = side->cert_dir,
		.hosts_dir = o->hosts_dir,
		.registries_conf = o->registries_conf,
		.creds = side->creds,
		.authfile = side->authfile ? side->authfile : o->authfile,
		.retries = o->retries,
		.never_retry = o->retries == 0,
		.cancel = o->cancel,
		.listener = &o->listener,
	};

	return ol_registry_new(&options, out, err);
}

int ol_copy_registry(ol_copy *copy, bool target, ol_registry **out, ol_error *err)
{
	const ol_copy_side *side = target ? copy->options->target_side : copy->options->source_side;
	ol_registry **registry = target ? &copy->target_registry : &copy->source_registry;
	int rc = OL_OK;

	pthread_mutex_lock(&copy->lock);
	if (!*registry && side) {
		rc = make_registry(copy->session, side, registry, err);
		*(target ? &copy->owns_target : &copy->owns_source) = rc == OL_OK;
	} else if (!*registry) {
		rc = ol_session_registry(copy->session, registry, err);
	}
	if (rc == OL_OK)
		*out = *registry;
	pthread_mutex_unlock(&copy->lock);
	return rc;
}

/* --- from origin to destination --- */

static int run(ol_copy_plan *plan, ol_error *err)
{
	ol_copy *copy = plan->copy;
	const ol_copy_node *root;
	ol_resolved resolved = { 0 };
	int rc = plan->origin->ops->resolve(plan->origin, copy->options->platform, &resolved, err);

	if (rc < 0)
		return rc;
	ol_tell(&copy->session->options.listener, &(ol_event){ .kind = OL_EVENT_RESOLVED,
							  .digest = resolved.digest,
							  .text = copy->options->source });
	rc = ol_copy_plan_make(plan, &resolved, err);
	if (rc == OL_OK)
		rc = ol_copy_blobs(plan, err);
	if (rc == OL_OK)
		rc = ol_copy_documents(plan, err);
	if (rc == OL_OK)
		rc = plan->destination->ops->finish(plan->destination, err);
	if (rc < 0)
		return rc;
	root = &plan->nodes[plan->node_count - 1];
	copy->result.root = root->becomes.digest;
	copy->result.size = root->becomes.size;
	copy->result.changed = !ol_digest_eq(&root->is.digest, &root->becomes.digest);
	return OL_OK;
}

static int open_origin(ol_copy *copy, const ol_place *source, ol_origin **out, ol_error *err)
{
	ol_digest root;
	int rc;

	if (source->transport->read)
		return source->transport->read(copy, source, out, err);
	rc = source->transport->take_in(copy, source, &root, err);
	return rc < 0 ? rc : ol_store_origin_at(copy, &root, out, err);
}

static int copy_blobs_and_documents(
	ol_copy *copy, const ol_place *source, const ol_place *target, ol_error *err)
{
	ol_copy_plan plan = { .copy = copy };
	int rc = open_origin(copy, source, &plan.origin, err);

	if (rc == OL_OK && copy->wrap)
		rc = copy->wrap(copy->wrap_ctx, copy, ol_steal(&plan.origin), &plan.origin, err);
	if (rc == OL_OK)
		rc = target->transport->write(copy, target, &plan.destination, err);
	if (rc == OL_OK)
		rc = run(&plan, err);
	ol_copy_plan_done(&plan);
	if (plan.destination)
		plan.destination->ops->close(plan.destination);
	if (plan.origin)
		plan.origin->ops->close(plan.origin);
	return rc;
}

/* --- by way of the store --- */

struct row {
	const ol_digest *root;
	bool found;
};

static int look(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct row *row = ctx;

	(void)err;
	row->found = row->found || ol_digest_eq(&info->root, row->root);
	return OL_OK;
}

static bool is_listed(ol_copy *copy, const ol_digest *root)
{
	struct row row = { .root = root };

	(void)ol_name_each(copy->session->store, look, &row, NULL);
	return row.found;
}

/* An image without a name that was not listed before goes again. */
static int forget(ol_copy *copy, const ol_digest *root, bool listed, ol_error *err)
{
	return listed ? OL_OK : ol_name_remove_root(copy->session->store, root, err);
}

static int set_result(ol_copy *copy, const ol_digest *root, ol_error *err)
{
	ol_blob_info info = { 0 };
	int rc = ol_blob_stat(copy->session->store, root, &info, err);

	copy->result.root = *root;
	copy->result.size = info.size;
	return rc;
}

/* Into the store under a name. */
static int copy_into_store(
	ol_copy *copy, const ol_place *source, const ol_place *target, ol_error *err)
{
	ol_digest root = { 0 };
	ol_ref ref;
	int rc = ol_ref_parse(target->name, &ref, err);

	if (rc == OL_OK && ol_digest_is_set(&ref.digest))
		rc = ol_fail(err, OL_EINVAL, "%.255s has a digest: a name to give has none",
			target->name);
	if (rc < 0)
		return rc;
	if (source->transport == &ol_transport_store) {
		ol_image image = { 0 };

		rc = ol_image_find(copy->session, source->name, NULL, &image, err);
		root = image.root;
		ol_image_done(&image);
		if (rc == OL_OK)
			rc = ol_tag(copy->session, source->name, target->name, err);
		return rc < 0 ? rc : set_result(copy, &root, err);
	}
	rc = source->transport->take_in(copy, source, &root, err);
	if (rc < 0)
		return rc;
	/* What was pulled is listed, without a name; what was loaded is not. */
	rc = is_listed(copy, &root)
		     ? ol_tag(copy->session, ol_digest_format(&root).text, target->name, err)
		     : ol_store_adopt(copy, &root, ol_ref_format(&ref).text, err);
	return rc < 0 ? rc : set_result(copy, &root, err);
}

/* A pull lists what it brings, a load without names does not: what a pull would find listed already
 * is to stay so. */
static bool was_listed(ol_copy *copy, const ol_place *source)
{
	ol_origin *origin = NULL;
	ol_resolved resolved = { 0 };
	bool listed = false;

	if (source->transport->take_in != ol_registry_take_in ||
		source->transport->read(copy, source, &origin, NULL) < 0)
		return false;
	if (origin->ops->resolve(origin, NULL, &resolved, NULL) == OL_OK)
		listed = is_listed(copy, &resolved.digest);
	origin->ops->close(origin);
	return listed;
}

static int copy_out_of_store(
	ol_copy *copy, const ol_place *source, const ol_place *target, ol_error *err)
{
	ol_digest root = { 0 };
	ol_image image = { 0 };
	bool listed;
	int rc;

	if (source->transport == &ol_transport_store) {
		rc = ol_image_find(
			copy->session, source->name, copy->options->platform, &image, err);
		root = copy->options->platform ? image.manifest : image.root;
		ol_image_done(&image);
		if (rc == OL_OK)
			rc = target->transport->give_out(copy, target, source->name, err);
		return rc < 0 ? rc : set_result(copy, &root, err);
	}
	listed = was_listed(copy, source);
	rc = source->transport->take_in(copy, source, &root, err);
	if (rc < 0)
		return rc;
	if (!is_listed(copy, &root))
		rc = ol_store_adopt(copy, &root, "", err);
	else if (source->transport->take_in != ol_registry_take_in)
		listed = true;
	if (rc == OL_OK)
		rc = target->transport->give_out(copy, target, ol_digest_format(&root).text, err);
	if (rc == OL_OK)
		rc = set_result(copy, &root, err);
	if (forget(copy, &root, listed, rc < 0 ? NULL : err) < 0 && rc == OL_OK)
		rc = OL_ESYSTEM;
	return rc;
}

static int copy_places(ol_copy *copy, const ol_place *source, const ol_place *target, ol_error *err)
{
	if (target->transport == &ol_transport_store)
		return copy_into_store(copy, source, target, err);
	if (target->transport->give_out)
		return copy_out_of_store(copy, source, target, err);
	return copy_blobs_and_documents(copy, source, target, err);
}

static int begin(ol_copy *copy, ol_error *err)
{
	copy->stop = ol_cancel_new();
	pthread_mutex_init(&copy->lock, NULL);
	return ol_lease_begin(copy->session->store, "copy", &copy->lease, err);
}

static void end(ol_copy *copy)
{
	if (copy->owns_source)
		ol_registry_free(copy->source_registry);
	if (copy->owns_target)
		ol_registry_free(copy->target_registry);
	ol_lease_end(copy->lease);
	ol_cancel_free(copy->stop);
	pthread_mutex_destroy(&copy->lock);
}

int ol_copy_wrapped(ol_session *session, const ol_copy_options *options, const ol_copy_wrap *wrap,
	ol_copied *out, ol_error *err)
{
	ol_copy copy = {
		.session = session, .options = options, .wrap = wrap->wrap, .wrap_ctx = wrap->ctx
	};
	ol_place source = { 0 }, target = { 0 };
	int rc = ol_place_parse(options->source, &source, err);

	if (rc == OL_OK)
		rc = ol_place_parse(options->target, &target, err);
	if (rc == OL_OK) {
		rc = begin(&copy, err);
		if (rc == OL_OK)
			rc = copy_places(&copy, &source, &target, err);
		end(&copy);
	}
	if (rc == OL_OK)
		*out = copy.result;
	ol_place_done(&source);
	ol_place_done(&target);
	return rc;
}

int ol_copy_image(
	ol_session *session, const ol_copy_options *options, ol_copied *out, ol_error *err)
{
	return ol_copy_wrapped(session, options, &(ol_copy_wrap){ 0 }, out, err);
}
