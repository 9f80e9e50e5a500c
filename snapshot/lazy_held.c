#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/lazy_engine.h"
#include "snapshot/lazy_held_priv.h"

#define HEAD "orlop-held 1"

void ol_held_done(ol_held *held)
{
	free(held->layers);
	*held = (ol_held){ .count = 0 };
}

static ol_view take_line(ol_view *rest)
{
	const char *end = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
	ol_view line = ol_view_from(rest->data, end ? (size_t)(end - rest->data) : rest->size);
	size_t used = line.size + (end != NULL);

	*rest = ol_view_from(rest->data + used, rest->size - used);
	return line;
}

/* What follows "word "; false: the line does not begin so. */
static bool take_word(ol_view line, const char *word, ol_view *out)
{
	size_t size = strlen(word);

	if (!ol_view_starts(line, word) || line.size <= size + 1 || line.data[size] != ' ')
		return false;
	*out = ol_view_from(line.data + size + 1, line.size - size - 1);
	return true;
}

static bool take_text(ol_view line, const char *word, char *out, size_t room)
{
	ol_view text;

	if (!take_word(line, word, &text) || text.size >= room)
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	memcpy(out, text.data, text.size);
	out[text.size] = '\0';
	return true;
}

/* Digits up to until, or to the end where it is '\0'. */
static bool take_number(ol_view *text, char until, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; i < text->size && text->data[i] >= '0' && text->data[i] <= '9'; i++) {
		unsigned digit = (unsigned)(text->data[i] - '0');

		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (i == 0 || (until ? i == text->size || text->data[i] != until : i != text->size))
		return false;
	i += until != '\0';
	*text = ol_view_from(text->data + i, text->size - i);
	*out = n;
	return true;
}

static bool take_process(ol_view line, const char *word, ol_held_process *out)
{
	uint64_t pid = 0, start = 0;
	ol_view text;

	if (!take_word(line, word, &text) || !take_number(&text, ' ', INT32_MAX, &pid) ||
		!take_number(&text, '\0', INT64_MAX, &start))
		return false;
	*out = (ol_held_process){ (pid_t)pid, start };
	return true;
}

static bool take_layer(ol_view line, ol_held_layer *out)
{
	ol_view text;
	const char *space;

	if (!take_word(line, "layer", &text))
		return false;
	space = memchr(text.data, ' ', text.size);
	if (!space || ol_digest_parse(ol_view_from(text.data, (size_t)(space - text.data)),
			      &out->diff_id, NULL) < 0)
		return false;
	text = ol_view_from(space + 1, text.size - (size_t)(space + 1 - text.data));
	out->complete = ol_view_is(text, "complete");
	return out->complete || ol_view_is(text, "incomplete");
}

int ol_held_parse(ol_view text, ol_held *out, ol_error *err)
{
	ol_held held = { .count = 0 };
	size_t cap = 0;
	bool sound = text.size > 0 && text.data[text.size - 1] == '\n';

	if (text.size > OL_HELD_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, OL_HELD_NAME " is too large");
	sound = sound && ol_view_is(take_line(&text), HEAD) &&
		take_text(take_line(&text), "boot", held.boot_id, sizeof held.boot_id) &&
		take_text(take_line(&text), "engine", held.engine, sizeof held.engine) &&
		take_process(take_line(&text), "holder", &held.holder) &&
		take_process(take_line(&text), "worker", &held.worker);
	while (sound && text.size) {
		OL_GROW(held.layers, held.count, cap);
		sound = take_layer(take_line(&text), &held.layers[held.count++]);
	}
	if (!sound) {
		ol_held_done(&held);
		return ol_fail(err, OL_ECORRUPT, OL_HELD_NAME " is damaged");
	}
	*out = held;
	return OL_OK;
}

void ol_held_format(const ol_held *held, ol_str *out)
{
	(void)ol_str_addf(out, HEAD "\nboot %s\nengine %s\n", held->boot_id, held->engine);
	(void)ol_str_addf(out, "holder %d %llu\nworker %d %llu\n", (int)held->holder.pid,
		(unsigned long long)held->holder.start, (int)held->worker.pid,
		(unsigned long long)held->worker.start);
	for (size_t i = 0; i < held->count; i++)
		(void)ol_str_addf(out, "layer %s %s\n",
			ol_digest_format(&held->layers[i].diff_id).text,
			held->layers[i].complete ? "complete" : "incomplete");
}

int ol_held_read(int lazy_fd, ol_held *out, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_HELD_BYTES_MAX);
	int rc = ol_file_read(lazy_fd, OL_HELD_NAME, true, &text, err);

	return rc < 0 ? rc : ol_held_parse(ol_buf_view(&text), out, err);
}

int ol_held_write(int lazy_fd, const ol_held *held, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(OL_HELD_BYTES_MAX);
	int rc;

	ol_held_format(held, &text);
	rc = ol_str_error(&text, err);
	/* It means something for this boot only: not synced. */
	if (rc == OL_OK)
		rc = ol_publish(
			lazy_fd, OL_HELD_NAME, ol_buf_view(&text), 0600, OL_PUBLISH_REPLACE, err);
	return rc < 0 ? ol_wrap(err, rc, OL_HELD_NAME) : OL_OK;
}

int ol_held_remove(int lazy_fd, ol_error *err)
{
	return unlinkat(lazy_fd, OL_HELD_NAME, 0) < 0 && errno != ENOENT
		       ? ol_fail_sys(err, OL_HELD_NAME)
		       : OL_OK;
}
