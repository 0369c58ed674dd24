// SPDX-License-Identifier: BSD-2-Clause
// packet.h - build and check the IPv4, IPv6, UDP and TCP frames that the test tools send
#pragma once

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* One end of the conversation; host numbers become 10.255.0.N and fd00::N. */
struct packet_end {
	uint8_t mac[6];
	uint8_t host;
	uint16_t port;
};

/* One's complement sum, not folded to its complement: chain it over several buffers. */
static inline uint32_t sum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *byte = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)byte[i] << 8 | byte[i + 1];
	if (len & 1)
		sum += (uint32_t)byte[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline uint32_t sum_pseudo(bool ipv6, const void *l3, uint8_t proto, size_t l4_len)
{
	const uint8_t tail[6] = {(uint8_t)(l4_len >> 24), (uint8_t)(l4_len >> 16),
		(uint8_t)(l4_len >> 8), (uint8_t)l4_len, 0, proto};
	uint32_t sum =
		ipv6 ? sum_add(0, (const uint8_t *)l3 + offsetof(struct ip6_hdr, ip6_src), 32)
		     : sum_add(0, (const uint8_t *)l3 + offsetof(struct iphdr, saddr), 8);

	return sum_add(sum, tail, sizeof(tail));
}

static inline size_t put_eth(
	uint8_t *frame, const struct packet_end *from, const struct packet_end *to, uint16_t type)
{
	struct ethhdr eth = {.h_proto = htons(type)};

	memcpy(eth.h_source, from->mac, ETH_ALEN);
	memcpy(eth.h_dest, to->mac, ETH_ALEN);
	memcpy(frame, &eth, sizeof(eth));
	return sizeof(eth);
}

static inline size_t put_ipv4(uint8_t *frame, const struct packet_end *from,
	const struct packet_end *to, uint8_t proto, size_t l4_len)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(sizeof(ip) + l4_len)),
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = proto,
		.saddr = htonl(0x0aff0000u | from->host),
		.daddr = htonl(0x0aff0000u | to->host),
	};

	ip.check = htons((uint16_t)~sum_add(0, &ip, sizeof(ip)));
	memcpy(frame, &ip, sizeof(ip));
	return sizeof(ip);
}

static inline size_t put_ipv6(uint8_t *frame, const struct packet_end *from,
	const struct packet_end *to, uint8_t proto, size_t l4_len)
{
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6u << 28),
		.ip6_plen = htons((uint16_t)l4_len),
		.ip6_nxt = proto,
		.ip6_hlim = 64,
	};

	ip.ip6_src.s6_addr[0] = ip.ip6_dst.s6_addr[0] = 0xfd;
	ip.ip6_src.s6_addr[15] = from->host;
	ip.ip6_dst.s6_addr[15] = to->host;
	memcpy(frame, &ip, sizeof(ip));
	return sizeof(ip);
}

/* Ethernet, IP and the L4 header before payload_len bytes; checksum left 0. Returns their length.
 */
static inline size_t put_headers(uint8_t *frame, const struct packet_end *from,
	const struct packet_end *to, bool ipv6, uint8_t proto, size_t payload_len)
{
	struct udphdr udp = {.source = htons(from->port), .dest = htons(to->port)};
	struct tcphdr tcp = {.source = udp.source, .dest = udp.dest, .seq = htonl(1)};
	size_t l4_hdr = proto == IPPROTO_TCP ? sizeof(tcp) : sizeof(udp);
	size_t l4_len = l4_hdr + payload_len;
	size_t off = put_eth(frame, from, to, ipv6 ? ETH_P_IPV6 : ETH_P_IP);

	tcp.ack_seq = htonl(1);
	tcp.doff = sizeof(tcp) / 4;
	tcp.ack = 1;
	tcp.window = htons(1024);
	udp.len = htons((uint16_t)l4_len);
	off += ipv6 ? put_ipv6(frame + off, from, to, proto, l4_len)
		    : put_ipv4(frame + off, from, to, proto, l4_len);
	memcpy(frame + off, proto == IPPROTO_TCP ? (void *)&tcp : (void *)&udp, l4_hdr);
	return off + l4_hdr;
}

/* A UDP/IPv4 frame of exactly size bytes (42 or more) without a UDP checksum. */
static inline void put_udp_frame(
	uint8_t *frame, const struct packet_end *from, const struct packet_end *to, size_t size)
{
	size_t headers = sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr);

	put_headers(frame, from, to, false, IPPROTO_UDP, size - headers);
}
