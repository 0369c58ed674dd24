// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// parse: bytes -> key and layout. One source for every engine.
//
// The including file has defined `struct packet` and two primitives over it:
//   packet_at(p, offset, n)      n bytes at an offset, or NULL outside the first WEFT_PARSE_BYTES
//   packet_tag(p, &tpid, &tci)   the tag that the buffer carries beside its bytes, if any
// and packet_length(p), the whole length. Nothing here reads past what packet_at has granted.
#pragma once

#include <weft/verdict.h>
#include <weft/wire.h>

// Beyond the frame's end a header is truncated; beyond the parse window it is merely unknown.
#define PARSE_NEED(pointer, p, offset, n) \
	do { \
		(pointer) = packet_at((p), (offset), (n)); \
		if (!(pointer)) \
			return packet_length(p) < (offset) + (n) ? WEFT_DROP_truncated \
								 : WEFT_DROP_none; \
	} while (0)

weft_inline bool key_is_error(const struct weft_key *key)
{
	return !(key->flags & WEFT_KEY_FRAGMENT) && key->tcp_flags & WEFT_KEY_ERROR;
}

// FIN, SYN and the like. Of a fragment they are not known.
weft_inline u16 key_tcp_flags(const struct weft_key *key)
{
	return key->protocol == WEFT_IP_TCP && !(key->flags & WEFT_KEY_FRAGMENT) &&
			       !key_is_error(key)
		       ? key->tcp_flags
		       : 0;
}

weft_inline bool key_starts(const struct weft_key *key)
{
	return (key_tcp_flags(key) & (WEFT_TCP_SYN | WEFT_TCP_ACK)) == WEFT_TCP_SYN;
}

weft_inline void parse_ip4(struct weft_ip *ip, be32 address)
{
	ip->word[0] = 0;
	ip->word[1] = 0;
	ip->word[2] = weft_hton32(0xffff);
	ip->word[3] = address;
}

weft_inline bool parse_is_tag(u16 ethertype)
{
	return ethertype == WEFT_ETH_8021Q || ethertype == WEFT_ETH_8021AD;
}

weft_inline bool parse_same_ip(const struct weft_ip *a, const struct weft_ip *b)
{
	return !((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) | (a->word[2] ^ b->word[2]) |
		 (a->word[3] ^ b->word[3]));
}

// RFC 792 and RFC 4443: the errors that quote the packet they are about.
weft_inline bool parse_is_error(const struct weft_key *key)
{
	u32 type = key->l4_src;
	return key->protocol == WEFT_IP_ICMP ? type == 3 || type == 11 || type == 12
					     : type >= 1 && type <= 4;
}

// Where what an IPv6 header carries begins, behind the header of a first fragment; at: of the IPv6
// header. 0: that cannot be read.
weft_inline u32 parse_quoted_ip6(const struct packet *p, u32 at, u32 *protocol)
{
	const struct ipv6_header *ip = packet_at(p, at, sizeof(*ip));
	u32 bytes = sizeof(*ip);
	if (!ip)
		return 0;
	*protocol = ip->next_header;
	if (*protocol != WEFT_IP_FRAGMENT)
		return bytes;
	const struct ipv6_extension_header *fragment = packet_at(p, at + bytes, sizeof(*fragment));
	if (!fragment || fragment->fragment & weft_hton16(0xfff8))
		return 0;
	*protocol = fragment->next_header;
	return bytes + (u32)sizeof(*fragment);
}

