#pragma once

#include <pthread.h>

#include "fetch/credentials.h"
#include "fetch/host_priv.h"
#include "fetch/registry.h"
#include "fetch/retry.h"
#include "fetch/transfer_priv.h"

struct ol_registry {
	/* fixed once made */
	bool plain_http, http_first, skip_tls_verify;
	/* owned; NULL where not given */
	char *cert_dir, *creds, *authfile, *hosts_dir, *registries_conf;
	unsigned retries, connections;
	uint64_t piece_bytes;      /* as in the options */
	ol_registry_timing timing; /* no zeros */
	const ol_cancel *cancel;
	ol_listener listener;
	ol_transfer *transfer; /* owned */

	pthread_mutex_t lock; /* guards the list; each host has its own. Order: this one first */
	ol_host *hosts;       /* owned */

	pthread_mutex_t route_lock; /* guards what follows. Order: this one before lock */
	ol_registries_conf *conf;   /* owned; made at first use, fixed then */
	struct ol_route *routes;    /* owned */
	struct ol_giver *givers;    /* owned: see route.c */
};

static inline ol_patience ol_registry_patience(const ol_registry *registry)
{
	return (ol_patience){ .tries = registry->retries,
		.backoff_ms = registry->timing.backoff_ms,
		.backoff_max_ms = registry->timing.backoff_max_ms };
}
