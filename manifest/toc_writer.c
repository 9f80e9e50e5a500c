#include "manifest/toc_writer.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "manifest/toc_priv.h"

/* RFC 8259 section 7. */
void ol_toc_add_text(ol_str *out, ol_view text)
{
	(void)ol_str_addc(out, '"');
	for (size_t i = 0; i < text.size; i++) {
		const unsigned char c = (unsigned char)text.data[i];

		if (c < 0x20 || c == 0x7f)
			(void)ol_str_addf(out, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			(void)ol_str_addf(out, "\\%c", c);
		else
			(void)ol_str_addc(out, (char)c);
	}
	(void)ol_str_addc(out, '"');
}

static void add_number(ol_str *out, const char *key, uint64_t value)
{
	if (value)
		(void)ol_str_addf(out, ",\"%s\":%llu", key, (unsigned long long)value);
}

static void add_digest(ol_str *out, const char *key, const ol_digest *digest)
{
	if (digest && ol_digest_is_set(digest))
		(void)ol_str_addf(out, ",\"%s\":\"%s\"", key, ol_digest_format(digest).text);
}

static void add_time(ol_str *out, const char *key, const struct timespec *when)
{
	(void)ol_str_addf(out, ",\"%s\":\"%s\"", key, ol_time_format(when).text);
}

static void add_xattrs(ol_str *out, const ol_tar_raw *member)
{
	if (member->xattr_count == 0)
		return;
	(void)ol_str_add(out, ",\"xattrs\":{");
	for (size_t i = 0; i < member->xattr_count; i++) {
		if (i > 0)
			(void)ol_str_addc(out, ',');
		ol_toc_add_text(out, member->xattrs[i].name);
		(void)ol_str_add(out, ":\"");
		(void)ol_base64_format(member->xattrs[i].value, out);
		(void)ol_str_addc(out, '"');
	}
	(void)ol_str_addc(out, '}');
}

static const char *word_of(char type)
{
	static const char *const words[] = { "reg", "hardlink", "symlink", "char", "block", "dir",
		"fifo" };

	return type >= '0' && type <= '6' ? words[type - '0'] : "reg";
}

static void begin_entry(ol_str *out, const char *type, ol_view name)
{
	(void)ol_str_addf(out, "{\"type\":\"%s\",\"name\":", type);
	ol_toc_add_text(out, name);
}

void ol_toc_begin(ol_str *out)
{
	(void)ol_str_add(out, "{\"version\":1,\"entries\":[");
}

void ol_toc_put_member(ol_str *out, const ol_tar_raw *member, bool all_times)
{
	begin_entry(out, word_of(member->type), member->name);
	if (member->target.size > 0) {
		(void)ol_str_add(out, ",\"linkName\":");
		ol_toc_add_text(out, member->target);
	}
	add_number(out, "size", member->type == '0' ? member->size : 0);
	add_number(out, "mode", member->mode);
	add_number(out, "uid", member->uid);
	add_number(out, "gid", member->gid);
	add_time(out, "modtime", &member->mtime);
	if (all_times && (member->atime.tv_sec || member->atime.tv_nsec))
		add_time(out, "accesstime", &member->atime);
	if (all_times && (member->ctime.tv_sec || member->ctime.tv_nsec))
		add_time(out, "changetime", &member->ctime);
	add_number(out, "devMajor", member->dev_major);
	add_number(out, "devMinor", member->dev_minor);
	add_xattrs(out, member);
}

void ol_toc_put_spot(ol_str *out, const ol_toc_spot *spot)
{
	add_digest(out, "digest", spot->digest);
	add_number(out, "offset", spot->blob_offset);
	add_number(out, "endOffset", spot->blob_end);
	add_number(out, "innerOffset", spot->inner_offset);
	add_number(out, "chunkOffset", spot->chunk_offset);
	add_number(out, "chunkSize", spot->chunk_size);
	add_digest(out, "chunkDigest", spot->chunk_digest);
	if (spot->zeros)
		(void)ol_str_add(out, ",\"chunkType\":\"zeros\"");
}

void ol_toc_put_close(ol_str *out)
{
	(void)ol_str_add(out, "},");
}

void ol_toc_put_chunk(ol_str *out, const char *name, const ol_toc_spot *spot)
{
	begin_entry(out, "chunk", ol_view_of(name));
	ol_toc_put_spot(out, spot);
	ol_toc_put_close(out);
}

int ol_toc_end(ol_str *out, const ol_digest *tar_split, ol_error *err)
{
	if (out->rc == OL_OK && out->size > 0 && out->data[out->size - 1] == ',')
		out->data[--out->size] = '\0';
	(void)ol_str_addc(out, ']');
	add_digest(out, "tarSplitDigest", tar_split);
	(void)ol_str_addc(out, '}');
	return ol_str_error(out, err);
}

void ol_estargz_footer(uint64_t toc_offset, unsigned char out[OL_ESTARGZ_FOOTER_BYTES])
{
	/* An empty member: header with an extra field, a last block that is stored and empty, CRC
	 * and size of nothing. */
	static const unsigned char head[] = { 0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, 'S',
		'G', 22, 0 };
	static const char magic[] = { 'S', 'T', 'A', 'R', 'G', 'Z' };
	char place[17];

	memset(out, 0, OL_ESTARGZ_FOOTER_BYTES);
	memcpy(out, head, sizeof head);
	(void)snprintf(place, sizeof place, "%016llx", (unsigned long long)toc_offset);
	memcpy(out + 16, place, 16);
	memcpy(out + 32, magic, sizeof magic);
	out[38] = 1;
	out[41] = out[42] = 0xff;
}

static void put_le(unsigned char *out, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (unsigned char)(value >> 8 * i);
}

void ol_zstd_skippable(uint32_t size, unsigned char out[OL_ZSTD_SKIPPABLE_BYTES])
{
	put_le(out, 0x184d2a50, 4);
	put_le(out + 4, size, 4);
}

void ol_zstd_chunked_footer(
	const ol_toc_place *place, unsigned char out[OL_ZSTD_CHUNKED_FOOTER_BYTES])
{
	static const char magic[] = { 'G', 'N', 'U', 'l', 'I', 'n', 'U', 'x' };
	const uint64_t numbers[] = { place->toc.offset, place->toc.size, place->toc_raw_size, 1,
		place->tar_split.offset, place->tar_split.size, place->tar_split_raw_size };

	ol_zstd_skippable(64, out);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		put_le(out + OL_ZSTD_SKIPPABLE_BYTES + 8 * i, numbers[i], 8);
	memcpy(out + OL_ZSTD_SKIPPABLE_BYTES + 56, magic, sizeof magic);
}
