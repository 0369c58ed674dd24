// SPDX-License-Identifier: BSD-2-Clause
// What the messages of vhost-user guests mean.
//
// A message that makes no sense, or that was not on offer, ends the connection: whoever is at the
// other end is not the hypervisor of an honest guest.
#include "datapath/dpdk/port_vhost.h"
#include "datapath/dpdk/vnet.h"

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <unistd.h>

enum {
	PROTOCOL_MQ = 0,
	PROTOCOL_LOG_SHMFD = 1,
	PROTOCOL_RARP = 2,
	PROTOCOL_REPLY_ACK = 3,
	PROTOCOL_NET_MTU = 4,
	RING_INDEX = 0xff,    // of a message with a descriptor
	RING_POLLED = 1 << 8, // and there is none
	RING_LOGGED = 1 << 0, // flag of a ring's addresses
	RING_SLOTS_MAX = 32768,
};

static const u64 features_offered =
	VHOST_BIT(VIRTIO_NET_F_CSUM) | VHOST_BIT(VIRTIO_NET_F_GUEST_CSUM) |
	VHOST_BIT(VIRTIO_NET_F_HOST_TSO4) | VHOST_BIT(VIRTIO_NET_F_HOST_TSO6) |
	VHOST_BIT(VIRTIO_NET_F_HOST_USO) | VHOST_BIT(VIRTIO_NET_F_GUEST_TSO4) |
	VHOST_BIT(VIRTIO_NET_F_GUEST_TSO6) | VHOST_BIT(VIRTIO_NET_F_GUEST_USO4) |
	VHOST_BIT(VIRTIO_NET_F_GUEST_USO6) | VHOST_BIT(VIRTIO_NET_F_MRG_RXBUF) |
	VHOST_BIT(VIRTIO_NET_F_MQ) | VHOST_BIT(VIRTIO_NET_F_MTU) | VHOST_BIT(VIRTIO_NET_F_CTRL_VQ) |
	VHOST_BIT(VIRTIO_NET_F_CTRL_RX) | VHOST_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |
	VHOST_BIT(VIRTIO_RING_F_EVENT_IDX) | VHOST_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
	VHOST_BIT(VIRTIO_F_ANY_LAYOUT) | VHOST_BIT(VIRTIO_F_VERSION_1) |
	VHOST_BIT(VIRTIO_F_IN_ORDER) | VHOST_BIT(VHOST_F_LOG_ALL) |
	VHOST_BIT(VHOST_USER_F_PROTOCOL_FEATURES);

static const u64 protocol_offered = VHOST_BIT(PROTOCOL_MQ) | VHOST_BIT(PROTOCOL_LOG_SHMFD) |
				    VHOST_BIT(PROTOCOL_RARP) | VHOST_BIT(PROTOCOL_REPLY_ACK) |
				    VHOST_BIT(PROTOCOL_NET_MTU) | VHOST_BIT(VHOST_PROTOCOL_STATUS);

// Those of requests return NULL, or why not.

static const char *get_features(struct vhost_guest *guest, struct vhost_message *message)
{
	(void)guest;
	message->number = features_offered;
	return NULL;
}

static const char *set_features(struct vhost_guest *guest, struct vhost_message *message)
{
	u64 features = message->number;
	if (features & ~features_offered)
		return VHOST_CUT "it wants features that were not on offer";
	if (guest->runs && (features ^ guest->features) & ~VHOST_BIT(VHOST_F_LOG_ALL))
		return VHOST_CUT "it changes features while its driver runs";
	guest->features = features;
	return NULL;
}

static const char *get_protocol(struct vhost_guest *guest, struct vhost_message *message)
{
	(void)guest;
	message->number = protocol_offered;
	return NULL;
}

static const char *set_protocol(struct vhost_guest *guest, struct vhost_message *message)
{
	if (message->number & ~protocol_offered)
		return VHOST_CUT "it wants a protocol that was not on offer";
	guest->protocol = message->number;
	return NULL;
}

