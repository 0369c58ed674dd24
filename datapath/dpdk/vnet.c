// SPDX-License-Identifier: BSD-2-Clause
// Virtio headers to mbuf flags and back, and checksums that have no flag.
#include "datapath/dpdk/vnet.h"
#include "datapath/dpdk/port.h"

#include <rte_hash_crc.h>
#include <rte_ip.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <weft/wire.h>

enum {
	TCP_CHECKSUM = 16, // offsets in their headers
	UDP_CHECKSUM = 6,
	SCTP_CHECKSUM = 8,
	SCTP = 132,
	TCP_CWR = 0x80,
	IPV4_FRAGMENT = 0x3fff, // more fragments, or an offset
	TAGS = 2,               // of a frame, at most
	EXTENSIONS = 8,         // of IPv6, at most
	VXLAN_BYTES = sizeof(struct udp_header) + sizeof(struct vxlan_header),
	L2_MOST = 127, // as far as an mbuf can say
	L3_MOST = 511,
};

// Where a frame's headers are. protocol 0: not known.
struct headers {
	const u8 *bytes;
	u32 length; // of the first segment: what may be read
	u32 l3;
	u32 l4;
	bool ipv6;
	u8 protocol;
};

static const void *bytes_at(const struct headers *h, u32 offset, u32 bytes)
{
	return offset <= h->length && bytes <= h->length - offset ? h->bytes + offset : NULL;
}

// After the Ethernet header at `at` and its tags: the EtherType.
static u16 find_l3(struct headers *h, u32 at)
{
	at += 2 * sizeof(struct weft_mac);
	for (int tags = 0; tags <= TAGS; tags++, at += 4) {
		const be16 *type = bytes_at(h, at, sizeof(*type));
		u16 ethertype = type ? weft_ntoh16(*type) : 0;
		h->l3 = at + 2;
		if (ethertype != WEFT_ETH_8021Q && ethertype != WEFT_ETH_8021AD)
			return ethertype;
	}
	return 0;
}

static void find_l4_ipv4(struct headers *h)
{
	const struct ipv4_header *ip = bytes_at(h, h->l3, sizeof(*ip));
	if (!ip || ip->version_ihl >> 4 != 4 || (ip->version_ihl & 15) < 5 ||
		weft_ntoh16(ip->fragment) & IPV4_FRAGMENT)
		return;
	h->l4 = h->l3 + 4u * (ip->version_ihl & 15);
	h->protocol = ip->protocol;
}

static void find_l4_ipv6(struct headers *h)
{
	const struct ipv6_header *ip = bytes_at(h, h->l3, sizeof(*ip));
	if (!ip || weft_ntoh32(ip->version_class_flow) >> 28 != 6)
		return;
	u32 at = h->l3 + sizeof(*ip);
	u8 next = ip->next_header;
	for (int i = 0; i < EXTENSIONS; i++) {
		if (next != WEFT_IP_HOPOPTS && next != WEFT_IP_ROUTING && next != WEFT_IP_DSTOPTS)
			break;
		const struct ipv6_extension_header *extension = bytes_at(h, at, sizeof(*extension));
		if (!extension)
			return;
		at += 8u * (extension->length + 1u);
		next = extension->next_header;
	}
	h->l4 = at;
	h->protocol = next;
	h->ipv6 = true;
}

// Of the frame that begins at `at`.
static void find_headers(const struct rte_mbuf *frame, u32 at, struct headers *h)
{
	*h = (struct headers){.bytes = rte_pktmbuf_mtod(frame, u8 *), .length = frame->data_len};
	u16 ethertype = find_l3(h, at);
	if (ethertype == WEFT_ETH_IPV4)
		find_l4_ipv4(h);
	else if (ethertype == WEFT_ETH_IPV6)
		find_l4_ipv6(h);
}

// Of the TCP or UDP header, if that is where the checksum begins; else 0.
static u32 l4_bytes(const struct headers *h, u32 start, u32 offset)
{
	if (h->l4 != start || h->l3 > L2_MOST || h->l4 - h->l3 > L3_MOST)
		return 0;
	if (h->protocol == WEFT_IP_UDP && offset == UDP_CHECKSUM)
		return bytes_at(h, start, sizeof(struct udp_header)) ? sizeof(struct udp_header)
								     : 0;
	const struct tcp_header *tcp = bytes_at(h, start, sizeof(*tcp));
	if (h->protocol != WEFT_IP_TCP || offset != TCP_CHECKSUM || !tcp)
		return 0;
	u32 bytes = 4u * (tcp->data_offset >> 4);
	return bytes >= sizeof(*tcp) && bytes_at(h, start, bytes) ? bytes : 0;
}

