#pragma once

/* Media types of image-spec media-types.md and Docker's manifest-v2-2, as far as orlop acts on
 * them. */
#include <stdbool.h>

#include "base/view.h"

typedef enum ol_media_class {
	OL_MEDIA_UNKNOWN, /* never an error by itself when storing or copying */
	OL_MEDIA_INDEX,
	OL_MEDIA_MANIFEST,
	OL_MEDIA_SCHEMA1, /* refused, with words */
	OL_MEDIA_CONFIG,
	OL_MEDIA_LAYER,
	OL_MEDIA_EMPTY,
} ol_media_class;

typedef enum ol_compression {
	OL_COMPRESSION_UNKNOWN, /* Docker's uncompressed type: sniff */
	OL_COMPRESSION_NONE,
	OL_COMPRESSION_GZIP,
	OL_COMPRESSION_ZSTD,
} ol_compression;

typedef struct ol_media {
	ol_media_class kind;
	ol_compression compression; /* of layers */
	bool docker;                /* a Docker type, else OCI */
	bool nondistributable;      /* foreign layer */
	bool encrypted;             /* …+encrypted */
} ol_media;

/* Parameters ("; charset=…") are ignored. */
ol_media ol_media_of(ol_view type);
/* Whether two name the same type, known or not; "" is the same as none. */
bool ol_media_same(ol_view a, ol_view b);
/* The value of an Accept header: every manifest type understood, and anything last. */
const char *ol_media_accept_manifests(void);

/* OCI's type of a layer that is compressed so; what is not known is taken for a plain tar. */
const char *ol_media_oci_layer(ol_compression compression);

#define OL_MEDIA_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define OL_MEDIA_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OL_MEDIA_OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define OL_MEDIA_OCI_LAYER       "application/vnd.oci.image.layer.v1.tar"
#define OL_MEDIA_OCI_EMPTY       "application/vnd.oci.empty.v1+json"
#define OL_MEDIA_DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define OL_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define OL_MEDIA_DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"
