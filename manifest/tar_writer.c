/*
 * One member:
 *
 *	x header   512 bytes, then its records, padded    where ustar has no room
 *	header     512 bytes
 *	map        of a sparse file, padded               counts as data in the header's size
 *	data       padded
 *
 * What stands in a record stands in the header too as far as it fits there, else as 0: nobody who
 * reads records looks at it, and who does not read them gets something that is whole.
 */
#include "manifest/tar_writer.h"

#include <assert.h>
#include <stdio.h>

#include "base/base64.h"
#include "manifest/tar_priv.h"

#define PAX_NAME    "././@PaxHeader"
#define SPARSE_NAME "./GNUSparseFile.0"

struct ol_tar_writer {
	ol_sink *sink;    /* lent */
	uint64_t left;    /* bytes of data that are still to come */
	uint64_t padding; /* after them */
	ol_buf records;
	ol_buf map;
	const ol_xattr *extra; /* lent: records of the next member */
	size_t extra_count;
};

ol_tar_writer *ol_tar_writer_new(ol_sink *sink)
{
	ol_tar_writer *writer = ol_alloc(sizeof *writer);

	writer->sink = sink;
	writer->records = OL_BUF(OL_PAX_BYTES_MAX);
	/* A piece takes two numbers of at most 14 digits. */
	writer->map = OL_BUF((OL_SPARSE_PIECES_MAX + 2) * 32);
	return writer;
}

void ol_tar_writer_free(ol_tar_writer *writer)
{
	if (!writer)
		return;
	ol_buf_done(&writer->records);
	ol_buf_done(&writer->map);
	free(writer);
}

static int pad(ol_tar_writer *writer, uint64_t size, ol_error *err)
{
	static const char zeroes[2 * OL_TAR_BLOCK_BYTES];

	assert(size <= sizeof zeroes);
	return size ? ol_sink_write(writer->sink, zeroes, (size_t)size, err) : OL_OK;
}

/* "<length> <key>=<value>\n", where the length counts its own digits. */
static void add_record(ol_buf *records, const char *key, ol_view value)
{
	size_t rest = 1 + strlen(key) + 1 + value.size + 1, size = rest + 1;
	char digits[24];

	for (;;) {
		int count = snprintf(digits, sizeof digits, "%zu", size);

		if (rest + (size_t)count == size)
			break;
		size = rest + (size_t)count;
	}
	(void)ol_str_addf(records, "%s %s=", digits, key);
	(void)ol_str_addv(records, value);
	(void)ol_str_addc(records, '\n');
}

static void add_number_record(ol_buf *records, const char *key, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	add_record(records, key, ol_view_of(text));
}

/* Octal digits and a NUL; false, and 0 instead, where they do not fit. */
static bool put_number(char *block, ol_tar_field field, uint64_t value)
{
	bool fits = field.size > 21 || value >> (3 * (field.size - 1)) == 0;

	(void)snprintf(block + field.at, field.size, "%0*llo", (int)field.size - 1,
		(unsigned long long)(fits ? value : 0));
	return fits;
}

/* Without a NUL where it fills the field; cut short, and false, where it does not fit. */
static bool put_text(char *block, ol_tar_field field, ol_view text)
{
	bool fits = text.size <= field.size;

	memcpy(block + field.at, text.data, fits ? text.size : field.size);
	return fits;
}

/* A long name is split at a slash where both halves fit. */
static bool put_name(char *block, ol_view name)
{
	if (name.size <= OL_TAR_NAME.size)
		return put_text(block, OL_TAR_NAME, name);
	for (size_t i = name.size - 2; i > 0; i--)
		if (name.data[i] == '/' && i <= OL_TAR_PREFIX.size &&
			name.size - i - 1 <= OL_TAR_NAME.size) {
			(void)put_text(block, OL_TAR_PREFIX, ol_view_from(name.data, i));
			return put_text(block, OL_TAR_NAME,
				ol_view_from(name.data + i + 1, name.size - i - 1));
		}
	return put_text(block, OL_TAR_NAME, name);
}

