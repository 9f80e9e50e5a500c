#pragma once

/*
 * The documents of docker's own archive layouts: bytes in, structs out. manifest.json is moby's
 * since 1.10, and what all others read and write; repositories is what was before.
 */
#include "base/digest.h"
#include "base/own.h"
#include "base/view.h"
#include "manifest/json.h"

/* One image of manifest.json: paths in the archive as they stand. */
typedef struct ol_docker_image {
	const char *config;
	const char *const *layers; /* base first */
	size_t layer_count;
	const char *const *tags; /* familiar references */
	size_t tag_count;
} ol_docker_image;

typedef struct ol_docker_manifest {
	ol_docker_image *images;
	size_t count;
	struct ol_arena *arena; /* owned: holds all of it */
} ol_docker_manifest;

/* OL_ECORRUPT says where; OL_ELIMIT: more images, layers or names than base/limits.h has. */
int ol_docker_manifest_parse(ol_view bytes, ol_docker_manifest **out, ol_error *err);
void ol_docker_manifest_free(ol_docker_manifest *manifest);
OL_DEFINE_AUTO(ol_docker_manifest, ol_docker_manifest_free)

/* One name of repositories: {"app": {"1.4": "<id of the top layer>"}}. */
typedef struct ol_docker_name {
	const char *reference; /* "app:1.4" */
	const char *top;       /* 64 hex digits */
} ol_docker_name;

typedef struct ol_docker_names {
	ol_docker_name *names; /* owned */
	size_t count, cap;
	struct ol_arena *arena; /* owned */
} ol_docker_names;

int ol_docker_names_parse(ol_view bytes, ol_docker_names **out, ol_error *err);
void ol_docker_names_free(ol_docker_names *names);
OL_DEFINE_AUTO(ol_docker_names, ol_docker_names_free)

/* An image of the oldest layout, <id>/json: a config of its own for each layer. */
typedef struct ol_docker_v1 {
	char parent[65]; /* "": the base */
	ol_json *json;   /* owned */
} ol_docker_v1;

int ol_docker_v1_parse(ol_view bytes, ol_docker_v1 *out, ol_error *err);
void ol_docker_v1_done(ol_docker_v1 *v1);
/* A config of what docker takes for one, too: the top's members, its root file system and a history
 * of all, base first. Its bytes are sorted, so the image ID is not docker's. Adds to out. */
int ol_docker_v1_config(const ol_docker_v1 *layers, const ol_digest *diff_ids, size_t count,
	ol_str *out, ol_error *err);
