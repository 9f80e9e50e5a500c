#include <string.h>

#include "base/alloc.h"
#include "image/index_origin_priv.h"
#include "image/index_priv.h"

int ol_index_push(ol_session *session, const char *ref, const char *target,
	const ol_copy_options *options, ol_copied *out, ol_error *err)
{
	static const ol_copy_side none = { 0 };
	const char *to = target ? target : ref;
	ol_index_published published = { 0 };
	ol_image image = { 0 };
	const bool in_store = ol_image_find(session, ref, options->platform, &image, NULL) == OL_OK;
	ol_autofree char *from = ol_text("%s%s", in_store ? "store:" : "docker://", ref);
	ol_autofree char *docker =
		strncmp(to, "docker://", 9) == 0 ? ol_strdup(to) : ol_text("docker://%s", to);
	ol_copy_options copy = *options;
	ol_ref parsed;
	int rc;

	ol_image_done(&image);
	rc = ol_ref_parse(docker + strlen("docker://"), &parsed, err);
	if (rc == OL_OK && ol_digest_is_set(&parsed.digest))
		rc = ol_fail(err, OL_EINVAL,
			"%.255s has a digest, which the image with its index will not have", to);
	if (rc < 0)
		return ol_hint(
			err, rc, "say what it is to be called: orlop index push %.60s NAME", ref);
	copy.source = from;
	copy.target = docker;
	if (in_store && !copy.source_side)
		copy.source_side = &none;
	rc = ol_copy_wrapped(session, &copy,
		&(ol_copy_wrap){ .wrap = ol_index_origin, .ctx = &published }, out, err);
	/* What was kept for this alone need not stay. */
	for (size_t i = 0; i < published.count && rc == OL_OK; i++)
		if (ol_index_unkeep(session, &published.list[i], err) == OL_ESYSTEM)
			rc = OL_ESYSTEM;
	free(published.list);
	return rc < 0 ? ol_wrap(err, rc, "cannot push the index of %.255s", ref) : OL_OK;
}
