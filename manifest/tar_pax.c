/*
 * Extended headers (POSIX.1 pax, "pax Extended Header"): records "<length> <key>=<value>\n", the
 * length counting itself. A value may hold any byte. An empty value takes back what was said of the
 * key, but for xattrs, where it is an empty value. What is said last counts.
 */
#include "manifest/tar_priv.h"

typedef struct setting {
	ol_tar_pax *pax;
	ol_tar_pieces *pieces;
	char *name;  /* the key past the prefix that chose the row, terminated; may be written to */
	char *value; /* may be written to */
	size_t size;
	bool global;
} setting;

static int refuse(const setting *s, const char *key, ol_error *err)
{
	(void)s;
	return ol_fail(err, OL_ECORRUPT, "the pax record %s has no value that fits", key);
}

static int set_text(const setting *s, ol_view *out, const char *key, ol_error *err)
{
	if (memchr(s->value, '\0', s->size))
		return refuse(s, key, err);
	*out = (ol_view){ s->size ? s->value : NULL, s->size };
	return OL_OK;
}

static int set_number(
	const setting *s, bool *has, uint64_t *out, uint64_t max, const char *key, ol_error *err)
{
	*has = s->size > 0;
	if (*has && !ol_tar_decimal((ol_view){ s->value, s->size }, max, out))
		return refuse(s, key, err);
	return OL_OK;
}

static int set_path(const setting *s, ol_error *err)
{
	return set_text(s, &s->pax->path, "path", err);
}

static int set_link(const setting *s, ol_error *err)
{
	return set_text(s, &s->pax->link, "linkpath", err);
}

static int set_size(const setting *s, ol_error *err)
{
	return set_number(s, &s->pax->has_size, &s->pax->size, OL_LAYER_TAR_BYTES_MAX, "size", err);
}

/* 2^32 - 1 means "no change" to chown. */
static int set_uid(const setting *s, ol_error *err)
{
	return set_number(s, &s->pax->has_uid, &s->pax->uid, UINT32_MAX - 1, "uid", err);
}

static int set_gid(const setting *s, ol_error *err)
{
	return set_number(s, &s->pax->has_gid, &s->pax->gid, UINT32_MAX - 1, "gid", err);
}

static int set_major(const setting *s, ol_error *err)
{
	return set_number(
		s, &s->pax->has_major, &s->pax->major, UINT32_MAX, "SCHILY.devmajor", err);
}

static int set_minor(const setting *s, ol_error *err)
{
	return set_number(
		s, &s->pax->has_minor, &s->pax->minor, UINT32_MAX, "SCHILY.devminor", err);
}

/* Seconds with a fraction, as text all the way: a float keeps no nanoseconds. */
static int set_mtime(const setting *s, ol_error *err)
{
	ol_view text = { s->value, s->size };
	const char *dot = memchr(text.data, '.', text.size);
	bool negative = ol_view_starts(text, "-");
	ol_view whole = { text.data + (negative ? 1 : 0), 0 };
	uint64_t seconds;
	long nanoseconds = 0, unit = 100000000;

	s->pax->has_mtime = s->size > 0;
	if (s->size == 0)
		return OL_OK;
	whole.size = (size_t)((dot ? dot : text.data + text.size) - whole.data);
	if (whole.size > 18 || !ol_tar_decimal(whole, UINT64_MAX, &seconds))
		return refuse(s, "mtime", err);
	for (const char *p = dot ? dot + 1 : NULL; p && p < text.data + text.size; p++) {
		if (*p < '0' || *p > '9')
			return refuse(s, "mtime", err);
		nanoseconds += (*p - '0') * unit;
		unit /= 10;
	}
	if (negative)
		seconds = 0, nanoseconds = 0;
	if (seconds > (uint64_t)OL_TIME_MAX)
		seconds = (uint64_t)OL_TIME_MAX, nanoseconds = 0;
	s->pax->mtime = (struct timespec){ .tv_sec = (time_t)seconds, .tv_nsec = nanoseconds };
	return OL_OK;
}

static int set_windows(const setting *s, ol_error *err)
{
	(void)err;
	s->pax->windows = true;
	return OL_OK;
}

