#pragma once

#include "base/str.h"
#include "exec/bundle_priv.h"

/* The program of exec/stage/, as it is embedded. */
ol_view ol_stage_program(void);
/* A sealed, executable file in memory that holds it: nobody can write to it, whoever gets to it.
 * *out is the caller's. */
int ol_stage_open(int *out, ol_error *err);
/* A file in memory with the plan for this bundle (see exec/stage_plan.h). *out is the caller's. */
int ol_stage_plan_open(const ol_bundle *bundle, uint64_t capabilities, int *out, ol_error *err);
