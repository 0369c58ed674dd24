// SPDX-License-Identifier: BSD-2-Clause
// Outer headers for engines that have no carrier: what overlay_parse leaves to the kernel's VXLAN
// device is theirs to read, or to count. Include it behind pipeline.h.
#pragma once

// The IP header begins behind a priority tag (802.1p), too. 0: behind any other.
static inline u32 outer_l3(const struct packet *p, u16 *type)
{
	const struct eth_header *eth = packet_at(p, 0, sizeof(*eth));
	u32 at = sizeof(*eth);
	*type = eth ? weft_ntoh16(eth->type) : 0;
	if (*type != WEFT_ETH_8021Q)
		return at;
	const struct vlan_header *tag = packet_at(p, at, sizeof(*tag));
	if (!tag || weft_ntoh16(tag->tci) & WEFT_VID_MASK)
		return 0;
	*type = weft_ntoh16(tag->type);
	return at + (u32)sizeof(*tag);
}

// Is it for this VTEP at all? Exactly this is claimed from the host's stack (ebpf/claims.h).
static inline bool outer_is_vxlan(
	const struct packet *p, const struct weft_host_row *host, u32 at, const void *dst)
{
	const struct udp_header *udp = packet_at(p, at, sizeof(*udp));
	return udp && weft_ntoh16(udp->dst_port) == host->udp_port &&
	       overlay_same_ip(dst, host->address);
}

// With options, and bytes behind the packet. Fragments are not put together.
static inline enum overlay_kind outer_parse4(
	const struct packet *p, const struct weft_host_row *host, u32 at, struct overlay *o)
{
	const struct ipv4_header *ip = packet_at(p, at, sizeof(*ip));
	struct weft_ip dst;
	if (!ip || ip->version_ihl >> 4 != 4 || ip->protocol != WEFT_IP_UDP ||
		weft_ntoh16(ip->fragment) & 0x1fff)
		return OVERLAY_NO;
	u32 header = 4u * (ip->version_ihl & 15), length = weft_ntoh16(ip->total_length);
	parse_ip4(&dst, ip->dst);
	if (!outer_is_vxlan(p, host, at + header, &dst))
		return OVERLAY_NO;
	o->drop = WEFT_DROP_bad_vxlan;
	if (header < sizeof(*ip) || length < header || at + length > packet_length(p) ||
		weft_ntoh16(ip->fragment) & 0x3fff || !overlay_sum_right(ip, (int)header / 2))
		return OVERLAY_BAD;
	parse_ip4(&o->src, ip->src);
	o->tos = ip->tos;
	return overlay_parse_udp(p, host, at + header, length - header, o);
}

// Extension headers are the host's: it has the datagram, and says that nobody listens.
static inline enum overlay_kind outer_parse6(
	const struct packet *p, const struct weft_host_row *host, u32 at, struct overlay *o)
{
	const struct ipv6_header *ip = packet_at(p, at, sizeof(*ip));
	u32 udp = at + (u32)sizeof(*ip);
	if (!ip || weft_ntoh32(ip->version_class_flow) >> 28 != 6 ||
		ip->next_header != WEFT_IP_UDP || !outer_is_vxlan(p, host, udp, &ip->dst))
		return OVERLAY_NO;
	u32 length = weft_ntoh16(ip->payload_length);
	o->drop = WEFT_DROP_bad_vxlan;
	if (udp + length > packet_length(p))
		return OVERLAY_BAD;
	o->src = ip->src;
	o->tos = (u8)(weft_ntoh32(ip->version_class_flow) >> 20);
	o->ipv6 = true;
	return overlay_parse_udp(p, host, udp, length, o);
}

// What overlay_parse has called OVERLAY_NO. *o is still zeroed.
static inline enum overlay_kind outer_parse(
	const struct packet *p, const struct weft_host_row *host, struct overlay *o)
{
	u16 type;
	u32 at = outer_l3(p, &type);
	if (!at || !host || !host->udp_port)
		return OVERLAY_NO;
	if (type == WEFT_ETH_IPV4)
		return outer_parse4(p, host, at, o);
	return type == WEFT_ETH_IPV6 ? outer_parse6(p, host, at, o) : OVERLAY_NO;
}
