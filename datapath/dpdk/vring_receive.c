// SPDX-License-Identifier: BSD-2-Clause
// Split rings: frames that a guest sends.
#include "datapath/dpdk/vring.h"

#include <weft/wire.h>

// A chain on its way. Most have their frame in one piece; header NULL: this one has not.
struct source {
	const u8 *header, *data;
	u32 bytes;
	u16 head;
};

// One descriptor, or one of the header's length and one. What looks different is walked.
static void find(const struct guest_ring *ring, struct source *source, u32 room)
{
	struct vring_desc desc = vring_read(ring->desc, source->head);
	source->header = NULL;
	if (desc.flags == VRING_DESC_F_NEXT && desc.len == ring->header && desc.next < ring->size) {
		const u8 *header = vring_translate(ring->memory, desc.addr, desc.len);
		desc = vring_read(ring->desc, desc.next);
		if (desc.flags || desc.len > room)
			return;
		source->data = vring_translate(ring->memory, desc.addr, desc.len);
		source->bytes = desc.len;
		source->header = source->data ? header : NULL;
	} else if (!desc.flags && desc.len - ring->header <= room) {
		source->header = vring_translate(ring->memory, desc.addr, desc.len);
		source->data = source->header ? source->header + ring->header : NULL;
		source->bytes = desc.len - ring->header;
	} else if (desc.flags & VRING_DESC_F_INDIRECT) {
		rte_prefetch0(vring_translate(ring->memory, desc.addr, sizeof(desc)));
	}
	if (!source->header)
		return;
	rte_prefetch0(source->header);
	rte_prefetch0(source->data);
	rte_prefetch0(source->data + RTE_MIN(source->bytes, 128u) - 1);
}

struct reader {
	const struct vring_piece *piece;
	u32 offset; // in it
};

static void read_bytes(struct reader *reader, u8 *to, u32 bytes)
{
	while (bytes) {
		u32 part = RTE_MIN(bytes, reader->piece->bytes - reader->offset);
		memcpy(to, reader->piece->at + reader->offset, part);
		to += part;
		bytes -= part;
		reader->offset += part;
		if (reader->offset == reader->piece->bytes) {
			reader->piece++;
			reader->offset = 0;
		}
	}
}

// Adds segments for `bytes` bytes. False: no memory.
static bool lengthen(struct rte_mempool *pool, struct rte_mbuf *frame, u32 bytes)
{
	struct rte_mbuf *last = frame;
	u32 room = rte_pktmbuf_tailroom(frame);
	for (u32 have = room; have < bytes; have += room) {
		last->next = rte_pktmbuf_alloc(pool);
		if (!last->next)
			return false;
		last = last->next;
		frame->nb_segs++;
	}
	return true;
}

// A chain of any form. False: no memory, the chain stays.
static bool take_chain(struct guest_ring *ring, struct rte_mempool *pool, u16 head,
	struct virtio_net_hdr *header, struct rte_mbuf *frame, enum vring_fault *fault)
{
	struct vring_chain chain;
	u8 bytes[sizeof(struct virtio_net_hdr_mrg_rxbuf)];
	struct reader reader = {chain.pieces, 0};
	chain.count = chain.steps = 0;
	chain.bytes = 0;
	*fault = vring_walk(ring, head, false, (u64)VRING_FRAME + ring->header, &chain);
	if (!*fault && chain.bytes <= ring->header)
		*fault = VRING_SHORT;
	if (*fault)
		return true;
	u32 left = (u32)chain.bytes - ring->header;
	if (!lengthen(pool, frame, left))
		return false;
	read_bytes(&reader, bytes, ring->header);
	memcpy(header, bytes, sizeof(*header));
	frame->pkt_len = left;
	for (struct rte_mbuf *m = frame; m; m = m->next) {
		m->data_len = (u16)RTE_MIN(left, (u32)rte_pktmbuf_tailroom(m));
		read_bytes(&reader, rte_pktmbuf_mtod(m, u8 *), m->data_len);
		left -= m->data_len;
	}
	return true;
}

// False: no memory, the chain stays.
static bool take(struct guest_ring *ring, struct rte_mempool *pool, const struct source *source,
	struct rte_mbuf *frame, enum vring_fault *fault)
{
	struct virtio_net_hdr header;
	*fault = VRING_GOOD;
	if (likely(source->header)) {
		memcpy(&header, source->header, sizeof(header));
		frame->data_len = (u16)source->bytes;
		frame->pkt_len = source->bytes;
		vring_copy(rte_pktmbuf_mtod(frame, u8 *), source->data, source->bytes);
	} else if (!take_chain(ring, pool, source->head, &header, frame, fault)) {
		return false;
	}
	if (*fault)
		return true;
	if (unlikely(frame->pkt_len < sizeof(struct eth_header)))
		*fault = VRING_SHORT;
	else if (unlikely(header.flags | header.gso_type) && !vring_claims(&header, frame))
		*fault = VRING_CLAIMS;
	return true;
}

// The chains of a burst, with what is to be read on its way here.
static u32 look(struct guest_ring *ring, struct source *sources, u32 count, u32 room)
{
	for (u32 i = 0; i < count; i++) {
		u16 head = sources[i].head = vring_head(ring, ring->next + i);
		if (unlikely(head >= ring->size)) {
			vring_cut(ring, VRING_HEAD);
			count = i;
			break;
		}
		rte_prefetch0(&ring->desc[head]);
	}
	for (u32 i = 0; i < count; i++)
		find(ring, &sources[i], room);
	return count;
}

u32 vring_receive(
	struct guest_ring *ring, struct rte_mempool *pool, struct rte_mbuf **frames, u32 capacity)
{
	struct source sources[VRING_BURST];
	struct rte_mbuf *fresh[VRING_BURST];
	enum vring_fault fault;
	u32 count = vring_waiting(ring), taken = 0, good = 0;
	count = RTE_MIN(count, RTE_MIN(capacity, (u32)VRING_BURST));
	if (!count || rte_pktmbuf_alloc_bulk(pool, fresh, count))
		return 0;
	u32 readable = look(ring, sources, count, rte_pktmbuf_tailroom(fresh[0]));
	for (; taken < readable; taken++) {
		struct rte_mbuf *frame = fresh[taken];
		if (unlikely(!take(ring, pool, &sources[taken], frame, &fault)))
			break;
		vring_use(ring, ring->next + taken, sources[taken].head, 0);
		if (likely(!fault)) {
			frames[good++] = frame;
			continue;
		}
		vring_lose(ring, fault, 1);
		rte_pktmbuf_free(frame);
	}
	if (unlikely(taken < count))
		rte_pktmbuf_free_bulk(fresh + taken, count - taken);
	vring_give_back(ring, ring->next + taken);
	return good;
}
