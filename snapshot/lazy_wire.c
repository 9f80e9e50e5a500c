#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "snapshot/lazy_wire_priv.h"

#define MAGIC   UINT32_C(0x6f6c7a77)
#define VERSION 1

_Static_assert(sizeof(ol_wire) == 368, "no padding: what is sent was set");

/* What a kind must have; descriptors: from fds_min to fds_max. */
struct rule {
	bool digest, range, text;
	size_t fds_min, fds_max;
};

static const struct rule *rule_of(unsigned kind)
{
	static const struct rule rules[OL_WIRE_KINDS] = {
		[OL_WIRE_HELLO] = { 0 },
		[OL_WIRE_WATCH] = { .digest = true, .fds_max = 2 },
		[OL_WIRE_UNWATCH] = { .digest = true },
		[OL_WIRE_WAKE] = { 0 },
		[OL_WIRE_OK] = { .fds_max = 1 },
		[OL_WIRE_NEED] = { 0 },
		[OL_WIRE_FAILED] = { .text = true },
		[OL_WIRE_LAYER] = { .digest = true, .fds_min = 2, .fds_max = 2 },
		[OL_WIRE_ASK] = { .digest = true, .range = true },
		[OL_WIRE_GONE] = { .digest = true },
		[OL_WIRE_END] = { 0 },
		[OL_WIRE_KEEP] = { .text = true, .fds_min = 2, .fds_max = OL_WIRE_FDS_MAX },
		[OL_WIRE_ANSWER] = { 0 },
		[OL_WIRE_DONE] = { .digest = true },
		[OL_WIRE_IDLE] = { 0 },
		[OL_WIRE_ADOPT] = { .text = true, .fds_min = 2, .fds_max = OL_WIRE_FDS_MAX },
	};

	return kind > 0 && kind < OL_WIRE_KINDS ? &rules[kind] : NULL;
}

ol_digest ol_wire_digest(const ol_wire *wire)
{
	ol_digest digest = { .algorithm = (ol_algorithm)wire->algorithm };

	memcpy(digest.bytes, wire->digest, sizeof digest.bytes);
	return digest;
}

void ol_wire_set_digest(ol_wire *wire, const ol_digest *digest)
{
	wire->algorithm = (uint32_t)digest->algorithm;
	memcpy(wire->digest, digest->bytes, sizeof wire->digest);
}

void ol_wire_set_text(ol_wire *wire, const char *text)
{
	(void)snprintf(wire->text, sizeof wire->text, "%.255s", text);
	for (char *c = wire->text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
}

/* A digest's bytes past its algorithm's are zero, so that two can be compared whole. */
static bool digest_is_sound(const ol_wire *wire)
{
	size_t size;

	if (wire->algorithm != OL_SHA256 && wire->algorithm != OL_SHA512)
		return false;
	size = ol_algorithm_size((ol_algorithm)wire->algorithm);
	for (size_t i = size; i < sizeof wire->digest; i++)
		if (wire->digest[i])
			return false;
	return true;
}

static bool text_is_sound(const char *text)
{
	if (!memchr(text, '\0', OL_WIRE_TEXT_MAX))
		return false;
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < ' ' || *c == 0x7f)
			return false;
	return true;
}