static const char *get_queues(struct vhost_guest *guest, struct vhost_message *message)
{
	message->number = guest->port->queues;
	return NULL;
}

static const char *set_owner(struct vhost_guest *guest, struct vhost_message *message)
{
	(void)guest, (void)message;
	return NULL;
}

static void close_end(int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
	*descriptor = -1;
}

static void stop_ring(struct vhost_told *told)
{
	told->started = false;
	close_end(&told->kick);
	close_end(&told->call);
}

void vhost_guest_reset(struct vhost_guest *guest)
{
	for (u32 i = 0; i < VHOST_RINGS; i++) {
		stop_ring(&guest->rings[i]);
		guest->rings[i].enabled = guest->rings[i].placed = false;
	}
	vhost_memory_unshare(guest);
}

static const char *reset_owner(struct vhost_guest *guest, struct vhost_message *message)
{
	(void)message;
	vhost_guest_reset(guest);
	return NULL;
}

static const char *set_log(struct vhost_guest *guest, struct vhost_message *message)
{
	const char *why = vhost_memory_log(guest, message);
	message->bytes = 0; // of the answer
	return why;
}

static const char *set_memory(struct vhost_guest *guest, struct vhost_message *message)
{
	return vhost_memory_share(guest, message);
}

static const char *set_ring_size(
	struct vhost_guest *guest, struct vhost_told *told, struct vhost_message *message)
{
	(void)guest;
	if (!message->state.number || message->state.number > RING_SLOTS_MAX)
		return VHOST_CUT "it has a ring of a size that none can have";
	told->size = (u16)message->state.number;
	return NULL;
}

static const char *set_ring_place(
	struct vhost_guest *guest, struct vhost_told *told, struct vhost_message *message)
{
	(void)guest;
	told->desc = message->address.desc;
	told->avail = message->address.avail;
	told->used = message->address.used;
	told->log = message->address.log;
	told->logged = message->address.flags & RING_LOGGED;
	told->placed = true;
	return NULL;
}

static const char *set_ring_next(
	struct vhost_guest *guest, struct vhost_told *told, struct vhost_message *message)
{
	(void)guest;
	told->next = (u16)message->state.number;
	return NULL;
}

static const char *get_ring_next(
	struct vhost_guest *guest, struct vhost_told *told, struct vhost_message *message)
{
	(void)guest;
	stop_ring(told);
	message->state.number = told->next;
	return NULL;
}

static const char *set_end(struct vhost_guest *guest, const struct vhost_message *message, int *end)
{
	close_end(end);
	if (!(message->number & RING_POLLED))
		*end = vhost_take_descriptor(guest);
	return !(message->number & RING_POLLED) && *end < 0 ? VHOST_CUT "a descriptor is missing"
							    : NULL;
}

static const char *set_ring_kick(
	struct vhost_guest *guest, struct vhost_told *told, struct vhost_message *message)
{
	if (guest->port->guest == guest) // else its rings are another's
		vhost_ring_forgive(guest->port, (u16)(told - guest->rings));
	told->started = true;
	return set_end(guest, message, &told->kick);
}

static const char *set_ring_call(
	struct vhost_guest *guest, struct vhost_told *told, struct vhost_message *message)
{
	return set_end(guest, message, &told->call);
}

// Errors of rings are told in `why`.
static const char *set_ring_error(
	struct vhost_guest *guest, struct vhost_told *told, struct vhost_message *message)
{
	(void)guest, (void)told, (void)message;
	return NULL;
}

static const char *enable_ring(
	struct vhost_guest *guest, struct vhost_told *told, struct vhost_message *message)
{
	(void)guest;
	told->enabled = message->state.number;
	return NULL;
}

static const char *send_rarp(struct vhost_guest *guest, struct vhost_message *message)
{
	struct vhost_port *vhost = guest->port;
	if (vhost->guest != guest)
		return NULL;
	__atomic_store_n(&vhost->announce, message->number & 0xffffffffffff, __ATOMIC_RELEASE);
	vhost_wake_up(&vhost->wake[0]); // no kick announces it
	return NULL;
}

