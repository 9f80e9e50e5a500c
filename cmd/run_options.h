#pragma once

/* The flags of `run` and `bundle`: their tables, and what they ask of a container. */
#include "cmd/command.h"
#include "image/run.h"

extern const ol_option ol_container_options_table[]; /* those that shape a container */
extern const ol_option ol_container_refused_table[]; /* those of docker's that orlop has not */

/* Fills options->container, ->platform and ->pull from the command's line. Strings and lists lie in
 * the arena of ctx->args; args (the words behind the image) are the caller's. platform: room for
 * one. */
int ol_container_options_read(
	ol_context *ctx, ol_platform *platform, ol_run_options *out, ol_error *err);