// at: of the quoted IP header. A quote that cannot be read leaves an ICMP packet like any other.
weft_inline void parse_quote(const struct packet *p, u32 at, struct weft_key *key)
{
	struct weft_ip src, dst;
	u32 protocol, bytes;
	if (key->protocol == WEFT_IP_ICMP) {
		const struct ipv4_header *ip = packet_at(p, at, sizeof(*ip));
		if (!ip || ip->fragment & weft_hton16(0x1fff))
			return;
		parse_ip4(&src, ip->src);
		parse_ip4(&dst, ip->dst);
		protocol = ip->protocol;
		bytes = (u32)(ip->version_ihl & 0xf) * 4;
	} else {
		const struct ipv6_header *ip = packet_at(p, at, sizeof(*ip));
		if (!ip)
			return;
		src = ip->src;
		dst = ip->dst;
		bytes = parse_quoted_ip6(p, at, &protocol);
		if (!bytes)
			return;
	}
	const be16 *ports = packet_at(p, at + bytes, 2 * sizeof(*ports));
	if (!ports || (protocol != WEFT_IP_TCP && protocol != WEFT_IP_UDP) ||
		!parse_same_ip(&src, &key->ip_dst))
		return;
	key->ip_src = dst;
	key->protocol = (u8)protocol;
	key->l4_src = weft_ntoh16(ports[1]);
	key->l4_dst = weft_ntoh16(ports[0]);
	key->tcp_flags = WEFT_KEY_ERROR;
}

// end: where the IP payload ends by the IP header.
weft_inline enum weft_drop parse_l4(const struct packet *p, u32 offset, u32 end,
	struct weft_key *key, struct weft_layout *layout)
{
	if (key->flags & WEFT_KEY_LATER)
		return WEFT_DROP_none;
	if (key->protocol == WEFT_IP_TCP) {
		const struct tcp_header *tcp;
		if (offset + sizeof(*tcp) > end)
			return WEFT_DROP_truncated;
		PARSE_NEED(tcp, p, offset, sizeof(*tcp));
		u32 bytes = (u32)(tcp->data_offset >> 4) * 4;
		if (bytes < sizeof(*tcp) || offset + bytes > end)
			return WEFT_DROP_bad_tcp;
		key->l4_src = weft_ntoh16(tcp->src_port);
		key->l4_dst = weft_ntoh16(tcp->dst_port);
		if (!(key->flags & WEFT_KEY_FRAGMENT))
			key->tcp_flags = tcp->flags;
		layout->header_bytes = (u16)(offset + bytes);
	} else if (key->protocol == WEFT_IP_UDP) {
		const struct udp_header *udp;
		if (offset + sizeof(*udp) > end)
			return WEFT_DROP_truncated;
		PARSE_NEED(udp, p, offset, sizeof(*udp));
		u32 bytes = weft_ntoh16(udp->length);
		if (bytes < sizeof(*udp) && !(bytes == 0 && end - offset > 65535))
			return WEFT_DROP_bad_udp;
		if (!(key->flags & WEFT_KEY_FRAGMENT) && offset + bytes > end)
			return WEFT_DROP_bad_udp;
		key->l4_src = weft_ntoh16(udp->src_port);
		key->l4_dst = weft_ntoh16(udp->dst_port);
		layout->header_bytes = (u16)(offset + sizeof(*udp));
	} else if (key->protocol == WEFT_IP_ICMP || key->protocol == WEFT_IP_ICMPV6) {
		const struct icmp_header *icmp;
		if (offset + sizeof(*icmp) > end)
			return WEFT_DROP_truncated;
		PARSE_NEED(icmp, p, offset, sizeof(*icmp));
		key->l4_src = icmp->type;
		key->l4_dst = icmp->code;
		layout->header_bytes = (u16)(offset + sizeof(*icmp));
		if (parse_is_error(key) && !(key->flags & WEFT_KEY_FRAGMENT))
			parse_quote(p, offset + (u32)sizeof(*icmp), key);
	} else {
		return WEFT_DROP_none;
	}
	layout->l4_bytes = (u16)offset;
	key->flags |= WEFT_KEY_L4;
	return WEFT_DROP_none;
}

