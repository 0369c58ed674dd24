// SPDX-License-Identifier: BSD-2-Clause
// The rings of a guest, between messages, which set them up, and workers, who use them.
#include "datapath/dpdk/port_vhost.h"

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

static void wait_for_workers(struct vhost_port *vhost)
{
	for (u32 i = 0; i < vhost->queues; i++) {
		vhost_gate_wait(&vhost->rx_gate[i]);
		vhost_gate_wait(&vhost->tx_gate[i]);
	}
}

void vhost_rings_close(struct vhost_port *vhost, struct vhost_guest *guest)
{
	__atomic_store_n(&vhost->open, -1, __ATOMIC_SEQ_CST);
	wait_for_workers(vhost);
	for (u32 i = 0; i < 2 * vhost->queues; i++) {
		struct guest_ring *ring = &vhost->rings[i];
		if (ring->desc)
			guest->rings[i].next = ring->next;
		ring->desc = NULL;
	}
	vhost_memory_forget(guest);
}

static bool has(u64 features, u32 feature)
{
	return features >> feature & 1;
}

void vhost_ring_forgive(struct vhost_port *vhost, u16 ring)
{
	vhost->rings[ring].cut = VRING_GOOD;
	vhost->rings[ring].told = false;
}

bool vhost_ring_ready(const struct vhost_guest *guest, u32 ring)
{
	const struct vhost_told *told = &guest->rings[ring];
	bool enabled = told->enabled || !has(guest->features, VHOST_USER_F_PROTOCOL_FEATURES);
	return told->placed && told->started && enabled && guest->shared;
}

static void open_ring(struct vhost_port *vhost, u16 index)
{
	struct vhost_guest *guest = vhost->guest;
	struct guest_ring *ring = &vhost->rings[index];
	const struct vhost_told *told = &guest->rings[index];
	u64 features = guest->features;
	ring->desc = vhost_memory_find(guest, told->desc);
	ring->avail = vhost_memory_find(guest, told->avail);
	ring->used = vhost_memory_find(guest, told->used);
	ring->size = told->size;
	ring->next = told->next;
	ring->call = told->call;
	ring->log_at = told->logged ? told->log : 0;
	ring->index = index;
	ring->event_idx = has(features, VIRTIO_RING_F_EVENT_IDX);
	ring->indirect = has(features, VIRTIO_RING_F_INDIRECT_DESC);
	ring->mergeable = has(features, VIRTIO_NET_F_MRG_RXBUF);
	ring->log = has(features, VHOST_F_LOG_ALL) && guest->log.host;
	ring->header = ring->mergeable || has(features, VIRTIO_F_VERSION_1)
			       ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
			       : sizeof(struct virtio_net_hdr);
	if (ring->cut == VRING_LOST)
		vhost_ring_forgive(vhost, index);
	vring_open(ring);
	if (vhost_memory_lost(vhost))
		vring_cut(ring, VRING_LOST);
}

void vhost_rings_open(struct vhost_port *vhost)
{
	vhost_memory_learn(vhost);
	for (u16 i = 0; i < 2 * vhost->queues; i++)
		if (vhost_ring_ready(vhost->guest, i))
			open_ring(vhost, i);
	__atomic_store_n(&vhost->open, (int)vhost->guest->number, __ATOMIC_SEQ_CST);
}

bool vhost_ring_settle(struct vhost_port *vhost, struct guest_ring *ring, u32 frames)
{
	bool lost = vhost_memory_lost(vhost);
	if (lost) {
		vring_lose(ring, VRING_LOST, frames);
		if (ring->cut != VRING_LOST)
			vring_cut(ring, VRING_LOST);
	}
	port_lost(vhost->port, ring->index & 1 ? WEFT_DROP_rx_malformed : WEFT_DROP_device_dropped,
		ring->lost);
	ring->lost = 0;
	if (ring->cut && !ring->told && vhost->port->changed)
		vhost->port->changed(vhost->port);
	ring->told = ring->cut;
	return lost;
}

const char *vhost_rings_why(const struct vhost_port *vhost)
{
	static const char *const why[VRING_FAULTS] = {
		[VRING_HEAD] = "the guest offered a descriptor that its ring does not have: the "
			       "ring is cut off until the guest's driver starts again",
		[VRING_JUMP] = "the guest offered more than its ring can hold: the ring is cut off "
			       "until the guest's driver starts again",
		[VRING_PLACE] = "the guest's ring is not in its memory: it is cut off until the "
				"guest's driver starts again",
		[VRING_LOST] = "the guest's hypervisor took away memory that it had shared: the "
			       "guest is cut off until it shares its memory anew",
	};
	for (u32 i = 0; i < 2 * vhost->queues; i++) {
		u8 cut = __atomic_load_n(&vhost->rings[i].cut, __ATOMIC_RELAXED);
		if (cut)
			return why[cut];
	}
	return NULL;
}
