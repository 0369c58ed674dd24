// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// reply: builds answers into a flat buffer: ARP and ND for the gateway and for known neighbours,
// echo of the gateway, and what the sender of a lost packet is told (refuse.h). One source; an
// engine resizes the frame, writes the buffer and sends it back out of the in-port.
#pragma once

#include "datapath/pipeline/parse.h"

// How much of a lost packet comes back in an ICMP error: its IP header and 8 bytes at least (RFC
// 792, RFC 4443), of one that was too big more.
enum { REPLY_QUOTE_BYTES = 64, REPLY_QUOTE4_LEAST = 28, REPLY_QUOTE6_LEAST = 48 };

// Nothing tells a BPF program that a packet's checksum is partial, and nothing in BPF ends that
// state: the kernel (or the guest) will store a checksum at the place of the frame's TCP or UDP
// checksum, over all from the L4 header on. So where the L4 header stood, an ICMP error has filler:
// IPv4 options that end at once (RFC 791), an IPv6 destination option to be skipped (RFC 4727). The
// filler takes what is stored, and the checksums that count hold before and after: for IPv4 the
// rest sums to zero, so that zero (as 0xffff) is stored, for IPv6 no checksum covers the option.
enum { REPLY_FILLER4_BYTES = 20, REPLY_FILLER6_BYTES = 24 };

struct icmp_error_header { // RFC 792, RFC 1191; ICMPv6 (RFC 4443): mtu is 32 bits
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
	// A checksum in l3 that stands where the frame's own did, which may be partial: the hook
	// completes it by packet_sum (rewrite.h). 0: there is none.
	u32 sum_bytes; // where in l3
	u32 pseudo, plain;
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
			struct icmp_error_header icmp;
			be32 quote[REPLY_QUOTE_BYTES / 4];
		} error;
		struct {
			struct ipv6_header ip;
			u8 filler[REPLY_FILLER6_BYTES];
			struct icmp_error_header icmp;
			be32 quote[REPLY_QUOTE_BYTES / 4];
		} error6;
		struct {
			struct ipv4_header ip;
			struct tcp_header tcp;
		} reset;
		struct {
			struct ipv6_header ip;
			struct tcp_header tcp;
		} reset6;
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

#include "datapath/pipeline/refuse.h"

// Returns the reason for which no answer can be built, or none.
weft_inline enum weft_drop reply_build(const struct packet *p, const struct weft_key *key,
	const struct weft_layout *layout, const struct weft_verdict *verdict, struct reply *r)
{
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
	case WEFT_REPLY_unreachable:
		return refuse_error(p, layout, verdict, r);
	case WEFT_REPLY_too_big6:
	case WEFT_REPLY_unreachable6:
		return refuse_error6(p, layout, verdict, r);
	case WEFT_REPLY_reset:
		return refuse_reset(p, layout, r);
	case WEFT_REPLY_reset6:
		return refuse_reset6(p, layout, r);
	default:
		return WEFT_DROP_rewrite_failed;
	}
}
