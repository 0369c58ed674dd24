// SPDX-License-Identifier: BSD-2-Clause
// Checksums and segments in software, for ends that lack them.
//
// Lengths come from a guest: whatever they say, only bytes of the frame are read and written. A
// superpacket whose headers contradict what was said of it is dropped.
#include "datapath/dpdk/offload.h"
#include "datapath/dpdk/sum.h"

#include <string.h>
#include <weft/wire.h>

enum {
	TCP_CWR = 0x80,
	TCP_FIN_PSH = 0x09,
	TCP_CHECKSUM = offsetof(struct tcp_header, checksum),
	UDP_CHECKSUM = offsetof(struct udp_header, checksum),
};

static const u64 segment_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG;
static const u64 family_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6;

// A superpacket. Sums are sum.h's.
struct super {
	struct rte_mbuf *frame;
	u32 l3, l4, payload; // where they begin
	u32 payload_bytes;
	u32 segment_bytes; // of payload
	u64 pseudo;        // sum of addresses and protocol
	bool ipv6;
	bool udp;
	bool partial; // the segments may leave with partial checksums
	u64 ol_flags; // of a segment
};

// Where the payload is read.
struct cursor {
	const struct rte_mbuf *segment;
	u32 offset;
};

static u32 drop(struct rte_mbuf *frame)
{
	rte_pktmbuf_free(frame);
	return 0;
}

// The field may lie anywhere, also at an odd address.
static u32 complete_checksum(struct rte_mbuf *frame, struct rte_mbuf **out)
{
	u64 kind = frame->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	u32 start = frame->l2_len + frame->l3_len;
	u32 field = start + (kind == RTE_MBUF_F_TX_UDP_CKSUM ? UDP_CHECKSUM : TCP_CHECKSUM);
	bool known = kind == RTE_MBUF_F_TX_UDP_CKSUM || kind == RTE_MBUF_F_TX_TCP_CKSUM;
	if (!known || field + 2 > frame->pkt_len || !dpdk_pull(frame, field + 2))
		return drop(frame);
	u16 checksum = (u16)~sum_chain(frame, start);
	if (!checksum && kind == RTE_MBUF_F_TX_UDP_CKSUM)
		checksum = 0xffff;
	memcpy(rte_pktmbuf_mtod_offset(frame, u8 *, field), &checksum, 2);
	frame->ol_flags = 0;
	out[0] = frame;
	return 1;
}

// Extension headers of a superpacket: whether they end where L4 begins. routed: one of them says
// that the packet's destination is not yet its last.
static bool super_extensions(const u8 *l3, u32 l3_bytes, u8 protocol, bool *routed)
{
	u32 at = sizeof(struct ipv6_header);
	u8 next = ((const struct ipv6_header *)l3)->next_header;
	while (at + 8 <= l3_bytes) {
		if (next != WEFT_IP_HOPOPTS && next != WEFT_IP_ROUTING && next != WEFT_IP_DSTOPTS)
			return false;
		*routed |= next == WEFT_IP_ROUTING && l3[at + 3];
		next = l3[at];
		at += (l3[at + 1] + 1u) * 8;
	}
	return at == l3_bytes && next == protocol;
}

// The L3 header. What stands in the checksum's field is the pseudo header's sum with the length of
// all, or (TSO in some guests) without; so it is made from the addresses. Only behind a routing
// header are they not the ones.
static bool super_l3(struct super *s, const u8 *l3)
{
	u32 l3_bytes = s->l4 - s->l3, l4_bytes = s->frame->pkt_len - s->l4;
	u8 protocol = s->udp ? WEFT_IP_UDP : WEFT_IP_TCP;
	bool routed = false;
	s->pseudo = weft_hton16(protocol);
	if (!s->ipv6) {
		const struct ipv4_header *ip = (const struct ipv4_header *)l3;
		s->pseudo += sum_bytes(&ip->src, 8);
		return l3_bytes == (ip->version_ihl & 0xf) * 4u && ip->protocol == protocol;
	}
	const struct ipv6_header *ip = (const struct ipv6_header *)l3;
	if (l3_bytes < sizeof(*ip) || !super_extensions(l3, l3_bytes, protocol, &routed))
		return false;
	if (!routed) {
		s->pseudo += sum_bytes(&ip->src, 32);
		return true;
	}
	u16 field;
	memcpy(&field, l3 + l3_bytes + (s->udp ? UDP_CHECKSUM : TCP_CHECKSUM), 2);
	u16 length = sum_fold(weft_hton16(l4_bytes & 0xffff) + weft_hton16(l4_bytes >> 16));
	s->pseudo = (u64)field + (u16)~length;
	return true;
}

