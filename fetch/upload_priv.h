#pragma once

#include "fetch/exchange_priv.h"
#include "fetch/route_priv.h"

/* What a registry says of what was just sent to it, where it says so: OL_ECORRUPT when it keeps it
 * by another digest. */
int ol_reply_check_digest(
	const ol_reply *reply, const char *host, const ol_digest *want, ol_error *err);

/* distribution-spec "Referrers Tag Schema": a tag in place of the API. */
void ol_referrers_tag(const ol_digest *subject, char tag[OL_TAG_MAX + 1]);
/* Where the next page of a list is, on the same host: *url (owned), or NULL after the last. what:
 * for errors, "the list of tags". OL_EUNAVAILABLE: somewhere else. */
int ol_reply_next_page(
	const ol_ask *ask, const ol_reply *reply, const char *what, char **url, ol_error *err);
