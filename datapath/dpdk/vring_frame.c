// SPDX-License-Identifier: BSD-2-Clause
// Split rings: what a guest claims of a frame is held against the frame.
#include "datapath/dpdk/vring.h"

#include <rte_ip.h>
#include <weft/wire.h>
#include "datapath/dpdk/offload.h"
#include "datapath/dpdk/vnet.h"

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
	if (frame->ol_flags & segment_flags)
		return set_ip_length(frame, bytes);
	return length <= bytes && length >= (u32)frame->l3_len + frame->l4_len;
}

bool vring_claims(const struct virtio_net_hdr *header, struct rte_mbuf *frame)
{
	if (!vnet_read(header, 0, false, frame))
		return false;
	if (!frame->ol_flags)
		return true;
	if (!ip_good(frame))
		return false;
	if (!(frame->ol_flags & segment_flags))
		return true;
	u32 payload = frame->pkt_len - frame->l2_len - frame->l3_len - frame->l4_len;
	if (payload <= frame->tso_segsz) { // it is its only segment
		frame->ol_flags &= ~segment_flags;
		frame->tso_segsz = 0;
	}
	return payload <= (u32)frame->tso_segsz * DPDK_SEGMENTS || !frame->tso_segsz;
}