// Reads the headers. False: they are not there, or not those of a superpacket.
static bool super_read(struct super *s, struct rte_mbuf *frame)
{
	s->frame = frame;
	s->udp = !(frame->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
	s->l3 = frame->l2_len;
	s->l4 = s->l3 + frame->l3_len;
	u32 least = s->udp ? sizeof(struct udp_header) : sizeof(struct tcp_header);
	if (s->l3 & 1 || frame->l3_len < sizeof(struct ipv4_header) || !frame->tso_segsz ||
		s->l4 + least > frame->pkt_len || !dpdk_pull(frame, s->l4 + least))
		return false;
	const u8 *l3 = rte_pktmbuf_mtod_offset(frame, u8 *, s->l3);
	s->ipv6 = l3[0] >> 4 == 6;
	if ((!s->ipv6 && l3[0] >> 4 != 4) || !super_l3(s, l3))
		return false;
	const struct tcp_header *tcp = (const struct tcp_header *)(l3 + frame->l3_len);
	s->payload = s->l4 + (s->udp ? least : (tcp->data_offset >> 4) * 4u);
	if (s->payload < s->l4 + least || s->payload > frame->pkt_len ||
		!dpdk_pull(frame, s->payload))
		return false;
	s->payload_bytes = frame->pkt_len - s->payload;
	s->segment_bytes = frame->tso_segsz;
	return s->payload - s->l3 + RTE_MIN(s->segment_bytes, s->payload_bytes) <= 65535;
}

static void super_put_l3(const struct super *s, u8 *l3, u32 index, u32 bytes)
{
	if (s->ipv6) {
		struct ipv6_header *ip = (struct ipv6_header *)l3;
		ip->payload_length = weft_hton16(bytes - sizeof(*ip));
		return;
	}
	struct ipv4_header *ip = (struct ipv4_header *)l3;
	ip->total_length = weft_hton16(bytes);
	ip->id = weft_hton16(weft_ntoh16(ip->id) + index);
	ip->checksum = 0;
	ip->checksum = (be16)~sum_bytes(ip, s->l4 - s->l3);
}

static void super_put_tcp(const struct super *s, struct tcp_header *tcp, u32 index, bool last)
{
	u32 sequence = weft_ntoh32(tcp->sequence) + index * s->segment_bytes;
	tcp->sequence = weft_hton32(sequence);
	if (index)
		tcp->flags &= (u8)~TCP_CWR;
	if (!last)
		tcp->flags &= (u8)~TCP_FIN_PSH;
}

// The headers of segment `index`, which are still the superpacket's. payload_sum: unless partial.
static void super_put_headers(
	const struct super *s, struct rte_mbuf *segment, u32 index, u16 payload_sum, bool last)
{
	u8 *l4 = rte_pktmbuf_mtod_offset(segment, u8 *, s->l4);
	u32 l4_bytes = segment->pkt_len - s->l4;
	u16 pseudo = sum_fold(s->pseudo + weft_hton16(l4_bytes));
	be16 *field = (be16 *)(l4 + (s->udp ? UDP_CHECKSUM : TCP_CHECKSUM));

	super_put_l3(
		s, rte_pktmbuf_mtod_offset(segment, u8 *, s->l3), index, segment->pkt_len - s->l3);
	if (s->udp)
		((struct udp_header *)l4)->length = weft_hton16(l4_bytes);
	else
		super_put_tcp(s, (struct tcp_header *)l4, index, last);
	segment->ol_flags = s->ol_flags;
	segment->l2_len = s->l3;
	segment->l3_len = s->l4 - s->l3;
	segment->l4_len = s->payload - s->l4;
	segment->tso_segsz = 0;
	*field = pseudo;
	if (s->partial)
		return;
	u16 checksum = (u16)~sum_fold((u64)payload_sum + sum_bytes(l4, s->payload - s->l4));
	*field = s->udp && !checksum ? 0xffff : checksum;
}

// A segment's last mbuf, or a fresh one behind it when it is full.
static struct rte_mbuf *super_room(struct rte_mbuf *segment, struct rte_mbuf *last)
{
	if (rte_pktmbuf_tailroom(last))
		return last;
	last->next = rte_pktmbuf_alloc(segment->pool);
	if (last->next)
		segment->nb_segs++;
	return last->next;
}

// Appends payload to a segment. False: no memory.
static bool super_copy(
	const struct super *s, struct cursor *from, struct rte_mbuf *segment, u32 bytes, u16 *out)
{
	struct rte_mbuf *to = segment;
	u64 sum = 0;
	for (u32 done = 0, part; done < bytes; done += part) {
		while (from->offset == from->segment->data_len)
			*from = (struct cursor){from->segment->next, 0};
		to = super_room(segment, to);
		if (!to)
			return false;
		part = RTE_MIN(bytes - done, from->segment->data_len - from->offset);
		part = RTE_MIN(part, (u32)rte_pktmbuf_tailroom(to));
		u8 *at = rte_pktmbuf_mtod_offset(to, u8 *, to->data_len);
		const u8 *bytes_from = rte_pktmbuf_mtod_offset(from->segment, u8 *, from->offset);
		if (s->partial)
			rte_memcpy(at, bytes_from, part);
		else
			sum += sum_odd(sum_copy(at, bytes_from, part), done);
		to->data_len += part;
		from->offset += part;
	}
	segment->pkt_len += bytes;
	*out = sum_fold(sum);
	return true;
}

static bool super_cut(const struct super *s, struct rte_mbuf **out, u32 count)
{
	struct cursor from = {s->frame, s->payload};
	for (u32 i = 0, left = s->payload_bytes; i < count; i++) {
		u32 bytes = RTE_MIN(left, s->segment_bytes);
		u16 sum = 0;
		memcpy(rte_pktmbuf_append(out[i], s->payload), rte_pktmbuf_mtod(s->frame, u8 *),
			s->payload);
		if (!super_copy(s, &from, out[i], bytes, &sum))
			return false;
		left -= bytes;
		super_put_headers(s, out[i], i, sum, !left);
	}
	return true;
}

static u32 super_segments(const struct super *s, struct rte_mbuf **out, u32 capacity)
{
	struct rte_mbuf *frame = s->frame;
	u32 count = (s->payload_bytes + s->segment_bytes - 1) / s->segment_bytes;
	if (count <= 1) { // it is its only segment
		u16 sum = s->partial ? 0 : sum_chain(frame, s->payload);
		super_put_headers(s, frame, 0, sum, true);
		out[0] = frame;
		return 1;
	}
	u32 room = rte_pktmbuf_data_room_size(frame->pool) - RTE_PKTMBUF_HEADROOM;
	if (count > capacity || s->payload > room ||
		rte_pktmbuf_alloc_bulk(frame->pool, out, count))
		return drop(frame);
	if (!super_cut(s, out, count)) {
		rte_pktmbuf_free_bulk(out, count);
		count = 0;
	}
	rte_pktmbuf_free(frame);
	return count;
}

u32 dpdk_complete(struct rte_mbuf *frame, u32 takes, struct rte_mbuf **out, u32 capacity)
{
	struct super s;
	u64 flags = frame->ol_flags;
	bool checksum = takes & ENGINE_TAKES_CHECKSUM;
	if (!capacity)
		return drop(frame);
	if (!(flags & segment_flags)) {
		if (!checksum && flags & RTE_MBUF_F_TX_L4_MASK)
			return complete_checksum(frame, out);
		out[0] = frame;
		return 1;
	}
	if (!super_read(&s, frame))
		return drop(frame);
	u32 needs = s.udp ? ENGINE_TAKES_USO : s.ipv6 ? ENGINE_TAKES_TSO6 : ENGINE_TAKES_TSO4;
	if (checksum && takes & needs) {
		out[0] = frame;
		return 1;
	}
	s.partial = checksum;
	s.ol_flags = 0;
	if (checksum)
		s.ol_flags = (flags & family_flags) |
			     (s.udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM);
	return super_segments(&s, out, capacity);
}
