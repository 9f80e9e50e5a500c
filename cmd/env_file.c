#include "cmd/env_file.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "base/limits.h"

void ol_env_list_add(ol_env_list *list, const char *entry)
{
	if (list->count + 1 >= list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		const char **more = ol_arena_alloc(list->arena, cap * sizeof *more);

		if (list->count)
			memcpy(more, list->entries, list->count * sizeof *more);
		list->entries = more;
		list->cap = cap;
	}
	list->entries[list->count++] = entry;
	list->entries[list->count] = NULL;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The bytes of the character that starts with c; 0: none does. */
static size_t character_size(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c < 0xc0 || c > 0xf7)
		return 0;
	return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* The bytes of the character at the start of text, or 0 when it is none. */
static size_t character(ol_view text)
{
	/* The least that each length may stand for: shorter forms must be used. */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c = (unsigned char)text.data[0];
	size_t size = character_size(c);
	uint32_t value = size == 1 ? c : c & (0xffu >> (size + 1));

	if (size == 0 || size > text.size)
		return 0;
	for (size_t k = 1; k < size; k++) {
		unsigned char next = (unsigned char)text.data[k];

		if ((next & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (next & 0x3f);
	}
	return value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)
		       ? 0
		       : size;
}

static bool is_utf8(ol_view text)
{
	for (size_t at = 0; at < text.size;) {
		size_t size = character(ol_view_from(text.data + at, text.size - at));

		if (size == 0)
			return false;
		at += size;
	}
	return true;
}

static int parse_line(ol_view line, unsigned number, ol_env_list *list, ol_error *err)
{
	const char *equals;
	size_t key;

	while (line.size && is_space(line.data[0]))
		line = ol_view_from(line.data + 1, line.size - 1);
	if (line.size == 0 || line.data[0] == '#')
		return OL_OK;
	if (memchr(line.data, 0, line.size) || !is_utf8(line))
		return ol_fail(err, OL_EINVAL, "line %u is not UTF-8 text", number);
	equals = memchr(line.data, '=', line.size);
	key = equals ? (size_t)(equals - line.data) : line.size;
	if (key == 0)
		return ol_fail(err, OL_EINVAL, "line %u has no variable name", number);
	for (size_t i = 0; i < key; i++)
		if (is_space(line.data[i]))
			return ol_fail(err, OL_EINVAL,
				"line %u: variable '%.*s' contains whitespaces", number,
				(int)(key > 80 ? 80 : key), line.data);
	ol_env_list_add(list, ol_arena_strndup(list->arena, line.data, line.size));
	return OL_OK;
}

int ol_env_file_parse(ol_view text, ol_env_list *list, ol_error *err)
{
	unsigned number = 0;

	if (ol_view_starts(text, "\xef\xbb\xbf"))
		text = ol_view_from(text.data + 3, text.size - 3);
	while (text.size) {
		const char *newline = memchr(text.data, '\n', text.size);
		ol_view line = ol_view_from(
			text.data, newline ? (size_t)(newline - text.data) : text.size);
		size_t used = line.size + (newline != NULL);
		int rc;

		if (line.size && line.data[line.size - 1] == '\r')
			line.size--;
		rc = parse_line(line, ++number, list, err);
		if (rc < 0)
			return rc;
		text = ol_view_from(text.data + used, text.size - used);
	}
	return OL_OK;
}

int ol_env_file_read(const char *path, ol_env_list *list, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_ENV_FILE_BYTES_MAX);
	int rc = ol_file_read(AT_FDCWD, path, false, &text, err);

	if (rc < 0)
		return rc;
	rc = ol_env_file_parse(ol_buf_view(&text), list, err);
	return rc < 0 ? ol_wrap(err, rc, "%s", path) : OL_OK;
}
