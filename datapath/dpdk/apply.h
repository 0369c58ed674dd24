// SPDX-License-Identifier: BSD-2-Clause
// apply on mbufs: what changes bytes. A frame that is handed over is taken out of its line
// (packet.frame becomes NULL); what is left there the caller frees.
#pragma once

#include "datapath/dpdk/line.h"
#include "datapath/dpdk/offload.h"
#include "datapath/flood.h"

// burst.c. port: what the frame is for, a port or a peer; slot: where it leaves; flow: bits of a
// hash.
static void worker_stage(
	struct dpdk_worker *worker, u32 slot, u32 port, u8 flow, struct rte_mbuf *frame);

weft_inline void stage(struct pipeline *line, u32 slot, u32 port, struct rte_mbuf *frame)
{
	if (unlikely(line->seen != NULL))
		observe_staged(line, slot, frame);
	worker_stage(line_of(line)->worker, slot, port, line_flow(line), frame);
}

weft_inline bool frame_is_super(const struct rte_mbuf *frame)
{
	return frame->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG);
}

weft_inline u32 frame_header_bytes(const struct rte_mbuf *frame)
{
	return frame->l2_len + frame->l3_len + frame->l4_len;
}

weft_inline u32 packet_segment_length(const struct packet *p, const struct weft_layout *layout)
{
	(void)layout;
	if (likely(!frame_is_super(p->frame)))
		return p->length;
	return RTE_MIN(p->length, frame_header_bytes(p->frame) + p->frame->tso_segsz);
}

weft_inline u32 packet_segments(const struct packet *p, const struct weft_layout *layout)
{
	(void)layout;
	u32 headers = frame_header_bytes(p->frame), size = p->frame->tso_segsz;
	if (likely(!frame_is_super(p->frame)) || !size || p->length <= headers)
		return 1;
	return (p->length - headers + size - 1) / size;
}

