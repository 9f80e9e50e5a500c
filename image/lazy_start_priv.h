#pragma once

/* What starts the lazy processes: this program, with the session's store. */
#include "image/lazy.h"

typedef struct ol_lazy_argv {
	const char *argv[12]; /* lent, ended by NULL */
	char *program;        /* owned */
} ol_lazy_argv;
/* command: "lazy-holder", "lazy-worker"; extra: an option of it, or NULL. The program is named by
 * its path, so that after an upgrade the new one is started. */
void ol_lazy_argv_init(
	ol_lazy_argv *out, const ol_session *session, const char *command, const char *extra);
/* One more, lent. */
void ol_lazy_argv_add(ol_lazy_argv *argv, const char *word);
void ol_lazy_argv_done(ol_lazy_argv *argv);
