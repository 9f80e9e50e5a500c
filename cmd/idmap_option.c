#include "cmd/idmap_option.h"

/* Whose ranges --idmap auto takes: podman's name for them. */
#define AUTO_USER "containers"

static int read_idmap(const char *text, ol_idmap *out, ol_error *err)
{
	int rc;

	if (*text >= '0' && *text <= '9')
		return ol_idmap_parse(text, out, err);
	if (!*text || strpbrk(text, ":,"))
		return ol_idmap_parse(text, out, err); /* refuses it, and says what is wrong */
	rc = ol_idmap_of_user(strcmp(text, "auto") == 0 ? AUTO_USER : text, out, err);
	return rc < 0 ? ol_wrap(err, rc, "--idmap %.100s", text) : OL_OK;
}

/* podman's --uidmap may be given several times; so may ours. Groups are as users where not said. */
static int read_maps(const ol_args *args, ol_idmap *out, ol_error *err)
{
	static const char *const names[] = { "uidmap", "gidmap" };
	ol_id_map *const maps[] = { &out->uids, &out->gids };

	for (size_t i = 0; i < 2; i++) {
		ol_auto_str ol_str all = OL_STR((size_t)8 << 10);
		int rc;

		for (const char *const *text = ol_args_list(args, names[i]); *text; text++)
			(void)ol_str_addf(&all, "%s%s", all.size ? "," : "", *text);
		rc = ol_str_error(&all, err);
		if (rc == OL_OK && all.size > 0)
			rc = ol_idmap_parse_ids(ol_str_text(&all), maps[i], err);
		if (rc < 0)
			return ol_wrap(err, rc, "--%s", names[i]);
	}
	if (out->uids.count == 0 && out->gids.count > 0)
		return ol_fail(err, OL_EINVAL, "--gidmap needs --uidmap");
	if (out->gids.count == 0)
		out->gids = out->uids;
	return OL_OK;
}

int ol_idmap_option(const ol_args *args, ol_idmap *out, ol_error *err)
{
	const char *text = ol_args_text(args, "idmap");
	const bool has_maps = ol_args_knows(args, "uidmap");

	*out = (ol_idmap){ .uids = { .count = 0 }, .gids = { .count = 0 } };
	if (text && has_maps && (ol_args_has(args, "uidmap") || ol_args_has(args, "gidmap")))
		return ol_fail(err, OL_EINVAL, "--idmap says all: leave --uidmap and --gidmap out");
	if (text)
		return read_idmap(text, out, err);
	return has_maps ? read_maps(args, out, err) : OL_OK;
}
