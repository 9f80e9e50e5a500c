#pragma once

/*
 * What a user types as the name of an image, and what it stands for. A name whose first part is a
 * host is whole. A short one ("alpine", "team/app") is looked for among the aliases of
 * registries.conf; else it is docker.io's; with search, else each of unqualified-search-registries.
 */
#include "fetch/registries_conf.h"

typedef struct ol_name_choices {
	ol_ref *refs; /* owned: at least one, in the order they are tried */
	size_t count;
	bool is_short;
	bool is_found;  /* a short one that some configuration knows, by alias or search */
	char rule[512]; /* for people: "alias in FILE"; "" for a whole name */
} ol_name_choices;

/* OL_EINVAL as ol_ref_parse. conf may be NULL. */
int ol_name_resolve(const ol_registries_conf *conf, const char *text, bool search,
	ol_name_choices *out, ol_error *err);
void ol_name_choices_done(ol_name_choices *choices);
