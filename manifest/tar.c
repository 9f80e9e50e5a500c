/*
 * The state machine of the tar reader.
 *
 *	        ┌──────────────────────────────────────────────┐
 *	        ▼                                              │
 *	HEADER ─┬─ x g L K ──▶ BODY ──────────────────▶ SKIP ──┤ (padding)
 *	        ├─ S, continued ▶ PIECES ─┐                    │
 *	        ├─ pax sparse 1.0 ▶ MAP ──┤                    │
 *	        ├─ any other ─────────────┴▶ entry() ─▶ DATA ──┤
 *	        ├─ passed over ─────────────────────▶ SKIP ────┘
 *	        └─ zero, zero ▶ END: whatever follows is not looked at
 *
 * A block is parsed where it was pushed, and copied only where it straddles two pushes; data of
 *files are never copied. Extension headers gather until the member they belong to; two of one kind
 *for one member, or a global one between them, are refused, since readers disagree on what that
 *means. Precedence: x before g before the block; for names GNU.sparse.name, path, L, prefix and
 *name.
 */
#include "base/ckd.h"
#include "manifest/tar_priv.h"

enum { HAVE_PAX = 1, HAVE_NAME = 2, HAVE_LINK = 4 }; /* which extensions wait for their member */

typedef enum state { HEADER, BODY, PIECES, MAP, DATA, SKIP, END } state;

struct ol_tar {
	ol_tar_handler handler;
	state state;
	uint64_t offset;        /* of the next byte */
	uint64_t left, padding; /* of body, data or what is skipped; padding follows it */
	unsigned char block[OL_TAR_BLOCK_BYTES];
	size_t fill;    /* of block */
	bool zero;      /* a block of zeroes was seen, and nothing else since */
	int failed;     /* what every later call answers */
	bool passed_on; /* the failure is the handler's: its words are left alone */

	unsigned have;                            /* of HAVE_… */
	char body;                                /* type of the extension being gathered */
	ol_buf body_bytes;                        /* of it */
	ol_buf pax_bytes, name_bytes, link_bytes; /* those that wait */
	ol_tar_pax pax, globals;
	ol_arena *arena; /* bodies of global headers */
	size_t global_bytes;

	ol_tar_entry entry;
	uint64_t sequence;
	ol_tar_mark mark;
	ol_tar_pieces pieces;
	ol_tar_map map;
	ol_xattr *xattrs; /* owned: those of the entry */
	size_t xattr_cap;
	char name[OL_PATH_MAX], target[OL_PATH_MAX];
};

ol_tar *ol_tar_new(const ol_tar_handler *handler)
{
	ol_tar *tar = ol_alloc(sizeof *tar);

	tar->handler = *handler;
	tar->arena = ol_arena_new();
	tar->body_bytes = tar->pax_bytes = OL_BUF(OL_PAX_BYTES_MAX);
	tar->name_bytes = tar->link_bytes = OL_BUF(OL_PATH_MAX);
	return tar;
}

void ol_tar_free(ol_tar *tar)
{
	if (!tar)
		return;
	ol_buf_done(&tar->body_bytes);
	ol_buf_done(&tar->pax_bytes);
	ol_buf_done(&tar->name_bytes);
	ol_buf_done(&tar->link_bytes);
	ol_tar_pax_done(&tar->pax);
	ol_tar_pax_done(&tar->globals);
	ol_tar_pieces_done(&tar->pieces);
	ol_arena_free(tar->arena);
	free(tar->xattrs);
	free(tar);
}

static uint64_t padding_of(uint64_t size)
{
	return -size % OL_TAR_BLOCK_BYTES;
}

static void skip(ol_tar *tar, uint64_t size)
{
	tar->left = size;
	tar->padding = 0;
	tar->state = size > 0 ? SKIP : HEADER;
}

/* The extensions of a member apply to it alone. */
static void end_member(ol_tar *tar)
{
	tar->have = 0;
}

static const ol_tar_pax *pax_of(const ol_tar *tar)
{
	return tar->have & HAVE_PAX ? &tar->pax : &tar->globals;
}

/* ------------------------------------------------------------ extensions -- */

