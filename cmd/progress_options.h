#pragma once

/* Options of every command that may pull. */
#include "cmd/option.h"

#define OL_PULL_OPTIONS                                                                            \
	{ .name = "quiet", .letter = 'q', .kind = OL_OPTION_FLAG, .help = "Show no progress" },    \
	{                                                                                          \
		.name = "progress", .kind = OL_OPTION_TEXT, .value = "HOW",                        \
		.choices = "auto|plain|json|none", .help = "How progress is shown",                \
		.otherwise = "auto"                                                                \
	}
