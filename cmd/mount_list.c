#include "cmd/mount_list.h"

#include "base/alloc.h"
#include "image/expose.h"

static const ol_column columns[] = {
	{ "Target", "TARGET" },
	{ "Image", "IMAGE" },
	{ "ID", "IMAGE ID" },
	{ "MountID", "MOUNT ID" },
	{ "Mode", "MODE" },
	{ "Users", "USERS" },
	{ "State", "STATE" },
	{ "IDMap", "ID MAP" },
	{ "Bundle", "BUNDLE" },
	{ "CreatedSince", "CREATED" },
	{ "CreatedAt", "CREATED AT" },
	{ NULL, NULL },
};

static int on_mount(void *ctx, const ol_mount_info *info, ol_mount_state state, ol_error *err)
{
	ol_listing *listing = ctx;
	ol_json *row = ol_json_object();
	const bool whole = ol_listing_is_whole(listing);
	ol_autofree char *id =
		ol_strndup(info->id, whole ? strlen(info->id) : strnlen(info->id, 12));

	ol_json_set_text(row, "Target", info->target);
	ol_json_set_text(row, "Image", info->image);
	ol_json_set_text(row, "ID",
		whole ? ol_digest_format(&info->config).text : ol_digest_short(&info->config).text);
	ol_json_set_text(row, "MountID", id);
	ol_json_set_text(row, "Mode", info->writable ? "rw" : "ro");
	ol_json_set_int(row, "Users", info->users);
	ol_json_set_text(row, "State", ol_mount_state_name(state));
	ol_json_set_text(row, "IDMap", info->idmap);
	ol_json_set_bool(row, "Bundle", info->bundle);
	if (ol_listing_is_json(listing))
		ol_json_set_text(row, "Created", ol_when_rfc3339(info->created).text);
	else
		ol_row_set_time(row, "CreatedSince", "CreatedAt", info->created);
	return ol_listing_add(listing, row, err);
}

static int fill(ol_context *ctx, ol_session *session, ol_listing *listing, ol_error *err)
{
	(void)ctx;
	return ol_list_mounts(session, on_mount, listing, err);
}

int ol_show_mounts(ol_context *ctx, ol_error *err)
{
	static const ol_listing_shape shape = { columns,
		"{{.Target}}\t{{.Image}}\t{{.ID}}\t{{.Mode}}\t{{.Users}}\t{{.State}}\t{{."
		"CreatedSince}}",
		"Target" };

	return ol_listing_show(ctx, &shape, fill, err);
}
