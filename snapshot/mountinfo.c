#include "snapshot/mountinfo.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"

int ol_mountinfo_read(ol_buf *out, ol_error *err)
{
	int rc = ol_file_read(AT_FDCWD, "/proc/self/mountinfo", false, out, err);

	return rc < 0 ? ol_wrap(err, rc, "/proc/self/mountinfo") : OL_OK;
}

/* A word of a line, up to a space. */
static bool take_word(ol_view *line, ol_view *out)
{
	const char *end = memchr(line->data, ' ', line->size);
	size_t size = end ? (size_t)(end - line->data) : line->size;

	if (size == 0)
		return false;
	*out = ol_view_from(line->data, size);
	size += end != NULL;
	*line = ol_view_from(line->data + size, line->size - size);
	return true;
}

static bool read_id(ol_view word, uint64_t *out)
{
	uint64_t value = 0;

	for (size_t i = 0; i < word.size; i++) {
		if (word.data[i] < '0' || word.data[i] > '9' || i == 18)
			return false;
		value = value * 10 + (uint64_t)(word.data[i] - '0');
	}
	*out = value;
	return word.size > 0;
}

/* id parent major:minor root target options [tags...] - type source superoptions */
static bool read_line(ol_view line, ol_mount_line *out)
{
	ol_view word = { NULL, 0 };
	bool sound = take_word(&line, &word) && read_id(word, &out->id) &&
		     take_word(&line, &word) && read_id(word, &out->parent) &&
		     take_word(&line, &word) && take_word(&line, &word) &&
		     take_word(&line, &out->target) && take_word(&line, &word);

	while (sound && !ol_view_is(word, "-"))
		sound = take_word(&line, &word);
	return sound && take_word(&line, &out->type) && take_word(&line, &out->source);
}

bool ol_mountinfo_next(ol_view *rest, ol_mount_line *out)
{
	while (rest->size > 0) {
		const char *end = memchr(rest->data, '\n', rest->size);
		ol_view line =
			ol_view_from(rest->data, end ? (size_t)(end - rest->data) : rest->size);
		size_t size = line.size + (end != NULL);

		*rest = ol_view_from(rest->data + size, rest->size - size);
		if (read_line(line, out))
			return true;
	}
	return false;
}

static bool is_octal(const char *text, size_t size)
{
	return size >= 4 && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' && text[2] <= '7' &&
	       text[3] >= '0' && text[3] <= '7';
}

/* Whether a word of the list stands for text. */
static bool stands_for(ol_view word, const char *text)
{
	size_t i = 0;

	for (; i < word.size && *text; text++) {
		unsigned char c = (unsigned char)word.data[i];

		if (c == '\\' && is_octal(word.data + i, word.size - i)) {
			c = (unsigned char)((word.data[i + 1] - '0') * 64 +
					    (word.data[i + 2] - '0') * 8 +
					    (word.data[i + 3] - '0'));
			i += 3;
		}
		i++;
		if (c != (unsigned char)*text)
			return false;
	}
	return i == word.size && !*text;
}

ol_mount_seen ol_mountinfo_find(ol_view text, const char *target, const char *source)
{
	ol_mount_line line;
	ol_view rest = text;
	uint64_t id = 0;
	bool found = false;

	while (!found && ol_mountinfo_next(&rest, &line)) {
		found = ol_view_is(line.type, "overlay") && stands_for(line.source, source) &&
			stands_for(line.target, target);
		id = line.id;
	}
	if (!found)
		return OL_MOUNT_ABSENT;
	for (rest = text; ol_mountinfo_next(&rest, &line);)
		if (line.parent == id && line.id != id && stands_for(line.target, target))
			return OL_MOUNT_COVERED;
	return OL_MOUNT_THERE;
}

uint64_t ol_mount_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/mnt", &st) == 0 ? (uint64_t)st.st_ino : 0;
}