static void seal(char *block, char type)
{
	static const char magic[8] = { 'u', 's', 't', 'a', 'r', '\0', '0', '0' };
	unsigned sum = 0;

	block[OL_TAR_TYPE_AT] = type;
	memcpy(block + 257, magic, sizeof magic);
	memset(block + OL_TAR_CHECKSUM.at, ' ', OL_TAR_CHECKSUM.size);
	for (size_t i = 0; i < OL_TAR_BLOCK_BYTES; i++)
		sum += (unsigned char)block[i];
	(void)snprintf(block + OL_TAR_CHECKSUM.at, OL_TAR_CHECKSUM.size - 1, "%06o", sum);
}

static void put_time(char *block, ol_buf *records, const struct timespec *time)
{
	bool negative = time->tv_sec < 0;
	bool fits = !negative && put_number(block, OL_TAR_MTIME, (uint64_t)time->tv_sec);
	/* -1.5 is { -2, 500000000 }. */
	bool borrow = negative && time->tv_nsec > 0;
	uint64_t seconds =
		negative ? 0 - (uint64_t)time->tv_sec - (borrow ? 1 : 0) : (uint64_t)time->tv_sec;
	long fraction = borrow ? 1000000000 - time->tv_nsec : time->tv_nsec;
	char text[48];
	int size;

	if (negative)
		(void)put_number(block, OL_TAR_MTIME, 0);
	if (fits && fraction == 0)
		return;
	size = snprintf(
		text, sizeof text, "%s%llu", negative ? "-" : "", (unsigned long long)seconds);
	if (fraction) {
		size += snprintf(text + size, sizeof text - (size_t)size, ".%09ld", fraction);
		while (text[size - 1] == '0')
			size--;
	}
	add_record(records, "mtime", ol_view_from(text, (size_t)size));
}

/* "a=b" is one key to who reads records: such a name goes out in libarchive's way, escaped. */
static void add_escaped_xattr(ol_buf *records, const ol_xattr *xattr)
{
	ol_auto_str ol_str key = OL_STR(OL_PAX_BYTES_MAX);
	ol_auto_str ol_str value = OL_STR(OL_PAX_BYTES_MAX);

	(void)ol_str_add(&key, "LIBARCHIVE.xattr.");
	for (size_t i = 0; i < xattr->name.size; i++) {
		unsigned char c = (unsigned char)xattr->name.data[i];

		if (c <= ' ' || c >= 0x7f || c == '%' || c == '=')
			(void)ol_str_addf(&key, "%%%02X", c);
		else
			(void)ol_str_addc(&key, (char)c);
	}
	(void)ol_base64_format(xattr->value, &value);
	add_record(records, ol_str_text(&key), ol_buf_view(&value));
}

static void add_xattrs(ol_buf *records, const ol_tar_entry *entry)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		const ol_xattr *xattr = &entry->xattrs[i];
		ol_autofree char *key = NULL;

		if (memchr(xattr->name.data, '=', xattr->name.size)) {
			add_escaped_xattr(records, xattr);
			continue;
		}
		key = ol_text("SCHILY.xattr.%.*s", (int)xattr->name.size, xattr->name.data);
		add_record(records, key, xattr->value);
	}
}

/* The map of a sparse file: how many pieces, then offset and size of each; the last one, empty,
 * says where the file ends. */
static int make_map(ol_tar_writer *writer, const ol_tar_entry *entry, ol_error *err)
{
	ol_buf *map = &writer->map;
	uint64_t total = 0;

	ol_buf_clear(map);
	if (entry->sparse_count > OL_SPARSE_PIECES_MAX - 1)
		return ol_fail(err, OL_ELIMIT, "%s: more than %zu pieces of data", entry->name,
			OL_SPARSE_PIECES_MAX - 1);
	(void)ol_str_addf(map, "%zu\n", entry->sparse_count + 1);
	for (size_t i = 0; i < entry->sparse_count; i++) {
		(void)ol_str_addf(map, "%llu\n%llu\n", (unsigned long long)entry->sparse[i].offset,
			(unsigned long long)entry->sparse[i].size);
		total += entry->sparse[i].size;
	}
	(void)ol_str_addf(map, "%llu\n0\n", (unsigned long long)entry->size);
	assert(total == entry->data_size);
	while (map->size % OL_TAR_BLOCK_BYTES)
		(void)ol_buf_add(map, "", 1);
	return ol_str_error(map, err);
}

