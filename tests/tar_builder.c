#include "tests/tar_builder.h"

#include <stdint.h>
#include <stdio.h>

#include "tests/check.h"

static void put(unsigned char *block, size_t at, size_t size, const char *text)
{
	size_t length = strlen(text);

	memcpy(block + at, text, length < size ? length : size);
}

static void put_octal(unsigned char *block, size_t at, size_t size, unsigned long long value)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%0*llo", (int)size - 1, value);
	put(block, at, size, text);
}

static void put_magic(unsigned char *block, tar_magic magic)
{
	static const char *const magics[] = { "ustar\00000", "ustar  ", "", "ustar\00000" };

	if (magic != TAR_MAGIC_V7)
		memcpy(block + 257, magics[magic], 8);
	if (magic == TAR_MAGIC_STAR)
		memcpy(block + 508, "tar", 4);
}

static void put_checksum(unsigned char *block, const tar_member *member)
{
	int sum = 0;

	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += member->checksum == TAR_SUM_SIGNED ? (signed char)block[i] : block[i];
	if (member->checksum == TAR_SUM_BAD)
		sum++;
	(void)snprintf((char *)block + 148, 8, "%06o", (unsigned)sum);
}

void tar_add_block(ol_buf *tar, const tar_member *member, char type, ol_view data)
{
	unsigned char block[512] = { 0 };
	const char zero[512] = { 0 };

	put(block, 0, 100, member->name);
	put_octal(block, 100, 8, member->mode ? member->mode : 0644);
	put_octal(block, 108, 8, member->uid);
	put_octal(block, 116, 8, member->gid);
	put_octal(block, 124, 12, data.size);
	put_octal(block, 136, 12, member->mtime);
	block[156] = (unsigned char)type;
	if (member->link)
		put(block, 157, 100, member->link);
	put_magic(block, member->magic);
	put_octal(block, 329, 8, member->major);
	put_octal(block, 337, 8, member->minor);
	for (size_t i = 0; i < TAR_PATCH_MAX && member->patches[i].text; i++) {
		const tar_patch *patch = &member->patches[i];

		memcpy(block + patch->at, patch->text,
			patch->size ? patch->size : strlen(patch->text));
	}
	put_checksum(block, member);
	(void)ol_buf_add(tar, block, sizeof block);
	if (member->no_data)
		return;
	(void)ol_buf_add(tar, data.data, data.size);
	(void)ol_buf_add(tar, zero, -data.size % 512);
}

/* "<length> key=value\n", where the length counts itself. */
static void add_record(ol_buf *body, const char *record)
{
	size_t size = strlen(record) + 2, length = size;
	char digits[24];

	for (;;) {
		size_t next = size + (size_t)snprintf(digits, sizeof digits, "%zu", length);

		if (next == length)
			break;
		length = next;
	}
	(void)ol_str_addf(body, "%zu %s\n", length, record);
}

static void add_pax(ol_buf *tar, char type, const char *const records[TAR_PAX_MAX])
{
	const tar_member header = { .name = "PaxHeaders/x" };
	ol_auto_buf ol_buf body = OL_BUF(TAR_BYTES_MAX);

	for (size_t i = 0; i < TAR_PAX_MAX && records[i]; i++)
		add_record(&body, records[i]);
	if (body.size > 0)
		tar_add_block(tar, &header, type, ol_buf_view(&body));
}

static void add_long(ol_buf *tar, char type, const char *text)
{
	const tar_member header = { .name = "././@LongLink", .magic = TAR_MAGIC_GNU };

	if (text)
		tar_add_block(tar, &header, type, (ol_view){ text, strlen(text) + 1 });
}

void tar_add(ol_buf *tar, const tar_member *member)
{
	char type = '0';
	ol_view data = { member->data, member->data_size };

	if (member->type)
		type = member->type;
	if (type == '\1')
		type = '\0';
	if (member->data && !data.size)
		data.size = strlen(member->data);
	add_pax(tar, 'g', member->global);
	add_pax(tar, 'x', member->pax);
	add_long(tar, 'L', member->long_name);
	add_long(tar, 'K', member->long_link);
	tar_add_block(tar, member, type, data);
}

ol_buf tar_build(const tar_member *members)
{
	ol_buf tar = OL_BUF(TAR_BYTES_MAX);
	const char end[1024] = { 0 };

	for (; members->name; members++)
		tar_add(&tar, members);
	(void)ol_buf_add(&tar, end, sizeof end);
	CHECK_INT("the tar fits its buffer", OL_OK, tar.rc);
	return tar;
}
