#pragma once

/*
 * Transports: the places that images are copied from and to. A row of one table each
 * (transport.c); what a row lacks goes by way of the store.
 *
 *	             read from            written to           into the store   out of it
 *	docker://    registry             registry             pull
 *	oci:         folder               archive writer       load
 *	oci-archive: folder (in a draft)  archive writer       load
 *	docker-archive:                                        load             save
 *	store:       store                                     (by name)
 */
#include <pthread.h>
#include <stdatomic.h>

#include "fetch/registry.h"
#include "image/push.h"
#include "image/session_priv.h"
#include "store/lease.h"

/* A name taken apart: "oci:/tmp/x:v1". */
typedef struct ol_place {
	const struct ol_transport *transport;
	const char *text; /* lent: as typed */
	char *path;       /* owned: a file or folder; "" for others */
	char *name;       /* owned: what the image is called there; "" where it is not said */
} ol_place;
/* OL_EINVAL: no such transport (skopeo's others are named), no path, a reference that is none. */
int ol_place_parse(const char *text, ol_place *out, ol_error *err);
void ol_place_done(ol_place *place);

/* One copy under way. */
struct ol_origin;
typedef struct ol_copy {
	ol_session *session; /* lent */
	const ol_copy_options *options;
	pthread_mutex_t lock;                           /* guards the next two lines */
	ol_registry *source_registry, *target_registry; /* made at first use */
	bool owns_source, owns_target;                  /* they are not the session's */
	ol_lease *lease;                                /* owned */
	ol_cancel *stop;                                /* owned: the first failure fires it */
	atomic_bool stopped;                            /* the same, for the transfer thread */
	/* what is read in place of the source: takes base, also on failure; or NULL */
	int (*wrap)(void *ctx, struct ol_copy *copy, struct ol_origin *base, struct ol_origin **out,
		ol_error *err);
	void *wrap_ctx;
	ol_copied result;
} ol_copy;
int ol_copy_registry(ol_copy *copy, bool target, ol_registry **out, ol_error *err);
/* The user has had enough, or something failed. */
int ol_copy_check(ol_copy *copy, ol_error *err);

/* A blob being read, its bytes proved as they are. */
typedef struct ol_cargo {
	ol_source *source; /* owned, until somebody takes it; reading never waits */
	/* as in ol_upload; NULL: all is there and proved. OL_ECORRUPT: it is not what its digest
	 * says, known before the last byte is let go */
	int (*ready)(void *ctx, uint64_t from, uint64_t want, uint64_t *to, ol_error *err);
	/* the last call, after source is closed. whole: it has arrived. Or NULL */
	void (*end)(void *ctx, bool whole);
	void *ctx;
} ol_cargo;
void ol_cargo_end(ol_cargo *cargo, bool whole);
/* All of it in order; the cargo is lent and ended later. */
ol_reader *ol_cargo_reader(ol_cargo *cargo, uint64_t size);

/* A file that may hold anything: its size is compared, its bytes are hashed. Takes fd. */
int ol_cargo_of_file(int fd, const ol_descriptor *blob, ol_cargo *out, ol_error *err);
/* Bytes in memory, which it takes. */
void ol_cargo_of_bytes(ol_buf *bytes, ol_cargo *out);
/* From the first repository of refs that has it, through an ingest: what came is kept until it has
 * arrived. A failure of all of them is told by ready. */
int ol_cargo_fetch(ol_copy *copy, const ol_ref *refs, size_t count, const ol_descriptor *blob,
	ol_cargo *out, ol_error *err);

/* Where documents and blobs are read. Blobs are asked for from several threads. */
typedef struct ol_origin ol_origin;
/* What a layer is remade as. */
typedef struct ol_remade {
	ol_digest digest;
	uint64_t size;
	const char *media_type;
	ol_cargo cargo; /* owned */
} ol_remade;
typedef struct ol_origin_ops {
	/* The root to copy: the image, or its manifest for the platform. */
	int (*resolve)(
		ol_origin *origin, const ol_platform *platform, ol_resolved *out, ol_error *err);
	/* A manifest or index, verified. */
	int (*document)(ol_origin *origin, const ol_digest *digest, ol_buf *out, ol_error *err);
	int (*blob)(ol_origin *origin, const ol_descriptor *blob, ol_cargo *out, ol_error *err);
	/* The path of a repository of that registry which may have the blob; false: none is
	 * known. */
	bool (*home)(ol_origin *origin, const ol_descriptor *blob, const char *domain,
		char path[OL_REFERENCE_NAME_MAX + 1]);
	/* A layer's blob made anew from its tar, gzipped; or NULL. OL_ENOTFOUND: no tar either. */
	int (*remake)(ol_origin *origin, const ol_descriptor *blob, ol_remade *out, ol_error *err);
	void (*close)(ol_origin *origin);
} ol_origin_ops;
struct ol_origin {
	const ol_origin_ops *ops;
	ol_copy *copy; /* lent */
};