static int end_global(ol_tar *tar, ol_error *err)
{
	size_t size = tar->body_bytes.size;
	char *body;

	tar->global_bytes += size;
	if (tar->global_bytes > OL_PAX_GLOBAL_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "more than %zu bytes of global pax headers",
			OL_PAX_GLOBAL_BYTES_MAX);
	body = ol_arena_alloc(tar->arena, size + 1);
	if (size > 0)
		memcpy(body, tar->body_bytes.data, size);
	return ol_tar_pax_parse(&tar->globals, &tar->pieces, body, size, true, err);
}

/* The body gathered changes places with the one it is to be. */
static void keep_body(ol_tar *tar, ol_buf *as)
{
	ol_buf_clear(as);
	(void)ol_buf_add(as, tar->body_bytes.data, tar->body_bytes.size);
}

static int end_body(ol_tar *tar, ol_error *err)
{
	ol_buf empty;

	skip(tar, tar->padding);
	switch (tar->body) {
	case 'g':
		return end_global(tar, err);
	case 'L':
		keep_body(tar, &tar->name_bytes);
		return OL_OK;
	case 'K':
		keep_body(tar, &tar->link_bytes);
		return OL_OK;
	default:
		empty = tar->pax_bytes;
		tar->pax_bytes = tar->body_bytes;
		tar->body_bytes = empty;
		ol_tar_pax_reset(&tar->pax, &tar->globals);
		tar->pieces.count = 0;
		return ol_tar_pax_parse(&tar->pax, &tar->pieces, tar->pax_bytes.data,
			tar->pax_bytes.size, false, err);
	}
}

static int begin_body(ol_tar *tar, const unsigned char *block, char type, ol_error *err)
{
	unsigned kind = type == 'L' ? HAVE_NAME : type == 'K' ? HAVE_LINK : HAVE_PAX;
	uint64_t max = kind == HAVE_PAX ? OL_PAX_BYTES_MAX : OL_PATH_MAX;
	uint64_t size;
	int rc = ol_tar_number(block, OL_TAR_SIZE, "size", OL_LAYER_TAR_BYTES_MAX, &size, err);

	if (rc < 0)
		return rc;
	if (size > max)
		return ol_fail(err, OL_ELIMIT, "an extended header of more than %llu bytes",
			(unsigned long long)max);
	if (type == 'g' ? tar->have != 0 : (tar->have & kind) != 0)
		return ol_fail(err, OL_ECORRUPT, "two extended headers that say what one should");
	if (type != 'g')
		tar->have |= kind;
	tar->body = type;
	ol_buf_clear(&tar->body_bytes);
	(void)ol_buf_room(&tar->body_bytes, (size_t)size);
	tar->left = size;
	tar->padding = padding_of(size);
	tar->state = BODY;
	return size == 0 ? end_body(tar, err) : OL_OK;
}

/* ---------------------------------------------------------------- members -- */

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

