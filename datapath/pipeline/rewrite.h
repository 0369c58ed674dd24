// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// apply for the balancer: addresses, ports and MACs of a packet changed, checksums by difference
// (RFC 1624). One source: packet_at gives the headers, the hook changes the checksum that may be
// partial.
#pragma once

#include "datapath/pipeline/account.h"
#include "datapath/pipeline/parse.h"

// The hook's: the checksum at an offset (RFC 1071), of which other words have changed: `pseudo` of
// its pseudo header, `plain` of what it covers itself. A partial one covers its pseudo header only.
// zero_is_none: 0 says that there is no checksum (UDP over IPv4).
weft_inline bool packet_sum(struct packet *p, u32 at, u32 pseudo, u32 plain, bool zero_is_none);

// parse has found the header within its window. The verifier of Linux 6.1 loses sight of that, and
// the compiler would take a mask away.
weft_inline u32 rewrite_offset(u32 offset)
{
#ifdef __bpf__
	u64 bounded = offset;
	asm volatile("%0 &= 255" : "+r"(bounded));
	return (u32)bounded;
#else
	return offset;
#endif
}

weft_inline u32 rewrite_word(u32 diff, be16 *word, be16 value)
{
	diff += (u16) ~*word + (u32)(u16)value;
	*word = value;
	return diff;
}

weft_inline u32 rewrite_ip(u32 diff, be16 *at, const be16 *value, u32 words)
{
	for (u32 i = 0; i < words; i++)
		diff = rewrite_word(diff, at + i, value[i]);
	return diff;
}

weft_inline be16 rewrite_sum(be16 sum, u32 diff)
{
	return (be16)~reply_fold((u16)~sum + (diff & 0xffff) + (diff >> 16));
}

// One that stands whole.
weft_inline be16 rewrite_sum_of(be16 sum, u32 diff, bool zero_is_none)
{
	if (zero_is_none && !sum)
		return 0;
	sum = rewrite_sum(sum, diff);
	return zero_is_none && !sum ? 0xffff : sum;
}

// Addresses in an IP header: an IPv4 header has a checksum of its own.
weft_inline bool rewrite_header(const struct packet *p, u32 at, bool ipv4,
	const struct weft_ip *src, const struct weft_ip *dst, u32 *diff)
{
	if (ipv4) {
		struct ipv4_header *ip = (struct ipv4_header *)packet_at(p, at, sizeof(*ip));
		u32 change = 0;
		if (!ip)
			return false;
		if (src)
			change = rewrite_ip(
				change, (be16 *)&ip->src, (const be16 *)&src->word[3], 2);
		if (dst)
			change = rewrite_ip(
				change, (be16 *)&ip->dst, (const be16 *)&dst->word[3], 2);
		ip->checksum = rewrite_sum(ip->checksum, change);
		*diff += change;
		return true;
	}
	struct ipv6_header *ip = (struct ipv6_header *)packet_at(p, at, sizeof(*ip));
	if (!ip)
		return false;
	if (src)
		*diff = rewrite_ip(*diff, (be16 *)&ip->src, (const be16 *)src, 8);
	if (dst)
		*diff = rewrite_ip(*diff, (be16 *)&ip->dst, (const be16 *)dst, 8);
	return true;
}

weft_inline bool rewrite_ports(
	const struct packet *p, u32 at, const u16 *src, const u16 *dst, u32 *diff)
{
	be16 *ports = (be16 *)packet_at(p, at, 2 * sizeof(*ports));
	if (!ports)
		return false;
	if (src)
		*diff = rewrite_word(*diff, &ports[0], weft_hton16(*src));
	if (dst)
		*diff = rewrite_word(*diff, &ports[1], weft_hton16(*dst));
	return true;
}

