#pragma once

/* What push and copy have in common: the options for what is copied, and how its end is told. */
#include "cmd/command.h"
#include "image/push.h"

#define OL_COPY_OPTIONS                                                                            \
	{ .name = "platform",                                                                      \
		.kind = OL_OPTION_TEXT,                                                            \
		.value = "OS/ARCH[/VARIANT]",                                                      \
		.help = "This platform of the image alone",                                        \
		.otherwise = "all that are there" },                                               \
		{ .name = "recompress",                                                            \
			.kind = OL_OPTION_FLAG,                                                    \
			.help = "Make layers anew whose compressed bytes are nowhere to be had; "  \
				"the digest changes" },                                            \
	{                                                                                          \
		.name = "digestfile", .kind = OL_OPTION_TEXT, .value = "FILE",                     \
		.completes = "file", .help = "Write the digest that the target has to a file"      \
	}

/* --platform, without DOCKER_DEFAULT_PLATFORM: that is a wish for pulls. *is_set: it was given. */
int ol_copy_platform(const ol_context *ctx, ol_platform *out, bool *is_set, ol_error *err);
/* --digestfile, and in JSON the last line. ref: what was written to. */
int ol_copy_tell(ol_context *ctx, const char *ref, const ol_copied *copied, ol_error *err);
