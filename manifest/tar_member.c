/*
 * One member: what its block and the extended headers before it say, put together and handed out.
 *
 * Precedence: x before g before the block; for names GNU.sparse.name, path, L, prefix and name.
 */
#include <sys/stat.h>

#include "manifest/tar_priv.h"

/* The extensions of a member apply to it alone. */
static void end_member(ol_tar *tar)
{
	tar->have = 0;
}

static const ol_tar_pax *pax_of(const ol_tar *tar)
{
	return tar->have & OL_TAR_HAS_PAX ? &tar->pax : &tar->globals;
}

/* May this type have this xattr, by the kernel's rules? See xattr(7) and acl(5). */
static bool type_takes_xattr(ol_tar_type type, ol_view name)
{
	if (type == OL_TAR_HARDLINK || type == OL_TAR_WHITEOUT || type == OL_TAR_OPAQUE)
		return false;
	if (ol_view_starts(name, "user."))
		return type == OL_TAR_FILE || type == OL_TAR_DIR;
	if (ol_view_is(name, "system.posix_acl_default"))
		return type == OL_TAR_DIR;
	if (ol_view_is(name, "system.posix_acl_access"))
		return type != OL_TAR_SYMLINK;
	return true;
}

static void choose_xattrs(ol_tar *tar)
{
	const ol_tar_pax *pax = pax_of(tar);
	ol_tar_entry *entry = &tar->entry;

	for (size_t i = 0; i < pax->xattr_count; i++) {
		if (!type_takes_xattr(entry->type, pax->xattrs[i].name))
			continue;
		OL_GROW(tar->xattrs, entry->xattr_count, tar->xattr_cap);
		tar->xattrs[entry->xattr_count++] = pax->xattrs[i];
	}
	entry->xattrs = tar->xattrs;
}

/* What a pax header says of the time counts, else the block. */
static bool is_early(const ol_tar *tar)
{
	const unsigned char *field = tar->header + OL_TAR_MTIME.at;
	ol_view rest = ol_buf_view(&tar->raw_pax), key, value;

	if (!(tar->have & OL_TAR_HAS_PAX) || !tar->pax.has_mtime)
		return (field[0] & 0xc0) == 0xc0;
	while (ol_tar_record_next(&rest, &key, &value))
		if (ol_view_is(key, "mtime") && ol_view_starts(value, "-"))
			return true;
	return false;
}

/* The member in hand as it stands. */
static int tell_member(ol_tar *tar, uint64_t stored, ol_error *err)
{
	const unsigned char *block = tar->header;
	ol_tar_member member = {
		.flag = tar->flag,
		.name = tar->raw_name,
		.target = tar->raw_target,
		.pax = tar->have & OL_TAR_HAS_PAX ? ol_buf_view(&tar->raw_pax) : (ol_view){ "", 0 },
		.header_offset = tar->entry.header_offset,
		.data_offset = tar->offset,
		.stored = stored,
		.sparse = !block,
		.global = tar->global_bytes > 0,
		.uid = tar->entry.uid,
		.gid = tar->entry.gid,
		.mtime = tar->entry.mtime,
	};
	int rc;

	if (block) {
		(void)ol_tar_number(block, OL_TAR_MODE, "mode", UINT32_MAX, &member.mode, NULL);
		member.early = is_early(tar);
	}
	if (block && tar->dialect != OL_TAR_V7) {
		member.user = ol_tar_text(block, OL_TAR_USER);
		member.group = ol_tar_text(block, OL_TAR_GROUP);
		(void)ol_tar_number(
			block, OL_TAR_DEV_MAJOR, "number", UINT32_MAX, &member.dev_major, NULL);
		(void)ol_tar_number(
			block, OL_TAR_DEV_MINOR, "number", UINT32_MAX, &member.dev_minor, NULL);
	}
	rc = tar->watcher(tar->watcher_ctx, &member, err);
	tar->passed_on = rc < 0;
	return rc;
}

