// SPDX-License-Identifier: BSD-2-Clause
// Guests of vhost-user ports: the library's callbacks. They come in its thread, or in weftd's while
// a port is opened or closed; for one connection never two at a time.
#include "datapath/dpdk/port_vhost.h"

#include <errno.h>
#include <limits.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <rte_log.h>
#include <rte_vhost.h>
#include <string.h>
#include <weft/log.h>

LOG_MODULE(dpdk);

enum {
	PORTS_MAX = 500, // the library polls 1024 descriptors: of each port the socket and a guest
	CONNECTIONS_MAX = 2, // per port: a guest may be back before it was seen to go
};

#define FEATURE(name) (1ULL << (name))
static const u64 features_wanted =
	FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_CSUM) |
	FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6) |
	FEATURE(VIRTIO_NET_F_GUEST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO6) |
	FEATURE(VIRTIO_NET_F_MRG_RXBUF) | FEATURE(VIRTIO_NET_F_MQ) | FEATURE(VIRTIO_NET_F_MTU) |
	FEATURE(VIRTIO_NET_F_CTRL_VQ) | FEATURE(VIRTIO_NET_F_CTRL_RX) |
	FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE) | FEATURE(VIRTIO_RING_F_EVENT_IDX) |
	FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_ANY_LAYOUT) |
	FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_F_IN_ORDER) | FEATURE(VHOST_F_LOG_ALL) |
	FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);

