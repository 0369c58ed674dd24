// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What a service changes in the packets of a flow that is known: worked out once, and kept beside
// the verdict. rewrite.h does the same for any packet.
#pragma once

#include "datapath/pipeline/flow.h"
#include "datapath/pipeline/flow_key.h"
#include "datapath/pipeline/rewrite.h"

// What stays is filled in, too, and what the checksums change by is worked out.
weft_inline void flow_work_out(
	struct flow_rewrite *change, const struct weft_key *key, const struct weft_rewrite *wanted)
{
	struct weft_rewrite *r = &change->to;
	bool ipv4 = key->ethertype == WEFT_ETH_IPV4;
	u32 first = ipv4 ? 6 : 0, words = ipv4 ? 2 : 8, addresses = 0, ports = 0;
	be16 src_port = weft_hton16(key->l4_src), dst_port = weft_hton16(key->l4_dst);
	r->src = key->ip_src;
	r->dst = key->ip_dst;
	if (wanted->what & WEFT_REWRITE_SRC) {
		addresses = rewrite_ip(addresses, (be16 *)&r->src + first,
			(const be16 *)&wanted->src + first, words);
		ports = rewrite_word(ports, &src_port, weft_hton16(wanted->src_port));
	}
	if (wanted->what & WEFT_REWRITE_DST) {
		addresses = rewrite_ip(addresses, (be16 *)&r->dst + first,
			(const be16 *)&wanted->dst + first, words);
		ports = rewrite_word(ports, &dst_port, weft_hton16(wanted->dst_port));
	}
	r->src_port = weft_ntoh16(src_port);
	r->dst_port = weft_ntoh16(dst_port);
	r->src_mac = wanted->what & WEFT_REWRITE_SRC_MAC ? wanted->src_mac : key->src;
	r->dst_mac = wanted->what & WEFT_REWRITE_DST_MAC ? wanted->dst_mac : key->dst;
	r->backend = wanted->backend;
	r->what = wanted->what;
	change->addresses = reply_fold(addresses);
	change->ports = reply_fold(ports);
}

// Of a regular frame (flow_key.h) with whole checksums, TCP or UDP. False: it has no such headers.
weft_inline bool flow_rewrite(
	struct packet *p, const struct flow_frame *f, const struct flow_rewrite *change)
{
	const struct weft_rewrite *r = &change->to;
	struct eth_header *eth = (struct eth_header *)packet_at(p, 0, sizeof(*eth));
	be16 *ports = (be16 *)packet_at(p, f->l4, 2 * sizeof(*ports));
	if (!eth || !ports)
		return false;
	eth->dst = r->dst_mac;
	eth->src = r->src_mac;
	if (!(r->what & (WEFT_REWRITE_SRC | WEFT_REWRITE_DST)))
		return true;
	ports[0] = weft_hton16(r->src_port);
	ports[1] = weft_hton16(r->dst_port);
	if (f->ip6) {
		struct ipv6_header *ip = (struct ipv6_header *)packet_at(p, f->l3, sizeof(*ip));
		if (!ip)
			return false;
		ip->src = r->src;
		ip->dst = r->dst;
	} else {
		struct ipv4_header *ip = (struct ipv4_header *)packet_at(p, f->l3, sizeof(*ip));
		if (!ip)
			return false;
		ip->src = r->src.word[3];
		ip->dst = r->dst.word[3];
		ip->checksum = rewrite_sum(ip->checksum, change->addresses);
	}
	bool udp = f->protocol == WEFT_IP_UDP;
	u32 sum =
		udp ? offsetof(struct udp_header, checksum) : offsetof(struct tcp_header, checksum);
	return packet_sum(p, f->l4 + sum, change->addresses, change->ports, udp);
}
