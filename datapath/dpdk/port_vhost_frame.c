// SPDX-License-Identifier: BSD-2-Clause
// Frames at the border to a guest: what it claims of them is checked, what it is told is right.
#include "datapath/dpdk/port_vhost.h"

#include <rte_ip.h>
#include <weft/wire.h>

enum {
	SEGMENT_LEAST = 64, // no path has less; a guest could make thousands of one frame
	HEAD_BYTES = sizeof(struct eth_header),
};
static const u64 segment_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG;

// The IP header's own length is that of a superpacket, which nobody needs: a guest may leave it 0.
static bool set_ip_length(struct rte_mbuf *frame, u32 bytes)
{
	void *at = rte_pktmbuf_mtod_offset(frame, void *, frame->l2_len);
	struct ipv4_header *v4 = at;
	struct ipv6_header *v6 = at;
	if (bytes > UINT16_MAX)
		return false;
	if (!(frame->ol_flags & RTE_MBUF_F_TX_IPV4)) {
		v6->payload_length = weft_hton16(bytes - sizeof(*v6));
	} else if (v4->total_length != weft_hton16(bytes)) {
		v4->total_length = weft_hton16(bytes);
		v4->checksum = 0;
		v4->checksum = rte_ipv4_cksum(at);
	}
	return true;
}

// Nothing that the IP header says leads out of the frame.
static bool ip_good(struct rte_mbuf *frame)
{
	const void *at = rte_pktmbuf_mtod_offset(frame, void *, frame->l2_len);
	const struct ipv4_header *v4 = at;
	const struct ipv6_header *v6 = at;
	u32 bytes = frame->pkt_len - frame->l2_len;
	bool is_v4 = frame->ol_flags & RTE_MBUF_F_TX_IPV4;
	u32 length;
	if (v4->version_ihl >> 4 != (is_v4 ? 4 : 6))
		return false;
	if (is_v4) {
		if (frame->l3_len < sizeof(*v4) || (weft_ntoh16(v4->fragment) & 0x3fff))
			return false;
		length = weft_ntoh16(v4->total_length);
	} else {
		length = weft_ntoh16(v6->payload_length) + sizeof(*v6);
	}
	if (frame->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		return set_ip_length(frame, bytes);
	return length <= bytes && length >= (u32)frame->l3_len + frame->l4_len;
}

// The library leaves l4_len out where it need not segment.
static bool set_l4_length(struct rte_mbuf *frame)
{
	u32 at = frame->l2_len + frame->l3_len;
	bool tcp = (frame->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM;
	u32 least = tcp ? sizeof(struct tcp_header) : sizeof(struct udp_header);
	if (at + least > frame->data_len)
		return false;
	const struct tcp_header *header = rte_pktmbuf_mtod_offset(frame, void *, at);
	u32 length = tcp ? (header->data_offset >> 4) * 4u : least;
	frame->l4_len = length;
	return length >= least && at + length <= frame->data_len;
}

static bool offload_good(struct rte_mbuf *frame)
{
	u64 checksum = frame->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	u64 segment = frame->ol_flags & segment_flags;
	bool tcp = checksum == RTE_MBUF_F_TX_TCP_CKSUM;
	// SCTP: a CRC that nobody here completes. UDP: fragments, which are not on offer.
	if (!tcp && (segment || checksum != RTE_MBUF_F_TX_UDP_CKSUM))
		return false;
	if (segment && (segment != RTE_MBUF_F_TX_TCP_SEG || frame->tso_segsz < SEGMENT_LEAST))
		return false;
	if (!set_l4_length(frame) || !ip_good(frame))
		return false;
	u32 headers = frame->l2_len + frame->l3_len + frame->l4_len;
	if (segment && frame->pkt_len - headers <= frame->tso_segsz)
		frame->ol_flags &= ~RTE_MBUF_F_TX_TCP_SEG;
	return true;
}

bool vhost_frame_receive(struct rte_mbuf *frame)
{
	u16 segment = frame->tso_segsz;
	if (frame->pkt_len < sizeof(struct eth_header))
		return false;
	if (likely(!(frame->ol_flags & (segment_flags | RTE_MBUF_F_TX_L4_MASK)))) {
		frame->ol_flags = 0;
		frame->tx_offload = 0;
		return true;
	}
	if (!offload_good(frame))
		return false;
	frame->tso_segsz = frame->ol_flags & RTE_MBUF_F_TX_TCP_SEG ? segment : 0;
	return true;
}

// The library sums the pseudo header anew: without a length for superpackets, which a guest that
// forwards them needs, and wrongly behind IPv6 extension headers. It leaves a frame alone whose
// headers are not in one piece.
static bool must_split(const struct rte_mbuf *frame)
{
	return (frame->ol_flags & RTE_MBUF_F_TX_TCP_SEG) ||
	       ((frame->ol_flags & RTE_MBUF_F_TX_IPV6) &&
		       frame->l3_len != sizeof(struct ipv6_header));
}

void vhost_frame_send(struct rte_mempool *pool, struct rte_mbuf **at)
{
	struct rte_mbuf *frame = *at, *head;
	u64 version = *rte_pktmbuf_mtod_offset(frame, u8 *, frame->l2_len) >> 4 == 4
			      ? RTE_MBUF_F_TX_IPV4
			      : RTE_MBUF_F_TX_IPV6;
	frame->ol_flags |= version; // or the library takes it for IPv6
	if (!must_split(frame) || !(head = rte_pktmbuf_alloc(pool)))
		return;
	memcpy(rte_pktmbuf_append(head, HEAD_BYTES), rte_pktmbuf_mtod(frame, void *), HEAD_BYTES);
	head->ol_flags = frame->ol_flags;
	head->tx_offload = frame->tx_offload;
	head->nb_segs = frame->nb_segs + 1;
	head->pkt_len = frame->pkt_len;
	head->next = frame;
	rte_pktmbuf_adj(frame, HEAD_BYTES);
	*at = head;
}

void vhost_frame_keep(struct rte_mbuf **at)
{
	struct rte_mbuf *head = *at;
	if (!must_split(head) || head->data_len != HEAD_BYTES || !head->next)
		return;
	*at = head->next;
	rte_pktmbuf_prepend(*at, HEAD_BYTES);
	head->next = NULL;
	head->nb_segs = 1;
	rte_pktmbuf_free(head);
}