/* Where name stands or belongs in the sorted list; *found says which. */
static size_t xattr_place(const ol_tar_pax *pax, const char *name, bool *found)
{
	size_t low = 0, high = pax->xattr_count;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(pax->xattrs[middle].name.data, name);

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int set_xattr(const setting *s, ol_error *err)
{
	ol_tar_pax *pax = s->pax;
	ol_xattr xattr = { { s->name, strlen(s->name) }, { s->value, s->size } };
	size_t place;
	bool found;

	if (!ol_tar_keeps_xattr(xattr.name))
		return OL_OK;
	place = xattr_place(pax, s->name, &found);
	if (found) {
		pax->xattr_bytes -= pax->xattrs[place].name.size + pax->xattrs[place].value.size;
	} else {
		OL_GROW(pax->xattrs, pax->xattr_count, pax->xattr_cap);
		memmove(pax->xattrs + place + 1, pax->xattrs + place,
			(pax->xattr_count - place) * sizeof *pax->xattrs);
		pax->xattr_count++;
	}
	pax->xattrs[place] = xattr;
	pax->xattr_bytes += xattr.name.size + xattr.value.size;
	if (pax->xattr_bytes > OL_XATTRS_BYTES_MAX)
		return ol_fail(
			err, OL_ELIMIT, "more than %zu bytes of xattrs", OL_XATTRS_BYTES_MAX);
	return OL_OK;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* %41 becomes A, in place; false for half an escape or an escaped NUL. */
static bool decode_url(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from == '%') {
			int high = hex_digit(from[1]);
			int low = high < 0 ? -1 : hex_digit(from[2]);

			if (low < 0 || (high | low) == 0)
				return false;
			*to++ = (char)(high << 4 | low);
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return true;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 in place, with or without its padding; false for anything else. */
static bool decode_base64(char *data, size_t *size)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t end = *size, made = 0;

	while (end > 0 && *size - end < 2 && data[end - 1] == '=')
		end--;
	for (size_t i = 0; i < end; i++) {
		int digit = base64_digit(data[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			have -= 8;
			data[made++] = (char)(bits >> have & 0xff);
		}
	}
	*size = made;
	return have < 6; /* six bits over are a digit too many */
}

static int set_xattr_libarchive(const setting *s, ol_error *err)
{
	setting decoded = *s;

	if (!decode_url(decoded.name) || !decode_base64(decoded.value, &decoded.size))
		return refuse(s, "LIBARCHIVE.xattr", err);
	return set_xattr(&decoded, err);
}

static int set_sparse_major(const setting *s, ol_error *err)
{
	bool *has = &s->pax->has_sparse_version;

	return set_number(s, has, &s->pax->sparse_major, 99, "GNU.sparse.major", err);
}

static int set_sparse_minor(const setting *s, ol_error *err)
{
	bool has;

	return set_number(s, &has, &s->pax->sparse_minor, 99, "GNU.sparse.minor", err);
}

static int set_sparse_name(const setting *s, ol_error *err)
{
	return set_text(s, &s->pax->sparse_name, "GNU.sparse.name", err);
}

static int set_sparse_size(const setting *s, ol_error *err)
{
	bool *has = &s->pax->has_sparse_size;

	return set_number(s, has, &s->pax->sparse_size, OL_FILE_BYTES_MAX, "GNU.sparse.size", err);
}

static int set_sparse_count(const setting *s, ol_error *err)
{
	bool *has = &s->pax->has_sparse_count;

	return set_number(s, has, &s->pax->sparse_count, UINT32_MAX, "GNU.sparse.numblocks", err);
}

static int set_sparse_map(const setting *s, ol_error *err)
{
	if (s->pax->has_sparse_pieces)
		return refuse(s, "GNU.sparse.map", err);
	s->pax->has_sparse_pieces = true;
	return ol_tar_pieces_parse(s->pieces, (ol_view){ s->value, s->size }, err);
}

static int set_sparse_offset(const setting *s, ol_error *err)
{
	uint64_t offset;

	if (s->pax->piece_open ||
		!ol_tar_decimal((ol_view){ s->value, s->size }, OL_FILE_BYTES_MAX, &offset))
		return refuse(s, "GNU.sparse.offset", err);
	s->pax->has_sparse_pieces = true;
	s->pax->piece_open = true;
	return ol_tar_pieces_add(s->pieces, offset, 0, err);
}

static int set_sparse_bytes(const setting *s, ol_error *err)
{
	uint64_t size;

	if (!s->pax->piece_open ||
		!ol_tar_decimal((ol_view){ s->value, s->size }, OL_FILE_BYTES_MAX, &size))
		return refuse(s, "GNU.sparse.numbytes", err);
	s->pax->piece_open = false;
	s->pieces->list[s->pieces->count - 1].size = size;
	return OL_OK;
}

static int set_record(const setting *record, ol_error *err)
{
	static const struct {
		const char *key;
		bool prefix, sparse;
		int (*set)(const setting *s, ol_error *err);
	} rows[] = {
		{ "path", false, false, set_path },
		{ "linkpath", false, false, set_link },
		{ "size", false, false, set_size },
		{ "uid", false, false, set_uid },
		{ "gid", false, false, set_gid },
		{ "mtime", false, false, set_mtime },
		{ "SCHILY.xattr.", true, false, set_xattr },
		{ "LIBARCHIVE.xattr.", true, false, set_xattr_libarchive },
		{ "SCHILY.devmajor", false, false, set_major },
		{ "SCHILY.devminor", false, false, set_minor },
		{ "MSWINDOWS.", true, false, set_windows },
		{ "GNU.sparse.major", false, true, set_sparse_major },
		{ "GNU.sparse.minor", false, true, set_sparse_minor },
		{ "GNU.sparse.name", false, true, set_sparse_name },
		{ "GNU.sparse.size", false, true, set_sparse_size },
		{ "GNU.sparse.realsize", false, true, set_sparse_size },
		{ "GNU.sparse.numblocks", false, true, set_sparse_count },
		{ "GNU.sparse.map", false, true, set_sparse_map },
		{ "GNU.sparse.offset", false, true, set_sparse_offset },
		{ "GNU.sparse.numbytes", false, true, set_sparse_bytes },
	};
	setting s = *record;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t size = strlen(rows[i].key);

		if (strncmp(s.name, rows[i].key, rows[i].prefix ? size : size + 1) != 0)
			continue;
		if (rows[i].sparse && s.global)
			return ol_fail(err, OL_ECORRUPT, "a global pax header with a sparse map");
		s.name += rows[i].prefix ? size : 0;
		return rows[i].set(&s, err);
	}
	return OL_OK; /* POSIX: what is not known is passed over */
}

/* The length in front of a record, and how many bytes it and its space take; 0 if there is none. */
static size_t record_length(const char *body, size_t size, size_t *length)
{
	const char *space = memchr(body, ' ', size < 8 ? size : 8);
	uint64_t value;

	if (!space || !ol_tar_decimal((ol_view){ body, (size_t)(space - body) }, size, &value))
		return 0;
	*length = (size_t)value;
	return (size_t)(space - body) + 1;
}

bool ol_tar_record_next(ol_view *pax, ol_view *key, ol_view *value)
{
	size_t length = 0, head = record_length(pax->data, pax->size, &length);
	const char *name = pax->data + head, *equals;

	if (pax->size == 0 || head == 0 || length < head + 3)
		return false;
	equals = memchr(name, '=', length - head - 1);
	if (!equals)
		return false;
	*key = (ol_view){ name, (size_t)(equals - name) };
	*value = (ol_view){ equals + 1, (size_t)(pax->data + length - 1 - (equals + 1)) };
	*pax = (ol_view){ pax->data + length, pax->size - length };
	return true;
}

int ol_tar_pax_parse(
	ol_tar_pax *pax, ol_tar_pieces *pieces, char *body, size_t size, bool global, ol_error *err)
{
	unsigned records = 0;

	while (size > 0) {
		size_t length, head = record_length(body, size, &length);
		setting s = { .pax = pax, .pieces = pieces, .global = global };
		char *equals;
		int rc;

		/* The shortest record is "5 a=\n" less one: its key must not be empty. */
		if (head == 0 || length < head + 3 || body[length - 1] != '\n')
			return ol_fail(err, OL_ECORRUPT, "a pax record of the wrong length");
		if (++records > OL_PAX_RECORDS_MAX)
			return ol_fail(
				err, OL_ELIMIT, "more than %d pax records", OL_PAX_RECORDS_MAX);
		s.name = body + head;
		equals = memchr(s.name, '=', length - head - 1);
		if (!equals || equals == s.name || memchr(s.name, '\0', (size_t)(equals - s.name)))
			return ol_fail(err, OL_ECORRUPT, "a pax record without a key");
		*equals = '\0';
		s.value = equals + 1;
		s.size = (size_t)(body + length - 1 - s.value);
		rc = set_record(&s, err);
		if (rc < 0)
			return rc;
		body += length;
		size -= length;
	}
	if (pax->piece_open)
		return ol_fail(err, OL_ECORRUPT, "a sparse map that ends in half a pair");
	return OL_OK;
}

void ol_tar_pax_reset(ol_tar_pax *pax, const ol_tar_pax *base)
{
	ol_xattr *xattrs = pax->xattrs;
	size_t cap = pax->xattr_cap;

	if (cap < base->xattr_count) {
		xattrs = ol_realloc_array(xattrs, base->xattr_count, sizeof *xattrs);
		cap = base->xattr_count;
	}
	if (base->xattr_count > 0)
		memcpy(xattrs, base->xattrs, base->xattr_count * sizeof *xattrs);
	*pax = *base;
	pax->xattrs = xattrs;
	pax->xattr_cap = cap;
}

void ol_tar_pax_done(ol_tar_pax *pax)
{
	free(pax->xattrs);
	*pax = (ol_tar_pax){ 0 };
}