/* All is known: out with it. stored is what the tar still holds for it. */
int ol_tar_emit(ol_tar *tar, uint64_t stored, bool sparse, ol_error *err)
{
	ol_tar_entry *entry = &tar->entry;
	int rc;

	entry->data_offset = tar->offset;
	if (sparse) {
		tar->header = NULL; /* blocks of its map may have come since */
		rc = ol_tar_pieces_check(&tar->pieces, entry->size, stored, err);
		if (rc < 0)
			return rc;
		if (!tar->pieces.list)
			OL_GROW(tar->pieces.list, tar->pieces.count, tar->pieces.cap);
		entry->sparse = tar->pieces.list;
		entry->sparse_count = tar->pieces.count;
	}
	if (tar->sequence >= OL_LAYER_ENTRIES_MAX)
		return ol_fail(err, OL_ELIMIT, "a layer of more than %llu entries",
			(unsigned long long)OL_LAYER_ENTRIES_MAX);
	choose_xattrs(tar);
	entry->sequence = tar->sequence++;
	if (entry->type == OL_TAR_FILE) {
		entry->data_size = stored;
		tar->left = stored;
		tar->padding = ol_tar_padding(stored);
		tar->state = stored > 0 ? OL_TAR_AT_DATA : OL_TAR_AT_HEADER;
	} else {
		ol_tar_skip_data(tar, stored);
	}
	rc = tar->watcher ? tell_member(tar, stored, err) : OL_OK;
	end_member(tar);
	if (rc < 0)
		return rc;
	rc = tar->handler.entry(tar->handler.ctx, entry, err);
	tar->passed_on = rc < 0;
	return rc;
}

ol_tar_type ol_tar_type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return OL_TAR_DIR;
	case S_IFLNK:
		return OL_TAR_SYMLINK;
	case S_IFCHR:
		return OL_TAR_CHAR;
	case S_IFBLK:
		return OL_TAR_BLOCK;
	case S_IFIFO:
		return OL_TAR_FIFO;
	default:
		return OL_TAR_FILE;
	}
}

static ol_tar_type type_of(char type, bool slash)
{
	static const struct {
		char flag;
		ol_tar_type type;
	} rows[] = {
		{ '1', OL_TAR_HARDLINK },
		{ '2', OL_TAR_SYMLINK },
		{ '3', OL_TAR_CHAR },
		{ '4', OL_TAR_BLOCK },
		{ '5', OL_TAR_DIR },
		{ '6', OL_TAR_FIFO },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].flag == type)
			return rows[i].type;
	return type == '\0' && slash ? OL_TAR_DIR : OL_TAR_FILE;
}

/* The name before it is cleaned; with prefix and "/" it is put together in long_name. */
static ol_view raw_name(ol_tar *tar, const unsigned char *block, ol_tar_dialect dialect)
{
	const ol_tar_pax *pax = pax_of(tar);
	ol_tar_field at = OL_TAR_PREFIX;
	ol_view name = ol_tar_text(block, OL_TAR_NAME), prefix = { NULL, 0 };

	if (pax->sparse_name.data)
		return pax->sparse_name;
	if (pax->path.data)
		return pax->path;
	if (tar->have & OL_TAR_HAS_NAME)
		return (ol_view){ tar->name_bytes.data,
			strnlen(tar->name_bytes.data, tar->name_bytes.size) };
	if (dialect == OL_TAR_STAR)
		at.size = 131;
	if (dialect == OL_TAR_USTAR || dialect == OL_TAR_STAR)
		prefix = ol_tar_text(block, at);
	if (prefix.size == 0)
		return name;
	memcpy(tar->long_name, prefix.data, prefix.size);
	tar->long_name[prefix.size] = '/';
	memcpy(tar->long_name + prefix.size + 1, name.data, name.size);
	return (ol_view){ tar->long_name, prefix.size + 1 + name.size };
}

static ol_view raw_target(const ol_tar *tar, const unsigned char *block)
{
	const ol_tar_pax *pax = pax_of(tar);

	if (pax->link.data)
		return pax->link;
	if (tar->have & OL_TAR_HAS_LINK)
		return (ol_view){ tar->link_bytes.data,
			strnlen(tar->link_bytes.data, tar->link_bytes.size) };
	return ol_tar_text(block, OL_TAR_LINK);
}

static int take_link(ol_tar *tar, ol_error *err)
{
	const ol_view raw = tar->raw_target;
	ol_tar_mark mark;
	int rc;

	if (tar->entry.type == OL_TAR_SYMLINK) {
		if (raw.size == 0)
			return ol_fail(err, OL_ECORRUPT, "a symbolic link to nothing");
		if (raw.size >= OL_PATH_MAX)
			return ol_fail(err, OL_ELIMIT, "the target of a symbolic link is too long");
		memcpy(tar->target, raw.data, raw.size);
		tar->target[raw.size] = '\0';
		return OL_OK;
	}
	rc = ol_tar_name_clean(raw, tar->target, &mark, err);
	if (rc < 0)
		return ol_wrap(err, rc, "the target of a hard link");
	if (mark != OL_TAR_PLAIN || tar->target[0] == '\0')
		return ol_fail(err, OL_ECORRUPT, "a hard link to the root or to a whiteout");
	return OL_OK;
}

