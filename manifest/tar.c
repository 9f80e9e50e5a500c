/*
 * The state machine of the tar reader.
 *
 *	        ┌──────────────────────────────────────────────┐
 *	        ▼                                              │
 *	HEADER ─┬─ x g L K ──▶ BODY ──────────────────▶ SKIP ──┤ (padding)
 *	        ├─ S, continued ▶ PIECES ─┐                    │
 *	        ├─ pax sparse 1.0 ▶ MAP ──┤                    │
 *	        ├─ any other ─────────────┴▶ entry() ─▶ DATA ──┤
 *	        ├─ passed over ─────────────────▶ UNWANTED ────┘
 *	        └─ zero, zero ▶ END: whatever follows is not looked at
 *
 * A block is parsed where it was pushed, and copied only where it straddles two pushes; data of
 * files are never copied. Extension headers gather until the member they belong to. Two of one
 * kind for one member, or a global one between them, are refused, since readers disagree on what
 * that means.
 */
#include "base/ckd.h"
#include "manifest/tar_priv.h"

ol_tar *ol_tar_new(const ol_tar_handler *handler)
{
	ol_tar *tar = ol_alloc(sizeof *tar);

	tar->handler = *handler;
	tar->arena = ol_arena_new();
	tar->body_bytes = tar->pax_bytes = tar->raw_pax = OL_BUF(OL_PAX_BYTES_MAX);
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
	ol_buf_done(&tar->raw_pax);
	ol_tar_pax_done(&tar->pax);
	ol_tar_pax_done(&tar->globals);
	ol_tar_pieces_done(&tar->pieces);
	ol_arena_free(tar->arena);
	free(tar->xattrs);
	free(tar);
}

void ol_tar_watch(ol_tar *tar, int (*member)(void *ctx, const ol_tar_member *member, ol_error *err),
	void *ctx)
{
	tar->watcher = member;
	tar->watcher_ctx = ctx;
}

void ol_tar_skip(ol_tar *tar, uint64_t size)
{
	tar->left = size;
	tar->padding = 0;
	tar->state = size > 0 ? OL_TAR_AT_SKIP : OL_TAR_AT_HEADER;
}

void ol_tar_skip_data(ol_tar *tar, uint64_t stored)
{
	tar->left = stored;
	tar->padding = ol_tar_padding(stored);
	tar->state = stored > 0 ? OL_TAR_AT_UNWANTED : OL_TAR_AT_HEADER;
}

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

static void keep_copy(ol_buf *to, const ol_buf *from)
{
	ol_buf_clear(to);
	(void)ol_buf_add(to, from->data, from->size);
}

/* Keeps the body until its member comes. */
static void keep_body(ol_tar *tar, ol_buf *as)
{
	keep_copy(as, &tar->body_bytes);
}

static int end_body(ol_tar *tar, ol_error *err)
{
	ol_buf empty;

	ol_tar_skip(tar, tar->padding);
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
		if (tar->watcher)
			keep_copy(&tar->raw_pax, &tar->pax_bytes);
		ol_tar_pax_reset(&tar->pax, &tar->globals);
		tar->pieces.count = 0;
		return ol_tar_pax_parse(&tar->pax, &tar->pieces, tar->pax_bytes.data,
			tar->pax_bytes.size, false, err);
	}
}

static int begin_body(ol_tar *tar, const unsigned char *block, char type, ol_error *err)
{
	unsigned kind = type == 'L'   ? OL_TAR_HAS_NAME
			: type == 'K' ? OL_TAR_HAS_LINK
				      : OL_TAR_HAS_PAX;
	uint64_t max = kind == OL_TAR_HAS_PAX ? OL_PAX_BYTES_MAX : OL_PATH_MAX;
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
	tar->padding = ol_tar_padding(size);
	tar->state = OL_TAR_AT_BODY;
	return size == 0 ? end_body(tar, err) : OL_OK;
}

