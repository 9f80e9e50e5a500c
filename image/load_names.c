/* Which of the archive's images are wanted, and what the nameless is to be called. */
#include <string.h>

#include "base/alloc.h"
#include "image/load_priv.h"

static int none_selected(const ol_load_state *load, ol_error *err)
{
	return ol_fail(err, OL_ENOTFOUND, "holds no image called %.255s", load->options->select);
}

static int name_with_tag(ol_load_state *load, ol_error *err)
{
	const char *tag = load->options->tag;
	ol_load_image *nameless = NULL;
	size_t count = 0;
	ol_ref ref;
	int rc = ol_ref_parse(tag, &ref, err);

	if (rc == OL_OK && ol_digest_is_set(&ref.digest))
		rc = ol_fail(err, OL_EINVAL, "a name to give has no digest");
	if (rc < 0)
		return ol_wrap(err, rc, "-t %.200s", tag);
	for (size_t i = 0; i < load->count; i++)
		if (load->images[i].name_count == 0) {
			nameless = &load->images[i];
			count++;
		}
	if (count == 0 && load->count == 1)
		nameless = &load->images[0];
	else if (count != 1)
		return ol_fail(err, OL_EINVAL,
			"-t %.200s could name any of %zu images: the archive has %zu without a "
			"name",
			tag, load->count, count);
	ol_load_image_name(load, nameless, tag);
	return OL_OK;
}

int ol_load_choose(ol_load_state *load, ol_error *err)
{
	if (load->count == 0)
		return load->options->select ? none_selected(load, err)
					     : ol_fail(err, OL_ECORRUPT, "holds no images");
	return load->options->tag ? name_with_tag(load, err) : OL_OK;
}
