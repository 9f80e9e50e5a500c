#pragma once

#include "base/error.h"

/*
 * Named fault points, for tests: ORLOP_FAULT=name[:kill|error][:N] makes the Nth pass (default the
 * first) of that point kill the process (SIGKILL) or fail with OL_ESYSTEM. Costs one load when it
 * is not set.
 *
 *	rc = ol_fault("store.commit.before", err);
 */
int ol_fault(const char *name, ol_error *err);
