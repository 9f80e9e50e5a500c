#pragma once

#include "image/lazy.h"

/* For use cases that need an image whole (save, push, export, an eager pull): waits until all
 * platforms of root that are in the store are, as ol_lazy_wait; at once where no layer is lazy. */
int ol_lazy_wait_root(ol_session *session, const ol_digest *root, ol_error *err);
/* Says in the layer's source that all of it is wanted, whatever was said when it was pulled
 * (--no-fill), which the worker looks at; *changed is set if that is new. A layer that is not lazy,
 * or damaged, is fine: it is pulled anew. */
int ol_lazy_want(ol_store *store, const ol_digest *diff_id, bool *changed, ol_error *err);