/* All is known: out with it. stored is what the tar still holds for it. */
static int emit(ol_tar *tar, uint64_t stored, bool sparse, ol_error *err)
{
	ol_tar_entry *entry = &tar->entry;
	int rc;

	entry->data_offset = tar->offset;
	if (sparse) {
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
		tar->padding = padding_of(stored);
		tar->state = stored > 0 ? DATA : HEADER;
	} else {
		skip(tar, stored + padding_of(stored));
	}
	end_member(tar);
	rc = tar->handler.entry(tar->handler.ctx, entry, err);
	tar->passed_on = rc < 0;
	return rc;
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

/* The name before it is cleaned; with prefix and "/" it is put together in buffer. */
static ol_view raw_name(
	const ol_tar *tar, const unsigned char *block, ol_tar_dialect dialect, char buffer[257])
{
	const ol_tar_pax *pax = pax_of(tar);
	ol_tar_field at = OL_TAR_PREFIX;
	ol_view name = ol_tar_text(block, OL_TAR_NAME), prefix = { NULL, 0 };

	if (pax->sparse_name.data)
		return pax->sparse_name;
	if (pax->path.data)
		return pax->path;
	if (tar->have & HAVE_NAME)
		return (ol_view){ tar->name_bytes.data,
			strnlen(tar->name_bytes.data, tar->name_bytes.size) };
	if (dialect == OL_TAR_STAR)
		at.size = 131;
	if (dialect == OL_TAR_USTAR || dialect == OL_TAR_STAR)
		prefix = ol_tar_text(block, at);
	if (prefix.size == 0)
		return name;
	memcpy(buffer, prefix.data, prefix.size);
	buffer[prefix.size] = '/';
	memcpy(buffer + prefix.size + 1, name.data, name.size);
	return (ol_view){ buffer, prefix.size + 1 + name.size };
}

static int take_link(ol_tar *tar, const unsigned char *block, ol_error *err)
{
	const ol_tar_pax *pax = pax_of(tar);
	ol_view raw = ol_tar_text(block, OL_TAR_LINK);
	ol_tar_mark mark;
	int rc;

	if (pax->link.data)
		raw = pax->link;
	else if (tar->have & HAVE_LINK)
		raw = (ol_view){ tar->link_bytes.data,
			strnlen(tar->link_bytes.data, tar->link_bytes.size) };
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
		tar->state = MAP;
		return OL_OK;
	}
	if (pax->has_sparse_version && pax->sparse_major > 0)
		return ol_fail(err, OL_EUNSUPPORTED, "sparse files of version %u.%u",
			(unsigned)pax->sparse_major, (unsigned)pax->sparse_minor);
	if (pax->has_sparse_count && pax->sparse_count != tar->pieces.count)
		return ol_fail(
			err, OL_ECORRUPT, "a sparse map with another number of pieces than said");
	return emit(tar, stored, true, err);
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
		return emit(tar, stored, true, err);
	tar->left = stored;
	tar->state = PIECES;
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
	char buffer[257];
	ol_view raw = raw_name(tar, block, dialect, buffer);
	int rc = ol_tar_name_clean(raw, tar->name, &tar->mark, err);

	if (rc < 0)
		return rc;
	entry->type = type_of(type, ol_view_ends(raw, "/"));
	entry->name = tar->name;
	entry->target = tar->target;
	tar->target[0] = '\0';
	if (tar->mark != OL_TAR_PLAIN)
		return OL_OK;
	if (tar->name[0] == '\0' && entry->type != OL_TAR_DIR)
		return ol_fail(err, OL_ECORRUPT, "a root that is no directory");
	if (entry->type == OL_TAR_HARDLINK || entry->type == OL_TAR_SYMLINK)
		return take_link(tar, block, err);
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
	return emit(tar, stored, false, err);
}

static int take_member(
	ol_tar *tar, const unsigned char *block, ol_tar_dialect dialect, ol_error *err)
{
	char type = (char)block[OL_TAR_TYPE_AT];
	uint64_t header_offset = tar->entry.header_offset, stored;
	int rc;

	tar->entry = (ol_tar_entry){ .header_offset = header_offset };
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
		end_member(tar);
		skip(tar, stored + padding_of(stored));
		return OL_OK;
	}
	if (tar->mark == OL_TAR_PLAIN)
		return take_plain(tar, block, dialect, stored, err);
	tar->entry.type = tar->mark == OL_TAR_MARK_OPAQUE ? OL_TAR_OPAQUE : OL_TAR_WHITEOUT;
	return emit(tar, stored, false, err);
}

static int take_header(ol_tar *tar, const unsigned char *block, ol_error *err)
{
	char type = (char)block[OL_TAR_TYPE_AT];
	ol_tar_dialect dialect;
	int rc;

	if (ol_tar_block_is_zero(block)) {
		if (tar->have)
			return ol_fail(err, OL_ECORRUPT, "an extended header without its member");
		tar->state = tar->zero ? END : HEADER;
		tar->zero = true;
		return OL_OK;
	}
	if (tar->zero)
		return ol_fail(err, OL_ECORRUPT, "a single block of zeroes between members");
	if (!tar->have) {
		tar->entry.header_offset = tar->offset - OL_TAR_BLOCK_BYTES;
		tar->name[0] = '\0';
	}
	rc = ol_tar_block_check(block, &dialect, err);
	if (rc < 0)
		return rc;
	if (type == 'X') /* Sun's */
		type = 'x';
	if (type == 'x' || type == 'g' || type == 'L' || type == 'K')
		return begin_body(tar, block, type, err);
	return take_member(tar, block, dialect, err);
}

static int take_pieces(ol_tar *tar, const unsigned char *block, ol_error *err)
{
	bool more;
	int rc = ol_tar_pieces_old(&tar->pieces, block, false, &more, err);

	return rc < 0 || more ? rc : emit(tar, tar->left, true, err);
}

