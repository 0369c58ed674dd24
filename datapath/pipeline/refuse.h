// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// refuse: what the sender of a lost packet is told, and whether: ICMP packet too big and port
// unreachable, TCP reset. Part of reply.h.
#pragma once

// May it be told at all? A single station is, about a whole packet or a first fragment, never about
// an ICMP error (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
weft_inline bool refuse_may(const struct weft_key *key)
{
	const be32 *from = key->ip_src.word;
	if ((key->dst.byte[0] | key->src.byte[0]) & 1 || key_is_error(key) ||
		key->flags & (WEFT_KEY_LATER | WEFT_KEY_OPTIONS))
		return false;
	if (key->ethertype == WEFT_ETH_IPV4) {
		u8 top = (u8)from[3];
		return top != 0 && top != 127 && top < 224;
	}
	return key->ethertype == WEFT_ETH_IPV6 && key->ip_src.byte[0] != 0xff &&
	       (from[0] | from[1] | from[2] | from[3]);
}

// That a frame is too big. A datagram without DF is answered too: nobody between two stations of a
// network will fragment it.
weft_inline enum weft_reply refuse_too_big(const struct weft_key *key)
{
	if (!refuse_may(key))
		return WEFT_REPLY_none;
	if (key->ethertype == WEFT_ETH_IPV4)
		return key->protocol != WEFT_IP_ICMP || key->l4_src == WEFT_ICMP_ECHO ||
				       key->l4_src == WEFT_ICMP_ECHO_REPLY
			       ? WEFT_REPLY_too_big
			       : WEFT_REPLY_none;
	return key->protocol != WEFT_IP_ICMPV6 || key->l4_src >= 128 ? WEFT_REPLY_too_big6
								     : WEFT_REPLY_none;
}

// That nobody serves it. No reset answers a reset, and a fragment does not say whether it is one.
weft_inline enum weft_reply refuse_kind(const struct weft_key *key)
{
	bool ipv4 = key->ethertype == WEFT_ETH_IPV4;
	if (!refuse_may(key))
		return WEFT_REPLY_none;
	if (key->protocol == WEFT_IP_UDP)
		return ipv4 ? WEFT_REPLY_unreachable : WEFT_REPLY_unreachable6;
	if (key->protocol != WEFT_IP_TCP || key->flags & WEFT_KEY_FRAGMENT ||
		key->tcp_flags & WEFT_TCP_RST)
		return WEFT_REPLY_none;
	return ipv4 ? WEFT_REPLY_reset : WEFT_REPLY_reset6;
}

weft_inline u32 reply_sum(const struct reply *r, u32 from, u32 to)
{
	u32 sum = 0;
	for (u32 i = from; i < to; i++)
		sum += r->words[i];
	return sum;
}

weft_inline be16 refuse_mtu(const struct weft_verdict *verdict)
{
	return weft_hton16(verdict->max_bytes - (u32)sizeof(struct eth_header));
}

// --- ICMP. What is not quoted is zero, and counts for nothing in the checksum.