static const char *set_mtu(struct vhost_guest *guest, struct vhost_message *message)
{
	guest->mtu = (u16)message->number;
	return NULL;
}

static const char *set_status(struct vhost_guest *guest, struct vhost_message *message)
{
	guest->status = (u8)message->number;
	return NULL;
}

static const char *get_status(struct vhost_guest *guest, struct vhost_message *message)
{
	message->number = guest->status;
	return NULL;
}

// By number. Payloads are of that size at least.
static const struct request {
	const char *(*handle)(struct vhost_guest *guest, struct vhost_message *message);
	// Instead, if it is of one ring.
	const char *(*handle_ring)(
		struct vhost_guest *guest, struct vhost_told *told, struct vhost_message *message);
	u8 bytes;
	u8 descriptors; // at most
	bool answer;
	bool rings; // may change them
} requests[] = {
	[1] = {get_features, .answer = true},
	[2] = {set_features, .bytes = 8, .rings = true},
	[3] = {set_owner},
	[4] = {reset_owner, .rings = true},
	[5] = {set_memory, .bytes = 8, .descriptors = VRING_REGIONS, .rings = true},
	[6] = {set_log, .bytes = 16, .descriptors = 1, .answer = true, .rings = true},
	[8] = {.handle_ring = set_ring_size, .bytes = 8, .rings = true},
	[9] = {.handle_ring = set_ring_place, .bytes = 40, .rings = true},
	[10] = {.handle_ring = set_ring_next, .bytes = 8, .rings = true},
	[11] = {.handle_ring = get_ring_next, .bytes = 8, .answer = true, .rings = true},
	[12] = {.handle_ring = set_ring_kick, .bytes = 8, .descriptors = 1, .rings = true},
	[13] = {.handle_ring = set_ring_call, .bytes = 8, .descriptors = 1, .rings = true},
	[14] = {.handle_ring = set_ring_error, .bytes = 8, .descriptors = 1},
	[15] = {get_protocol, .answer = true},
	[16] = {set_protocol, .bytes = 8},
	[17] = {get_queues, .answer = true},
	[18] = {.handle_ring = enable_ring, .bytes = 8, .rings = true},
	[19] = {send_rarp, .bytes = 8},
	[20] = {set_mtu, .bytes = 8, .rings = true},
	[39] = {set_status, .bytes = 8, .rings = true},
	[40] = {get_status, .answer = true},
};

// NULL: the port has no such ring.
static struct vhost_told *find_ring(struct vhost_guest *guest, const struct request *request,
	const struct vhost_message *message)
{
	u32 index = request->descriptors ? message->number & RING_INDEX : message->state.index;
	return index < 2 * guest->port->queues ? &guest->rings[index] : NULL;
}

const char *vhost_request(struct vhost_guest *guest, struct vhost_message *message, bool *answer)
{
	struct vhost_port *vhost = guest->port;
	const struct request *request =
		message->request < WEFT_ARRAY_SIZE(requests) ? &requests[message->request] : NULL;
	if (!request || !(request->handle || request->handle_ring))
		return VHOST_CUT "it asks for what was not on offer";
	if (message->bytes < request->bytes || guest->descriptors > request->descriptors)
		return VHOST_CUT "a message has not the form that it must have";
	struct vhost_told *told = request->handle_ring ? find_ring(guest, request, message) : NULL;
	if (request->handle_ring && !told)
		return VHOST_CUT "it has more queue pairs than the port: say `queues N` there";
	if (request->rings && vhost->guest == guest)
		vhost_rings_close(vhost, guest);
	*answer = request->answer;
	message->bytes = request->answer ? sizeof(message->number) : message->bytes;
	const char *why =
		told ? request->handle_ring(guest, told, message) : request->handle(guest, message);
	if (!why && request->rings)
		vhost_guest_changed(guest);
	return why;
}

bool vhost_wants_result(const struct vhost_guest *guest)
{
	return guest->protocol & VHOST_BIT(PROTOCOL_REPLY_ACK);
}
