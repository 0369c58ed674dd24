// SPDX-License-Identifier: BSD-2-Clause
// Split rings: what receiving and sending share.
#include "datapath/dpdk/vring.h"

// A ring lies in the memory that we know, whoever translated its address.
static bool inside(const struct guest_ring *ring, const void *at, u64 bytes, u64 alignment)
{
	for (u32 i = 0; i < ring->memory->count; i++) {
		const struct vring_region *region = &ring->memory->regions[i];
		u64 offset = (u64)at - (u64)region->host;
		if (offset < region->bytes && bytes <= region->bytes - offset)
			return (u64)at % alignment == 0;
	}
	return false;
}

enum { LOG_PAGE = 4096 }; // whatever the guest's pages are

void vring_log(const struct guest_ring *ring, u64 guest, u64 bytes)
{
	const struct vring_memory *memory = ring->memory;
	if (!bytes || guest + bytes < guest)
		return;
	// What was written is there before the bit says so.
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (u64 page = guest / LOG_PAGE; page <= (guest + bytes - 1) / LOG_PAGE; page++)
		if (page / 8 < memory->log_bytes)
			__atomic_fetch_or(
				&memory->log[page / 8], (u8)(1 << page % 8), __ATOMIC_RELAXED);
}

static void log_used(const struct guest_ring *ring, u64 offset, u64 bytes)
{
	if (unlikely(ring->log && ring->log_at))
		vring_log(ring, ring->log_at + offset, bytes);
}

bool vring_arm(struct guest_ring *ring, bool on)
{
	ring->armed = on;
	if (!ring->desc || ring->cut)
		return false;
	if (!ring->event_idx) {
		__atomic_store_n(
			&ring->used->flags, on ? 0 : VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
		log_used(ring, 0, sizeof(u16));
	} else if (on) {
		u16 *event = (u16 *)&ring->used->ring[ring->size];
		__atomic_store_n(event, ring->next, __ATOMIC_RELAXED);
		log_used(ring, (u64)event - (u64)ring->used, sizeof(*event));
	}
	// The guest sees that we want a kick, or we see its frame.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return on && vring_waiting(ring);
}

void vring_open(struct guest_ring *ring)
{
	u64 size = ring->size, event = ring->event_idx ? sizeof(u16) : 0;
	bool good = size && !(size & (size - 1)) &&
		    inside(ring, ring->desc, size * sizeof(*ring->desc), 16) &&
		    inside(ring, ring->avail, sizeof(*ring->avail) + size * sizeof(u16) + event,
			    sizeof(u16)) &&
		    inside(ring, ring->used,
			    sizeof(*ring->used) + size * sizeof(struct vring_used_elem) + event,
			    sizeof(u32));
	if (good && ring->cut == VRING_PLACE)
		ring->cut = VRING_GOOD;
	else if (!good && ring->cut != VRING_PLACE)
		vring_cut(ring, VRING_PLACE);
	vring_arm(ring, ring->armed);
}

// Parts of a descriptor may be in neighbouring regions.
static enum vring_fault add(
	const struct vring_memory *memory, u64 guest, u32 bytes, struct vring_chain *chain)
{
	while (bytes) {
		const struct vring_region *region = memory->regions;
		const struct vring_region *end = region + memory->count;
		while (region < end && guest - region->guest >= region->bytes)
			region++;
		if (region == end)
			return VRING_ADDRESS;
		if (chain->count == VRING_PIECES)
			return VRING_ENDLESS;
		u64 offset = guest - region->guest;
		u32 part = (u32)RTE_MIN((u64)bytes, region->bytes - offset);
		chain->pieces[chain->count++] =
			(struct vring_piece){region->host + offset, guest, part};
		chain->bytes += part;
		guest += part;
		bytes -= part;
	}
	return VRING_GOOD;
}

static const void *indirect_table(const struct guest_ring *ring, const struct vring_desc *desc)
{
	bool good = ring->indirect && !(desc->flags & VRING_DESC_F_NEXT) && desc->len &&
		    desc->len % sizeof(*desc) == 0;
	return good ? vring_translate(ring->memory, desc->addr, desc->len) : NULL;
}

// The ring has the head.
enum vring_fault vring_walk(
	const struct guest_ring *ring, u16 head, bool writable, u64 most, struct vring_chain *chain)
{
	const void *table = ring->desc;
	u32 entries = ring->size, at = head;
	for (u32 steps = 0; steps < entries; steps++) {
		if (chain->steps++ == VRING_PIECES)
			return VRING_ENDLESS;
		struct vring_desc desc = vring_read(table, at);
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (table != ring->desc || steps)
				return VRING_INDIRECT;
			table = indirect_table(ring, &desc);
			if (!table)
				return VRING_INDIRECT;
			entries = desc.len / sizeof(desc);
			desc = vring_read(table, 0);
			if (desc.flags & VRING_DESC_F_INDIRECT)
				return VRING_INDIRECT;
		}
		if (!!(desc.flags & VRING_DESC_F_WRITE) != writable)
			return VRING_DIRECTION;
		enum vring_fault fault = add(ring->memory, desc.addr, desc.len, chain);
		if (fault)
			return fault;
		if (!writable && chain->bytes > most)
			return VRING_LONG;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return VRING_GOOD;
		at = desc.next;
		if (at >= entries)
			return VRING_NEXT;
	}
	return VRING_ENDLESS;
}

// Of the used elements since `from`, in one or two parts, and of the index.
static void log_back(const struct guest_ring *ring, u16 from, u16 count)
{
	u32 first = from & (ring->size - 1);
	u32 part = RTE_MIN((u32)count, ring->size - first);
	u64 element = sizeof(struct vring_used_elem);
	u64 at = offsetof(struct vring_used, ring);
	log_used(ring, at + first * element, part * element);
	log_used(ring, at, (count - part) * element);
	log_used(ring, offsetof(struct vring_used, idx), sizeof(u16));
}

static bool wants_call(const struct guest_ring *ring, u16 from, u16 to)
{
	// It sees what was given back, or we see that it waits.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring->event_idx)
		return !(__atomic_load_n(&ring->avail->flags, __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	u16 event = __atomic_load_n(&ring->avail->ring[ring->size], __ATOMIC_RELAXED);
	return vring_need_event(event, to, from);
}

void vring_give_back(struct guest_ring *ring, u16 to)
{
	u16 from = ring->next;
	if (from == to)
		return;
	ring->next = to;
	__atomic_store_n(&ring->used->idx, to, __ATOMIC_RELEASE);
	if (unlikely(ring->log))
		log_back(ring, from, to - from);
	if (wants_call(ring, from, to) && ring->call >= 0 && !vring_call(ring->call))
		ring->call = -1;
}
