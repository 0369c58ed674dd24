// SPDX-License-Identifier: BSD-2-Clause
// Messages of a vhost-user connection, and the answers. A guest may send any part of one and then
// nothing, or not read what it asked for: nobody waits for it.
#include "datapath/dpdk/port_vhost.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft/log.h>

LOG_MODULE(dpdk);

enum {
	START = offsetof(struct vhost_message, request),
	HEADER = offsetof(struct vhost_message, number) - START,
	PAYLOAD = sizeof(struct vhost_message) - START - HEADER,
	VERSION_MASK = 3,
	VERSION = 1,
	ANSWER = WEFT_BIT(2),
	ACKNOWLEDGE = WEFT_BIT(3),
};

int vhost_take_descriptor(struct vhost_guest *guest)
{
	if (!guest->descriptors)
		return -1;
	int first = guest->descriptor[0];
	guest->descriptors--;
	memmove(guest->descriptor, guest->descriptor + 1,
		guest->descriptors * sizeof(guest->descriptor[0]));
	return first;
}

void vhost_drop_descriptors(struct vhost_guest *guest)
{
	while (guest->descriptors)
		close(vhost_take_descriptor(guest));
}

// False: more than a message may have.
static bool keep_descriptors(struct vhost_guest *guest, struct msghdr *header)
{
	bool fit = !(header->msg_flags & MSG_CTRUNC);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (u32 at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
			int descriptor;
			memcpy(&descriptor, CMSG_DATA(c) + at, sizeof(int));
			if (guest->descriptors < VRING_REGIONS) {
				guest->descriptor[guest->descriptors++] = descriptor;
			} else {
				close(descriptor);
				fit = false;
			}
		}
	}
	return fit;
}

// Up to `end` bytes of the message. 1: they are there; 0: not yet; -1: never.
static int read_to(struct vhost_guest *guest, u32 end, const char **why)
{
	char control[CMSG_SPACE(VRING_REGIONS * sizeof(int))];
	while (guest->got < end) {
		struct iovec part = {(u8 *)&guest->message + START + guest->got, end - guest->got};
		struct msghdr header = {.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t got = recvmsg(guest->socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (got <= 0)
			return -1;
		*why = VHOST_CUT "it sent more descriptors than a message can have";
		if (!keep_descriptors(guest, &header))
			return -1;
		*why = NULL;
		guest->got += (u32)got;
	}
	return 1;
}

static bool send_message(struct vhost_guest *guest, struct vhost_message *message)
{
	message->flags = VERSION | ANSWER;
	size_t bytes = HEADER + message->bytes;
	return send(guest->socket, &message->request, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)bytes;
}

static const char *handle(struct vhost_guest *guest)
{
	struct vhost_message message = guest->message;
	bool answer = false, sent = true;
	const char *why = vhost_request(guest, &message, &answer);
	if (answer && !why) {
		sent = send_message(guest, &message);
	} else if (guest->message.flags & ACKNOWLEDGE && vhost_wants_result(guest)) {
		message.bytes = sizeof(message.number);
		message.number = why != NULL;
		sent = send_message(guest, &message);
	}
	vhost_drop_descriptors(guest);
	return sent || why ? why : VHOST_CUT "it does not read what it is told";
}

static const char *read_message(struct vhost_guest *guest, int *status)
{
	const char *why = NULL;
	*status = read_to(guest, HEADER, &why);
	if (*status <= 0)
		return why;
	if ((guest->message.flags & VERSION_MASK) != VERSION)
		return VHOST_CUT "it does not speak vhost-user";
	if (guest->message.bytes > PAYLOAD)
		return VHOST_CUT "a message is longer than any can be";
	*status = read_to(guest, HEADER + guest->message.bytes, &why);
	if (*status <= 0)
		return why;
	u32 end = START + guest->got;
	memset((u8 *)&guest->message + end, 0, sizeof(guest->message) - end);
	guest->got = 0;
	return handle(guest);
}

int vhost_message_read(struct vhost_guest *guest)
{
	struct vhost_port *vhost = guest->port;
	int status;
	const char *why = read_message(guest, &status);
	if (!why && status >= 0)
		return status;
	if (why && why != vhost->refused)
		log_warn("%s port=%s", why, vhost->port->name);
	__atomic_store_n(&vhost->refused, why, __ATOMIC_RELEASE);
	return -1;
}