/* Where they are written. */
typedef struct ol_destination ol_destination;
/* One blob's way: what the destination asks when it needs bytes, and tells. */
typedef struct ol_shipment {
	const ol_descriptor *blob;
	const char *mount_from; /* a repository of the same registry; or NULL */
	int (*open)(void *ctx, ol_cargo **out, ol_error *err); /* lent */
	void (*progress)(void *ctx, uint64_t done);            /* from any thread */
	void *ctx;
} ol_shipment;
typedef enum ol_arrival { OL_ARRIVED_BEFORE, OL_ARRIVED_MOUNTED, OL_ARRIVED_SENT } ol_arrival;
typedef struct ol_destination_ops {
	unsigned streams;      /* blobs at once */
	bool wants_compressed; /* plain tars are not for it */
	/* Its registry's host; "": it is none. Lent */
	const char *(*domain)(ol_destination *destination);
	int (*blob)(ol_destination *destination, const ol_shipment *shipment, ol_arrival *out,
		ol_error *err);
	/* Children come before what names them; root is the last. */
	int (*document)(ol_destination *destination, const ol_resolved *is, ol_view bytes,
		bool root, ol_error *err);
	int (*finish)(ol_destination *destination, ol_error *err);
	void (*close)(ol_destination *destination);
} ol_destination_ops;
struct ol_destination {
	const ol_destination_ops *ops;
	ol_copy *copy; /* lent */
};

typedef struct ol_transport {
	const char *prefix; /* "docker://" */
	bool has_path;      /* "PATH[:NAME]", else a reference */
	int (*read)(ol_copy *copy, const ol_place *place, ol_origin **out, ol_error *err);
	int (*write)(ol_copy *copy, const ol_place *place, ol_destination **out, ol_error *err);
	/* Into the store under the copy's lease, without a name of its own. */
	int (*take_in)(ol_copy *copy, const ol_place *place, ol_digest *root, ol_error *err);
	/* From the store; image: as ol_image_find takes it. */
	int (*give_out)(ol_copy *copy, const ol_place *place, const char *image, ol_error *err);
} ol_transport;
const ol_transport *ol_transports(void); /* ended by a row without a prefix */
extern const ol_transport ol_transport_store;

/* transport_registry.c */
int ol_registry_origin(ol_copy *copy, const ol_place *place, ol_origin **out, ol_error *err);
int ol_registry_destination(
	ol_copy *copy, const ol_place *place, ol_destination **out, ol_error *err);
int ol_registry_take_in(ol_copy *copy, const ol_place *place, ol_digest *root, ol_error *err);
/* transport_layout.c */
int ol_layout_origin(ol_copy *copy, const ol_place *place, ol_origin **out, ol_error *err);
int ol_archive_origin(ol_copy *copy, const ol_place *place, ol_origin **out, ol_error *err);
/* transport_archive.c */
int ol_layout_destination(
	ol_copy *copy, const ol_place *place, ol_destination **out, ol_error *err);
int ol_archive_destination(
	ol_copy *copy, const ol_place *place, ol_destination **out, ol_error *err);
int ol_archive_take_in(ol_copy *copy, const ol_place *place, ol_digest *root, ol_error *err);
int ol_archive_give_out(ol_copy *copy, const ol_place *place, const char *image, ol_error *err);
/* transport_store.c. The second is for an image that has no name there, under the copy's lease. */
int ol_store_origin(ol_copy *copy, const ol_place *place, ol_origin **out, ol_error *err);
int ol_store_origin_at(ol_copy *copy, const ol_digest *root, ol_origin **out, ol_error *err);
/* Makes an image of what lies in the store under the copy's lease: name "" for none. */
int ol_store_adopt(ol_copy *copy, const ol_digest *root, const char *name, ol_error *err);
/* copy_remake.c: a layer's compressed blob, as the store has it or made anew. blob: what it stands
 * for. OL_ENOTFOUND: the layer is not in the store. */
int ol_remake_layer(ol_copy *copy, const ol_digest *diff_id, const ol_descriptor *blob,
	ol_remade *out, ol_error *err);

/* The entry of an index (and of indexes in it) for a platform; what is no index stays. In place. */
int ol_origin_choose(
	ol_origin *origin, const ol_platform *platform, ol_resolved *root, ol_error *err);
