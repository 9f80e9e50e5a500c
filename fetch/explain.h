#pragma once

#include "fetch/registry.h"
#include "manifest/json.h"

/* What would be asked for a reference, by whom and how, without asking anybody but credential
 * helpers: an object as docs/architecture.md, "Which endpoint", lists it. No secret is in it. *out
 * is owned by the caller. Errors as ol_registry_resolve's, before it asks. */
int ol_registry_explain(ol_registry *registry, const ol_ref *ref, ol_json **out, ol_error *err);
