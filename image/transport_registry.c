/* docker://REF: a registry, read from and written to. */
#include <string.h>

#include "base/alloc.h"
#include "fetch/upload.h"
#include "image/pull.h"
#include "image/transport_priv.h"

/* Smaller blobs pass through memory: an ingest is not worth its files. */
#define SMALL_BYTES_MAX ((size_t)1 << 20)

struct registry_origin {
	ol_origin origin;
	ol_registry *registry; /* lent */
	ol_ref ref;
};

static int resolve(ol_origin *origin, const ol_platform *platform, ol_resolved *out, ol_error *err)
{
	struct registry_origin *self = (struct registry_origin *)origin;
	int rc = ol_registry_resolve(self->registry, &self->ref, out, err);

	return rc == OL_OK && platform ? ol_origin_choose(origin, platform, out, err) : rc;
}

static int get_document(ol_origin *origin, const ol_digest *digest, ol_buf *out, ol_error *err)
{
	struct registry_origin *self = (struct registry_origin *)origin;

	return ol_registry_get_manifest(self->registry, &self->ref, digest, out, NULL, err);
}

static int get_blob(ol_origin *origin, const ol_descriptor *blob, ol_cargo *out, ol_error *err)
{
	struct registry_origin *self = (struct registry_origin *)origin;
	ol_auto_buf ol_buf bytes = OL_BUF(SMALL_BYTES_MAX);
	int fd, rc;

	if (blob->size > SMALL_BYTES_MAX) {
		/* What the store has need not be fetched. */
		if (ol_blob_open(origin->copy->session->store, &blob->digest, &fd, NULL) == OL_OK)
			return ol_cargo_of_file(fd, blob, out, err);
		return ol_cargo_fetch(origin->copy, &self->ref, 1, blob, out, err);
	}
	rc = ol_registry_get_small_blob(
		self->registry, &self->ref, blob, SMALL_BYTES_MAX, &bytes, err);
	if (rc == OL_OK)
		ol_cargo_of_bytes(&bytes, out);
	return rc;
}

static bool get_home(ol_origin *origin, const ol_descriptor *blob, const char *domain,
	char path[OL_REFERENCE_NAME_MAX + 1])
{
	const struct registry_origin *self = (const struct registry_origin *)origin;

	(void)blob;
	if (strcmp(self->ref.domain, domain) != 0)
		return false;
	(void)snprintf(path, OL_REFERENCE_NAME_MAX + 1, "%s", self->ref.path);
	return true;
}

static void close_origin(ol_origin *origin)
{
	free(origin);
}

int ol_registry_origin(ol_copy *copy, const ol_place *place, ol_origin **out, ol_error *err)
{
	static const ol_origin_ops ops = { .resolve = resolve,
		.document = get_document,
		.blob = get_blob,
		.home = get_home,
		.close = close_origin };
	ol_autofree struct registry_origin *self = ol_alloc(sizeof *self);
	int rc = ol_ref_parse(place->name, &self->ref, err);

	if (rc == OL_OK)
		rc = ol_copy_registry(copy, false, &self->registry, err);
	if (rc < 0)
		return rc;
	self->origin = (ol_origin){ &ops, copy };
	*out = &((struct registry_origin *)ol_steal(&self))->origin;
	return OL_OK;
}

/* --- written to --- */

struct registry_destination {
	ol_destination destination;
	ol_registry *registry; /* lent */
	ol_ref ref;
};

static const char *get_domain(ol_destination *destination)
{
	return ((struct registry_destination *)destination)->ref.domain;
}

/* A shipment as an upload sees it. */
struct freight {
	const ol_shipment *shipment;
	ol_copy *copy;
	ol_cargo *cargo; /* lent; NULL until it is wanted */
};

static int open_freight(void *ctx, ol_source **out, ol_error *err)
{
	struct freight *freight = ctx;
	int rc = freight->shipment->open(freight->shipment->ctx, &freight->cargo, err);

	if (rc == OL_OK)
		*out = ol_steal(&freight->cargo->source);
	return rc;
}

static int ready_freight(void *ctx, uint64_t from, uint64_t want, uint64_t *to, ol_error *err)
{
	struct freight *freight = ctx;
	int rc = ol_copy_check(freight->copy, err);

	if (rc < 0 || freight->cargo->ready == NULL)
		return rc;
	return freight->cargo->ready(freight->cargo->ctx, from, want, to, err);
}

