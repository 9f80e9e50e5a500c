#include "base/cancel.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"

struct ol_cancel {
	atomic_bool fired;
	int fd; /* owned */
};

ol_cancel *ol_cancel_new(void)
{
	ol_cancel *cancel = ol_alloc(sizeof *cancel);

	cancel->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert(cancel->fd >= 0);
	return cancel;
}

void ol_cancel_free(ol_cancel *cancel)
{
	if (!cancel)
		return;
	(void)close(cancel->fd);
	free(cancel);
}

void ol_cancel_fire(ol_cancel *cancel)
{
	const uint64_t one = 1;
	int saved = errno;

	if (!atomic_exchange(&cancel->fired, true) && write(cancel->fd, &one, sizeof one) < 0) {
		/* The counter cannot be full after one write; the flag alone is enough for those
		 * who look. */
	}
	errno = saved;
}

bool ol_cancel_fired(const ol_cancel *cancel)
{
	return cancel && atomic_load(&((ol_cancel *)(uintptr_t)cancel)->fired);
}

int ol_cancel_check(const ol_cancel *cancel, ol_error *err)
{
	return ol_cancel_fired(cancel) ? ol_fail(err, OL_ECANCELED, "interrupted") : OL_OK;
}

int ol_cancel_fd(const ol_cancel *cancel)
{
	return cancel ? cancel->fd : -1;
}
