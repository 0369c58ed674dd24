// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// overlay: the outer headers of a frame between hosts (VXLAN, RFC 7348), read and written.
//
// One source for every engine that does it itself; the kernel's VXLAN device (the carrier) does
// the same for whatever is irregular here.
#pragma once

#include "datapath/pipeline/account.h"
#include "datapath/pipeline/parse.h"

// The headers that are put in front of a frame. `unused` aligns the rest, and is not sent.
struct overlay4_header {
	u16 unused;
	struct eth_header eth;
	struct ipv4_header ip;
	struct udp_header udp;
	struct vxlan_header vxlan;
} __attribute__((aligned(4)));

struct overlay6_header {
	u16 unused;
	struct eth_header eth;
	struct ipv6_header ip;
	struct udp_header udp;
	struct vxlan_header vxlan;
} __attribute__((aligned(4)));

enum { OVERLAY4_BYTES = 50, OVERLAY6_BYTES = 70 }; // on the wire

_Static_assert(sizeof(struct overlay4_header) == 2 + OVERLAY4_BYTES, "no padding");
_Static_assert(sizeof(struct overlay6_header) == 2 + OVERLAY6_BYTES, "no padding");

// What the outer headers say.
struct overlay {
	struct weft_ip src;
	u32 peer; // port id
	u32 vni;
	u32 bytes;           // where the inner frame begins
	u32 inner_bytes;     // of it; more of the packet is not its own
	enum weft_drop drop; // OVERLAY_BAD: why
	u8 tos;              // of the outer IP header
	bool ipv6;
	bool checksum; // UDP has one
};

enum overlay_kind {
	OVERLAY_NO,  // not for this VTEP, or irregular: leave it to the host
	OVERLAY_YES, // an inner frame follows
	OVERLAY_BAD, // for this VTEP, but from nobody or no VXLAN: a drop
};

