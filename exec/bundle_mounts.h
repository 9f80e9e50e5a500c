#pragma once

#include "exec/bundle_priv.h"

/* Fills in the mounts: Docker's, the user's in place of those with the same target, and the
 * generated /etc files. */
int ol_bundle_add_mounts(ol_bundle *bundle, const ol_container_options *options, ol_error *err);
/* The host's devices, for a privileged container. */
int ol_bundle_add_devices(ol_bundle *bundle, ol_error *err);