static const u64 protocol_wanted =
	FEATURE(VHOST_USER_PROTOCOL_F_MQ) | FEATURE(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |
	FEATURE(VHOST_USER_PROTOCOL_F_RARP) | FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
	FEATURE(VHOST_USER_PROTOCOL_F_NET_MTU) | FEATURE(VHOST_USER_PROTOCOL_F_STATUS);

// Ports by socket and by the number that the library gave to a connection.
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vhost_port *ports;
static struct {
	struct vhost_port *port;
	u32 rings;   // bit: ready
	bool memory; // the library has a table
} connections[VHOST_GUESTS];

static struct vhost_port *port_of(int vid)
{
	return vid >= 0 && vid < VHOST_GUESTS ? connections[vid].port : NULL;
}

static u32 usable_pairs(const struct vhost_port *vhost)
{
	u32 pairs = 0;
	if (vhost->guest < 0)
		return 0;
	u32 rings = connections[vhost->guest].rings;
	u32 most = RTE_MIN(vhost->most_pairs, rte_vhost_get_vring_num(vhost->guest) / 2u);
	while (pairs < most && (rings >> 2 * pairs & 3) == 3)
		pairs++;
	return pairs;
}

// Tells workers and weftd. Does not wait for workers: the library may hold locks that they want.
static void publish(struct vhost_port *vhost)
{
	u32 pairs = usable_pairs(vhost);
	__atomic_store_n(&vhost->pairs, pairs, __ATOMIC_RELEASE);
	__atomic_store_n(&vhost->port->rx_queues, pairs, __ATOMIC_RELEASE);
	__atomic_store_n(&vhost->port->tx_queues, pairs, __ATOMIC_RELEASE);
	for (u32 i = 0; i < vhost->queues; i++)
		vhost_wake_up(&vhost->wake[i]);
	if (!__atomic_load_n(&vhost->quiet, __ATOMIC_ACQUIRE) && vhost->port->changed)
		vhost->port->changed(vhost->port);
}

static void follow_kick(struct vhost_port *vhost, int vid, u32 queue)
{
	u16 ring = vhost_ring_from_guest(queue);
	struct rte_vhost_vring vring = {.kickfd = -1};
	if (connections[vid].rings & WEFT_BIT(ring))
		rte_vhost_get_vhost_vring(vid, ring, &vring);
	vhost_wake_set_kick(&vhost->wake[queue], vring.kickfd);
}

static u32 takes(u64 features)
{
	u32 result = 0;
	if (!(features & FEATURE(VIRTIO_NET_F_GUEST_CSUM)))
		return 0;
	result |= ENGINE_TAKES_CHECKSUM;
	if (features & FEATURE(VIRTIO_NET_F_GUEST_TSO4))
		result |= ENGINE_TAKES_TSO4;
	if (features & FEATURE(VIRTIO_NET_F_GUEST_TSO6))
		result |= ENGINE_TAKES_TSO6;
	return result;
}

static void open_rings(struct vhost_port *vhost)
{
	if (!vhost->message && connections[vhost->guest].memory)
		vhost_rings_open(vhost, connections[vhost->guest].rings);
}

static void serve(struct vhost_port *vhost, int vid)
{
	vhost->waiting = -1;
	uint64_t features = 0;
	u16 mtu = 0;
	rte_vhost_get_negotiated_features(vid, &features);
	rte_vhost_get_mtu(vid, &mtu);
	for (u32 i = 0; i < vhost->queues; i++)
		follow_kick(vhost, vid, i);
	vhost->mtu = mtu;
	// Without MQ the library may free further rings while workers run.
	vhost->most_pairs = features & FEATURE(VIRTIO_NET_F_MQ) ? vhost->queues : 1;
	__atomic_store_n(&vhost->port->takes, takes(features), __ATOMIC_RELEASE);
	__atomic_store_n(&vhost->guest, vid, __ATOMIC_SEQ_CST);
	for (u16 i = 0; i < 2 * vhost->queues; i++)
		vhost_ring_forgive(vhost, i);
	vhost->message = false;
	open_rings(vhost);
	publish(vhost);
	log_info("the guest's driver runs port=%s features=%lx pairs=%u", vhost->port->name,
		features, vhost->pairs);
}

static int new_device(int vid)
{
	struct vhost_port *vhost = port_of(vid);
	if (!vhost)
		return -1;
	if (vhost->guest < 0)
		serve(vhost, vid);
	else
		vhost->waiting = vid;
	return 0;
}

// When this returns the library frees the guest's rings and memory.
static void destroy_device(int vid)
{
	struct vhost_port *vhost = port_of(vid);
	if (!vhost)
		return;
	if (vhost->waiting == vid)
		vhost->waiting = -1;
	if (vhost->guest != vid)
		return;
	__atomic_store_n(&vhost->open, -1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&vhost->guest, -1, __ATOMIC_SEQ_CST);
	publish(vhost);
	vhost_rings_close(vhost);
	for (u32 i = 0; i < vhost->queues; i++)
		vhost_wake_set_kick(&vhost->wake[i], -1);
	log_info("the guest's driver has gone port=%s", vhost->port->name);
	if (vhost->waiting >= 0)
		serve(vhost, vhost->waiting);
}

static void warn_rings(struct vhost_port *vhost)
{
	if (!vhost->warned)
		log_warn("the guest uses more queue pairs than the port has: what it sends there "
			 "is lost port=%s pairs=%u",
			vhost->port->name, vhost->queues);
	vhost->warned = true;
}

static int vring_state_changed(int vid, u16 ring, int enable)
{
	struct vhost_port *vhost = port_of(vid);
	if (!vhost)
		return 0;
	if (ring >= 2 * vhost->queues) {
		if (enable)
			warn_rings(vhost);
		return 0;
	}
	if (enable)
		connections[vid].rings |= WEFT_BIT(ring);
	else
		connections[vid].rings &= ~WEFT_BIT(ring);
	if (vhost->guest != vid)
		return 0;
	vhost_rings_close(vhost);
	vhost_ring_forgive(vhost, ring);
	open_rings(vhost);
	follow_kick(vhost, vid, ring / 2);
	publish(vhost);
	return 0;
}

// Messages of the vhost-user protocol.
enum {
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SEND_RARP = 19,
};

// Those that leave rings and memory as they are: the requests for features and queues, RARP, MTU,
// the device's status.
static const u64 harmless = 1ULL << 1 | 1ULL << 15 | 1ULL << 17 | 1ULL << SEND_RARP | 1ULL << 20 |
			    1ULL << 39 | 1ULL << 40;

struct message {
	u32 request, flags, bytes;
	u64 number;
} __attribute__((packed));

static bool may_change_rings(u32 request)
{
	return request >= 64 || !(harmless >> request & 1);
}

static enum rte_vhost_msg_result before_message(int vid, void *at)
{
	const struct message *message = at;
	struct vhost_port *vhost = port_of(vid);
	if (!vhost || !may_change_rings(message->request))
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	vhost_memory_message(vid);
	if (message->request == SET_MEM_TABLE || message->request == RESET_OWNER) {
		connections[vid].memory = false;
		vhost_memory_renew(vid);
	}
	if (vhost->guest == vid) {
		vhost->message = true;
		vhost_rings_close(vhost);
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

// Does not come after a message that failed: the rings stay closed then.
static enum rte_vhost_msg_result after_message(int vid, void *at)
{
	const struct message *message = at;
	struct vhost_port *vhost = port_of(vid);
	vhost_memory_message(-1);
	if (!vhost)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	if (message->request == SET_MEM_TABLE)
		connections[vid].memory = true;
	if (message->request == SEND_RARP && vhost->guest == vid) {
		__atomic_store_n(
			&vhost->announce, message->number & 0xffffffffffff, __ATOMIC_RELEASE);
		vhost_wake_up(&vhost->wake[0]); // no kick announces it
	}
	if (vhost->guest == vid && may_change_rings(message->request)) {
		vhost->message = false;
		open_rings(vhost);
		for (u32 i = 0; i < vhost->queues; i++)
			vhost_wake_up(&vhost->wake[i]);
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops message_ops = {
	.pre_msg_handle = before_message, .post_msg_handle = after_message};

static struct vhost_port *find(const char *path)
{
	struct vhost_port *vhost = ports;
	while (vhost && strcmp(vhost->path, path))
		vhost = vhost->next;
	return vhost;
}

static int new_connection(int vid)
{
	char path[PATH_MAX];
	if (vid >= VHOST_GUESTS || rte_vhost_get_ifname(vid, path, sizeof(path)))
		return -1;
	pthread_mutex_lock(&ports_lock);
	struct vhost_port *vhost = find(path);
	pthread_mutex_unlock(&ports_lock);
	if (!vhost || vhost->connections >= CONNECTIONS_MAX)
		return -1;
	if (vhost->connections)
		log_info("another guest is at the socket: it waits until the first has gone "
			 "port=%s",
			vhost->port->name);
	connections[vid].port = vhost;
	connections[vid].rings = 0;
	connections[vid].memory = false;
	vhost_memory_renew(vid);
	vhost->warned = false;
	rte_vhost_extern_callback_register(vid, &message_ops, NULL);
	__atomic_add_fetch(&vhost->connections, 1, __ATOMIC_SEQ_CST);
	publish(vhost);
	return 0;
}

static void destroy_connection(int vid)
{
	struct vhost_port *vhost = port_of(vid);
	if (!vhost)
		return;
	connections[vid].port = NULL;
	vhost_memory_message(-1); // nobody says so after a message that failed
	__atomic_sub_fetch(&vhost->connections, 1, __ATOMIC_SEQ_CST);
	publish(vhost);
}

static const struct rte_vhost_device_ops guest_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};

int vhost_guest_add(struct vhost_port *vhost)
{
	int error = 0;
	u32 count = 0;
	pthread_mutex_lock(&ports_lock);
	for (struct vhost_port *other = ports; other; other = other->next)
		count++;
	// The library does not look for a second port on one socket.
	if (find(vhost->path))
		error = -EADDRINUSE;
	else if (count >= PORTS_MAX)
		error = -ENOSPC;
	if (!error) {
		vhost->next = ports;
		ports = vhost;
	}
	pthread_mutex_unlock(&ports_lock);
	return error;
}

void vhost_guest_remove(struct vhost_port *vhost)
{
	struct vhost_port **at = &ports;
	pthread_mutex_lock(&ports_lock);
	while (*at != vhost)
		at = &(*at)->next;
	*at = vhost->next;
	pthread_mutex_unlock(&ports_lock);
	// The library does not say that connections end with their socket.
	for (u32 i = 0; i < VHOST_GUESTS; i++)
		if (connections[i].port == vhost)
			connections[i].port = NULL;
}

int vhost_guest_listen(struct vhost_port *vhost)
{
	uint64_t features = 0;
	vhost_memory_guard();
	// A guest could fill the log with a line per frame.
	rte_log_set_level_pattern("lib.vhost.data", RTE_LOG_CRIT);
	rte_log_set_level_pattern("lib.vhost.config", RTE_LOG_ERR);
	if (rte_vhost_driver_register(vhost->path, vhost->client ? RTE_VHOST_USER_CLIENT : 0))
		return -ENOMEM;
	if (!rte_vhost_driver_get_features(vhost->path, &features) &&
		!rte_vhost_driver_disable_features(vhost->path, features & ~features_wanted) &&
		!rte_vhost_driver_set_protocol_features(vhost->path, protocol_wanted) &&
		!rte_vhost_driver_callback_register(vhost->path, &guest_ops) &&
		!rte_vhost_driver_start(vhost->path))
		return 0;
	rte_vhost_driver_unregister(vhost->path);
	return -EIO;
}

void vhost_guest_state(struct vhost_port *vhost, struct engine_port_state *out)
{
	memset(out, 0, sizeof(*out));
	out->queues = __atomic_load_n(&vhost->pairs, __ATOMIC_ACQUIRE);
	out->carrier = out->queues > 0;
	if (out->carrier)
		out->mtu = vhost->mtu;
	else if (!__atomic_load_n(&vhost->connections, __ATOMIC_ACQUIRE))
		out->why = vhost->client ? "no hypervisor listens on the socket"
					 : "no guest is connected to the socket";
	else if (__atomic_load_n(&vhost->guest, __ATOMIC_ACQUIRE) < 0)
		out->why = "the guest's driver has not started";
	else
		out->why = "the guest's driver has disabled its queues";
	const char *broken = vhost_rings_why(vhost);
	if (out->carrier && broken) {
		out->carrier = false;
		out->why = broken;
	}
}
