#include "exec/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"

int ol_terminal_open(int devpts_fd, int *near_fd, int *far_fd, ol_error *err)
{
	ol_autofd int near = openat(devpts_fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0, far;

	if (near < 0)
		return ol_fail_sys(err, "cannot open a terminal in the container");
	if (ioctl(near, TIOCSPTLCK, &unlock) < 0)
		return ol_fail_sys(err, "cannot unlock the terminal");
	far = ioctl(near, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (far < 0)
		return ol_fail_sys(err, "cannot open the terminal's far end");
	*near_fd = ol_steal_fd(&near);
	*far_fd = far;
	return OL_OK;
}

typedef union fd_message {
	struct cmsghdr header; /* for its alignment */
	char room[CMSG_SPACE(sizeof(int))];
} fd_message;

int ol_terminal_send(int socket_fd, int fd, ol_error *err)
{
	fd_message control;
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof control.room };
	struct cmsghdr *header;

	memset(&control, 0, sizeof control);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	if (sendmsg(socket_fd, &message, MSG_NOSIGNAL) < 0)
		return ol_fail_sys(err, "cannot hand over the terminal");
	return OL_OK;
}

int ol_terminal_receive(int socket_fd, int *out, ol_error *err)
{
	fd_message control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof control.room };
	struct cmsghdr *header;
	ssize_t got;

	do
		got = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return ol_fail(err, OL_ENOTFOUND, "the container gave no terminal");
	memcpy(out, CMSG_DATA(header), sizeof *out);
	return OL_OK;
}

bool ol_terminal_size(struct winsize *out)
{
	for (int fd = 0; fd < 3; fd++)
		if (ioctl(fd, TIOCGWINSZ, out) == 0)
			return true;
	return false;
}

void ol_raw_mode_begin(ol_raw_mode *mode, int fd)
{
	struct termios raw;

	if (tcgetattr(fd, &mode->before) < 0)
		return;
	raw = mode->before;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw) == 0)
		mode->fd = fd;
}

void ol_raw_mode_end(ol_raw_mode *mode)
{
	if (mode->fd >= 0)
		(void)tcsetattr(mode->fd, TCSANOW, &mode->before);
	mode->fd = -1;
}
