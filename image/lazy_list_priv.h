#pragma once

#include "snapshot/lazy_state.h"
#include "store/store.h"

/* The shared state of a layer that somebody fills or filled during this boot; NULL: nobody did. */
ol_lazy_state *ol_lazy_state_of(ol_store *store, const ol_digest *diff_id);
