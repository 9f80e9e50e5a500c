#pragma once

/* --quiet and --progress, of every command that shows how far it is. */
#include "cmd/option.h"

#define OL_PROGRESS_OPTIONS                                                                        \
	{ .name = "quiet", .letter = 'q', .kind = OL_OPTION_FLAG, .help = "Show no progress" },    \
	{                                                                                          \
		.name = "progress", .kind = OL_OPTION_TEXT, .value = "HOW",                        \
		.choices = "auto|plain|json|none", .help = "How progress is shown",                \
		.otherwise = "auto"                                                                \
	}
