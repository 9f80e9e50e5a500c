#pragma once

/*
 * Image configs: image-spec config.md. What is optional there may be absent or null here, and reads
 * as empty. The bytes are kept as a tree: a config is inspected, and has members that only other
 * engines know.
 */
#include "base/digest.h"
#include "manifest/json.h"
#include "manifest/platform.h"

typedef struct ol_history {
	const char *created, *created_by, *author, *comment; /* "" where absent */
	bool empty_layer;
} ol_history;

typedef struct ol_pair {
	const char *key, *value;
} ol_pair;

/* What a config says; all belongs to it, and all texts but the platform's are as hostile as the
 * image. Lists of strings are ended by NULL and never NULL themselves. */
typedef struct ol_config {
	ol_platform platform;         /* normalised; os and architecture are not "" */
	const char *created, *author; /* RFC 3339 as written; "" where absent */
	const char *user, *working_dir, *stop_signal;
	const char *const *env;
	const char *const *entrypoint;
	const char *const *cmd;
	const char *const *volumes;       /* paths, hostile */
	const char *const *exposed_ports; /* "80/tcp" */
	const ol_pair *labels;
	size_t label_count;
	const ol_digest *diff_ids;
	size_t diff_id_count;
	const ol_history *history;
	size_t history_count;
	const ol_json *json;    /* the whole document, lent */
	struct ol_arena *arena; /* owned */
	ol_json *root;          /* owned */
} ol_config;

/* The caller verified the bytes' digest, and compares diff_id_count with the layers of the
 * manifest. Errors: OL_ECORRUPT for what is not a config, and says where ("config.Env[2] is not a
 * string"); OL_ELIMIT past OL_CONFIG_BYTES_MAX or OL_LAYERS_MAX; OL_EUNSUPPORTED for another kind
 * of root file system, or a DiffID that cannot be verified. */
int ol_config_parse(ol_view bytes, ol_config **out, ol_error *err);
void ol_config_free(ol_config *config);
OL_DEFINE_AUTO(ol_config, ol_config_free)

/* ChainID of the layers 0..count-1: image-spec config.md "Layer ChainID". No digest where count is
 * 0. The first layer's is its DiffID, of whatever algorithm; all others are sha256. */
ol_digest ol_chain_id(const ol_digest *diff_ids, size_t count);