static bool is_sparse(const ol_tar_entry *entry)
{
	return entry->type == OL_TAR_FILE && entry->sparse;
}

static void add_sparse(ol_buf *records, const ol_tar_entry *entry, const char *name)
{
	add_record(records, "GNU.sparse.major", ol_view_of("1"));
	add_record(records, "GNU.sparse.minor", ol_view_of("0"));
	add_record(records, "GNU.sparse.name", ol_view_of(name));
	add_number_record(records, "GNU.sparse.realsize", entry->size);
}

/* The name as it stands in the tar: directories end with a slash, whiteouts get their mark. */
static char *stored_name(const ol_tar_entry *entry)
{
	const char *slash = strrchr(entry->name, '/');
	int dir_size = slash ? (int)(slash - entry->name) + 1 : 0;

	switch (entry->type) {
	case OL_TAR_DIR:
		return *entry->name ? ol_text("%s/", entry->name) : ol_strdup("./");
	case OL_TAR_WHITEOUT:
		return ol_text(
			"%.*s.wh.%s", dir_size, entry->name, slash ? slash + 1 : entry->name);
	case OL_TAR_OPAQUE:
		return ol_text("%s%s.wh..wh..opq", entry->name, *entry->name ? "/" : "");
	case OL_TAR_FILE:
	case OL_TAR_HARDLINK:
	case OL_TAR_SYMLINK:
	case OL_TAR_CHAR:
	case OL_TAR_BLOCK:
	case OL_TAR_FIFO:
		break;
	}
	return ol_strdup(entry->name);
}

/* The header, and in records what it has no room for. */
static void make_header(ol_tar_writer *writer, const ol_tar_entry *entry, char *block)
{
	static const char flags[] = {
		[OL_TAR_FILE] = '0',
		[OL_TAR_HARDLINK] = '1',
		[OL_TAR_SYMLINK] = '2',
		[OL_TAR_CHAR] = '3',
		[OL_TAR_BLOCK] = '4',
		[OL_TAR_DIR] = '5',
		[OL_TAR_FIFO] = '6',
		[OL_TAR_WHITEOUT] = '0',
		[OL_TAR_OPAQUE] = '0',
	};
	ol_buf *records = &writer->records;
	ol_autofree char *name = stored_name(entry);
	bool links = entry->type == OL_TAR_HARDLINK || entry->type == OL_TAR_SYMLINK;
	uint64_t stored = entry->data_size + (is_sparse(entry) ? writer->map.size : 0);

	if (is_sparse(entry)) {
		add_sparse(records, entry, name);
		(void)put_name(block, ol_view_of(SPARSE_NAME));
	} else if (!put_name(block, ol_view_of(name))) {
		add_record(records, "path", ol_view_of(name));
	}
	if (links && !put_text(block, OL_TAR_LINK, ol_view_of(entry->target)))
		add_record(records, "linkpath", ol_view_of(entry->target));
	(void)put_number(block, OL_TAR_MODE, entry->mode & 07777);
	if (!put_number(block, OL_TAR_UID, entry->uid))
		add_number_record(records, "uid", entry->uid);
	if (!put_number(block, OL_TAR_GID, entry->gid))
		add_number_record(records, "gid", entry->gid);
	if (!put_number(block, OL_TAR_SIZE, stored))
		add_number_record(records, "size", stored);
	put_time(block, records, &entry->mtime);
	(void)put_number(block, OL_TAR_DEV_MAJOR, entry->dev_major);
	(void)put_number(block, OL_TAR_DEV_MINOR, entry->dev_minor);
	add_xattrs(records, entry);
	for (size_t i = 0; i < writer->extra_count; i++)
		add_record(records, writer->extra[i].name.data, writer->extra[i].value);
	seal(block, flags[entry->type]);
}

