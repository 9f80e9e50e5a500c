/*
 * <run dir>/lazy/log: what the holder does, and what its workers print: they have copies of the
 * descriptor, and may live long.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
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
	int fd =
		openat(h->lazy_fd, LOG, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return ol_fail_sys(err, LOG);
	h->log_fd = fd;
	return OL_OK;
}

/* In place, so that workers go on in the new one; a line that comes just then may be lost. */
void ol_holder_log_trim(ol_holder *h)
{
	ol_autofd int old_fd = -1;
	struct stat st;
	off_t at = 0;

	if (h->log_fd < 0 || fstat(h->log_fd, &st) < 0 || st.st_size <= LOG_BYTES_MAX)
		return;
	old_fd = openat(
		h->lazy_fd, LOG ".1", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	while (old_fd >= 0 && at < st.st_size)
		if (sendfile(old_fd, h->log_fd, &at, (size_t)(st.st_size - at)) <= 0)
			break; /* the disk is full: then there is no old one */
	(void)ftruncate(h->log_fd, 0);
}

void ol_holder_log(ol_holder *h, const char *fmt, ...)
{
	char line[1024];
	struct timespec now;
	int head, body;
	va_list args;

	if (h->log_fd < 0)
		return;
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