static int take_map(ol_tar *tar, const unsigned char *block, ol_error *err)
{
	bool done;
	int rc;

	if (tar->left < OL_TAR_BLOCK_BYTES)
		return ol_fail(err, OL_ECORRUPT, "a sparse map longer than its file");
	tar->left -= OL_TAR_BLOCK_BYTES;
	rc = ol_tar_pieces_block(&tar->pieces, &tar->map, block, &done, err);
	return rc < 0 || !done ? rc : emit(tar, tar->left, true, err);
}

/* ------------------------------------------------------------------- push -- */

/* One step of a state: uses some of what was pushed. size > 0. */
static int step_block(
	ol_tar *tar, const unsigned char *data, size_t size, size_t *used, ol_error *err)
{
	const unsigned char *block = data;

	*used = OL_TAR_BLOCK_BYTES - tar->fill;
	if (*used > size)
		*used = size;
	tar->offset += *used;
	if (*used < OL_TAR_BLOCK_BYTES) {
		memcpy(tar->block + tar->fill, data, *used);
		tar->fill += *used;
		if (tar->fill < OL_TAR_BLOCK_BYTES)
			return OL_OK;
		block = tar->block;
		tar->fill = 0;
	}
	if (tar->state == PIECES)
		return take_pieces(tar, block, err);
	return tar->state == MAP ? take_map(tar, block, err) : take_header(tar, block, err);
}

static int step_bytes(
	ol_tar *tar, const unsigned char *data, size_t size, size_t *used, ol_error *err)
{
	state before = tar->state;
	uint64_t at = tar->entry.data_size - tar->left;
	int rc = OL_OK;

	*used = size < tar->left ? size : (size_t)tar->left;
	tar->offset += *used;
	tar->left -= *used;
	if (before == BODY)
		(void)ol_buf_add(&tar->body_bytes, data, *used);
	if (before == DATA && tar->handler.data) {
		rc = tar->handler.data(tar->handler.ctx, at, data, *used, err);
		tar->passed_on = rc < 0;
	}
	if (rc < 0 || tar->left > 0)
		return rc;
	if (before == BODY)
		return end_body(tar, err);
	skip(tar, tar->padding);
	return OL_OK;
}

static int step(ol_tar *tar, const unsigned char *data, size_t size, size_t *used, ol_error *err)
{
	switch (tar->state) {
	case HEADER:
	case PIECES:
	case MAP:
		return step_block(tar, data, size, used, err);
	case BODY:
	case DATA:
	case SKIP:
		return step_bytes(tar, data, size, used, err);
	case END:
		tar->offset += size;
		*used = size;
		break;
	}
	return OL_OK;
}

/* Says where a refusal of ours was met, and makes it stay. */
static int fail_at(ol_tar *tar, int rc, ol_error *err)
{
	ol_auto_str ol_str name = OL_STR(256);

	tar->failed = rc;
	if (tar->passed_on || !err)
		return rc;
	(void)ol_str_add_safe(&name, ol_view_of(tar->name));
	return ol_wrap(err, rc, "layer tar, byte %llu%s%s",
		(unsigned long long)tar->entry.header_offset, tar->name[0] ? ", " : "",
		tar->name[0] ? ol_str_text(&name) : "");
}

int ol_tar_push(ol_tar *tar, const void *data, size_t size, ol_error *err)
{
	const unsigned char *bytes = data;
	uint64_t end;

	if (tar->failed < 0)
		return ol_fail(err, tar->failed, "the layer tar was refused before");
	if (ckd_add(&end, tar->offset, size) || end > OL_LAYER_TAR_BYTES_MAX)
		return fail_at(tar,
			ol_fail(err, OL_ELIMIT, "larger than %llu bytes",
				(unsigned long long)OL_LAYER_TAR_BYTES_MAX),
			err);
	while (size > 0) {
		size_t used = size;
		int rc = step(tar, bytes, size, &used, err);

		if (rc < 0)
			return fail_at(tar, rc, err);
		bytes += used;
		size -= used;
	}
	return OL_OK;
}

int ol_tar_finish(ol_tar *tar, ol_error *err)
{
	if (tar->failed < 0)
		return ol_fail(err, tar->failed, "the layer tar was refused before");
	if (tar->state == END || (tar->state == HEADER && tar->fill == 0 && !tar->have))
		return OL_OK;
	return fail_at(
		tar, ol_fail(err, OL_ECORRUPT, "the tar ends in the middle of a member"), err);
}
