#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/alloc.h"
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
