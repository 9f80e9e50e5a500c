#pragma once

/* containerd's hosts.toml: docs/hosts.md, "hosts.toml Content Description". */
#include "fetch/endpoints.h"

/* Makes the endpoints that text gives for domain (a reference's: "docker.io"): its hosts in the
 * order they stand, then the server. dir: what relative paths are relative to. Everything is made
 * in arena; repository is left to the caller. Keys that are not known are passed over, as
 * containerd does. OL_EINVAL with the line. */
int ol_hosts_toml_parse(ol_view text, const char *dir, const char *domain, ol_arena *arena,
	ol_endpoints *out, ol_error *err);
/* "1m30s", "500ms", as Go writes durations: milliseconds, 1 at least. */
int ol_duration_parse(const char *text, unsigned *ms, ol_error *err);
