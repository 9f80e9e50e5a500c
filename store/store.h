#pragma once

/*
 * The store: blobs, layers and what is known of them, in one folder, for many processes at once. It
 * knows digests and edges, never media types. docs/formats.md gives every byte on disk,
 * docs/architecture.md "Durable without waiting" the durability protocol.
 *
 * A handle may be used by several threads. Readers never wait for writers; writers wait for each
 * other briefly.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/event.h"
#include "base/own.h"

typedef struct ol_store ol_store;

typedef struct ol_store_options {
	const char *root; /* folder; made if it is not there (0700) */
	/* state that ends with the boot; <run_root>/<store id>/ is made inside it;
	 * NULL: root/run */
	const char *run_root;
	const char *boot_id; /* NULL: /proc/sys/kernel/random/boot_id; else for tests */
	/* NULL: what is damaged is refused; else it is mended first (store/mend.h) */
	const struct ol_mender *mender;
	bool read_only; /* no folder is made; OL_ENOTFOUND when there is no store */
} ol_store_options;

/* OL_EUNSUPPORTED: made by a newer orlop. OL_ECORRUPT: the database cannot be read, or a repair of
 * it was begun and not finished; the hint says what to do. */
int ol_store_open(const ol_store_options *options, ol_store **out, ol_error *err);
void ol_store_close(ol_store *store);
OL_DEFINE_AUTO(ol_store, ol_store_close)

const char *ol_store_root(const ol_store *store);    /* absolute */
const char *ol_store_run_dir(const ol_store *store); /* absolute: <run_root>/<store id> */
const char *ol_store_id(const ol_store *store);
const char *ol_store_boot_id(const ol_store *store);
int ol_store_root_fd(const ol_store *store); /* lent */
int ol_store_run_fd(const ol_store *store);  /* lent */

/* How many damaged rows the lists of this handle (ol_name_each, ol_container_each, ol_mount_each)
 * have left out so far: worth a warning, and `orlop check --repair`. */
uint64_t ol_store_passed_over(const ol_store *store);

/* Fsyncs every `written` blob and layer and marks them durable; when it returns, every change made
 * before is on disk, names and containers included. May be killed at any point. Never call it, or
 * anything else, with a handle from before a fork. */
int ol_store_sync(ol_store *store, const ol_cancel *cancel, ol_error *err);