static int take_header(ol_tar *tar, const unsigned char *block, ol_error *err)
{
	char type = (char)block[OL_TAR_TYPE_AT];
	ol_tar_dialect dialect;
	int rc;

	if (ol_tar_block_is_zero(block)) {
		if (tar->have)
			return ol_fail(err, OL_ECORRUPT, "an extended header without its member");
		tar->state = tar->zero ? OL_TAR_AT_END : OL_TAR_AT_HEADER;
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
	return ol_tar_take_member(tar, block, dialect, err);
}

static int take_pieces(ol_tar *tar, const unsigned char *block, ol_error *err)
{
	bool more;
	int rc = ol_tar_pieces_old(&tar->pieces, block, false, &more, err);

	return rc < 0 || more ? rc : ol_tar_emit(tar, tar->left, true, err);
}

static int take_map(ol_tar *tar, const unsigned char *block, ol_error *err)
{
	bool done;
	int rc;

	if (tar->left < OL_TAR_BLOCK_BYTES)
		return ol_fail(err, OL_ECORRUPT, "a sparse map longer than its file");
	tar->left -= OL_TAR_BLOCK_BYTES;
	rc = ol_tar_pieces_block(&tar->pieces, &tar->map, block, &done, err);
	return rc < 0 || !done ? rc : ol_tar_emit(tar, tar->left, true, err);
}

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
	if (tar->state == OL_TAR_AT_PIECES)
		return take_pieces(tar, block, err);
	return tar->state == OL_TAR_AT_MAP ? take_map(tar, block, err)
					   : take_header(tar, block, err);
}

static int step_bytes(
	ol_tar *tar, const unsigned char *data, size_t size, size_t *used, ol_error *err)
{
	ol_tar_state before = tar->state;
	uint64_t at = tar->entry.data_size - tar->left;
	int rc = OL_OK;

	*used = size < tar->left ? size : (size_t)tar->left;
	tar->offset += *used;
	tar->left -= *used;
	if (before == OL_TAR_AT_BODY)
		(void)ol_buf_add(&tar->body_bytes, data, *used);
	if (before == OL_TAR_AT_DATA && tar->handler.data) {
		rc = tar->handler.data(tar->handler.ctx, at, data, *used, err);
		tar->passed_on = rc < 0;
	}
	if (rc < 0 || tar->left > 0)
		return rc;
	if (before == OL_TAR_AT_BODY)
		return end_body(tar, err);
	ol_tar_skip(tar, tar->padding);
	return OL_OK;
}

static int step(ol_tar *tar, const unsigned char *data, size_t size, size_t *used, ol_error *err)
{
	switch (tar->state) {
	case OL_TAR_AT_HEADER:
	case OL_TAR_AT_PIECES:
	case OL_TAR_AT_MAP:
		return step_block(tar, data, size, used, err);
	case OL_TAR_AT_BODY:
	case OL_TAR_AT_DATA:
	case OL_TAR_AT_UNWANTED:
	case OL_TAR_AT_SKIP:
		return step_bytes(tar, data, size, used, err);
	case OL_TAR_AT_END:
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

/* May size more bytes come? */
static int check_more(ol_tar *tar, uint64_t size, ol_error *err)
{
	uint64_t end;

	if (tar->failed < 0)
		return ol_fail(err, tar->failed, "the layer tar was refused before");
	if (ckd_add(&end, tar->offset, size) || end > OL_LAYER_TAR_BYTES_MAX)
		return fail_at(tar,
			ol_fail(err, OL_ELIMIT, "larger than %llu bytes",
				(unsigned long long)OL_LAYER_TAR_BYTES_MAX),
			err);
	return OL_OK;
}

int ol_tar_push(ol_tar *tar, const void *data, size_t size, ol_error *err)
{
	const unsigned char *bytes = data;
	int checked = check_more(tar, size, err);

	if (checked < 0)
		return checked;
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

int ol_tar_pass(ol_tar *tar, uint64_t size, ol_error *err)
{
	bool at_data = tar->state == OL_TAR_AT_DATA || tar->state == OL_TAR_AT_UNWANTED;
	int rc = check_more(tar, size, err);

	if (rc < 0 || size == 0)
		return rc;
	if (tar->state == OL_TAR_AT_MAP)
		return fail_at(tar,
			ol_fail(err, OL_EUNSUPPORTED, "a sparse file, whose map is among its data"),
			err);
	if (!at_data || size > tar->left)
		return fail_at(
			tar, ol_fail(err, OL_ECORRUPT, "more data than the member has"), err);
	tar->offset += size;
	tar->left -= size;
	if (tar->left == 0)
		ol_tar_skip(tar, tar->padding);
	return OL_OK;
}

int ol_tar_finish(ol_tar *tar, ol_error *err)
{
	if (tar->failed < 0)
		return ol_fail(err, tar->failed, "the layer tar was refused before");
	if (tar->state == OL_TAR_AT_END ||
		(tar->state == OL_TAR_AT_HEADER && tar->fill == 0 && !tar->have))
		return OL_OK;
	return fail_at(
		tar, ol_fail(err, OL_ECORRUPT, "the tar ends in the middle of a member"), err);
}
