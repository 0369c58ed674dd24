// SPDX-License-Identifier: BSD-2-Clause
// Ports of kind vhost-user: the driver's calls.
#include "datapath/dpdk/port_vhost.h"

#include <errno.h>
#include <rte_arp.h>
#include <stdlib.h>
#include <string.h>

static void free_port(struct vhost_port *vhost)
{
	for (u32 i = 0; i < vhost->queues; i++)
		vhost_wake_close(&vhost->wake[i]);
	free(vhost);
}

static int new_port(
	struct vhost_port **out, struct dpdk_port *port, const struct engine_port *config)
{
	struct vhost_port *vhost = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*vhost));
	if (!vhost)
		return -ENOMEM;
	memset(vhost, 0, sizeof(*vhost));
	vhost->port = port;
	vhost->client = config->client;
	vhost->open = vhost->listener = -1;
	vhost->quiet = true;
	snprintf(vhost->path, sizeof(vhost->path), "%s", config->path);
	for (u32 i = 0; i < VHOST_RINGS; i++)
		vhost->rings[i].memory = &vhost->memory;
	for (u32 i = 0; i < RTE_MAX(config->queues, 1u); i++) {
		vhost->queues++;
		int error = vhost_wake_open(&vhost->wake[i]);
		if (error) {
			free_port(vhost);
			return error;
		}
	}
	*out = vhost;
	return 0;
}

static void reset_port(struct dpdk_port *port, struct vhost_port *vhost)
{
	port->driver_state = vhost;
	port->takes = port->rx_queues = port->tx_queues = 0;
	for (u32 i = 0; i < DPDK_QUEUES; i++)
		port->wake_fd[i] = vhost && i < vhost->queues ? vhost->wake[i].epoll : -1;
}

static int vhost_open(struct dpdk_port *port, const struct engine_port *config, const char **why)
{
	*why = "the path of the socket must have 1 to 107 characters";
	if (!config->path || !config->path[0] ||
		strlen(config->path) >= sizeof(((struct vhost_port *)0)->path))
		return -EINVAL;
	*why = "a vhost-user port has at most 16 queue pairs";
	if (config->queues > DPDK_QUEUES)
		return -EINVAL;
	struct vhost_port *vhost;
	*why = "out of memory or descriptors";
	int error = new_port(&vhost, port, config);
	if (error)
		return error;
	reset_port(port, vhost);
	error = vhost_socket_open(vhost, why);
	if (error) {
		reset_port(port, NULL);
		free_port(vhost);
		return error;
	}
	__atomic_store_n(&vhost->quiet, false, __ATOMIC_RELEASE);
	return 0;
}

static void vhost_close(struct dpdk_port *port)
{
	struct vhost_port *vhost = port->driver_state;
	__atomic_store_n(&vhost->quiet, true, __ATOMIC_RELEASE);
	vhost_socket_close(vhost);
	reset_port(port, NULL);
	free_port(vhost);
}

// A frame for a guest that has moved here, so that switches learn where it is.
static u32 announce(struct vhost_port *vhost, struct rte_mbuf **frames)
{
	u64 mac = __atomic_exchange_n(&vhost->announce, 0, __ATOMIC_ACQ_REL);
	struct rte_ether_addr address;
	memcpy(&address, &mac, sizeof(address));
	frames[0] = mac ? rte_net_make_rarp_packet(vhost->port->pool, &address) : NULL;
	return frames[0] != NULL;
}

static u32 vhost_rx(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 capacity)
{
	struct vhost_port *vhost = port->driver_state;
	struct guest_ring *ring = &vhost->rings[vhost_ring_from_guest(queue)];
	if (vhost_gate_enter(vhost, &vhost->rx_gate[queue]) < 0)
		return 0;
	u32 count = vring_receive(ring, port->pool, frames, capacity);
	if (unlikely(!vhost_ring_good(vhost, ring)) && vhost_ring_settle(vhost, ring, count)) {
		rte_pktmbuf_free_bulk(frames, count); // of zeros
		count = 0;
	}
	vhost_gate_leave(&vhost->rx_gate[queue]);
	if (unlikely(!queue && count < capacity &&
		     __atomic_load_n(&vhost->announce, __ATOMIC_RELAXED)))
		count += announce(vhost, frames + count);
	if (count)
		vhost->wake[queue].got = true;
	return count;
}

// A direct frame of one segment is as a pool wants it.
static void free_frames(struct rte_mbuf **frames, u32 count)
{
	struct rte_mempool *pool = frames[0]->pool;
	u32 plain = 0;
	while (plain < count && !frames[plain]->next && frames[plain]->pool == pool)
		plain++;
	rte_mempool_put_bulk(pool, (void **)frames, plain);
	rte_pktmbuf_free_bulk(frames + plain, count - plain);
}

static u32 vhost_tx(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 count)
{
	struct vhost_port *vhost = port->driver_state;
	struct guest_ring *ring = &vhost->rings[vhost_ring_to_guest(queue)];
	if (vhost_gate_enter(vhost, &vhost->tx_gate[queue]) < 0)
		return 0;
	u32 sent = vring_send(ring, frames, count);
	if (unlikely(!vhost_ring_good(vhost, ring)))
		vhost_ring_settle(vhost, ring, sent);
	vhost_gate_leave(&vhost->tx_gate[queue]);
	if (sent)
		free_frames(frames, sent);
	return sent;
}

static u16 vhost_mark(struct dpdk_port *port, u32 queue)
{
	const struct vhost_port *vhost = port->driver_state;
	return vhost->rings[vhost_ring_to_guest(queue)].next;
}

static int vhost_taken(struct dpdk_port *port, u32 queue, u16 mark)
{
	struct vhost_port *vhost = port->driver_state;
	if (vhost_gate_enter(vhost, &vhost->tx_gate[queue]) < 0)
		return -1;
	int taken = vring_taken(&vhost->rings[vhost_ring_to_guest(queue)], mark);
	vhost_gate_leave(&vhost->tx_gate[queue]);
	return taken;
}

static void vhost_state(struct dpdk_port *port, struct engine_port_state *out)
{
	vhost_guest_state(port->driver_state, out);
}

const struct dpdk_driver dpdk_vhost = {
	.name = "vhost-user",
	.open = vhost_open,
	.close = vhost_close,
	.rx = vhost_rx,
	.tx = vhost_tx,
	.arm = vhost_arm,
	.mark = vhost_mark,
	.taken = vhost_taken,
	.state = vhost_state,
};
