#include <stdlib.h>
#include <string.h>

#include "fetch/url.h"
#include "tests/fuzz/fuzz.h"

/* The first line is a base, the rest a Location header. What is made of them is a URL again,
 * without what could carry a secret to a screen. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *joined = NULL, *authority = NULL, *again = NULL, *shown;
	char *rest;

	memcpy(text, data, size);
	text[size] = '\0';
	rest = strchr(text, '\n');
	if (rest)
		*rest++ = '\0';
	shown = ol_url_shown(text);
	if (strchr(shown, '?') || strchr(shown, '#'))
		abort();
	(void)ol_url_is_loopback(text);
	if (rest && ol_url_join(text, rest, &joined, NULL) == 0) {
		if (ol_url_authority(joined, &authority, NULL) < 0 || !strchr(authority, ':'))
			abort();
		if (ol_url_join(joined, joined, &again, NULL) < 0 ||
			!ol_url_same_origin(joined, again))
			abort();
	}
	free(again);
	free(authority);
	free(joined);
	free(shown);
	free(text);
	return 0;
}
