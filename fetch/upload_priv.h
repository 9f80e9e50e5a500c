#pragma once

#include "fetch/exchange_priv.h"
#include "fetch/route_priv.h"

/* What a registry says of what was just sent to it, where it says so: OL_ECORRUPT when it keeps it
 * by another digest. */
int ol_reply_check_digest(
	const ol_reply *reply, const char *host, const ol_digest *want, ol_error *err);
