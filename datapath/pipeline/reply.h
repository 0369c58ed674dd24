// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// reply: builds answers into a flat buffer: ARP and ND for the gateway and for known neighbours,
// echo of the gateway, "too big". One source; an engine resizes the frame, writes the buffer and
// sends it back out of the in-port.
#pragma once

#include "datapath/pipeline/parse.h"

// How much of a frame that was too big comes back with the answer: its IP header and 8 bytes at
// least (RFC 792, RFC 4443).
enum { REPLY_QUOTE_BYTES = 64 };

// Nothing tells a BPF program that a packet's checksum is partial, and nothing in BPF ends that
// state: the kernel (or the guest) will store a checksum at the place of the frame's TCP or UDP
// checksum, over all from the L4 header on. So where the L4 header stood, "too big" has filler:
// IPv4 options that end at once (RFC 791), an IPv6 destination option to be skipped (RFC 4727). The
// filler takes what is stored, and the checksums that count hold before and after: for IPv4 the
// rest sums to zero, so that zero (as 0xffff) is stored, for IPv6 no checksum covers the option.
enum { REPLY_FILLER4_BYTES = 20, REPLY_FILLER6_BYTES = 24 };

struct too_big_header { // ICMP type 3 code 4 (RFC 1191); ICMPv6 type 2 (RFC 4443): mtu is 32 bits
	u8 type;
	u8 code;
	be16 checksum;
	be16 unused;
	be16 mtu;
};

// The first bytes of the answer's L3. The Ethernet type and a tag stay as they are in the frame.
struct reply {
	struct weft_mac dst;
	struct weft_mac src;
	u32 l3_length;  // bytes of l3 that hold
	bool keep_tail; // the frame keeps its length and what follows; else it ends after l3
	union {
		struct arp_header arp;
		struct {
			struct ipv4_header ip;
			struct icmp_header icmp; // checksum and before
		} echo;
		struct {
			struct ipv6_header ip;
			struct icmp_header icmp;
		} echo6;
		struct {
			struct ipv6_header ip;
			struct nd_header nd;
			u8 option_type; // target link-layer address
			u8 option_length;
			struct weft_mac option_mac;
		} advert;
		struct {
			struct ipv4_header ip;
			u8 filler[REPLY_FILLER4_BYTES];
			struct too_big_header icmp;
			be32 quote[REPLY_QUOTE_BYTES / 4];
		} too_big;
		struct {
			struct ipv6_header ip;
			u8 filler[REPLY_FILLER6_BYTES];
			struct too_big_header icmp;
			be32 quote[REPLY_QUOTE_BYTES / 4];
		} too_big6;
		u8 l3[136];
		be16 words[68];
	} __attribute__((aligned(4)));
};

weft_inline u16 reply_fold(u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)((sum & 0xffff) + (sum >> 16));
}

// RFC 1624: the new checksum when one 16-bit word changes. Works on wire order alike.
weft_inline be16 reply_checksum_change(be16 checksum, be16 before, be16 after)
{
	return (be16)~reply_fold((u16)~checksum + (u32)(u16)~before + after);
}

weft_inline void reply_arp(const struct weft_key *key, struct reply *r)
{
	r->arp.hardware = weft_hton16(1);
	r->arp.protocol = weft_hton16(WEFT_ETH_IPV4);
	r->arp.hardware_length = 6;
	r->arp.protocol_length = 4;
	r->arp.operation = weft_hton16(WEFT_ARP_REPLY);
	r->arp.sender_mac = r->src;
	r->arp.sender_ip[0] = (be16)key->ip_dst.word[3];
	r->arp.sender_ip[1] = (be16)(key->ip_dst.word[3] >> 16);
	r->arp.target_mac = key->src;
	r->arp.target_ip[0] = (be16)key->ip_src.word[3];
	r->arp.target_ip[1] = (be16)(key->ip_src.word[3] >> 16);
	r->l3_length = sizeof(r->arp);
}

