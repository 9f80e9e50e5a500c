#include <string.h>

#include "snapshot/lazy_fuse_priv.h"

/* The part of fuse_init_in that every kernel sends. */
#define INIT_BYTES_MIN 16

static int too_short(uint32_t opcode, ol_error *err)
{
	return ol_fail(err, OL_ECORRUPT, "FUSE request %u is too short", opcode);
}

int ol_fuse_request_parse(ol_view bytes, ol_fuse_request *out, ol_error *err)
{
	struct fuse_in_header head;
	ol_fuse_request request = { 0 };
	ol_view rest;

	if (bytes.size < sizeof head)
		return ol_fail(err, OL_ECORRUPT, "FUSE request of %zu bytes", bytes.size);
	memcpy(&head, bytes.data, sizeof head);
	if (head.len != bytes.size)
		return ol_fail(err, OL_ECORRUPT, "FUSE request of %zu bytes says it has %u",
			bytes.size, head.len);
	rest = ol_view_from(bytes.data + sizeof head, bytes.size - sizeof head);
	request.opcode = head.opcode;
	request.unique = head.unique;
	request.node = head.nodeid;
	if (head.opcode == FUSE_LOOKUP) {
		if (!rest.size || !memchr(rest.data, '\0', rest.size))
			return too_short(head.opcode, err);
		request.name = rest.data;
	} else if (head.opcode == FUSE_READ) {
		struct fuse_read_in in;

		if (rest.size < sizeof in)
			return too_short(head.opcode, err);
		memcpy(&in, rest.data, sizeof in);
		request.offset = in.offset;
		request.size = in.size;
	} else if (head.opcode == FUSE_INIT) {
		if (rest.size < INIT_BYTES_MIN)
			return too_short(head.opcode, err);
		memcpy(&request.init, rest.data,
			rest.size < sizeof request.init ? rest.size : sizeof request.init);
	}
	*out = request;
	return OL_OK;
}
