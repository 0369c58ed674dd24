// SPDX-License-Identifier: BSD-2-Clause
// A guest's split rings: frames out of them and into them.
//
// The guest is hostile and changes its memory while we read it. What decides is read once and
// checked; only what the check said is touched. A chain that makes no sense is given back unused
// and counted; a ring that makes no sense is cut off until somebody opens it again.
#pragma once

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <rte_mbuf.h>
#include <weft/types.h>

enum {
	VRING_BURST = 32,
	VRING_REGIONS = 8,
	VRING_PIECES = 512,          // of a frame; guests need up to 258
	VRING_FRAME = 65536 + 14 + 8 // bytes of a frame
};

enum vring_fault {
	VRING_GOOD,
	VRING_ADDRESS,   // not in the guest's memory
	VRING_ENDLESS,   // a loop, or too many pieces
	VRING_NEXT,      // a descriptor that its table does not have
	VRING_DIRECTION, // to be written by the wrong side
	VRING_INDIRECT,
	VRING_SHORT,
	VRING_LONG,
	VRING_CLAIMS, // the header says what the frame is not
	VRING_ROOM,   // a frame for a guest that had no buffers of its length: lost
	VRING_HEAD,   // from here on the ring is cut off: a chain that it does not have
	VRING_JUMP,   // more chains than it has
	VRING_PLACE,  // a ring that is not in the guest's memory
	VRING_LOST,   // its memory is not there any more
	VRING_FAULTS,
};

// What the guest lets us touch.
struct vring_memory {
	u32 count;
	const bool *lost; // some of it went away: what was read there were zeros
	u8 *log;          // a bit per page of 4096 that was written; while the guest moves away
	u64 log_bytes;
	struct vring_region {
		u64 guest, bytes;
		u8 *host;
	} regions[VRING_REGIONS];
};

struct guest_ring {
	const struct vring_desc *desc; // NULL: not in use
	struct vring_avail *avail;
	struct vring_used *used;
	const struct vring_memory *memory;
	u16 size;
	u16 next; // chain to take; what was taken has been given back
	u16 index;
	u8 header;  // bytes before a frame
	u8 cut;     // enum vring_fault
	bool told;  // of that
	bool armed; // its worker wants kicks
	bool event_idx, mergeable, indirect, log;
	int call;
	u64 log_at; // the used ring's place in the log; 0: not logged
	u32 lost;   // frames, of those faults: not yet told
	u64 faults[VRING_FAULTS];
} __rte_cache_aligned;

// A stretch of memory that was checked.
struct vring_piece {
	u8 *at;
	u64 guest;
	u32 bytes;
};

struct vring_chain {
	u64 bytes;
	u32 count;
	u32 steps; // descriptors: empty ones take time too
	struct vring_piece pieces[VRING_PIECES];
};

// vring.c. open: the pointers, size and features are set; cuts the ring off if it is not in memory.
void vring_open(struct guest_ring *ring);
// arm: wants kicks, or not, also when the ring is opened again. True: chains wait.
bool vring_arm(struct guest_ring *ring, bool on);
// Adds the pieces of one chain. Unless writable, of `most` bytes at most.
enum vring_fault vring_walk(const struct guest_ring *ring, u16 head, bool writable, u64 most,
	struct vring_chain *chain);
// Notes pages of the guest's as written; only with ring->log.
void vring_log(const struct guest_ring *ring, u64 guest, u64 bytes);
// Gives back all up to `next`, whose used elements are written.
void vring_give_back(struct guest_ring *ring, u16 next);

// vring_call.c. Interrupts the guest, and never waits. False: the descriptor is no eventfd.
bool vring_call(int descriptor);

// vring_receive.c and vring_send.c. At most VRING_BURST frames; send frees none.
u32 vring_receive(
	struct guest_ring *ring, struct rte_mempool *pool, struct rte_mbuf **frames, u32 capacity);
u32 vring_send(struct guest_ring *ring, struct rte_mbuf **frames, u32 count);

// vring_frame.c. Makes of what the guest claims what port.h promises; false: it makes no sense.
bool vring_claims(const struct virtio_net_hdr *header, struct rte_mbuf *frame);

static inline void vring_lose(struct guest_ring *ring, enum vring_fault fault, u32 frames)
{
	ring->faults[fault] += frames;
	ring->lost += frames;
}

static inline void vring_cut(struct guest_ring *ring, enum vring_fault fault)
{
	ring->faults[fault]++;
	__atomic_store_n(&ring->cut, fault, __ATOMIC_RELAXED);
}

// Chains that wait.
static inline u32 vring_waiting(struct guest_ring *ring)
{
	if (unlikely(!ring->desc || ring->cut))
		return 0;
	u16 count = __atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE) - ring->next;
	if (likely(count <= ring->size))
		return count;
	vring_cut(ring, VRING_JUMP);
	return 0;
}

// Has the driver taken all used buffers before `mark`? 1, 0; -1: the ring is closed. Two signs: it
// asks for an interrupt behind them, or the buffers that it offers are more than the ring could
// hold beside them. What it says wrongly deceives itself alone. Linux asks for an interrupt behind
// buffer 0 when it wants none.
static inline int vring_taken(const struct guest_ring *ring, u16 mark)
{
	if (!ring->desc || ring->cut)
		return -1;
	u16 event = __atomic_load_n(&ring->avail->ring[ring->size], __ATOMIC_RELAXED);
	u16 offered = __atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE);
	if (ring->event_idx && event && (u16)(event - mark) < ring->size)
		return 1;
	return (u16)(offered - ring->size - mark) < ring->size;
}

static inline u16 vring_head(const struct guest_ring *ring, u16 at)
{
	return __atomic_load_n(&ring->avail->ring[at & (ring->size - 1)], __ATOMIC_RELAXED);
}

static inline void vring_use(struct guest_ring *ring, u16 at, u16 head, u32 bytes)
{
	struct vring_used_elem *used = &ring->used->ring[at & (ring->size - 1)];
	used->id = head;
	used->len = bytes;
}

// A copy that the guest can no longer change. A table may be anywhere.
static inline struct vring_desc vring_read(const void *table, u32 slot)
{
	typedef u64 word __attribute__((aligned(1), may_alias));
	const volatile word *words = (const void *)((const u8 *)table + slot * 16ul);
	u64 address = words[0], rest = words[1];
	return (struct vring_desc){address, (u32)rest, (u16)(rest >> 32), (u16)(rest >> 48)};
}

// NULL unless all bytes are in one region.
static inline u8 *vring_translate(const struct vring_memory *memory, u64 guest, u64 bytes)
{
	for (u32 i = 0; i < memory->count; i++) {
		const struct vring_region *region = &memory->regions[i];
		u64 offset = guest - region->guest;
		if (offset < region->bytes && bytes <= region->bytes - offset)
			return region->host + offset;
	}
	return NULL;
}

// Takes a line away from the other core before it is written. The compiler's own says that only for
// processors that have the instruction for sure; older ones skip it.
static inline void vring_prefetch_write(void *at)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
	__builtin_prefetch(at, 1, 3);
#endif
}

// Without a call for the frames that come most.
static inline void vring_copy(u8 *to, const u8 *from, u32 bytes)
{
	if (bytes - 64 <= 64) {
		memcpy(to, from, 64);
		memcpy(to + bytes - 64, from + bytes - 64, 64);
	} else {
		memcpy(to, from, bytes);
	}
}