weft_inline enum weft_drop refuse_error(const struct packet *p, const struct weft_layout *layout,
	const struct weft_verdict *verdict, struct reply *r)
{
	const be32 *quote;
	u32 offset = layout->l3_bytes, bytes = REPLY_QUOTE4_LEAST;
	if (offset > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	if (verdict->reply == WEFT_REPLY_too_big) {
		bytes = REPLY_QUOTE_BYTES;
		PARSE_NEED(quote, p, offset, REPLY_QUOTE_BYTES);
		__builtin_memcpy(r->error.quote, quote, REPLY_QUOTE_BYTES);
		r->error.icmp.code = 4;
		r->error.icmp.mtu = refuse_mtu(verdict);
	} else {
		PARSE_NEED(quote, p, offset, REPLY_QUOTE4_LEAST);
		__builtin_memcpy(r->error.quote, quote, REPLY_QUOTE4_LEAST);
		r->error.icmp.code = 3;
	}
	r->l3_length = (u32)sizeof(r->error) - REPLY_QUOTE_BYTES + bytes;
	r->error.ip.version_ihl = 0x4a;
	r->error.ip.total_length = weft_hton16(r->l3_length);
	r->error.ip.ttl = 64;
	r->error.ip.protocol = WEFT_IP_ICMP;
	r->error.ip.src = r->error.quote[4];
	r->error.ip.dst = r->error.quote[3];
	r->error.ip.checksum = (be16)~reply_fold(reply_sum(r, 0, 20));
	r->error.icmp.type = 3;
	r->error.icmp.checksum = (be16)~reply_fold(reply_sum(r, 20, 56));
	return WEFT_DROP_none;
}

weft_inline enum weft_drop refuse_error6(const struct packet *p, const struct weft_layout *layout,
	const struct weft_verdict *verdict, struct reply *r)
{
	const be32 *quote;
	const u8 filler[4] = {
		WEFT_IP_ICMPV6, REPLY_FILLER6_BYTES / 8 - 1, 0x1e, REPLY_FILLER6_BYTES - 4};
	u32 offset = layout->l3_bytes, bytes = REPLY_QUOTE6_LEAST;
	if (offset > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	if (verdict->reply == WEFT_REPLY_too_big6) {
		bytes = REPLY_QUOTE_BYTES;
		PARSE_NEED(quote, p, offset, REPLY_QUOTE_BYTES);
		__builtin_memcpy(r->error6.quote, quote, REPLY_QUOTE_BYTES);
		r->error6.icmp.type = 2;
		r->error6.icmp.mtu = refuse_mtu(verdict);
	} else {
		PARSE_NEED(quote, p, offset, REPLY_QUOTE6_LEAST);
		__builtin_memcpy(r->error6.quote, quote, REPLY_QUOTE6_LEAST);
		r->error6.icmp.type = 1;
		r->error6.icmp.code = 4;
	}
	r->l3_length = (u32)sizeof(r->error6) - REPLY_QUOTE_BYTES + bytes;
	__builtin_memcpy(r->error6.filler, filler, sizeof(filler));
	r->error6.ip.version_class_flow = weft_hton32(6u << 28);
	r->error6.ip.payload_length = weft_hton16(r->l3_length - (u32)sizeof(r->error6.ip));
	r->error6.ip.next_header = WEFT_IP_DSTOPTS;
	r->error6.ip.hop_limit = 64;
	__builtin_memcpy(&r->error6.ip.src, &r->error6.quote[6], sizeof(struct weft_ip));
	__builtin_memcpy(&r->error6.ip.dst, &r->error6.quote[2], sizeof(struct weft_ip));
	u32 sum = weft_hton16(WEFT_IP_ICMPV6) + weft_hton16((u32)sizeof(r->error6.icmp) + bytes);
	sum += reply_sum(r, 4, 20) + reply_sum(r, 32, 68); // both addresses and the message
	r->error6.icmp.checksum = (be16)~reply_fold(sum);
	return WEFT_DROP_none;
}

// --- TCP (RFC 9293 section 3.10.7.1)

// payload: bytes of it. What its sender acknowledges it awaits next; else the reset acknowledges
// what it has sent.
weft_inline void refuse_tcp(const struct tcp_header *tcp, u32 payload, struct tcp_header *rst)
{
	rst->src_port = tcp->dst_port;
	rst->dst_port = tcp->src_port;
	rst->data_offset = sizeof(*rst) / 4 << 4;
	rst->flags = WEFT_TCP_RST;
	if (tcp->flags & WEFT_TCP_ACK) {
		rst->sequence = tcp->acknowledgement;
		return;
	}
	if (tcp->flags & WEFT_TCP_SYN)
		payload++;
	if (tcp->flags & WEFT_TCP_FIN)
		payload++;
	rst->flags |= WEFT_TCP_ACK;
	rst->acknowledgement = weft_hton32(weft_ntoh32(tcp->sequence) + payload);
}

// addresses: their sum.
weft_inline void refuse_sum(struct reply *r, u32 addresses, u32 l4_bytes)
{
	u32 at = l4_bytes / 2;
	r->sum_bytes = l4_bytes + (u32)offsetof(struct tcp_header, checksum);
	r->l3_length = l4_bytes + (u32)sizeof(struct tcp_header);
	r->pseudo = addresses + weft_hton16(WEFT_IP_TCP) + weft_hton16(sizeof(struct tcp_header));
	r->plain = reply_sum(r, at, at + sizeof(struct tcp_header) / 2);
	r->words[r->sum_bytes / 2] = 0xffff; // the sum of nothing, partial or not
}

weft_inline enum weft_drop refuse_reset(
	const struct packet *p, const struct weft_layout *layout, struct reply *r)
{
	const struct ipv4_header *ip;
	const struct tcp_header *tcp;
	u32 offset = layout->l3_bytes, headers = sizeof(*ip);
	if (offset > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	PARSE_NEED(tcp, p, offset + (u32)sizeof(*ip), sizeof(*tcp));
	PARSE_NEED(ip, p, offset, sizeof(*ip));
	headers += (u32)(tcp->data_offset >> 4) * 4;
	r->reset.ip.version_ihl = 0x45;
	r->reset.ip.total_length = weft_hton16(sizeof(r->reset));
	r->reset.ip.fragment = weft_hton16(0x4000); // DF: an atomic datagram (RFC 6864)
	r->reset.ip.ttl = 64;
	r->reset.ip.protocol = WEFT_IP_TCP;
	r->reset.ip.src = ip->dst;
	r->reset.ip.dst = ip->src;
	r->reset.ip.checksum = (be16)~reply_fold(reply_sum(r, 0, 10));
	refuse_tcp(tcp, weft_ntoh16(ip->total_length) - headers, &r->reset.tcp);
	refuse_sum(r, reply_sum(r, 6, 10), sizeof(*ip));
	return WEFT_DROP_none;
}

weft_inline enum weft_drop refuse_reset6(
	const struct packet *p, const struct weft_layout *layout, struct reply *r)
{
	const struct ipv6_header *ip;
	const struct tcp_header *tcp;
	u32 offset = layout->l3_bytes;
	if (offset > WEFT_PARSE_BYTES)
		return WEFT_DROP_rewrite_failed;
	PARSE_NEED(tcp, p, offset + (u32)sizeof(*ip), sizeof(*tcp));
	PARSE_NEED(ip, p, offset, sizeof(*ip));
	r->reset6.ip.version_class_flow = weft_hton32(6u << 28);
	r->reset6.ip.payload_length = weft_hton16(sizeof(r->reset6.tcp));
	r->reset6.ip.next_header = WEFT_IP_TCP;
	r->reset6.ip.hop_limit = 64;
	r->reset6.ip.src = ip->dst;
	r->reset6.ip.dst = ip->src;
	refuse_tcp(tcp, weft_ntoh16(ip->payload_length) - (u32)(tcp->data_offset >> 4) * 4,
		&r->reset6.tcp);
	refuse_sum(r, reply_sum(r, 4, 20), sizeof(*ip));
	return WEFT_DROP_none;
}
