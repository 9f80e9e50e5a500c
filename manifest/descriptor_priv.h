#pragma once

/* Shared by the parsers of manifest/: what several documents are made of. */
#include "base/alloc.h"
#include "manifest/descriptor.h"

/* A document whose grammar is wrong is OL_ECORRUPT to its reader; gives rc, with OL_EINVAL so
 * replaced. */
static inline int ol_corrupt(int rc, ol_error *err)
{
	if (rc != OL_EINVAL)
		return rc;
	if (err)
		err->code = OL_ECORRUPT;
	return OL_ECORRUPT;
}

/* Whether a name that object has differs from one of names (ended by NULL) by case alone, or is not
 * ASCII: readers that fold case, such as Go's, would take it for that member. OL_EINVAL names it.
 */
int ol_members_check(const ol_json *object, const char *const *names, ol_error *err);
/* A member that is text, copied into the arena; *out stays where there is none. OL_EINVAL. */
int ol_member_text(
	const ol_json *object, const char *key, ol_arena *arena, const char **out, ol_error *err);
/* The member "annotations". OL_EINVAL. */
int ol_annotations_parse(const ol_json *object, ol_arena *arena, const ol_annotation **out,
	size_t *count, ol_error *err);
/* The members os, architecture, variant and os.version of an entry's platform or of a config,
 * normalised; what is not there is "". OL_EINVAL, OL_ELIMIT for a word that is too long. */
int ol_platform_read(const ol_json *json, ol_platform *out, ol_error *err);
/* A digest of an algorithm that cannot be verified is OL_EUNSUPPORTED, or left unset where
 * may_be_unset. OL_EINVAL; OL_ELIMIT for a size past OL_DESCRIPTOR_BYTES_MAX and a platform's names
 * too long; OL_ECORRUPT for data that are not what the digest says. */
int ol_descriptor_parse(
	const ol_json *json, bool may_be_unset, ol_arena *arena, ol_descriptor *out, ol_error *err);
