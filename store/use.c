/* Who is alive, and who holds which layers mounted. */
#include "store/use.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "store/store_priv.h"

/* proc(5), /proc/PID/stat: the name in field 2 may hold anything, so fields are counted from its
 * last ')'. */
uint64_t ol_process_start(pid_t pid)
{
	ol_auto_buf ol_buf text = OL_BUF(4096);
	char path[40];
	const char *at;

	if (pid <= 0)
		return 0;
	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (ol_file_read(AT_FDCWD, path, false, &text, NULL) < 0)
		return 0;
	at = strrchr(text.data, ')');
	for (int field = 2; at && field < 22; field++) {
		at = strchr(at + 1, ' ');
		if (field == 2 && at && (at[1] == 'Z' || at[1] == 'X'))
			return 0; /* dead, only not yet waited for */
	}
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

bool ol_process_alive(pid_t pid, uint64_t start)
{
	return start != 0 && ol_process_start(pid) == start;
}