weft_inline bool overlay_same_ip(const void *a, const void *b)
{
	const be32 *x = a, *y = b;
	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

weft_inline bool overlay_is_ip4(const u8 *address)
{
	const be32 *word = (const be32 *)address;
	return !(word[0] | word[1]) && word[2] == weft_hton32(0xffff);
}

// From UDP on. length: of UDP, by the IP header.
weft_inline enum overlay_kind overlay_parse_udp(const struct packet *p,
	const struct weft_host_row *host, u32 offset, u32 length, struct overlay *o)
{
	const struct udp_header *udp = packet_at(p, offset, sizeof(*udp));
	u32 headers = (u32)sizeof(*udp) + (u32)sizeof(struct vxlan_header);
	if (!udp || weft_ntoh16(udp->dst_port) != host->udp_port)
		return OVERLAY_NO;
	o->drop = WEFT_DROP_bad_vxlan;
	if (weft_ntoh16(udp->length) != length || length < headers + (u32)sizeof(struct eth_header))
		return OVERLAY_BAD;
	o->checksum = udp->checksum != 0;
	if (o->ipv6 && !o->checksum) // RFC 8200 section 8.1
		return OVERLAY_BAD;
	const struct vxlan_header *vxlan = packet_at(p, offset + (u32)sizeof(*udp), sizeof(*vxlan));
	if (!vxlan || !(vxlan->flags & WEFT_VXLAN_HAS_VNI))
		return OVERLAY_BAD;
	o->vni = weft_ntoh32(vxlan->vni) >> 8;
	o->bytes = offset + headers;
	o->inner_bytes = length - headers;
	return OVERLAY_YES;
}

// The IP header's checksum; words: of 16 bits.
weft_inline bool overlay_sum_right(const struct ipv4_header *ip, int words)
{
	u32 sum = 0;
	for (int i = 0; i < words; i++)
		sum += ((const be16 *)ip)[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)((sum & 0xffff) + (sum >> 16)) == 0xffff;
}

weft_inline enum overlay_kind overlay_parse4(
	const struct packet *p, const struct weft_host_row *host, struct overlay *o)
{
	const struct ipv4_header *ip = packet_at(p, sizeof(struct eth_header), sizeof(*ip));
	struct weft_ip dst;
	if (!ip || ip->version_ihl != 0x45 || ip->protocol != WEFT_IP_UDP ||
		weft_ntoh16(ip->fragment) & 0x3fff)
		return OVERLAY_NO;
	if (!overlay_sum_right(ip, sizeof(*ip) / 2))
		return OVERLAY_NO;
	parse_ip4(&dst, ip->dst);
	u32 length = weft_ntoh16(ip->total_length);
	if (!overlay_same_ip(&dst, host->address) ||
		length + sizeof(struct eth_header) != packet_length(p))
		return OVERLAY_NO;
	parse_ip4(&o->src, ip->src);
	o->tos = ip->tos;
	return overlay_parse_udp(p, host, (u32)sizeof(struct eth_header) + (u32)sizeof(*ip),
		length - (u32)sizeof(*ip), o);
}

weft_inline enum overlay_kind overlay_parse6(
	const struct packet *p, const struct weft_host_row *host, struct overlay *o)
{
	const struct ipv6_header *ip = packet_at(p, sizeof(struct eth_header), sizeof(*ip));
	if (!ip || weft_ntoh32(ip->version_class_flow) >> 28 != 6 || ip->next_header != WEFT_IP_UDP)
		return OVERLAY_NO;
	u32 length = weft_ntoh16(ip->payload_length);
	if (!overlay_same_ip(&ip->dst, host->address) ||
		length + sizeof(*ip) + sizeof(struct eth_header) != packet_length(p))
		return OVERLAY_NO;
	o->src = ip->src;
	o->tos = (u8)(weft_ntoh32(ip->version_class_flow) >> 20);
	o->ipv6 = true;
	return overlay_parse_udp(
		p, host, (u32)sizeof(struct eth_header) + (u32)sizeof(*ip), length, o);
}

weft_inline enum overlay_kind overlay_parse(
	const struct packet *p, const struct weft_host_row *host, struct overlay *o)
{
	const struct eth_header *eth = packet_at(p, 0, sizeof(*eth));
	if (!eth || !host || !host->udp_port)
		return OVERLAY_NO;
	if (eth->type == weft_hton16(WEFT_ETH_IPV4))
		return overlay_parse4(p, host, o);
	if (eth->type == weft_hton16(WEFT_ETH_IPV6))
		return overlay_parse6(p, host, o);
	return OVERLAY_NO;
}

// The peer that has this address; 0: none.
weft_inline u32 overlay_peer(struct tables *tables, const struct weft_ip *address)
{
	struct weft_vtep_key key;
	__builtin_memcpy(key.address, address, sizeof(key.address));
	const struct weft_vtep_row *vtep = TABLE_GET(tables, vtep, &key);
	return vtep ? vtep->peer : 0;
}

// After OVERLAY_YES: whose address o->src is; 0: nobody's.
weft_inline enum overlay_kind overlay_from(struct overlay *o, u32 peer)
{
	o->peer = peer;
	o->drop = peer ? WEFT_DROP_none : WEFT_DROP_peer_unknown;
	return peer ? OVERLAY_YES : OVERLAY_BAD;
}

// *o comes in zeroed. The frame has no tag: an underlay with tags has devices for them.
weft_inline enum overlay_kind overlay_receive(
	struct tables *tables, const struct packet *p, struct overlay *o)
{
	struct weft_index zero = {0};
	enum overlay_kind kind = overlay_parse(p, TABLE_GET(tables, host, &zero), o);
	return kind == OVERLAY_YES ? overlay_from(o, overlay_peer(tables, &o->src)) : kind;
}

enum { OVERLAY_ENTROPY_BITS = 14 };

// The inner flow as 14 bits: next hop and source port hang on it (RFC 7348 section 5).
weft_inline u32 overlay_entropy(const struct weft_key *key)
{
	const be16 *dst = (const be16 *)&key->dst, *src = (const be16 *)&key->src;
	u64 hash = ((u64)key->ip_src.word[3] << 32 | key->ip_dst.word[3]) * 0x9e3779b97f4a7c15ull;
	hash ^= ((u64)key->ip_src.word[1] << 32 | key->ip_dst.word[1]) * 0xc2b2ae3d27d4eb4full;
	hash ^= ((u64)key->ip_src.word[2] << 32 | key->ip_dst.word[2]) * 0x165667b19e3779f9ull;
	if (!(key->flags & WEFT_KEY_FRAGMENT)) // all fragments take one way
		hash ^= ((u64)key->l4_src << 24 | (u64)key->l4_dst << 8 | key->protocol) *
			0x27d4eb2f165667c5ull;
	hash ^= ((u64)(dst[2] ^ dst[1]) << 16 | (src[2] ^ src[1])) * 0xd6e8feb86659fd93ull;
	return (u32)(hash >> 40) & ((1 << OVERLAY_ENTROPY_BITS) - 1);
}

enum { OVERLAY_FIRST_PORT = 49152 }; // the dynamic ports: 14 bits of them

// The TOS byte or traffic class of an IP header; other types: 0.
weft_inline u8 overlay_inner_tos(u16 ethertype, const u8 *l3)
{
	if (ethertype == WEFT_ETH_IPV4)
		return l3[1];
	return ethertype == WEFT_ETH_IPV6 ? (u8)(l3[0] << 4 | l3[1] >> 4) : 0;
}

// DSCP and ECN of the inner packet, for the outer one: uniform DSCP (RFC 2983), ECN in normal mode
// (RFC 6040 section 4.1). Other protocols: 0.
weft_inline u8 overlay_tos(
	const struct packet *p, const struct weft_key *key, const struct weft_layout *layout)
{
	u32 at = layout->l3_bytes;
	if (at > WEFT_PARSE_BYTES)
		return 0;
	const u8 *l3 = packet_at(p, at, 2);
	return l3 ? overlay_inner_tos(key->ethertype, l3) : 0;
}

// What is known when a frame is to leave for a peer.
struct overlay_way {
	const struct weft_host_row *host;
	const struct weft_port_row *peer;
	const struct weft_nexthop_row *nexthop; // NULL: no way of weft's own
	u32 entropy;
	u32 vni;
	u32 inner_bytes; // of the inner frame
	u8 tos;
};

weft_inline void overlay_find_way(
	struct tables *tables, const struct weft_key *key, u32 peer, struct overlay_way *way)
{
	struct weft_index zero = {0}, index = {peer};
	way->host = TABLE_GET(tables, host, &zero);
	way->peer = TABLE_GET(tables, port, &index);
	way->nexthop = NULL;
	way->entropy = overlay_entropy(key);
	u32 nexthops = way->peer ? way->peer->nexthops : 0;
	if (!nexthops || nexthops > WEFT_NEXTHOPS_PER_PEER)
		return;
	index.index =
		peer * WEFT_NEXTHOPS_PER_PEER + (way->entropy * nexthops >> OVERLAY_ENTROPY_BITS);
	way->nexthop = TABLE_GET(tables, nexthop, &index);
	if (way->nexthop && !way->nexthop->ifindex)
		way->nexthop = NULL;
}

// Where a carrier could take the frame, too: is its flow one for weft's own encapsulation? TCP
// keeps to the carrier, which merges and splits superpackets; so do tags that are payload.
weft_inline bool overlay_own_flow(const struct weft_key *key, const struct weft_verdict *verdict)
{
	return key->protocol != WEFT_IP_TCP && !verdict->tag &&
	       (key->ethertype == WEFT_ETH_IPV4 || key->ethertype == WEFT_ETH_IPV6);
}

// And is there a way for it, over IPv4, that somebody looks after? bytes: of the inner frame.
weft_inline bool overlay_own_way(const struct overlay_way *way, u32 bytes, u64 now_ns)
{
	if (way->host && way->host->alive_ns &&
		(s64)(now_ns - way->host->alive_ns) > (s64)WEFT_ALIVE_NS)
		return false;
	if (!way->host || !way->peer || !way->nexthop || !overlay_is_ip4(way->peer->address))
		return false;
	return bytes + OVERLAY4_BYTES <= way->nexthop->mtu + sizeof(struct eth_header);
}

weft_inline void overlay_build_vxlan(
	const struct overlay_way *way, struct udp_header *udp, struct vxlan_header *vxlan)
{
	u32 length = way->inner_bytes + (u32)sizeof(*udp) + (u32)sizeof(*vxlan);
	udp->src_port = weft_hton16(OVERLAY_FIRST_PORT + way->entropy);
	udp->dst_port = weft_hton16(way->host->udp_port);
	udp->length = weft_hton16(length);
	udp->checksum = 0;
	vxlan->flags = WEFT_VXLAN_HAS_VNI;
	vxlan->reserved[0] = vxlan->reserved[1] = vxlan->reserved[2] = 0;
	vxlan->vni = weft_hton32(way->vni << 8);
}

// Needs way->nexthop. UDP without a checksum (RFC 7348), an atomic datagram (RFC 6864). Writes
// every byte but `unused`. The checksum is added up from the values: reading back what was just
// written by other sizes would stall.
weft_inline void overlay_build4(const struct overlay_way *way, struct overlay4_header *h)
{
	be32 src = *(const be32 *)(way->host->address + 12);
	be32 dst = *(const be32 *)(way->peer->address + 12);
	u32 length = way->inner_bytes + OVERLAY4_BYTES - (u32)sizeof(h->eth);
	u32 sum = weft_hton16(0x4500 | way->tos) + weft_hton16(length) + weft_hton16(0x4000) +
		  weft_hton16(64 << 8 | WEFT_IP_UDP);
	sum += (src & 0xffff) + (src >> 16) + (dst & 0xffff) + (dst >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	h->eth.dst = way->nexthop->dst;
	h->eth.src = way->nexthop->src;
	h->eth.type = weft_hton16(WEFT_ETH_IPV4);
	h->ip.version_ihl = 0x45;
	h->ip.tos = way->tos;
	h->ip.total_length = weft_hton16(length);
	h->ip.id = 0;
	h->ip.fragment = weft_hton16(0x4000); // DF
	h->ip.ttl = 64;
	h->ip.protocol = WEFT_IP_UDP;
	h->ip.checksum = (be16) ~((sum & 0xffff) + (sum >> 16));
	h->ip.src = src;
	h->ip.dst = dst;
	overlay_build_vxlan(way, &h->udp, &h->vxlan);
}

// The UDP checksum, which IPv6 demands (RFC 8200 section 8.1), is left to the engine.
weft_inline void overlay_build6(const struct overlay_way *way, struct overlay6_header *h)
{
	__builtin_memset(h, 0, sizeof(*h));
	h->eth.dst = way->nexthop->dst;
	h->eth.src = way->nexthop->src;
	h->eth.type = weft_hton16(WEFT_ETH_IPV6);
	h->ip.version_class_flow = weft_hton32(6u << 28 | (u32)way->tos << 20);
	h->ip.payload_length =
		weft_hton16(way->inner_bytes + (u32)sizeof(h->udp) + (u32)sizeof(h->vxlan));
	h->ip.next_header = WEFT_IP_UDP;
	h->ip.hop_limit = 64;
	__builtin_memcpy(&h->ip.src, way->host->address, 16);
	__builtin_memcpy(&h->ip.dst, way->peer->address, 16);
	overlay_build_vxlan(way, &h->udp, &h->vxlan);
}

// RFC 6040 section 4.2: what the inner ECN becomes, or -1: the packet must be dropped.
weft_inline int overlay_ecn(u8 inner, u8 outer)
{
	inner &= 3;
	outer &= 3;
	if (outer != 3)
		return inner == 2 && outer == 1 ? 1 : inner; // ECT(0) marked ECT(1) stays marked
	return inner ? 3 : -1;
}
