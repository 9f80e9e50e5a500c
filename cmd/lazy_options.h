#pragma once

/* Options of every command that may pull an image lazily. */
#include "cmd/command.h"
#include "image/lazy.h"

extern const ol_option ol_lazy_options_table[];

/* *use: out, filled in, where the image is to be lazy; else NULL. Text is lent from the arguments.
 * OL_EINVAL: what cannot be meant, or what says how to be lazy without --lazy. */
int ol_lazy_options_read(
	const ol_args *args, ol_lazy_options *out, const ol_lazy_options **use, ol_error *err);
