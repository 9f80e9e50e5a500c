#pragma once

#include "image/session.h"

/* One row of `images`; strings lent for the call. */
typedef struct ol_image_row {
	const char *repository; /* familiar, "<none>" */
	const char *tag;        /* "<none>" */
	const char *name;       /* canonical reference, "" for <none> */
	ol_digest digest;       /* of root: what RepoDigest shows */
	ol_digest id;           /* config digest */
	ol_digest manifest;
	ol_platform platform;
	int64_t created; /* of the image, from its config; Unix seconds */
	int64_t pulled;
	uint64_t size;       /* bytes of the layer tars */
	unsigned containers; /* that use it */
	bool pinned, imported;
	/* NULL: it has no labels, or nobody asked for them (ol_list_options) */
	const ol_config *config;
} ol_image_row;

typedef struct ol_list_options {
	bool all;          /* one row per platform present */
	bool labels;       /* rows are to have the config of images that have labels */
	const char *match; /* a reference or glob, or NULL */
	/* "dangling=true", "label=k=v", "label!=k", "before=…", "since=…", "until=…",
	 * "reference=…", "pinned=true", "imported=true", "containers=true"; ended by NULL */
	const char *const *filters;
} ol_list_options;

/* Newest first, as docker. */
int ol_list_images(ol_session *session, const ol_list_options *options,
	int (*call)(void *ctx, const ol_image_row *row, ol_error *err), void *ctx, ol_error *err);

/* Docker's inspect document of an image (Id, RepoTags, RepoDigests, Created, Config, Architecture,
 * Os, Size, RootFS …). */
int ol_inspect_image(ol_session *session, const char *name, const ol_platform *platform,
	ol_json **out, ol_error *err);

/* `history`, newest first. */
typedef struct ol_history_row {
	ol_digest id; /* image ID for the top row, else unset ("<missing>") */
	int64_t created;
	const char *created_by, *comment;
	uint64_t size;
} ol_history_row;
int ol_image_history(ol_session *session, const char *name, const ol_platform *platform,
	int (*call)(void *ctx, const ol_history_row *row, ol_error *err), void *ctx, ol_error *err);