static int take_device(ol_tar *tar, const unsigned char *block, ol_error *err)
{
	const ol_tar_pax *pax = pax_of(tar);
	uint64_t major = pax->major, minor = pax->minor;
	int rc = OL_OK;

	if (!pax->has_major)
		rc = ol_tar_number(
			block, OL_TAR_DEV_MAJOR, "major device number", UINT32_MAX, &major, err);
	if (rc == OL_OK && !pax->has_minor)
		rc = ol_tar_number(
			block, OL_TAR_DEV_MINOR, "minor device number", UINT32_MAX, &minor, err);
	if (rc < 0)
		return rc;
	/* Linux has 12 and 20 bits of them. */
	if (major > 0xfff || minor > 0xfffff)
		return ol_fail(err, OL_ECORRUPT, "a device number too large");
	if (tar->entry.type == OL_TAR_CHAR && major == 0 && minor == 0)
		return ol_fail(err, OL_ECORRUPT,
			"character device 0:0, which would be taken for a whiteout");
	tar->entry.dev_major = (uint32_t)major;
	tar->entry.dev_minor = (uint32_t)minor;
	return OL_OK;
}

static int take_attributes(ol_tar *tar, const unsigned char *block, ol_error *err)
{
	const ol_tar_pax *pax = pax_of(tar);
	ol_tar_entry *entry = &tar->entry;
	uint64_t mode, uid = pax->uid, gid = pax->gid;
	int rc = ol_tar_number(block, OL_TAR_MODE, "mode", UINT32_MAX, &mode, err);

	if (rc == OL_OK && !pax->has_uid)
		rc = ol_tar_number(block, OL_TAR_UID, "uid", UINT32_MAX - 1, &uid, err);
	if (rc == OL_OK && !pax->has_gid)
		rc = ol_tar_number(block, OL_TAR_GID, "gid", UINT32_MAX - 1, &gid, err);
	entry->mtime = pax->mtime;
	if (rc == OL_OK && !pax->has_mtime)
		rc = ol_tar_seconds(block, OL_TAR_MTIME, &entry->mtime, err);
	if (rc < 0)
		return rc;
	entry->mode = (uint32_t)mode & 07777;
	entry->uid = (uint32_t)uid;
	entry->gid = (uint32_t)gid;
	return OL_OK;
}

/* How many bytes of the tar belong to the member, as its type has it. */
static int take_size(
	ol_tar *tar, const unsigned char *block, ol_tar_type type, uint64_t *stored, ol_error *err)
{
	const ol_tar_pax *pax = pax_of(tar);

	*stored = 0;
	switch (type) {
	case OL_TAR_HARDLINK: /* ustar: the size of the target; pax: of data that do follow */
		*stored = pax->has_size ? pax->size : 0;
		return OL_OK;
	case OL_TAR_FILE:
		*stored = pax->size;
		if (pax->has_size)
			return OL_OK;
		return ol_tar_number(
			block, OL_TAR_SIZE, "size", OL_LAYER_TAR_BYTES_MAX, stored, err);
	case OL_TAR_SYMLINK:
	case OL_TAR_CHAR:
	case OL_TAR_BLOCK:
	case OL_TAR_DIR:
	case OL_TAR_FIFO:
	case OL_TAR_WHITEOUT:
	case OL_TAR_OPAQUE:
		break;
	}
	return OL_OK;
}

/* A sparse file by its pax header. */
static int take_sparse(ol_tar *tar, uint64_t stored, ol_error *err)
{
	const ol_tar_pax *pax = pax_of(tar);

	if (!pax->has_sparse_size)
		return ol_fail(err, OL_ECORRUPT, "a sparse file without its size");
	tar->entry.size = pax->sparse_size;
	if (pax->has_sparse_version && pax->sparse_major == 1 && pax->sparse_minor == 0) {
		tar->pieces.count = 0;
		tar->map = (ol_tar_map){ 0 };
		tar->left = stored;
		tar->state = OL_TAR_AT_MAP;
		return OL_OK;
	}
	if (pax->has_sparse_version && pax->sparse_major > 0)
		return ol_fail(err, OL_EUNSUPPORTED, "sparse files of version %u.%u",
			(unsigned)pax->sparse_major, (unsigned)pax->sparse_minor);
	if (pax->has_sparse_count && pax->sparse_count != tar->pieces.count)
		return ol_fail(
			err, OL_ECORRUPT, "a sparse map with another number of pieces than said");
	return ol_tar_emit(tar, stored, true, err);
}