int ol_wire_parse(ol_view bytes, size_t fd_count, ol_wire *out, ol_error *err)
{
	const struct rule *rule;
	ol_wire wire;

	if (bytes.size != sizeof wire)
		return ol_fail(err, OL_ECORRUPT, "a packet of %zu bytes", bytes.size);
	memcpy(&wire, bytes.data, sizeof wire);
	if (wire.magic != MAGIC)
		return ol_fail(err, OL_ECORRUPT, "no packet of orlop's");
	if (wire.version != VERSION)
		return ol_fail(err, OL_EUNSUPPORTED, "a packet of version %u", wire.version);
	rule = rule_of(wire.kind);
	if (!rule)
		return ol_fail(err, OL_ECORRUPT, "a packet of kind %u", wire.kind);
	if (fd_count < rule->fds_min || fd_count > rule->fds_max ||
		(wire.kind == OL_WIRE_WATCH && fd_count == 1))
		return ol_fail(err, OL_ECORRUPT, "a packet of kind %u with %zu descriptors",
			wire.kind, fd_count);
	if (rule->digest && !digest_is_sound(&wire))
		return ol_fail(err, OL_ECORRUPT, "a packet's digest");
	if (rule->range && (wire.start >= wire.end || wire.end > OL_LAYER_TAR_BYTES_MAX))
		return ol_fail(err, OL_ECORRUPT, "a packet's range");
	if (!text_is_sound(wire.text) || (rule->text && !wire.text[0]))
		return ol_fail(err, OL_ECORRUPT, "a packet's text");
	if ((wire.kind == OL_WIRE_ANSWER && (wire.sys < 0 || wire.sys > 4095)) ||
		(wire.kind == OL_WIRE_FAILED && (wire.sys >= 0 || wire.sys < OL_CODE_MIN)))
		return ol_fail(err, OL_ECORRUPT, "a packet's number");
	*out = wire;
	return OL_OK;
}

void ol_wire_packet_done(ol_wire_packet *packet)
{
	for (size_t i = 0; i < OL_WIRE_FDS_MAX; i++)
		if (packet->fds[i] >= 0)
			(void)close(packet->fds[i]);
	*packet = (ol_wire_packet){ .fds = { -1, -1, -1, -1 } };
}

union control {
	struct cmsghdr head; /* alignment */
	char bytes[CMSG_SPACE(OL_WIRE_FDS_MAX * sizeof(int))];
};

static int fail_socket(ol_error *err)
{
	switch (errno) {
	case EAGAIN:
		return OL_EBUSY;
	case EPIPE:
	case ECONNRESET:
	case ENOTCONN:
	case ECONNREFUSED:
		return ol_fail(err, OL_EUNAVAILABLE, "the other end is gone");
	default:
		return ol_fail_sys(err, "socket");
	}
}

int ol_wire_send(int socket_fd, const ol_wire *wire, const int *fds, size_t fd_count, bool wait,
	ol_error *err)
{
	ol_wire packet = *wire;
	union control control = { .bytes = { 0 } };
	struct iovec part = { &packet, sizeof packet };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n;

	packet.magic = MAGIC;
	packet.version = VERSION;
	if (fd_count) {
		struct cmsghdr *head;

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
	}
	do
		n = sendmsg(socket_fd, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_socket(err);
	return n == (ssize_t)sizeof packet ? OL_OK
					   : ol_fail(err, OL_ESYSTEM, "a packet was cut short");
}

/* All descriptors that came become the packet's; those past its room are closed. */
static void take_fds(struct msghdr *message, ol_wire_packet *out)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
		head = CMSG_NXTHDR(message, head)) {
		size_t count = 0;

		if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
			count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
			if (out->fd_count < OL_WIRE_FDS_MAX)
				out->fds[out->fd_count++] = fd;
			else
				(void)close(fd);
		}
	}
}

int ol_wire_receive(int socket_fd, bool wait, ol_wire_packet *out, ol_error *err)
{
	ol_wire_packet packet = { .fds = { -1, -1, -1, -1 } };
	union control control;
	char bytes[sizeof(ol_wire)];
	struct iovec part = { bytes, sizeof bytes };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes };
	ssize_t n;
	int rc;

	do
		n = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_socket(err);
	take_fds(&message, &packet);
	if (n == 0 && !packet.fd_count)
		return ol_fail(err, OL_EUNAVAILABLE, "the other end is gone");
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		rc = ol_fail(err, OL_ECORRUPT, "a packet that is too long");
	else
		rc = ol_wire_parse(
			ol_view_from(bytes, (size_t)n), packet.fd_count, &packet.wire, err);
	if (rc < 0) {
		ol_wire_packet_done(&packet);
		return rc;
	}
	*out = packet;
	return OL_OK;
}
