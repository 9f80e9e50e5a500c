#pragma once

#include "cmd/command.h"

/* `ps --lazy`: layers that are not whole yet, through the options of every list. */
int ol_show_lazy(ol_context *ctx, ol_error *err);
