#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/input_priv.h"

/* A pipe from another program holds so much where it may: fewer switches between the two. */
#define PIPE_BYTES (1 << 20)

struct input {
	ol_reader reader;
	int fd; /* lent */
	const ol_cancel *cancel;
};

static int input_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	const struct input *input = (const struct input *)reader;
	struct pollfd fds[] = { { .fd = input->fd, .events = POLLIN },
		{ .fd = ol_cancel_fd(input->cancel), .events = POLLIN } };
	ssize_t n;

	do {
		int rc = ol_cancel_check(input->cancel, err);

		if (rc < 0)
			return rc;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return ol_fail_sys(err, "poll");
		n = fds[0].revents ? read(input->fd, data, size) : -1;
	} while (n < 0 && (!fds[0].revents || errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return ol_fail_sys(err, "read");
	*got = (size_t)n;
	return OL_OK;
}

static void input_close(ol_reader *reader)
{
	free(reader);
}

ol_reader *ol_input_reader(int fd, const ol_cancel *cancel)
{
	static const ol_reader_ops ops = { input_read, input_close };
	struct input *input = ol_alloc(sizeof *input);

	input->reader.ops = &ops;
	input->fd = fd;
	input->cancel = cancel;
	(void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* no pipe, or not allowed: as it is, then */
	return &input->reader;
}

bool ol_input_is_stdin(const char *path)
{
	return !path || strcmp(path, "-") == 0;
}

const char *ol_input_name(const char *path)
{
	return ol_input_is_stdin(path) ? "standard input" : path;
}

int ol_input_open(const char *path, int *out, struct stat *st, ol_error *err)
{
	ol_autofd int fd = -1;

	*st = (struct stat){ 0 };
	if (ol_input_is_stdin(path))
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || (!ol_input_is_stdin(path) && fstat(fd, st) < 0))
		return ol_fail_sys(err, "open");
	*out = ol_steal_fd(&fd);
	return OL_OK;
}
