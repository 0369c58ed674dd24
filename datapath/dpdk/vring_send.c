// SPDX-License-Identifier: BSD-2-Clause
// Split rings: frames to a guest.
#include "datapath/dpdk/vring.h"

#include "datapath/dpdk/vnet.h"

// A buffer of one piece; at NULL: it is not.
struct target {
	u8 *at;
	u64 guest;
	u32 bytes;
	u16 head;
};

struct sending {
	struct guest_ring *ring;
	u32 waiting; // buffers that the guest offers
	u32 taken;   // of these
};

static void write_header(
	const struct rte_mbuf *frame, u16 buffers, struct virtio_net_hdr_mrg_rxbuf *header)
{
	if (likely(!frame->ol_flags))
		memset(&header->hdr, 0, sizeof(header->hdr));
	else
		vnet_write(frame, &header->hdr);
	header->hdr.gso_type &= ~VIRTIO_NET_HDR_GSO_ECN; // not on offer
	header->num_buffers = buffers;
}

static void find(const struct guest_ring *ring, struct target *target)
{
	struct vring_desc desc = vring_read(ring->desc, target->head);
	target->at = NULL;
	if (desc.flags != VRING_DESC_F_WRITE || desc.len < ring->header)
		return;
	target->at = vring_translate(ring->memory, desc.addr, desc.len);
	if (!target->at)
		return;
	target->guest = desc.addr;
	target->bytes = desc.len;
	vring_prefetch_write(target->at);
	vring_prefetch_write(target->at + 64);
}

static void write_one(struct sending *sending, const struct target *target, struct rte_mbuf *frame)
{
	struct guest_ring *ring = sending->ring;
	struct virtio_net_hdr_mrg_rxbuf header;
	u8 *at = target->at + ring->header;
	if (likely(!frame->ol_flags && ring->header == sizeof(header))) {
		const u32 one_buffer = 1 << 16;
		memset(target->at, 0, 8);
		memcpy(target->at + 8, &one_buffer, sizeof(one_buffer));
	} else {
		write_header(frame, 1, &header);
		memcpy(target->at, &header, ring->header);
	}
	for (const struct rte_mbuf *m = frame; m; m = m->next) {
		vring_copy(at, rte_pktmbuf_mtod(m, u8 *), m->data_len);
		at += m->data_len;
	}
	if (unlikely(ring->log))
		vring_log(ring, target->guest, ring->header + frame->pkt_len);
	vring_use(ring, ring->next + sending->taken++, target->head, ring->header + frame->pkt_len);
}

struct writer {
	const struct guest_ring *ring;
	const struct vring_piece *piece;
	u32 offset; // in it
};

static void write_bytes(struct writer *writer, const u8 *from, u32 bytes)
{
	while (bytes) {
		const struct vring_piece *piece = writer->piece;
		u32 part = RTE_MIN(bytes, piece->bytes - writer->offset);
		memcpy(piece->at + writer->offset, from, part);
		if (unlikely(writer->ring->log))
			vring_log(writer->ring, piece->guest + writer->offset, part);
		from += part;
		bytes -= part;
		writer->offset += part;
		if (writer->offset == piece->bytes) {
			writer->piece++;
			writer->offset = 0;
		}
	}
}

// Buffers for one frame.
struct gathered {
	struct vring_chain chain;
	u32 buffers;
	struct {
		u32 bytes;
		u16 head;
	} buffer[VRING_PIECES];
};

// The next buffer, of which a bad one is gathered too.
static enum vring_fault gather_one(struct sending *sending, struct gathered *g)
{
	struct guest_ring *ring = sending->ring;
	u16 head = vring_head(ring, ring->next + sending->taken + g->buffers);
	u64 before = g->chain.bytes;
	if (head >= ring->size) {
		vring_cut(ring, VRING_HEAD);
		return VRING_HEAD;
	}
	enum vring_fault fault = vring_walk(ring, head, true, 0, &g->chain);
	u64 bytes = g->chain.bytes - before;
	if (!fault && bytes < (g->buffers ? 1u : ring->header))
		fault = VRING_SHORT;
	g->buffer[g->buffers].head = head;
	g->buffer[g->buffers++].bytes = (u32)RTE_MIN(bytes, (u64)UINT32_MAX);
	return fault;
}

static void give(struct sending *sending, const struct gathered *g, u32 bytes)
{
	for (u32 i = 0; i < g->buffers; i++) {
		u32 part = RTE_MIN(bytes, g->buffer[i].bytes);
		vring_use(sending->ring, sending->ring->next + sending->taken++, g->buffer[i].head,
			part);
		bytes -= part;
	}
}

// A frame into buffers of any form, which it may not get: then it is lost. False: too few buffers,
// the frame stays.
static bool write_any(struct sending *sending, struct rte_mbuf *frame)
{
	struct guest_ring *ring = sending->ring;
	struct virtio_net_hdr_mrg_rxbuf header;
	struct gathered g;
	u64 need = (u64)frame->pkt_len + ring->header;
	g.chain.count = g.chain.steps = 0;
	g.chain.bytes = 0;
	g.buffers = 0;
	do {
		if (g.buffers == VRING_PIECES || (g.buffers && !ring->mergeable)) {
			vring_lose(ring, VRING_ROOM, 1);
			return true;
		}
		if (sending->taken + g.buffers == sending->waiting)
			return false;
		enum vring_fault fault = gather_one(sending, &g);
		if (fault == VRING_HEAD)
			return false;
		if (fault) {
			vring_lose(ring, fault, 1);
			give(sending, &g, 0);
			return true;
		}
	} while (g.chain.bytes < need);
	struct writer writer = {ring, g.chain.pieces, 0};
	write_header(frame, (u16)g.buffers, &header);
	write_bytes(&writer, (const u8 *)&header, ring->header);
	for (const struct rte_mbuf *m = frame; m; m = m->next)
		write_bytes(&writer, rte_pktmbuf_mtod(m, u8 *), m->data_len);
	give(sending, &g, (u32)need);
	return true;
}

// The next buffers, on their way here. A head that is none is left to write_any.
static void look(const struct sending *sending, struct target *targets, u32 count)
{
	const struct guest_ring *ring = sending->ring;
	for (u32 i = 0; i < count; i++) {
		targets[i].head = vring_head(ring, ring->next + sending->taken + i);
		rte_prefetch0(&ring->desc[targets[i].head & (ring->size - 1)]);
	}
	for (u32 i = 0; i < count; i++) {
		targets[i].at = NULL;
		if (likely(targets[i].head < ring->size))
			find(ring, &targets[i]);
	}
}

u32 vring_send(struct guest_ring *ring, struct rte_mbuf **frames, u32 count)
{
	struct target targets[VRING_BURST];
	struct sending sending = {.ring = ring, .waiting = vring_waiting(ring)};
	u32 sent = 0;
	bool room = true;
	while (room && sent < count && sending.taken < sending.waiting) {
		u32 first = sending.taken;
		u32 window = RTE_MIN(count - sent, RTE_MIN(sending.waiting - first, VRING_BURST));
		look(&sending, targets, window);
		while (room && sent < count && sending.taken - first < window) {
			const struct target *target = &targets[sending.taken - first];
			struct rte_mbuf *frame = frames[sent];
			if (likely(target->at && frame->pkt_len + ring->header <= target->bytes))
				write_one(&sending, target, frame);
			else
				room = write_any(&sending, frame);
			sent += room;
		}
	}
	vring_give_back(ring, ring->next + (u16)sending.taken);
	return sent;
}