// The checksum of a frame that its next port completes covers the pseudo header alone, and stands
// there without being inverted.
weft_inline bool packet_sum(struct packet *p, u32 at, u32 pseudo, u32 plain, bool zero_is_none)
{
	be16 *sum = at + sizeof(*sum) <= p->window ? (be16 *)(uintptr_t)(p->bytes + at) : NULL;
	if (!sum)
		return false;
	if (p->frame->ol_flags &
		(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) {
		*sum = (be16)~rewrite_sum((be16) ~*sum, pseudo);
		return true;
	}
	*sum = rewrite_sum_of(*sum, pseudo + plain, zero_is_none);
	return true;
}

weft_inline bool hook_takes(struct pipeline *line, u32 action)
{
	(void)line, (void)action;
	return true;
}

weft_inline struct rte_mbuf *line_take(struct pipeline *line)
{
	struct rte_mbuf *frame = line->packet->frame;
	line->packet->frame = NULL;
	return frame;
}

// Gives the frame the tag it leaves with, the priority kept. False: no room.
static bool frame_retag(struct rte_mbuf *frame, const struct weft_layout *layout, u16 vid)
{
	u8 *bytes = rte_pktmbuf_mtod(frame, u8 *);
	be16 tag[2] = {weft_hton16(WEFT_ETH_8021Q),
		weft_hton16((layout->tci & WEFT_TCI_PRIORITY_MASK) | vid)};
	if (!layout->tagged && vid) {
		u8 *front = (u8 *)rte_pktmbuf_prepend(frame, sizeof(tag));
		if (!front)
			return false;
		memmove(front, bytes, 12);
		bytes = front;
		frame->l2_len += frame->ol_flags ? sizeof(tag) : 0;
	} else if (layout->tagged && !vid) {
		memmove(bytes + sizeof(tag), bytes, 12);
		rte_pktmbuf_adj(frame, sizeof(tag));
		frame->l2_len -= frame->ol_flags ? sizeof(tag) : 0;
	}
	if (vid)
		memcpy(bytes + 12, tag, sizeof(tag));
	return true;
}

// Outer headers in front of a complete frame. False: no memory. Written in place where they can be:
// to copy what was just written in small pieces, a core waits for it.
static bool frame_encapsulate(struct overlay_way *way, struct rte_mbuf **frame)
{
	way->inner_bytes = (*frame)->pkt_len;
	if (overlay_is_ip4(way->peer->address)) {
		struct overlay4_header header;
		u8 *at = rte_pktmbuf_mtod(*frame, u8 *) - sizeof(header);
		if (likely(rte_pktmbuf_headroom(*frame) >= sizeof(header) &&
			    (uintptr_t)at % _Alignof(struct overlay4_header) == 0)) {
			rte_pktmbuf_prepend(*frame, OVERLAY4_BYTES);
			overlay_build4(way, (struct overlay4_header *)at);
			return true;
		}
		overlay_build4(way, &header);
		return dpdk_push_outer(frame, &header.eth, OVERLAY4_BYTES);
	}
	struct overlay6_header header;
	overlay_build6(way, &header);
	return dpdk_push_outer(frame, &header.eth, OVERLAY6_BYTES);
}

// The way of a regular frame (flow.h) without a tag, by its bytes: as overlay_find_way says with
// the key that parse() makes of them.
static void way_of_regular(struct dpdk_line *line, u32 peer, struct overlay_way *way)
{
	const u8 *bytes = line->packet.bytes, *l3 = bytes + sizeof(struct eth_header);
	struct weft_key key;
	key.flags = 0;
	memcpy(&key.dst, bytes, sizeof(key.dst));
	memcpy(&key.src, bytes + sizeof(key.dst), sizeof(key.src));
	if (line->flow.rest & FLOW_IP6) {
		const struct ipv6_header *ip = (const struct ipv6_header *)l3;
		key.ip_src = ip->src;
		key.ip_dst = ip->dst;
		key.protocol = ip->next_header;
		way->tos = overlay_inner_tos(WEFT_ETH_IPV6, l3);
	} else {
		const struct ipv4_header *ip = (const struct ipv4_header *)l3;
		parse_ip4(&key.ip_src, ip->src);
		parse_ip4(&key.ip_dst, ip->dst);
		key.protocol = ip->protocol;
		way->tos = overlay_inner_tos(WEFT_ETH_IPV4, l3);
	}
	key.l4_src = weft_swap16(line->flow.src_l4 >> 32);
	key.l4_dst = weft_swap16(line->flow.src_l4 >> 48);
	overlay_find_way(&line->worker->tables, &key, peer, way);
}

// The underlay's slot where it leads out; 0: there is none.
static u32 way_slot(const struct dpdk_worker *worker, const struct overlay_way *way)
{
	return way->nexthop && way->host && way->peer
		       ? dpdk_underlay_slot(worker->engine, way->nexthop->ifindex)
		       : 0;
}

// Consumes the frame. bytes: what is counted.
static enum weft_drop send_to_peer(
	struct pipeline *line, struct rte_mbuf *frame, u32 peer, u8 tos, u32 bytes)
{
	struct dpdk_worker *worker = line_of(line)->worker;
	struct rte_mbuf *parts[DPDK_SEGMENTS];
	struct overlay_way way = {.vni = line->verdict->vni, .tos = tos};
	overlay_find_way(line->tables, line->key, peer, &way);
	u32 slot = way_slot(worker, &way);
	if (!slot) {
		rte_pktmbuf_free(frame);
		return WEFT_DROP_port_absent;
	}
	account_tx(line->tables, peer, bytes);
	u32 count = dpdk_finish(frame, 0, parts, DPDK_SEGMENTS);
	for (u32 i = 0; i < count; i++) {
		if (frame_encapsulate(&way, &parts[i])) {
			stage(line, slot, peer, parts[i]);
			continue;
		}
		account_drop(line->tables, line->key->in_port, WEFT_DROP_rewrite_failed);
		rte_pktmbuf_free(parts[i]);
	}
	return count ? WEFT_DROP_none : WEFT_DROP_rewrite_failed;
}

// Consumes the frame.
static enum weft_drop send_to(struct pipeline *line, struct rte_mbuf *frame, u32 port, u16 vid)
{
	struct dpdk_worker *worker = line_of(line)->worker;
	struct weft_index index = {port};
	const struct weft_port_row *row = TABLE_GET(line->tables, port, &index);
	bool peer = row && row->flags & WEFT_PORT_PEER;
	u8 tos = peer ? overlay_tos(line->packet, line->key, line->layout) : 0;
	enum weft_drop drop = WEFT_DROP_none;
	if (!peer && !dpdk_port_at(worker->engine, port))
		drop = WEFT_DROP_port_absent;
	else if ((line->layout->tagged || vid) && !frame_retag(frame, line->layout, vid))
		drop = WEFT_DROP_rewrite_failed;
	if (drop) {
		rte_pktmbuf_free(frame);
		return drop;
	}
	u32 bytes = frame->pkt_len - (vid ? (u32)sizeof(struct vlan_header) : 0);
	if (peer)
		return send_to_peer(line, frame, port, tos, bytes);
	account_tx(line->tables, port, bytes);
	stage(line, port, port, frame);
	return WEFT_DROP_none;
}

static enum weft_drop apply_forward(struct pipeline *line)
{
	return send_to(line, line_take(line), line->verdict->port, line->verdict->tag);
}

static enum weft_drop apply_encap(struct pipeline *line)
{
	return send_to(line, line_take(line), line->verdict->port, line->verdict->tag);
}

enum { COPIES_AT_ONCE = 1024 }; // mbufs that wait to leave: others need some of the pool, too

static void flood_copy(struct pipeline *line, u32 port, u16 tag)
{
	struct dpdk_worker *worker = line_of(line)->worker;
	struct rte_mbuf *frame = line->packet->frame;
	worker->copies += frame->nb_segs;
	if (unlikely(worker->copies > COPIES_AT_ONCE))
		worker_flush(worker);
	struct rte_mbuf *copy = rte_pktmbuf_copy(frame, frame->pool, 0, UINT32_MAX);
	if (!copy || send_to(line, copy, port, tag) == WEFT_DROP_rewrite_failed)
		account_drop(line->tables, line->key->in_port, WEFT_DROP_rewrite_failed);
}

// The frame becomes `bytes` long, in one segment.
static bool frame_resize(struct rte_mbuf *frame, u32 bytes)
{
	if (bytes > (u32)frame->data_len + rte_pktmbuf_tailroom(frame))
		return false;
	rte_pktmbuf_free(frame->next);
	frame->next = NULL;
	frame->nb_segs = 1;
	frame->data_len = (u16)bytes;
	frame->pkt_len = bytes;
	return true;
}

static enum weft_drop apply_reply(struct pipeline *line)
{
	struct reply reply;
	struct rte_mbuf *frame = line->packet->frame;
	u32 l3 = line->layout->l3_bytes;
	enum weft_drop drop =
		reply_build(line->packet, line->key, line->layout, line->verdict, &reply);
	if (drop)
		return drop;
	if (!reply.keep_tail && !frame_resize(frame, l3 + reply.l3_length))
		return WEFT_DROP_rewrite_failed;
	u8 *bytes = rte_pktmbuf_mtod(frame, u8 *);
	memcpy(bytes, &reply.dst, 6);
	memcpy(bytes + 6, &reply.src, 6);
	memcpy(bytes + l3, reply.l3, reply.l3_length);
	frame->ol_flags = 0; // a reply's checksums are whole
	if (reply.sum_bytes &&
		!packet_sum(line->packet, l3 + reply.sum_bytes, reply.pseudo, reply.plain, false))
		return WEFT_DROP_rewrite_failed;
	return send_to(line, line_take(line), line->key->in_port, line->key->vid);
}

// The kernel's stack has it already: the device's claim filter leaves it there. Of a NIC that is no
// device it gets it by the twin.
static enum weft_drop apply_to_host(struct pipeline *line)
{
	const struct dpdk_line *l = line_of(line);
	const struct dpdk_port *port = dpdk_port_at(l->worker->engine, l->in_port);
	if (port && port->pass)
		stage(line, port->pass, port->pass, line_take(line));
	return WEFT_DROP_none;
}
