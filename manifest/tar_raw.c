/* Go's archive/tar: Reader.next, readHeader, mergePAX. */
#include "manifest/tar_raw.h"

#include "manifest/tar_priv.h"

#define XATTR_PREFIX "SCHILY.xattr."

static bool is_text(ol_view text)
{
	while (text.size > 0) {
		const size_t size = ol_utf8_size(text);

		if (size == 0)
			return false;
		text.data += size;
		text.size -= size;
	}
	return true;
}

static int compare(ol_view a, ol_view b)
{
	const int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

	return order ? order : a.size < b.size ? -1 : a.size > b.size;
}

static int by_name(const void *a, const void *b)
{
	return compare(((const ol_xattr *)a)->name, ((const ol_xattr *)b)->name);
}

/* "1700000000.25"; false for what is before 1970 or no number. */
static bool parse_time(ol_view text, struct timespec *out)
{
	const char *dot = memchr(text.data, '.', text.size);
	const ol_view whole = { text.data, dot ? (size_t)(dot - text.data) : text.size };
	uint64_t seconds;
	long nanoseconds = 0, unit = 100000000;

	if (!ol_tar_decimal(whole, (uint64_t)OL_TIME_MAX, &seconds))
		return false;
	for (const char *p = dot ? dot + 1 : NULL; p && p < text.data + text.size; p++) {
		if (*p < '0' || *p > '9')
			return false;
		nanoseconds += (*p - '0') * unit;
		unit /= 10;
	}
	*out = (struct timespec){ .tv_sec = (time_t)seconds, .tv_nsec = nanoseconds };
	return true;
}

/* What is said last counts. */
static void add_xattr(ol_tar_raw *raw, ol_view name, ol_view value)
{
	size_t at = 0;

	while (at < raw->xattr_count && compare(raw->xattrs[at].name, name) != 0)
		at++;
	if (at == raw->xattr_count) {
		OL_GROW(raw->xattrs, raw->xattr_count, raw->xattr_cap);
		raw->xattr_count++;
	}
	raw->xattrs[at] = (ol_xattr){ name, value };
	if (!is_text(name))
		raw->odd = "the name of an xattr that is not UTF-8";
}

static void take_records(ol_tar_raw *raw, ol_view pax)
{
	ol_view key, value;

	while (ol_tar_record_next(&pax, &key, &value)) {
		if (ol_view_starts(key, XATTR_PREFIX))
			add_xattr(raw,
				ol_view_from(key.data + strlen(XATTR_PREFIX),
					key.size - strlen(XATTR_PREFIX)),
				value);
		else if (ol_view_is(key, "atime") && value.size && !parse_time(value, &raw->atime))
			raw->odd = "an odd time of access";
		else if (ol_view_is(key, "ctime") && value.size && !parse_time(value, &raw->ctime))
			raw->odd = "an odd time of change";
		else if (ol_view_is(key, "SCHILY.devmajor") || ol_view_is(key, "SCHILY.devminor"))
			raw->odd = "a device number in a pax header";
		else if (ol_view_is(key, "size") && raw->type != '0')
			raw->odd = "a size where there are no data";
	}
	if (raw->xattr_count)
		qsort(raw->xattrs, raw->xattr_count, sizeof *raw->xattrs, by_name);
}

/* A time of the block itself; a pax header's is there already, and stays. */
static void take_time(ol_tar_raw *raw, const unsigned char *block, size_t at, struct timespec *out)
{
	struct timespec when;

	if (block[at] == 0)
		return;
	if (block[at] & 0x80 || ol_tar_seconds(block, (ol_tar_field){ at, 12 }, &when, NULL) < 0)
		raw->odd = "an odd time of access or change";
	else if (!out->tv_sec && !out->tv_nsec)
		*out = when;
}

static void take_block(ol_tar_raw *raw, const unsigned char *block)
{
	ol_tar_dialect dialect = OL_TAR_V7;
	uint64_t size = 0;

	if (ol_tar_block_check(block, &dialect, NULL) < 0 ||
		ol_tar_number(block, OL_TAR_SIZE, "size", OL_LAYER_TAR_BYTES_MAX, &size, NULL) < 0)
		raw->odd = "an odd number";
	if (raw->type != '0' && size > 0)
		raw->odd = "a size where there are no data";
	if (dialect == OL_TAR_GNU) {
		take_time(raw, block, 345, &raw->atime);
		take_time(raw, block, 357, &raw->ctime);
	} else if (dialect == OL_TAR_STAR) {
		take_time(raw, block, 476, &raw->atime);
		take_time(raw, block, 488, &raw->ctime);
	}
}

/* A pax header and GNU's long names, which readers rank differently. */
static bool has_two_extensions(const ol_tar_member *member)
{
	const uint64_t pax = member->pax.size;

	return pax > 0 && member->data_offset - member->header_offset >
				  (uint64_t)2 * OL_TAR_BLOCK_BYTES + pax + ol_tar_padding(pax);
}

static const char *oddity(const ol_tar_raw *raw, const ol_tar_member *member)
{
	if (raw->odd)
		return raw->odd;
	if (member->sparse || raw->type == 'S')
		return "a sparse file";
	if (member->global)
		return "a global pax header";
	if (raw->type < '0' || raw->type > '6')
		return "a member that is no file, link, device or directory";
	if (!is_text(raw->name) || !is_text(raw->target))
		return "a name that is not UTF-8";
	if (member->early)
		return "a time before 1970";
	if (has_two_extensions(member))
		return "extended headers of two kinds";
	return NULL;
}

void ol_tar_raw_take(ol_tar_raw *raw, const ol_tar_member *member,
	const unsigned char header[OL_TAR_HEADER_BYTES])
{
	*raw = (ol_tar_raw){ .type = member->flag,
		.name = member->name,
		.target = member->target,
		.mode = (uint32_t)member->mode,
		.uid = member->uid,
		.gid = member->gid,
		.dev_major = (uint32_t)member->dev_major,
		.dev_minor = (uint32_t)member->dev_minor,
		.mtime = member->mtime,
		.xattrs = raw->xattrs,
		.xattr_cap = raw->xattr_cap,
		.size = member->stored };
	if (raw->type == '\0')
		raw->type = ol_view_ends(raw->name, "/") ? '5' : '0';
	if (!member->sparse) {
		take_records(raw, member->pax);
		take_block(raw, header);
	}
	raw->odd = oddity(raw, member);
}

void ol_tar_raw_done(ol_tar_raw *raw)
{
	free(raw->xattrs);
	*raw = (ol_tar_raw){ 0 };
}
