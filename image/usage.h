#pragma once

#include "image/list.h"

/* What a kind of thing takes: a row of `df`. */
typedef struct ol_usage_row {
	const char *type; /* "Images" */
	uint64_t total, active;
	uint64_t size;   /* bytes as they are; of images: of each by itself */
	uint64_t disk;   /* on disk; of images: of all that is kept for them, layers included */
	uint64_t shared; /* of that, what several images have */
	uint64_t reclaimable; /* on disk: what prune (layers, downloads: gc) would give back */
} ol_usage_row;

/* Images, Containers, Mounts, Layers, Blobs (compressed layers that are kept), Downloads. */
int ol_usage(ol_session *session, int (*call)(void *ctx, const ol_usage_row *row, ol_error *err),
	void *ctx, ol_error *err);

/* Each name's image with what its layers take for it alone and with others; newest first. */
int ol_usage_images(ol_session *session,
	int (*call)(void *ctx, const ol_image_row *row, uint64_t shared, uint64_t unique,
		ol_error *err),
	void *ctx, ol_error *err);

/* What a container or writable mount has written, on disk: its folder in the store. */
uint64_t ol_usage_container(ol_session *session, const char *id);
