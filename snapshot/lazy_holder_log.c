/* <run dir>/lazy/log: what the holder does, and what its workers print. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "snapshot/lazy_holder_priv.h"

#define LOG "log"
/* Then it is begun anew, and the one before is kept as log.1. */
#define LOG_BYTES_MAX ((off_t)1 << 20)

int ol_holder_log_open(ol_holder *h, ol_error *err)
{
	int fd = openat(
		h->lazy_fd, LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return ol_fail_sys(err, LOG);
	if (h->log_fd >= 0)
		(void)close(h->log_fd);
	h->log_fd = fd;
	return OL_OK;
}

void ol_holder_log(ol_holder *h, const char *fmt, ...)
{
	char line[1024];
	struct timespec now;
	struct stat st;
	int head, body;
	va_list args;

	if (h->log_fd < 0)
		return;
	if (fstat(h->log_fd, &st) == 0 && st.st_size > LOG_BYTES_MAX &&
		renameat(h->lazy_fd, LOG, h->lazy_fd, LOG ".1") == 0)
		(void)ol_holder_log_open(h, NULL);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	now.tv_nsec -= now.tv_nsec % 1000000;
	head = snprintf(
		line, sizeof line, "%s holder %d: ", ol_time_format(&now).text, (int)getpid());
	va_start(args, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is right above */
	body = vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, args);
	va_end(args);
	if (body < 0)
		return;
	body = (int)strlen(line);
	line[body] = '\n'; /* there is room: one less was given above */
	/* A log that cannot be written keeps nobody from reading. */
	if (write(h->log_fd, line, (size_t)body + 1) < 0)
		return;
}
