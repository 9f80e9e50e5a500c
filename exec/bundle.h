#pragma once

/*
 * Bundles: an image config and what the user asks, turned into one description of a container: what
 * runtime-spec config.json says. Built once, it is written as config.json for any OCI runtime, or
 * launched by exec/launch.h directly.
 */
#include "base/str.h"
#include "exec/options.h"
#include "manifest/config.h"

typedef struct ol_bundle ol_bundle;

typedef struct ol_bundle_input {
	const ol_container_options *options;
	const ol_config *config; /* NULL: no image config */
	/* the mounted root: users, groups and the working directory are looked up beneath it */
	int rootfs_fd;
	/* for root.path in config.json: absolute, or relative to the bundle */
	const char *rootfs_path;
	const char *id; /* 64 hex digits */
	/* absolute: where hosts, hostname and resolv.conf were (or will be) written, see
	 * ol_bundle_write_files */
	const char *files_dir;
	bool for_runtime; /* written for another runtime: no expectations about our launcher */
} ol_bundle_input;

/* OL_EINVAL: a user, capability, path … that does not exist or is not allowed, by name. */
int ol_bundle_new(const ol_bundle_input *input, ol_bundle **out, ol_error *err);
void ol_bundle_free(ol_bundle *bundle);
OL_DEFINE_AUTO(ol_bundle, ol_bundle_free)
/* What was asked for and cannot be had here, in one line for the user; NULL: nothing. Lent. */
const char *ol_bundle_note(const ol_bundle *bundle);
/* Writes hosts, hostname, resolv.conf (and init, for another runtime with --init) for the container
 * into its folder. */
int ol_bundle_write_files(const ol_bundle *bundle, int dir_fd, ol_error *err);
int ol_bundle_format(const ol_bundle *bundle, ol_str *json, ol_error *err);