/* A sparse file of type S. */
static int take_sparse_old(ol_tar *tar, const unsigned char *block, uint64_t stored, ol_error *err)
{
	bool more;
	int rc = ol_tar_number(block, (ol_tar_field){ 483, 12 }, "size of a sparse file",
		OL_FILE_BYTES_MAX, &tar->entry.size, err);

	if (rc < 0)
		return rc;
	tar->pieces.count = 0;
	rc = ol_tar_pieces_old(&tar->pieces, block, true, &more, err);
	if (rc < 0)
		return rc;
	if (!more)
		return ol_tar_emit(tar, stored, true, err);
	tar->left = stored;
	tar->state = OL_TAR_AT_PIECES;
	return OL_OK;
}

static bool is_sparse(const ol_tar_pax *pax)
{
	return pax->has_sparse_version || pax->has_sparse_size || pax->has_sparse_count ||
	       pax->has_sparse_pieces || pax->sparse_name.data;
}

/* Name, target and type; what the name makes of the type. */
static int take_names(
	ol_tar *tar, const unsigned char *block, ol_tar_dialect dialect, ol_error *err)
{
	ol_tar_entry *entry = &tar->entry;
	char type = (char)block[OL_TAR_TYPE_AT];
	const ol_view raw = raw_name(tar, block, dialect);
	int rc = ol_tar_name_clean(raw, tar->name, &tar->mark, err);

	if (rc < 0)
		return rc;
	tar->raw_name = raw;
	tar->raw_target = raw_target(tar, block);
	entry->type = type_of(type, ol_view_ends(raw, "/"));
	entry->name = tar->name;
	entry->target = tar->target;
	tar->target[0] = '\0';
	if (tar->mark != OL_TAR_PLAIN)
		return OL_OK;
	if (tar->name[0] == '\0' && entry->type != OL_TAR_DIR)
		return ol_fail(err, OL_ECORRUPT, "a root that is no directory");
	if (entry->type == OL_TAR_HARDLINK || entry->type == OL_TAR_SYMLINK)
		return take_link(tar, err);
	if (entry->type == OL_TAR_CHAR || entry->type == OL_TAR_BLOCK)
		return take_device(tar, block, err);
	return OL_OK;
}

static int take_plain(ol_tar *tar, const unsigned char *block, ol_tar_dialect dialect,
	uint64_t stored, ol_error *err)
{
	bool old = block[OL_TAR_TYPE_AT] == 'S', pax = is_sparse(pax_of(tar));

	if (old && (pax || dialect != OL_TAR_GNU))
		return ol_fail(err, OL_ECORRUPT, "a sparse file of no known format");
	if (pax && tar->entry.type != OL_TAR_FILE)
		return ol_fail(err, OL_ECORRUPT, "a sparse map for what is no file");
	if (pax)
		return take_sparse(tar, stored, err);
	if (old)
		return take_sparse_old(tar, block, stored, err);
	tar->entry.size = tar->entry.type == OL_TAR_FILE ? stored : 0;
	return ol_tar_emit(tar, stored, false, err);
}

int ol_tar_take_member(
	ol_tar *tar, const unsigned char *block, ol_tar_dialect dialect, ol_error *err)
{
	char type = (char)block[OL_TAR_TYPE_AT];
	uint64_t header_offset = tar->entry.header_offset, stored = 0;
	int rc;

	tar->entry = (ol_tar_entry){ .header_offset = header_offset };
	tar->header = block;
	tar->dialect = dialect;
	tar->flag = type;
	if (type == 'M')
		return ol_fail(err, OL_ECORRUPT, "a part of a multi-volume archive");
	if (pax_of(tar)->windows) {
		ol_fail(err, OL_EUNSUPPORTED, "a layer of a Windows image");
		return ol_hint(err, OL_EUNSUPPORTED,
			"orlop runs Linux images: choose one with --platform linux/…");
	}
	rc = take_names(tar, block, dialect, err);
	if (rc == OL_OK)
		rc = take_size(tar, block, tar->entry.type, &stored, err);
	if (rc == OL_OK)
		rc = take_attributes(tar, block, err);
	if (rc < 0)
		return rc;
	if (type == 'D' || type == 'V' || tar->mark == OL_TAR_MARK_SKIP) {
		rc = tar->watcher ? tell_member(tar, stored, err) : OL_OK;
		end_member(tar);
		if (rc < 0)
			return rc;
		ol_tar_skip_data(tar, stored);
		return OL_OK;
	}
	if (tar->mark == OL_TAR_PLAIN)
		return take_plain(tar, block, dialect, stored, err);
	tar->entry.type = tar->mark == OL_TAR_MARK_OPAQUE ? OL_TAR_OPAQUE : OL_TAR_WHITEOUT;
	return ol_tar_emit(tar, stored, false, err);
}