weft_inline enum weft_drop parse_ipv4(
	const struct packet *p, u32 offset, struct weft_key *key, struct weft_layout *layout)
{
	const struct ipv4_header *ip;
	PARSE_NEED(ip, p, offset, sizeof(*ip));
	u32 header = (u32)(ip->version_ihl & 0xf) * 4;
	u32 total = weft_ntoh16(ip->total_length);
	u32 room = packet_length(p) - offset;
	if (total == 0 && room > 65535) // a superpacket larger than the field
		total = room;
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || total < header || total > room)
		return WEFT_DROP_bad_ipv4;

	u16 fragment = weft_ntoh16(ip->fragment);
	if (fragment & 0x3fff) {
		key->flags |= WEFT_KEY_FRAGMENT;
		key->fragment_id = weft_ntoh16(ip->id);
	}
	if (fragment & 0x1fff)
		key->flags |= WEFT_KEY_LATER;
	if (header > sizeof(*ip))
		key->flags |= WEFT_KEY_OPTIONS;
	key->protocol = ip->protocol;
	parse_ip4(&key->ip_src, ip->src);
	parse_ip4(&key->ip_dst, ip->dst);
	layout->header_bytes = (u16)(offset + header);
	return parse_l4(p, offset + header, offset + total, key, layout);
}

