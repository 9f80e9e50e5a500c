#include "base/str.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/ckd.h"

void ol_buf_done(ol_buf *buf)
{
	free(buf->data);
	buf->data = NULL;
	buf->size = buf->cap = 0;
}

char *ol_buf_room(ol_buf *buf, size_t size)
{
	size_t need, cap;

	if (buf->rc < 0)
		return NULL;
	if (ckd_add(&need, buf->size, size) || need > buf->max) {
		buf->rc = OL_ELIMIT;
		return NULL;
	}
	if (!buf->data || need + 1 > buf->cap) {
		cap = buf->cap ? buf->cap : 64;
		while (cap < need + 1)
			cap *= 2;
		buf->data = ol_realloc_array(buf->data, cap, 1);
		buf->cap = cap;
		buf->data[buf->size] = '\0';
	}
	return buf->data + buf->size;
}

int ol_buf_add(ol_buf *buf, const void *data, size_t size)
{
	char *room = ol_buf_room(buf, size);

	if (!room)
		return buf->rc;
	if (size)
		memcpy(room, data, size);
	buf->size += size;
	buf->data[buf->size] = '\0';
	return OL_OK;
}

void ol_buf_clear(ol_buf *buf)
{
	buf->size = 0;
	buf->rc = OL_OK;
	if (buf->data)
		buf->data[0] = '\0';
}

char *ol_buf_steal(ol_buf *buf)
{
	char *data = buf->data ? buf->data : ol_alloc(1);

	buf->data = NULL;
	buf->size = buf->cap = 0;
	return data;
}

int ol_str_add(ol_str *str, const char *text)
{
	return ol_buf_add(str, text, strlen(text));
}

int ol_str_addc(ol_str *str, char c)
{
	return ol_buf_add(str, &c, 1);
}

int ol_str_addv(ol_str *str, ol_view view)
{
	return ol_buf_add(str, view.data, view.size);
}

int ol_str_addf(ol_str *str, const char *fmt, ...)
{
	char small[256];
	ol_autofree char *large = NULL;
	va_list ap;
	int size;

	va_start(ap, fmt);
	size = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	if (size < 0)
		return str->rc = OL_ELIMIT;
	if ((size_t)size < sizeof small)
		return ol_buf_add(str, small, (size_t)size);
	va_start(ap, fmt);
	size = vasprintf(&large, fmt, ap);
	va_end(ap);
	if (size < 0)
		return str->rc = OL_ELIMIT;
	return ol_buf_add(str, large, (size_t)size);
}

size_t ol_utf8_size(ol_view text)
{
	const unsigned char *p = (const unsigned char *)text.data;
	size_t size;
	unsigned low = 0x80, high = 0xbf; /* of the second byte: no overlong forms, no surrogates */

	if (text.size == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		size = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		size = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		size = 4;
	else
		return 0;
	if (size > text.size)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

int ol_str_add_safe(ol_str *str, ol_view view)
{
	const unsigned char *p = (const unsigned char *)view.data;

	for (size_t i = 0; i < view.size;) {
		size_t plain = i;

		/* Mostly all of it: added at once. */
		while (plain < view.size && p[plain] >= 0x20 && p[plain] < 0x7f)
			plain++;
		if (plain > i) {
			(void)ol_buf_add(str, p + i, plain - i);
			i = plain;
			continue;
		}

		size_t size = ol_utf8_size(ol_view_from(p + i, view.size - i));
		/* C1 controls (U+0080 to U+009F) move cursors on some terminals as well. */
		int control = size == 1 ? p[i] < 0x20 || p[i] == 0x7f
					: size == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0;

		if (size == 0 || control) {
			(void)ol_str_addf(str, "\\x%02x", p[i]);
			i++;
			continue;
		}
		(void)ol_buf_add(str, p + i, size);
		i += size;
	}
	return str->rc;
}

int ol_str_error(const ol_str *str, ol_error *err)
{
	if (str->rc < 0)
		return ol_fail(err, str->rc, "larger than the %zu bytes allowed", str->max);
	return OL_OK;
}
