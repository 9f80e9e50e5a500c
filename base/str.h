#pragma once

/*
 * ol_str grows text, ol_buf grows bytes. Both are born with a cap (bytes, without the final NUL)
 * and answer OL_ELIMIT past it; from then on every call does, so a caller may add many times and
 * look once. What was there stays valid. data is always terminated by a NUL, and never NULL after
 * the first call. For one owner.
 *
 *	ol_auto_str ol_str s = OL_STR(4096);
 *	ol_str_addf(&s, "%s:%d", host, port);
 *	rc = ol_str_error(&s, err);
 */
#include <stddef.h>

#include "base/error.h"
#include "base/own.h"
#include "base/view.h"

typedef struct ol_buf {
	char *data; /* owned */
	size_t size, cap, max;
	int rc; /* OL_OK, or the first refusal */
} ol_buf;

typedef ol_buf ol_str;

#define OL_BUF(max_bytes) ((ol_buf){ .max = (max_bytes) })
#define OL_STR(max_bytes) OL_BUF(max_bytes)

void ol_buf_done(ol_buf *buf);
#define ol_auto_buf __attribute__((cleanup(ol_buf_done)))
#define ol_auto_str __attribute__((cleanup(ol_buf_done)))

int ol_buf_add(ol_buf *buf, const void *data, size_t size);
/* Makes room for size more bytes and gives where they go; the caller then raises buf->size. NULL
 * past the cap. */
char *ol_buf_room(ol_buf *buf, size_t size);
void ol_buf_clear(ol_buf *buf);
char *ol_buf_steal(ol_buf *buf); /* the memory is the caller's; buf is empty again */
static inline ol_view ol_buf_view(const ol_buf *buf)
{
	return (ol_view){ buf->data, buf->size };
}

int ol_str_add(ol_str *str, const char *text);
int ol_str_addc(ol_str *str, char c);
int ol_str_addv(ol_str *str, ol_view view);
int ol_str_addf(ol_str *str, const char *fmt, ...) OL_PRINTF(2, 3);
/* Bytes that came from outside, made safe for a terminal: control characters and bytes that are not
 * UTF-8 as \xNN. */
int ol_str_add_safe(ol_str *str, ol_view view);
/* The length in bytes of the well-formed UTF-8 character (RFC 3629) that text begins with; 0 if
 * there is none. */
size_t ol_utf8_size(ol_view text);
static inline const char *ol_str_text(const ol_str *str)
{
	return str->data ? str->data : "";
}
/* OL_OK, or OL_ELIMIT with words. */
int ol_str_error(const ol_str *str, ol_error *err);