static void tell_freight(void *ctx, uint64_t done)
{
	const struct freight *freight = ctx;

	freight->shipment->progress(freight->shipment->ctx, done);
}

static int put_blob(
	ol_destination *destination, const ol_shipment *shipment, ol_arrival *out, ol_error *err)
{
	static const ol_arrival arrivals[] = { [OL_UPLOAD_EXISTED] = OL_ARRIVED_BEFORE,
		[OL_UPLOAD_MOUNTED] = OL_ARRIVED_MOUNTED,
		[OL_UPLOAD_SENT] = OL_ARRIVED_SENT };
	struct registry_destination *self = (struct registry_destination *)destination;
	struct freight freight = { shipment, destination->copy, NULL };
	const ol_upload upload = { .digest = shipment->blob->digest,
		.size = shipment->blob->size,
		.mount_from =
			shipment->mount_from && strcmp(shipment->mount_from, self->ref.path) != 0
				? shipment->mount_from
				: NULL,
		.open = open_freight,
		.ready = ready_freight,
		.progress = tell_freight,
		.ctx = &freight,
		.stop = &destination->copy->stopped };
	ol_upload_end end = OL_UPLOAD_EXISTED;
	int rc = ol_registry_put_blob(self->registry, &self->ref, &upload, &end, err);

	if (rc == OL_OK)
		*out = arrivals[end];
	return rc;
}

static int put_document(
	ol_destination *destination, const ol_resolved *is, ol_view bytes, bool root, ol_error *err)
{
	struct registry_destination *self = (struct registry_destination *)destination;
	const bool by_tag = root && *self->ref.tag && !ol_digest_is_set(&self->ref.digest);

	if (root && ol_digest_is_set(&self->ref.digest) &&
		!ol_digest_eq(&self->ref.digest, &is->digest))
		return ol_fail(err, OL_EINVAL, "the image is %s, which is not the digest asked for",
			ol_digest_format(&is->digest).text);
	return ol_registry_put_manifest(self->registry, &self->ref,
		&(ol_manifest_put){ .tag = by_tag ? self->ref.tag : NULL,
			.digest = is->digest,
			.media_type = is->media_type,
			.bytes = bytes },
		err);
}

static int finish(ol_destination *destination, ol_error *err)
{
	(void)destination;
	(void)err;
	return OL_OK;
}

static void close_destination(ol_destination *destination)
{
	free(destination);
}

int ol_registry_destination(
	ol_copy *copy, const ol_place *place, ol_destination **out, ol_error *err)
{
	static const ol_destination_ops ops = { .streams = 4,
		.wants_compressed = true,
		.domain = get_domain,
		.blob = put_blob,
		.document = put_document,
		.finish = finish,
		.close = close_destination };
	ol_autofree struct registry_destination *self = ol_alloc(sizeof *self);
	int rc = ol_ref_parse(place->name, &self->ref, err);

	if (rc == OL_OK)
		rc = ol_copy_registry(copy, true, &self->registry, err);
	if (rc < 0)
		return rc;
	self->destination = (ol_destination){ &ops, copy };
	*out = &((struct registry_destination *)ol_steal(&self))->destination;
	return OL_OK;
}

/* --- into the store --- */

/* Pulled by what it means now, and so without a name. */
int ol_registry_take_in(ol_copy *copy, const ol_place *place, ol_digest *root, ol_error *err)
{
	const ol_platform *platform = copy->options->platform;
	ol_pull_options options = { .platforms = platform,
		.platform_count = platform ? 1 : 0,
		.all_platforms = !platform };
	ol_registry *registry = NULL;
	ol_pull_result result;
	ol_resolved resolved;
	ol_ref_string exact;
	ol_ref ref;
	int rc = ol_ref_parse(place->name, &ref, err);

	if (rc == OL_OK)
		rc = ol_session_registry(copy->session, &registry, err);
	if (rc == OL_OK)
		rc = ol_registry_resolve(registry, &ref, &resolved, err);
	if (rc < 0)
		return rc;
	ref.digest = resolved.digest;
	exact = ol_ref_format(&ref);
	options.ref = exact.text;
	rc = ol_pull(copy->session, &options, &result, err);
	if (rc == OL_OK)
		*root = result.root;
	return rc;
}
