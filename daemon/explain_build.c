// SPDX-License-Identifier: BSD-2-Clause
// The bytes of a frame that was asked about. Checksums and payloads are nothing that the pipeline
// reads: they are zero.
#include "daemon/explain.h"

#include <string.h>
#include <weft/wire.h>
#include "daemon/address.h"

enum { FRAME_LEAST_BYTES = 60 };
#define PRE_BYTES (u32)sizeof(struct eth_header)

static u32 build_l4(const struct explain_frame *f, u8 *at, u32 payload)
{
	if (f->protocol == WEFT_IP_TCP) {
		struct tcp_header tcp = {.src_port = weft_hton16(f->sport),
			.dst_port = weft_hton16(f->dport),
			.data_offset = 5 << 4,
			.flags = f->tcp_flags};
		memcpy(at, &tcp, sizeof(tcp));
		return sizeof(tcp);
	}
	if (f->protocol == WEFT_IP_UDP) {
		struct udp_header udp = {.src_port = weft_hton16(f->sport),
			.dst_port = weft_hton16(f->dport),
			.length = weft_hton16(payload)};
		memcpy(at, &udp, sizeof(udp));
		return sizeof(udp);
	}
	if (f->resolves) {
		struct nd_header nd = {.type = WEFT_ND_SOLICIT, .target = f->ip_dst};
		struct nd_mac_option option = {WEFT_ND_SOURCE_MAC, 1, f->src};
		memcpy(at, &nd, sizeof(nd));
		memcpy(at + sizeof(nd), &option, sizeof(option));
		return sizeof(nd) + sizeof(option);
	}
	if (f->protocol != WEFT_IP_ICMP && f->protocol != WEFT_IP_ICMPV6)
		return 0;
	struct icmp_header echo = {
		.type = f->protocol == WEFT_IP_ICMP ? WEFT_ICMP_ECHO : WEFT_ICMPV6_ECHO};
	memcpy(at, &echo, sizeof(echo));
	return sizeof(echo);
}

// room: of L3. Returns what the headers need.
static u32 build_ip(const struct explain_frame *f, u8 *at, u32 room)
{
	if (address_v4(&f->ip_dst)) {
		struct ipv4_header ip = {.version_ihl = 0x45,
			.total_length = weft_hton16(room),
			.ttl = 64,
			.protocol = f->protocol,
			.src = f->ip_src.word[3],
			.dst = f->ip_dst.word[3]};
		memcpy(at, &ip, sizeof(ip));
		return (u32)sizeof(ip) + build_l4(f, at + sizeof(ip), room - (u32)sizeof(ip));
	}
	struct ipv6_header ip = {.version_class_flow = weft_hton32(6u << 28),
		.next_header = f->protocol,
		.payload_length = weft_hton16(room - (u32)sizeof(ip)),
		.hop_limit = f->resolves ? 255 : 64,
		.src = f->ip_src,
		.dst = f->ip_dst};
	if (f->resolves) { // to the solicited-node address (RFC 4291 section 2.7.1)
		static const u8 prefix[13] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};
		memcpy(&ip.dst, prefix, sizeof(prefix));
	}
	memcpy(at, &ip, sizeof(ip));
	return (u32)sizeof(ip) + build_l4(f, at + sizeof(ip), room - (u32)sizeof(ip));
}

static u32 build_arp(const struct explain_frame *f, u8 *at)
{
	struct arp_header arp = {.hardware = weft_hton16(1),
		.protocol = weft_hton16(WEFT_ETH_IPV4),
		.hardware_length = 6,
		.protocol_length = 4,
		.operation = weft_hton16(WEFT_ARP_REQUEST),
		.sender_mac = f->src};
	memcpy(arp.sender_ip, &f->ip_src.word[3], 4);
	memcpy(arp.target_ip, &f->ip_dst.word[3], 4);
	memcpy(at, &arp, sizeof(arp));
	return sizeof(arp);
}

static u32 build_l3(struct explain_frame *f, u8 *at, u32 room)
{
	if (!f->ip)
		return 0;
	if (f->resolves && address_v4(&f->ip_dst))
		return build_arp(f, at);
	return build_ip(f, at, room);
}

int explain_frame_build(struct explain_frame *f, long long length, struct failure *failure)
{
	struct eth_header eth = {f->dst, f->src, weft_hton16(f->ethertype)};
	u32 tag = f->tagged ? (u32)sizeof(struct vlan_header) : 0;
	u32 least = PRE_BYTES + build_l3(f, f->bytes + PRE_BYTES + tag, 1000);
	if (!length)
		length = least > FRAME_LEAST_BYTES ? least : FRAME_LEAST_BYTES;
	if (length < least)
		return fail_words(failure, "length: the headers alone have %u bytes", least);
	build_l3(f, f->bytes + PRE_BYTES + tag, (u32)length - PRE_BYTES);
	if (f->tagged) {
		struct vlan_header vlan = {weft_hton16(f->vid), eth.type};
		eth.type = weft_hton16(WEFT_ETH_8021Q);
		memcpy(f->bytes + PRE_BYTES, &vlan, sizeof(vlan));
	}
	memcpy(f->bytes, &eth, sizeof(eth));
	f->length = (u32)length + tag;
	return 0;
}
