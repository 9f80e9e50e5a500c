#pragma once

/*
 * What every use case needs: the store, the driver, how to reach registries, who listens. One a
 * command.
 */
#include "base/cancel.h"
#include "base/event.h"
#include "base/str.h"
#include "manifest/config.h"
#include "manifest/document.h"
#include "manifest/json.h"
#include "manifest/ref.h"
#include "store/store.h"

typedef struct ol_session ol_session;

typedef struct ol_session_options {
	const char *root, *run_root; /* NULL: ORLOP_ROOT, ORLOP_RUN, else the defaults */
	const char *driver;          /* --driver; NULL: ORLOP_DRIVER, else the best */
	/* registry */
	bool plain_http, skip_tls_verify;
	const char *cert_dir, *creds, *authfile;
	const char *hosts_dir, *registries_conf;
	bool search_names; /* --short-names=search */
	int retries;       /* -1: the default */
	ol_cancel *cancel;
	ol_listener listener;
	const struct ol_mender
		*mender; /* mends the database as it is opened: store/mend.h; or NULL */
	/* what ol_session_sync_behind starts ("/proc/self/exe"); NULL: nothing */
	const char *program;
	/* "fanotify", "fuse": what serves lazy layers that this session mounts, unless others are
	 * served already; NULL: what each was pulled with, else the best */
	const char *lazy_engine;
	/* an ordinary user's, in words: where the ids of its user namespace come from, or why it
	 * could not enter one; "" or NULL: not said */
	const char *userns;
} ol_session_options;

/* Strings, cancel and listener are lent for the session's life. Opens the store; registry and
 * driver come at first use. */
int ol_session_open(const ol_session_options *options, ol_session **out, ol_error *err);
void ol_session_close(ol_session *session);
OL_DEFINE_AUTO(ol_session, ol_session_close)
/* Tells the listener, once, if lists have left damaged rows of the database out. */
void ol_session_warn(ol_session *session);
ol_store *ol_session_store(ol_session *session); /* lent */
const char *ol_session_driver(
	ol_session *session, const char **why); /* chosen at first use; NULL when none works */

/* An image found in the store. */
typedef struct ol_image {
	ol_ref ref; /* the name it was asked by, where it was a name */
	bool has_ref;
	ol_digest root;          /* manifest or index */
	ol_digest manifest;      /* of the platform */
	ol_digest config_digest; /* = image ID */
	ol_document *document;   /* owned: the manifest */
	ol_config *config;       /* owned */
} ol_image;
/* By name (familiar or canonical), image ID or a unique prefix of it, digest (with or without
 * sha256:), name@digest. platform NULL: the host's, else the one there is. OL_ENOTFOUND: "No such
 * image: x". */
int ol_image_find(ol_session *session, const char *text, const ol_platform *platform, ol_image *out,
	ol_error *err);
void ol_image_done(ol_image *image);
