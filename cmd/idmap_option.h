#pragma once

/* --idmap of `mount` and `bundle`, and --uidmap, --gidmap of `bundle`. */
#include "base/idmap.h"
#include "cmd/command.h"

/* *out is empty where none of them was given. OL_EINVAL, OL_ENOTFOUND. */
int ol_idmap_option(const ol_args *args, ol_idmap *out, ol_error *err);

#define OL_IDMAP_OPTION                                                                            \
	{                                                                                          \
		.name = "idmap", .kind = OL_OPTION_TEXT, .value = "MAP[:GROUPMAP]|USER",           \
		.help = "Show owners as a user namespace's: CONTAINER:HOST:SIZE[,...], a user of " \
			"/etc/subuid, or auto",                                                    \
	}
