/* The image's passwd and group in one input, split at the first NUL; then a user, split at the
 * next. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "exec/user.h"
#include "tests/fuzz/fuzz.h"

static ol_view take(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size ? memchr(*data, 0, *size) : NULL;
	ol_view view = { (const char *)*data, end ? (size_t)(end - *data) : *size };

	*data += view.size + (end != NULL);
	*size -= view.size + (end != NULL);
	return view;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_view passwd = take(&data, &size), group = take(&data, &size);
	ol_autofree char *who = ol_strndup(size ? (const char *)data : "", size);
	const char *const add[] = { who, NULL };
	ol_user user = { .uid = 0 };

	if (ol_user_resolve(passwd, group, who, NULL, &user, NULL) == OL_OK) {
		if (user.uid == UINT32_MAX || user.gid == UINT32_MAX || user.group_count == 0 ||
			!user.home)
			abort();
		ol_user_done(&user);
	}
	if (ol_user_resolve(passwd, group, "", add, &user, NULL) == OL_OK)
		ol_user_done(&user);
	return 0;
}
