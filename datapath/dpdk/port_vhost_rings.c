// SPDX-License-Identifier: BSD-2-Clause
// The rings of a guest, between the library, which sets them up, and workers, who use them.
#include "datapath/dpdk/port_vhost.h"

#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <rte_vhost.h>
#include <stdlib.h>
#include <sys/stat.h>

static void wait_for_workers(struct vhost_port *vhost)
{
	for (u32 i = 0; i < vhost->queues; i++) {
		vhost_gate_wait(&vhost->rx_gate[i]);
		vhost_gate_wait(&vhost->tx_gate[i]);
	}
}

void vhost_rings_close(struct vhost_port *vhost)
{
	__atomic_store_n(&vhost->open, -1, __ATOMIC_SEQ_CST);
	wait_for_workers(vhost);
	for (u32 i = 0; i < 2 * vhost->queues; i++) {
		struct guest_ring *ring = &vhost->rings[i];
		if (ring->desc)
			rte_vhost_set_vring_base(ring->guest, i, ring->next, ring->next);
		ring->desc = NULL;
	}
}

// Touching what is mapped behind the end of a file kills.
static bool file_has(const struct rte_vhost_mem_region *region)
{
	struct stat status;
	u64 offset = region->host_user_addr - (u64)region->mmap_addr;
	return !fstat(region->fd, &status) &&
	       (!S_ISREG(status.st_mode) || (u64)status.st_size >= offset + region->size);
}

static void learn_memory(struct vhost_port *vhost)
{
	struct rte_vhost_memory *table;
	struct vring_memory *memory = &vhost->memory;
	memory->count = 0;
	if (rte_vhost_get_mem_table(vhost->guest, &table))
		return;
	for (u32 i = 0; i < RTE_MIN(table->nregions, (u32)VRING_REGIONS); i++) {
		const struct rte_vhost_mem_region *region = &table->regions[i];
		if (file_has(region))
			memory->regions[memory->count++] =
				(struct vring_region){region->guest_phys_addr, region->size,
					(u8 *)region->host_user_addr};
	}
	free(table);
}

// A counter that its owner filled must not hold up a worker that adds to it.
static int call_descriptor(int fd)
{
	if (fd < 0)
		return -1;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK)))
		return -1;
	return fd;
}

static bool has(u64 features, u32 feature)
{
	return features >> feature & 1;
}

static void open_ring(struct vhost_port *vhost, u16 index, u64 features)
{
	struct guest_ring *ring = &vhost->rings[index];
	struct rte_vhost_vring vring = {0};
	u16 used;
	if (rte_vhost_get_vhost_vring(vhost->guest, index, &vring) || !vring.desc ||
		rte_vhost_get_vring_base(vhost->guest, index, &ring->next, &used))
		return;
	ring->desc = vring.desc;
	ring->avail = vring.avail;
	ring->used = vring.used;
	ring->size = vring.size;
	ring->call = call_descriptor(vring.callfd);
	ring->memory = &vhost->memory;
	ring->guest = vhost->guest;
	ring->index = index;
	ring->event_idx = has(features, VIRTIO_RING_F_EVENT_IDX);
	ring->indirect = has(features, VIRTIO_RING_F_INDIRECT_DESC);
	ring->mergeable = has(features, VIRTIO_NET_F_MRG_RXBUF);
	ring->log = has(features, VHOST_F_LOG_ALL);
	ring->header = ring->mergeable || has(features, VIRTIO_F_VERSION_1)
			       ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
			       : sizeof(struct virtio_net_hdr);
	vring_open(ring);
}

void vhost_rings_open(struct vhost_port *vhost, u32 ready)
{
	uint64_t features = 0;
	rte_vhost_get_negotiated_features(vhost->guest, &features);
	learn_memory(vhost);
	for (u16 i = 0; i < 2 * vhost->queues; i++)
		if (ready & WEFT_BIT(i))
			open_ring(vhost, i, features);
	__atomic_store_n(&vhost->open, vhost->guest, __ATOMIC_SEQ_CST);
}

void vhost_ring_forgive(struct vhost_port *vhost, u16 ring)
{
	vhost->rings[ring].cut = VRING_GOOD;
	vhost->rings[ring].told = false;
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
	};
	for (u32 i = 0; i < 2 * vhost->queues; i++) {
		u8 cut = __atomic_load_n(&vhost->rings[i].cut, __ATOMIC_RELAXED);
		if (cut)
			return why[cut];
	}
	return NULL;
}
