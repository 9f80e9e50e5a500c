#pragma once

#include <stdatomic.h>

#include "fetch/registry.h"
#include "fetch/short_name.h"
#include "image/session.h"
#include "snapshot/driver.h"
#include "store/blob.h"

struct ol_session {
	ol_session_options options;
	char *run_root;          /* owned */
	ol_store *store;         /* owned */
	ol_registry *registry;   /* owned; made at first use */
	const ol_driver *driver; /* chosen at first use */
	char driver_why[256];
	bool rootless; /* in a user namespace: trees are marked with user.*, not trusted.* */
	ol_lacks lacks;
	int lazy_fd; /* a connection to the holder, while layers are being mounted; or -1 */
};

/* The registry client, made at first use: commands that stay at home never pay for it. */
int ol_session_registry(ol_session *session, ol_registry **out, ol_error *err);
/* What a name stands for here: ol_name_resolve with this session's configuration. */
int ol_session_names(ol_session *session, const char *text, ol_name_choices *out, ol_error *err);
int ol_session_need_driver(ol_session *session, const ol_driver **out, ol_error *err);
/* How layers are built in this store: in dir_fd, lent. */
ol_builder_options ol_session_builder(ol_session *session, int dir_fd);

/* A document of the store, parsed and verified. OL_ENOTFOUND when the blob is not there. */
int ol_document_load(ol_store *store, const ol_digest *digest, const char *media_type,
	ol_document **out, ol_error *err);
int ol_config_load(ol_store *store, const ol_digest *digest, ol_config **out, ol_error *err);

/* Opens the image behind a root: its manifest for the platform (NULL: the wanted one, else the one
 * there is) and its config. */
int ol_image_open(ol_session *session, const ol_digest *root, const ol_platform *platform,
	ol_image *out, ol_error *err);

/* The platform asked for, or DOCKER_DEFAULT_PLATFORM's, or the host's. */
int ol_platform_wanted(const ol_platform *asked, ol_platform *out, ol_error *err);

/* The layers of an image as they are to be mounted, bottom first: a leaning layer is stood for by
 * its chain. */
typedef struct ol_layer_stack {
	ol_layer_info *layers; /* owned */
	size_t count;
} ol_layer_stack;
void ol_layer_stack_done(ol_layer_stack *stack);
/* OL_ENOTFOUND when a layer is not in the store (or must be made anew): index says which. */
int ol_layer_stack_load(
	ol_store *store, const ol_config *config, ol_layer_stack *out, ol_error *err);