weft_inline bool parse_same_mac(const struct weft_mac *a, const struct weft_mac *b)
{
	const be16 *x = (const be16 *)a, *y = (const be16 *)b;
	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

// Only what a station says about itself is a binding: its own MAC must be in the message, too.
weft_inline enum weft_drop parse_nd(const struct packet *p, u32 at, u32 end, struct weft_key *key)
{
	const struct nd_header *nd;
	const struct nd_mac_option *option;
	const be32 *from = key->ip_src.word;
	bool solicit = key->l4_src == WEFT_ND_SOLICIT;
	if (at + sizeof(*nd) > end)
		return WEFT_DROP_truncated;
	PARSE_NEED(nd, p, at, sizeof(*nd));
	key->ip_dst = nd->target;
	key->flags |= WEFT_KEY_ND;
	if (!solicit && weft_ntoh32(nd->flags) >> 31)
		key->flags |= WEFT_KEY_ROUTER;
	if (at + sizeof(*nd) + sizeof(*option) > end ||
		(solicit && !(from[0] | from[1] | from[2] | from[3])))
		return WEFT_DROP_none;
	PARSE_NEED(option, p, at + (u32)sizeof(*nd), sizeof(*option));
	if (option->length == 1 &&
		option->type == (solicit ? WEFT_ND_SOURCE_MAC : WEFT_ND_TARGET_MAC) &&
		parse_same_mac(&option->mac, &key->src))
		key->flags |= WEFT_KEY_BINDING;
	return WEFT_DROP_none;
}

enum { PARSE_EXTENSION_HEADERS = 4 }; // more of them: the packet is forwarded by its addresses

weft_inline enum weft_drop parse_ipv6(
	const struct packet *p, u32 offset, struct weft_key *key, struct weft_layout *layout)
{
	const struct ipv6_header *ip;
	PARSE_NEED(ip, p, offset, sizeof(*ip));
	u32 payload = weft_ntoh16(ip->payload_length);
	u32 room = packet_length(p) - offset - (u32)sizeof(*ip);
	u8 next = ip->next_header;
	if (payload == 0) // jumbogram or a superpacket larger than the field
		payload = room;
	if ((weft_ntoh32(ip->version_class_flow) >> 28) != 6 || payload > room)
		return WEFT_DROP_bad_ipv6;
	key->ip_src = ip->src;
	key->ip_dst = ip->dst;
	bool on_link = ip->hop_limit == 255;

	u32 at = offset + (u32)sizeof(*ip);
	u32 end = at + payload;
	for (int i = 0; i < PARSE_EXTENSION_HEADERS; i++) {
		const struct ipv6_extension_header *extension;
		if (next != WEFT_IP_HOPOPTS && next != WEFT_IP_ROUTING && next != WEFT_IP_DSTOPTS &&
			next != WEFT_IP_FRAGMENT)
			break;
		if (at + sizeof(*extension) > end)
			return WEFT_DROP_truncated;
		key->flags |= WEFT_KEY_OPTIONS;
		key->protocol = next;
		PARSE_NEED(extension, p, at, sizeof(*extension));
		if (next == WEFT_IP_FRAGMENT) {
			u16 fragment = weft_ntoh16(extension->fragment);
			if (fragment & 0xfff9) {
				u32 id = weft_ntoh32(extension->fragment_id);
				key->flags |= WEFT_KEY_FRAGMENT;
				key->fragment_id = (u16)(id ^ id >> 16);
			}
			if (fragment & 0xfff8)
				key->flags |= WEFT_KEY_LATER;
			at += 8;
		} else {
			at += ((u32)extension->length + 1) * 8;
		}
		next = extension->next_header;
	}
	if (at > end)
		return WEFT_DROP_truncated;
	key->protocol = next;
	layout->header_bytes = (u16)at;
	enum weft_drop drop = parse_l4(p, at, end, key, layout);
	if (drop || !(key->flags & WEFT_KEY_L4) || key->protocol != WEFT_IP_ICMPV6)
		return drop;
	// RFC 4861 section 7.1: from another link, it is no ND.
	if (on_link && key->l4_dst == 0 &&
		(key->l4_src == WEFT_ND_SOLICIT || key->l4_src == WEFT_ND_ADVERT))
		return parse_nd(p, at, end, key);
	return WEFT_DROP_none;
}

weft_inline enum weft_drop parse_arp(const struct packet *p, u32 offset, struct weft_key *key)
{
	const struct arp_header *arp;
	PARSE_NEED(arp, p, offset, sizeof(*arp));
	if (arp->hardware != weft_hton16(1) || arp->protocol != weft_hton16(WEFT_ETH_IPV4) ||
		arp->hardware_length != 6 || arp->protocol_length != 4)
		return WEFT_DROP_bad_arp;
	key->l4_src = weft_ntoh16(arp->operation);
	parse_ip4(&key->ip_src, (be32)arp->sender_ip[0] | (be32)arp->sender_ip[1] << 16);
	parse_ip4(&key->ip_dst, (be32)arp->target_ip[0] | (be32)arp->target_ip[1] << 16);
	if (key->ip_src.word[3] && parse_same_mac(&arp->sender_mac, &key->src))
		key->flags |= WEFT_KEY_BINDING;
	return WEFT_DROP_none;
}

// Fills key and layout. Returns the reason for which the packet is no packet, or none.
weft_inline enum weft_drop parse(
	const struct packet *p, u32 in_port, struct weft_key *key, struct weft_layout *layout)
{
	const struct eth_header *eth;
	u16 tpid = 0, tci = 0;
	u32 offset = sizeof(*eth);

	__builtin_memset(key, 0, sizeof(*key));
	__builtin_memset(layout, 0, sizeof(*layout));
	key->in_port = in_port;
	PARSE_NEED(eth, p, 0, sizeof(*eth));
	key->dst = eth->dst;
	key->src = eth->src;
	key->ethertype = weft_ntoh16(eth->type);
	if (packet_tag(p, &tpid, &tci)) {
		layout->tagged = true;
	} else if (parse_is_tag(key->ethertype)) {
		const struct vlan_header *vlan;
		PARSE_NEED(vlan, p, offset, sizeof(*vlan));
		tpid = key->ethertype;
		tci = weft_ntoh16(vlan->tci);
		key->ethertype = weft_ntoh16(vlan->type);
		offset += sizeof(*vlan);
		layout->tagged = true;
	}
	layout->l3_bytes = (u16)offset;
	layout->header_bytes = (u16)offset;
	if (layout->tagged && tpid != WEFT_ETH_8021Q)
		return WEFT_DROP_tag_8021ad;
	if (parse_is_tag(key->ethertype))
		return WEFT_DROP_tag_nested;
	key->vid = tci & WEFT_VID_MASK;
	if (key->vid)
		key->flags |= WEFT_KEY_TAGGED;
	layout->tci = tci;

	if (key->ethertype == WEFT_ETH_IPV4)
		return parse_ipv4(p, offset, key, layout);
	if (key->ethertype == WEFT_ETH_IPV6)
		return parse_ipv6(p, offset, key, layout);
	if (key->ethertype == WEFT_ETH_ARP)
		return parse_arp(p, offset, key);
	return WEFT_DROP_none;
}