// What an ICMP error quotes was sent the other way. Its sender is the flow's other end, or a router
// that keeps its address.
weft_inline bool rewrite_quote(const struct packet *p, const struct weft_key *key, u32 at,
	const struct weft_rewrite *r, u32 *plain)
{
	bool ipv4 = key->ethertype == WEFT_ETH_IPV4;
	const struct weft_ip *src = r->what & WEFT_REWRITE_SRC ? &r->src : NULL;
	const struct weft_ip *dst = r->what & WEFT_REWRITE_DST ? &r->dst : NULL;
	const u8 *ip = packet_at(p, at, 1);
	u32 addresses = 0, bytes, protocol;
	if (!ip)
		return false;
	bytes = ipv4 ? (u32)(*ip & 0xf) * 4 : parse_quoted_ip6(p, at, &protocol);
	if (!rewrite_header(p, at, ipv4, dst, src, &addresses))
		return false;
	if (!ipv4) // an IPv4 header and its checksum change by nothing in all
		*plain += addresses;
	return rewrite_ports(
		p, at + bytes, dst ? &r->dst_port : NULL, src ? &r->src_port : NULL, plain);
}

// Did the other end itself send the error?
weft_inline bool rewrite_from_end(const struct packet *p, const struct weft_key *key, u32 l3)
{
	struct weft_ip from;
	if (key->ethertype == WEFT_ETH_IPV4) {
		const struct ipv4_header *ip = packet_at(p, l3, sizeof(*ip));
		if (!ip)
			return false;
		parse_ip4(&from, ip->src);
	} else {
		const struct ipv6_header *ip = packet_at(p, l3, sizeof(*ip));
		if (!ip)
			return false;
		from = ip->src;
	}
	return parse_same_ip(&from, &key->ip_src);
}

weft_inline bool rewrite_macs(const struct packet *p, const struct weft_rewrite *r)
{
	struct eth_header *eth = (struct eth_header *)packet_at(p, 0, sizeof(*eth));
	if (!eth)
		return false;
	if (r->what & WEFT_REWRITE_SRC_MAC)
		eth->src = r->src_mac;
	if (r->what & WEFT_REWRITE_DST_MAC)
		eth->dst = r->dst_mac;
	return true;
}

weft_inline enum weft_drop rewrite_all(struct packet *p, const struct weft_key *key,
	const struct weft_layout *layout, const struct weft_rewrite *r)
{
	bool ipv4 = key->ethertype == WEFT_ETH_IPV4, error = key_is_error(key);
	u32 l3 = rewrite_offset(layout->l3_bytes), l4 = rewrite_offset(layout->l4_bytes);
	u32 pseudo = 0, plain = 0;
	const struct weft_ip *src = r->what & WEFT_REWRITE_SRC ? &r->src : NULL;
	const struct weft_ip *dst = r->what & WEFT_REWRITE_DST ? &r->dst : NULL;
	bool done = rewrite_macs(p, r);
	if (!src && !dst)
		return done ? WEFT_DROP_none : WEFT_DROP_rewrite_failed;
	const struct weft_ip *from = error && src && !rewrite_from_end(p, key, l3) ? NULL : src;
	done = done && rewrite_header(p, l3, ipv4, from, dst, &pseudo);
	if (done && error)
		done = rewrite_quote(p, key, l4 + (u32)sizeof(struct icmp_header), r, &plain);
	else if (done && l4)
		done = rewrite_ports(
			p, l4, src ? &r->src_port : NULL, dst ? &r->dst_port : NULL, &plain);
	if (!done || !l4)
		return done ? WEFT_DROP_none : WEFT_DROP_rewrite_failed;
	if (error) {
		l4 += offsetof(struct icmp_header, checksum);
		pseudo = ipv4 ? 0 : pseudo; // ICMPv6 alone covers its addresses
	} else {
		l4 += key->protocol == WEFT_IP_TCP ? offsetof(struct tcp_header, checksum)
						   : offsetof(struct udp_header, checksum);
	}
	bool zero_is_none = !error && key->protocol == WEFT_IP_UDP;
	return packet_sum(p, l4, pseudo, plain, zero_is_none) ? WEFT_DROP_none
							      : WEFT_DROP_rewrite_failed;
}

// bytes: what is counted for the backend.
weft_inline enum weft_drop packet_rewrite(struct packet *p, struct tables *tables,
	const struct weft_key *key, const struct weft_layout *layout, const struct weft_rewrite *r,
	u32 bytes)
{
	enum weft_drop drop = rewrite_all(p, key, layout, r);
	if (!drop)
		account_backend(tables, r, bytes);
	return drop;
}
