#include "base/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

bool ol_trace_on(const char *folder)
{
	const char *list = getenv("ORLOP_TRACE");
	size_t size = strlen(folder);

	while (list && *list) {
		size_t word = strcspn(list, ",");

		if ((word == size && memcmp(list, folder, size) == 0) ||
			(word == 3 && memcmp(list, "all", 3) == 0))
			return true;
		list += word;
		list += *list == ',';
	}
	return false;
}

void ol_trace(const char *folder, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!ol_trace_on(folder))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "%llu %s: %s\n", (unsigned long long)ol_now_ms(), folder, text);
}