// RFC 4861 section 7.2.4. A solicitation from :: (duplicate address detection) is answered to
// all nodes, unsolicited.
weft_inline void reply_nd(const struct weft_key *key, bool router, struct reply *r)
{
	u32 flags = router ? 0xa0000000 : 0x20000000; // (router,) override
	const be32 *from = key->ip_src.word;
	bool probe = !(from[0] | from[1] | from[2] | from[3]);
	const struct weft_mac all_nodes_mac = {{0x33, 0x33, 0, 0, 0, 1}};

	r->advert.ip.version_class_flow = weft_hton32(6u << 28);
	r->advert.ip.payload_length = weft_hton16(32);
	r->advert.ip.next_header = WEFT_IP_ICMPV6;
	r->advert.ip.hop_limit = 255;
	r->advert.ip.src = key->ip_dst;
	r->advert.ip.dst = key->ip_src;
	if (probe) {
		r->dst = all_nodes_mac;
		r->advert.ip.dst.word[0] = weft_hton32(0xff020000);
		r->advert.ip.dst.word[3] = weft_hton32(1);
	}
	r->advert.nd.type = WEFT_ND_ADVERT;
	r->advert.nd.flags = weft_hton32(probe ? flags : flags | 0x40000000); // solicited
	r->advert.nd.target = key->ip_dst;
	r->advert.option_type = WEFT_ND_TARGET_MAC;
	r->advert.option_length = 1;
	r->advert.option_mac = r->src;

	u32 sum = weft_hton16(WEFT_IP_ICMPV6) + weft_hton16(32); // pseudo header
	for (int i = 4; i < 36; i++)                             // both addresses and the payload
		sum += r->words[i];
	r->advert.nd.checksum = (be16)~reply_fold(sum);
	r->l3_length = sizeof(r->advert);
}