static u32 crc32c(const struct rte_mbuf *frame, u32 offset)
{
	u32 crc = ~0u;
	for (; frame; frame = frame->next) {
		const u8 *bytes = rte_pktmbuf_mtod(frame, const u8 *);
		for (; offset < frame->data_len; offset++)
			crc = rte_hash_crc_1byte(bytes[offset], crc);
		offset -= frame->data_len;
	}
	return ~crc;
}

// What the kernel does for a device without checksums. A container's SCTP comes over a veth with
// its CRC left to do.
static bool complete(struct rte_mbuf *frame, const struct headers *h, u32 start, u32 offset)
{
	bool sctp = h->protocol == SCTP && h->l4 == start && offset == SCTP_CHECKSUM;
	u32 width = sctp ? 4 : 2;
	u8 *field = rte_pktmbuf_mtod_offset(frame, u8 *, start + offset);
	if (!bytes_at(h, start + offset, width))
		return false;
	if (sctp) {
		memset(field, 0, width);
		u32 crc = crc32c(frame, start);
		memcpy(field, &crc, width); // little endian on the wire (RFC 9260, appendix A)
		return true;
	}
	u16 sum;
	if (rte_raw_cksum_mbuf(frame, start, frame->pkt_len - start, &sum))
		return false;
	sum = sum == 0xffff ? sum : (u16)~sum; // 0 would say "none"
	memcpy(field, &sum, width);
	return true;
}

// 0: not this type over these headers.
static u64 segment_flag(u8 gso_type, const struct headers *h)
{
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return h->protocol == WEFT_IP_TCP && !h->ipv6 ? RTE_MBUF_F_TX_TCP_SEG : 0;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return h->protocol == WEFT_IP_TCP && h->ipv6 ? RTE_MBUF_F_TX_TCP_SEG : 0;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return h->protocol == WEFT_IP_UDP ? RTE_MBUF_F_TX_UDP_SEG : 0;
	default:
		return 0;
	}
}

// A tunnel of the kernel leaves the checksum and the segments of what it carries undone, not its
// own.
static bool is_carried(const struct headers *h, u32 start)
{
	return h->protocol == WEFT_IP_UDP && start > h->l4 + VXLAN_BYTES;
}

bool vnet_read(
	const struct virtio_net_hdr *vnet, u32 inserted, bool underlay, struct rte_mbuf *frame)
{
	bool super = vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE;
	u32 known = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
	frame->packet_type = vnet->flags & known ? DPDK_SUM_KNOWN : 0;
	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return !super; // the standard wants a superpacket's checksum partial
	struct headers h;
	u32 start = vnet->csum_start + inserted;
	find_headers(frame, 0, &h);
	if (underlay && is_carried(&h, start))
		find_headers(frame, h.l4 + VXLAN_BYTES, &h);
	u32 bytes = l4_bytes(&h, start, vnet->csum_offset);
	if (!bytes)
		return !super && complete(frame, &h, start, vnet->csum_offset);
	frame->l2_len = h.l3;
	frame->l3_len = h.l4 - h.l3;
	frame->l4_len = bytes;
	frame->ol_flags = h.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	frame->ol_flags |=
		h.protocol == WEFT_IP_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (!super)
		return true;
	u64 segment = segment_flag(vnet->gso_type, &h);
	frame->ol_flags |= segment;
	frame->tso_segsz = vnet->gso_size;
	return segment && vnet->gso_size;
}

static u8 tcp_gso_type(const struct rte_mbuf *frame)
{
	u8 type = frame->ol_flags & RTE_MBUF_F_TX_IPV6 ? VIRTIO_NET_HDR_GSO_TCPV6
						       : VIRTIO_NET_HDR_GSO_TCPV4;
	u32 flags = frame->l2_len + frame->l3_len + offsetof(struct tcp_header, flags);
	// CWR must stand in the first segment only: not every end knows that.
	if (flags < frame->data_len && *rte_pktmbuf_mtod_offset(frame, u8 *, flags) & TCP_CWR)
		type |= VIRTIO_NET_HDR_GSO_ECN;
	return type;
}

void vnet_write(const struct rte_mbuf *frame, struct virtio_net_hdr *vnet)
{
	u64 l4 = frame->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	*vnet = (struct virtio_net_hdr){0};
	if (!(l4 || frame->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)))
		return;
	bool tcp = frame->ol_flags & RTE_MBUF_F_TX_TCP_SEG || l4 == RTE_MBUF_F_TX_TCP_CKSUM;
	vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet->csum_start = (u16)(frame->l2_len + frame->l3_len);
	vnet->csum_offset = tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
	vnet->hdr_len = (u16)(vnet->csum_start + frame->l4_len);
	if (frame->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		vnet->gso_type = tcp_gso_type(frame);
	else if (frame->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
		vnet->gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	if (vnet->gso_type)
		vnet->gso_size = frame->tso_segsz;
}

bool vnet_has_uso(void)
{
	struct utsname kernel;
	u32 major = 0, minor = 0;
	if (uname(&kernel) || sscanf(kernel.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 2);
}
