#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/own.h"

/*
 * A wish to stop, that any thread or signal handler may utter once and all may look at. Long
 * operations take one and look at it once per chunk; it has a descriptor for those who wait in
 * poll.
 */
typedef struct ol_cancel ol_cancel;

ol_cancel *ol_cancel_new(void);
void ol_cancel_free(ol_cancel *cancel);
OL_DEFINE_AUTO(ol_cancel, ol_cancel_free)
void ol_cancel_fire(ol_cancel *cancel);                      /* async-signal-safe, idempotent */
bool ol_cancel_fired(const ol_cancel *cancel);               /* NULL: never */
int ol_cancel_check(const ol_cancel *cancel, ol_error *err); /* OL_OK or OL_ECANCELED */
int ol_cancel_fd(const ol_cancel *cancel); /* readable once fired; lent; -1 for NULL */
