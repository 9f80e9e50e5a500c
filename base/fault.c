#include "base/fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How often the one point that ORLOP_FAULT names was passed: a count of this process, not state of
 * a handle. */
static atomic_int passes;

int ol_fault(const char *name, ol_error *err)
{
	const char *wish = getenv("ORLOP_FAULT");
	size_t size = strlen(name);
	const char *how;
	long turn = 1;

	if (!wish || strncmp(wish, name, size) != 0 || (wish[size] != ':' && wish[size] != '\0'))
		return OL_OK;
	how = wish + size;
	if (strncmp(how, ":kill", 5) == 0)
		how += 5;
	else if (strncmp(how, ":error", 6) == 0)
		how += 6;
	if (*how == ':')
		turn = strtol(how + 1, NULL, 10);
	if (atomic_fetch_add(&passes, 1) + 1 != turn)
		return OL_OK;
	if (strncmp(wish + size, ":error", 6) != 0)
		(void)raise(SIGKILL);
	return ol_fail(err, OL_ESYSTEM, "fault point %s", name);
}
