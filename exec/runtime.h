#pragma once

#include "exec/launch.h"

/* Writes config.json into the bundle's folder and runs "RUNTIME run" on it, to its end, on our own
 * descriptors. */
int ol_runtime_run(
	const ol_bundle *bundle, const ol_launch_options *options, int *status, ol_error *err);
