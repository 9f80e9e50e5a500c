#pragma once

/* Terminals: making one in a container's devpts, handing it over, and what the user's own has to do
 * meanwhile. */
#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/error.h"

/* A new pair in this devpts, found by descriptor only: no path of the container is looked at. Both
 * are the caller's. */
int ol_terminal_open(int devpts_fd, int *near_fd, int *far_fd, ol_error *err);
/* One descriptor through a Unix socket. Receiving gives OL_ENOTFOUND when the other side
 * has gone. */
int ol_terminal_send(int socket_fd, int fd, ol_error *err);
int ol_terminal_receive(int socket_fd, int *out, ol_error *err);

/* The size of whichever of 0, 1, 2 is a terminal; false when none is. */
bool ol_terminal_size(struct winsize *out);

/* The user's terminal in raw mode, until it is given back. */
typedef struct ol_raw_mode {
	int fd; /* -1: nothing was changed */
	struct termios before;
} ol_raw_mode;
#define OL_RAW_MODE_NONE ((ol_raw_mode){ .fd = -1 })

void ol_raw_mode_begin(ol_raw_mode *mode, int fd); /* does nothing when fd is no terminal */
void ol_raw_mode_end(ol_raw_mode *mode);