// Swapping the addresses changes no checksum; the new type and TTL do.
weft_inline enum weft_drop reply_echo(
	const struct packet *p, const struct weft_layout *layout, struct reply *r)
{
	const struct ipv4_header *ip;
	const struct icmp_header *icmp;
	u32 offset = layout->l3_bytes;
	if (offset > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	PARSE_NEED(ip, p, offset, sizeof(*ip));
	r->echo.ip = *ip;
	r->echo.ip.src = ip->dst;
	r->echo.ip.dst = ip->src;
	r->echo.ip.ttl = 64;
	r->echo.ip.checksum = reply_checksum_change(
		ip->checksum, (be16)(ip->ttl | ip->protocol << 8), (be16)(64 | ip->protocol << 8));
	PARSE_NEED(icmp, p, offset + (u32)sizeof(*ip), sizeof(*icmp));
	r->echo.icmp = *icmp;
	r->echo.icmp.type = WEFT_ICMP_ECHO_REPLY;
	r->echo.icmp.checksum = reply_checksum_change(
		icmp->checksum, (be16)(WEFT_ICMP_ECHO | icmp->code << 8), (be16)(icmp->code << 8));
	r->l3_length = sizeof(r->echo);
	r->keep_tail = true;
	return WEFT_DROP_none;
}

weft_inline enum weft_drop reply_echo6(
	const struct packet *p, const struct weft_layout *layout, struct reply *r)
{
	const struct ipv6_header *ip;
	const struct icmp_header *icmp;
	u32 offset = layout->l3_bytes;
	if (offset > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	PARSE_NEED(ip, p, offset, sizeof(*ip));
	r->echo6.ip = *ip;
	r->echo6.ip.src = ip->dst;
	r->echo6.ip.dst = ip->src;
	r->echo6.ip.hop_limit = 64;
	PARSE_NEED(icmp, p, offset + (u32)sizeof(*ip), sizeof(*icmp));
	r->echo6.icmp = *icmp;
	r->echo6.icmp.type = WEFT_ICMPV6_ECHO_REPLY;
	r->echo6.icmp.checksum =
		reply_checksum_change(icmp->checksum, (be16)(WEFT_ICMPV6_ECHO | icmp->code << 8),
			(be16)(WEFT_ICMPV6_ECHO_REPLY | icmp->code << 8));
	r->l3_length = sizeof(r->echo6);
	r->keep_tail = true;
	return WEFT_DROP_none;
}

weft_inline u32 reply_sum(const struct reply *r, u32 from, u32 to)
{
	u32 sum = 0;
	for (u32 i = from; i < to; i++)
		sum += r->words[i];
	return sum;
}

weft_inline enum weft_drop reply_too_big(
	const struct packet *p, const struct weft_layout *layout, u32 mtu, struct reply *r)
{
	const be32 *quote;
	u32 offset = layout->l3_bytes;
	if (offset > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	PARSE_NEED(quote, p, offset, REPLY_QUOTE_BYTES);
	__builtin_memcpy(r->too_big.quote, quote, REPLY_QUOTE_BYTES);
	r->too_big.ip.version_ihl = 0x4a;
	r->too_big.ip.total_length = weft_hton16(sizeof(r->too_big));
	r->too_big.ip.ttl = 64;
	r->too_big.ip.protocol = WEFT_IP_ICMP;
	r->too_big.ip.src = quote[4];
	r->too_big.ip.dst = quote[3];
	r->too_big.ip.checksum = (be16)~reply_fold(reply_sum(r, 0, 20));
	r->too_big.icmp.type = 3;
	r->too_big.icmp.code = 4;
	r->too_big.icmp.mtu = weft_hton16(mtu);
	r->too_big.icmp.checksum = (be16)~reply_fold(reply_sum(r, 20, 56));
	r->l3_length = sizeof(r->too_big);
	return WEFT_DROP_none;
}

weft_inline enum weft_drop reply_too_big6(const struct packet *p, const struct weft_key *key,
	const struct weft_layout *layout, u32 mtu, struct reply *r)
{
	const be32 *quote;
	const u8 filler[4] = {
		WEFT_IP_ICMPV6, REPLY_FILLER6_BYTES / 8 - 1, 0x1e, REPLY_FILLER6_BYTES - 4};
	u32 offset = layout->l3_bytes;
	if (offset > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	PARSE_NEED(quote, p, offset, REPLY_QUOTE_BYTES);
	__builtin_memcpy(r->too_big6.quote, quote, REPLY_QUOTE_BYTES);
	__builtin_memcpy(r->too_big6.filler, filler, sizeof(filler));
	r->too_big6.ip.version_class_flow = weft_hton32(6u << 28);
	r->too_big6.ip.payload_length = weft_hton16(sizeof(r->too_big6) - sizeof(r->too_big6.ip));
	r->too_big6.ip.next_header = WEFT_IP_DSTOPTS;
	r->too_big6.ip.hop_limit = 64;
	r->too_big6.ip.src = key->ip_dst;
	r->too_big6.ip.dst = key->ip_src;
	r->too_big6.icmp.type = 2;
	r->too_big6.icmp.mtu = weft_hton16(mtu);
	u32 sum = weft_hton16(WEFT_IP_ICMPV6) +
		  weft_hton16(sizeof(r->too_big6.icmp) + REPLY_QUOTE_BYTES);
	sum += reply_sum(r, 4, 20) + reply_sum(r, 32, 68); // both addresses and the message
	r->too_big6.icmp.checksum = (be16)~reply_fold(sum);
	r->l3_length = sizeof(r->too_big6);
	return WEFT_DROP_none;
}

// To whom may "too big" be said? A single station about a whole packet or a first fragment, never
// about an ICMP error (RFC 1122 section 3.2.2, RFC 4443 section 2.4). A datagram without DF is
// answered too: nobody between two stations of a network will fragment it.
weft_inline enum weft_reply reply_too_big_kind(const struct weft_key *key)
{
	const be32 *from = key->ip_src.word;
	if (key->dst.byte[0] & 1 || key->flags & (WEFT_KEY_LATER | WEFT_KEY_OPTIONS))
		return WEFT_REPLY_none;
	if (key->ethertype == WEFT_ETH_IPV4) {
		u8 top = (u8)from[3];
		if (top == 0 || top == 127 || top >= 224)
			return WEFT_REPLY_none;
		return key->protocol != WEFT_IP_ICMP || key->l4_src == WEFT_ICMP_ECHO ||
				       key->l4_src == WEFT_ICMP_ECHO_REPLY
			       ? WEFT_REPLY_too_big
			       : WEFT_REPLY_none;
	}
	if (key->ethertype != WEFT_ETH_IPV6 || key->ip_src.byte[0] == 0xff ||
		!(from[0] | from[1] | from[2] | from[3]))
		return WEFT_REPLY_none;
	return key->protocol != WEFT_IP_ICMPV6 || key->l4_src >= 128 ? WEFT_REPLY_too_big6
								     : WEFT_REPLY_none;
}

// Returns the reason for which no answer can be built, or none.
weft_inline enum weft_drop reply_build(const struct packet *p, const struct weft_key *key,
	const struct weft_layout *layout, const struct weft_verdict *verdict, struct reply *r)
{
	u32 mtu = verdict->max_bytes - (u32)sizeof(struct eth_header);
	__builtin_memset(r, 0, sizeof(*r));
	r->dst = key->src;
	r->src = verdict->reply_mac;
	switch (verdict->reply) {
	case WEFT_REPLY_arp:
		reply_arp(key, r);
		return WEFT_DROP_none;
	case WEFT_REPLY_nd:
		reply_nd(key, verdict->flags & WEFT_VERDICT_ROUTER, r);
		return WEFT_DROP_none;
	case WEFT_REPLY_echo:
		return reply_echo(p, layout, r);
	case WEFT_REPLY_echo6:
		return reply_echo6(p, layout, r);
	case WEFT_REPLY_too_big:
		return reply_too_big(p, layout, mtu, r);
	case WEFT_REPLY_too_big6:
		return reply_too_big6(p, key, layout, mtu, r);
	default:
		return WEFT_DROP_rewrite_failed;
	}
}