static int write_records(ol_tar_writer *writer, ol_error *err)
{
	const ol_buf *records = &writer->records;
	char block[OL_TAR_BLOCK_BYTES] = { 0 };
	int rc;

	(void)put_name(block, ol_view_of(PAX_NAME));
	(void)put_number(block, OL_TAR_MODE, 0644);
	(void)put_number(block, OL_TAR_UID, 0);
	(void)put_number(block, OL_TAR_GID, 0);
	(void)put_number(block, OL_TAR_SIZE, records->size);
	(void)put_number(block, OL_TAR_MTIME, 0);
	(void)put_number(block, OL_TAR_DEV_MAJOR, 0);
	(void)put_number(block, OL_TAR_DEV_MINOR, 0);
	seal(block, 'x');
	rc = ol_sink_write(writer->sink, block, sizeof block, err);
	if (rc == OL_OK)
		rc = ol_sink_write(writer->sink, records->data, records->size, err);
	return rc < 0 ? rc : pad(writer, ol_tar_padding(records->size), err);
}

/* What no header can say. */
static int check(const ol_tar_writer *writer, const ol_tar_entry *entry, ol_error *err)
{
	bool links = entry->type == OL_TAR_HARDLINK || entry->type == OL_TAR_SYMLINK;

	if (writer->left)
		return ol_fail(err, OL_EINVAL, "%s comes %llu bytes too early", entry->name,
			(unsigned long long)writer->left);
	if (!*entry->name && entry->type != OL_TAR_DIR && entry->type != OL_TAR_OPAQUE)
		return ol_fail(err, OL_EINVAL, "a member without a name");
	if (links && !*entry->target)
		return ol_fail(err, OL_EINVAL, "%s: a link to nothing", entry->name);
	if (entry->type != OL_TAR_FILE && entry->data_size)
		return ol_fail(err, OL_EINVAL, "%s: data of what is no file", entry->name);
	if (entry->data_size > OL_LAYER_TAR_BYTES_MAX || entry->size > OL_FILE_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "%s is too large for a tar", entry->name);
	return OL_OK;
}

int ol_tar_writer_add(ol_tar_writer *writer, const ol_tar_entry *entry, ol_error *err)
{
	char block[OL_TAR_BLOCK_BYTES] = { 0 };
	int rc = check(writer, entry, err);

	if (rc == OL_OK && is_sparse(entry))
		rc = make_map(writer, entry, err);
	if (rc < 0)
		return rc;
	ol_buf_clear(&writer->records);
	make_header(writer, entry, block);
	writer->extra_count = 0;
	rc = ol_str_error(&writer->records, err);
	if (rc < 0)
		return ol_wrap(err, rc, "%s: attributes", entry->name);
	if (writer->records.size)
		rc = write_records(writer, err);
	if (rc == OL_OK)
		rc = ol_sink_write(writer->sink, block, sizeof block, err);
	if (rc == OL_OK && is_sparse(entry))
		rc = ol_sink_write(writer->sink, writer->map.data, writer->map.size, err);
	writer->left = entry->data_size;
	writer->padding = ol_tar_padding(entry->data_size);
	return rc;
}

int ol_tar_writer_data(ol_tar_writer *writer, const void *data, size_t size, ol_error *err)
{
	int rc;

	if (size > writer->left)
		return ol_fail(err, OL_EINVAL, "more data than the member has");
	rc = size ? ol_sink_write(writer->sink, data, size, err) : OL_OK;
	if (rc < 0)
		return rc;
	writer->left -= size;
	return size && writer->left == 0 ? pad(writer, writer->padding, err) : OL_OK;
}

int ol_tar_writer_pass(ol_tar_writer *writer, uint64_t size, ol_error *err)
{
	if (size > writer->left)
		return ol_fail(err, OL_EINVAL, "more data than the member has");
	writer->left -= size;
	return size && writer->left == 0 ? pad(writer, writer->padding, err) : OL_OK;
}

int ol_tar_writer_records(
	ol_tar_writer *writer, const ol_xattr *records, size_t count, ol_error *err)
{
	for (size_t i = 0; i < count; i++) {
		ol_view key = records[i].name;

		if (key.size == 0 || strlen(key.data) != key.size ||
			memchr(key.data, '=', key.size))
			return ol_fail(err, OL_EINVAL, "a pax record without a key");
	}
	writer->extra = records;
	writer->extra_count = count;
	return OL_OK;
}

int ol_tar_writer_finish(ol_tar_writer *writer, ol_error *err)
{
	if (writer->left)
		return ol_fail(err, OL_EINVAL, "the tar ends %llu bytes too early",
			(unsigned long long)writer->left);
	return pad(writer, (uint64_t)2 * OL_TAR_BLOCK_BYTES, err);
}
