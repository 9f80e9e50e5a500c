#include "base/event.h"

#include <stdarg.h>
#include <stdio.h>

void ol_tell_text(const ol_listener *listener, ol_event_kind kind, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ol_tell(listener, &(ol_event){ .kind = kind, .text = text });
}
