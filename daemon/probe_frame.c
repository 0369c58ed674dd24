// SPDX-License-Identifier: BSD-2-Clause
// Probes and questions to guests as frames: building them whole, checksums and a probe's tag
// included, and reading them and their answers from cards.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weft/observe.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/probe.h"

enum { PADDING_TYPE = 1, PADDING_AT = 44, PADDING_HEAD = 4, NANOSECONDS = 1000000000 };
enum { LEAST_BYTES = 60 }; // of a frame on Ethernet

void probe_time_put(be32 time[2], u64 ns)
{
	time[0] = weft_hton32((u32)(ns / NANOSECONDS));
	time[1] = weft_hton32((u32)(ns % NANOSECONDS));
}

u64 probe_time_get(const be32 time[2])
{
	return (u64)weft_ntoh32(time[0]) * NANOSECONDS + weft_ntoh32(time[1]);
}

u32 probe_clock(void)
{
	static u32 clock;
	char boot[37] = "";
	struct stat time;
	int fd = clock ? -1 : open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return clock;
	ssize_t bytes = read(fd, boot, sizeof(boot) - 1);
	close(fd);
	if (bytes > 0) // a random UUID: its first 32 bits do
		clock = (u32)strtoul(boot, NULL, 16);
	if (!stat("/proc/self/ns/time", &time)) // each has a clock of its own
		clock ^= (u32)time.st_ino;
	clock |= 1;
	return clock;
}

static u32 l3_bytes(const struct probe_way *way)
{
	return address_v4(&way->ip_dst) ? sizeof(struct ipv4_header) : sizeof(struct ipv6_header);
}

u32 probe_frame_least(const struct probe_way *way)
{
	return (u32)(sizeof(struct eth_header) + l3_bytes(way) + sizeof(struct udp_header) +
		     sizeof(struct weft_probe));
}

static u32 sum16(const void *data, u32 length)
{
	const u8 *bytes = data;
	u32 sum = length & 1 ? (u32)bytes[length - 1] << 8 : 0;
	for (u32 i = 0; i + 1 < length; i += 2)
		sum += (u32)bytes[i] << 8 | bytes[i + 1];
	return sum;
}

static be16 checksum(u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return weft_hton16(~sum & 0xffff);
}

static u64 tag_of(const u64 key[2], const struct weft_probe *probe)
{
	u64 words[WEFT_PROBE_WORDS];
	struct weft_sip sip = weft_sip_begin(key);
	memcpy(words, probe, sizeof(words));
	for (u32 i = 0; i < WEFT_PROBE_WORDS; i++)
		if (i != WEFT_PROBE_TAG)
			weft_sip_word(&sip, words[i]);
	return weft_sip_end(&sip, WEFT_PROBE_WORDS - 1);
}

static void put_udp(const struct probe_way *way, u8 *at, u32 bytes)
{
	struct udp_header udp = {
		weft_hton16(WEFT_PROBE_PORT), weft_hton16(WEFT_PROBE_PORT), weft_hton16(bytes), 0};
	bool v4 = address_v4(&way->ip_dst);
	u32 sum = bytes + WEFT_IP_UDP;
	sum += v4 ? sum16(way->ip_src.byte + 12, 4) + sum16(way->ip_dst.byte + 12, 4)
		  : sum16(&way->ip_src, 16) + sum16(&way->ip_dst, 16);
	memcpy(at, &udp, sizeof(udp));
	udp.checksum = checksum(sum + sum16(at, bytes));
	if (!udp.checksum)
		udp.checksum = 0xffff;
	memcpy(at, &udp, sizeof(udp));
}

static void put_ip(const struct probe_way *way, u8 *at, u32 bytes)
{
	if (address_v4(&way->ip_dst)) {
		struct ipv4_header ip = {.version_ihl = 0x45,
			.total_length = weft_hton16(bytes),
			.fragment = weft_hton16(0x4000), // not to be cut
			.ttl = 64,
			.protocol = WEFT_IP_UDP,
			.src = way->ip_src.word[3],
			.dst = way->ip_dst.word[3]};
		ip.checksum = checksum(sum16(&ip, sizeof(ip)));
		memcpy(at, &ip, sizeof(ip));
		return;
	}
	struct ipv6_header ip = {.version_class_flow = weft_hton32(6u << 28),
		.payload_length = weft_hton16(bytes - (u32)sizeof(ip)),
		.next_header = WEFT_IP_UDP,
		.hop_limit = 64,
		.src = way->ip_src,
		.dst = way->ip_dst};
	memcpy(at, &ip, sizeof(ip));
}

static u8 *put_ethernet(const struct probe_way *way, u16 type, u8 *at)
{
	struct eth_header eth = {way->dst, way->src, weft_hton16(type)};
	struct vlan_header vlan = {weft_hton16(way->tag), eth.type};
	if (way->tag)
		eth.type = weft_hton16(WEFT_ETH_8021Q);
	memcpy(at, &eth, sizeof(eth));
	if (!way->tag)
		return at + sizeof(eth);
	memcpy(at + sizeof(eth), &vlan, sizeof(vlan));
	return at + sizeof(eth) + sizeof(vlan);
}

u32 probe_frame_build(const u64 key[2], const struct probe_way *way, const struct weft_probe *probe,
	u32 bytes, u8 frame[PROBE_FRAME_MAX_BYTES])
{
	struct weft_probe p = *probe;
	u32 ip = bytes - (u32)sizeof(struct eth_header), udp = ip - l3_bytes(way);
	u32 payload = udp - (u32)sizeof(struct udp_header);
	memset(frame, 0, bytes + sizeof(struct vlan_header));
	p.padding_type = PADDING_TYPE;
	p.padding_length = weft_hton16(payload - PADDING_AT - PADDING_HEAD);
	p.tag = tag_of(key, &p);
	u16 type = address_v4(&way->ip_dst) ? WEFT_ETH_IPV4 : WEFT_ETH_IPV6;
	u8 *l3 = put_ethernet(way, type, frame), *l4 = l3 + l3_bytes(way);
	memcpy(l4 + sizeof(struct udp_header), &p, sizeof(p));
	put_ip(way, l3, ip);
	put_udp(way, l4, udp);
	return (u32)(l3 - frame) + ip;
}

static u32 put_arp(const struct probe_way *way, u8 *at)
{
	struct arp_header arp = {
		.hardware = weft_hton16(1),
		.protocol = weft_hton16(WEFT_ETH_IPV4),
		.hardware_length = sizeof(struct weft_mac),
		.protocol_length = sizeof(be32),
		.operation = weft_hton16(WEFT_ARP_REQUEST),
		.sender_mac = way->src,
	};
	memcpy(arp.sender_ip, &way->ip_src.word[3], sizeof(arp.sender_ip));
	memcpy(arp.target_ip, &way->ip_dst.word[3], sizeof(arp.target_ip));
	memcpy(at, &arp, sizeof(arp));
	return sizeof(arp);
}

// RFC 4291, section 2.7.1: all whose address ends like this one.
static struct weft_ip solicited(const struct weft_ip *ip)
{
	struct weft_ip group = {.byte = {0xff, 0x02, [11] = 1, [12] = 0xff}};
	memcpy(&group.byte[13], &ip->byte[13], 3);
	return group;
}

static u32 put_solicit(const struct probe_way *way, u8 *at)
{
	struct {
		struct nd_header nd;
		struct nd_mac_option option;
	} solicit = {
		.nd = {.type = WEFT_ND_SOLICIT, .target = way->ip_dst},
		.option = {WEFT_ND_SOURCE_MAC, 1, way->src},
	};
	struct ipv6_header ip = {.version_class_flow = weft_hton32(6u << 28),
		.payload_length = weft_hton16(sizeof(solicit)),
		.next_header = WEFT_IP_ICMPV6,
		.hop_limit = 255, // RFC 4861 section 7.1: from on link
		.src = way->ip_src,
		.dst = way->dst.byte[0] & 1 ? solicited(&way->ip_dst) : way->ip_dst};
	solicit.nd.checksum = checksum(sum16(&ip.src, 2 * sizeof(ip.src)) + sizeof(solicit) +
				       WEFT_IP_ICMPV6 + sum16(&solicit, sizeof(solicit)));
	memcpy(at, &ip, sizeof(ip));
	memcpy(at + sizeof(ip), &solicit, sizeof(solicit));
	return sizeof(ip) + sizeof(solicit);
}

u32 probe_question_build(const struct probe_way *way, u8 frame[PROBE_FRAME_MAX_BYTES])
{
	bool v4 = address_v4(&way->ip_dst);
	u8 *l3 = put_ethernet(way, v4 ? WEFT_ETH_ARP : WEFT_ETH_IPV6, frame);
	u32 bytes = (u32)(l3 - frame) + (v4 ? put_arp(way, l3) : put_solicit(way, l3));
	for (; bytes < LEAST_BYTES; bytes++)
		frame[bytes] = 0;
	return bytes;
}

// Behind a tag, if there is one in the frame.
static u32 l3_at(const struct weft_postcard *card, u16 *type)
{
	const u8 *bytes = card->frame;
	u32 at = sizeof(struct eth_header);
	struct eth_header eth;
	memcpy(&eth, bytes, sizeof(eth));
	*type = weft_ntoh16(eth.type);
	if (*type == WEFT_ETH_8021Q) {
		struct vlan_header vlan;
		memcpy(&vlan, bytes + at, sizeof(vlan));
		*type = weft_ntoh16(vlan.type);
		at += sizeof(vlan);
	}
	return at;
}

bool probe_answer_read(const struct weft_postcard *card, struct weft_ip *ip)
{
	u16 type;
	u32 at = l3_at(card, &type);
	struct arp_header arp;
	struct nd_header nd;
	if (type == WEFT_ETH_ARP && at + sizeof(arp) <= card->captured) {
		memcpy(&arp, card->frame + at, sizeof(arp));
		*ip = (struct weft_ip){.word = {[2] = weft_hton32(0xffff)}};
		memcpy(&ip->word[3], arp.sender_ip, sizeof(arp.sender_ip));
		return arp.operation == weft_hton16(WEFT_ARP_REPLY);
	}
	at += (u32)sizeof(struct ipv6_header);
	if (type != WEFT_ETH_IPV6 || at + sizeof(nd) > card->captured)
		return false;
	memcpy(&nd, card->frame + at, sizeof(nd));
	*ip = nd.target;
	return nd.type == WEFT_ND_ADVERT;
}

bool probe_frame_read(
	const struct weft_postcard *card, struct weft_probe *probe, struct probe_way *way)
{
	const u8 *bytes = card->frame;
	u16 type;
	u32 at = l3_at(card, &type);
	struct eth_header eth;
	memcpy(&eth, bytes, sizeof(eth));
	*way = (struct probe_way){.src = eth.src, .dst = eth.dst};
	if (type == WEFT_ETH_IPV4) {
		struct ipv4_header ip;
		memcpy(&ip, bytes + at, sizeof(ip));
		way->ip_src.word[2] = way->ip_dst.word[2] = weft_hton32(0xffff);
		way->ip_src.word[3] = ip.src;
		way->ip_dst.word[3] = ip.dst;
		at += (ip.version_ihl & 0xfu) * 4;
	} else if (type == WEFT_ETH_IPV6) {
		struct ipv6_header ip;
		memcpy(&ip, bytes + at, sizeof(ip));
		way->ip_src = ip.src;
		way->ip_dst = ip.dst;
		at += sizeof(ip);
	} else {
		return false;
	}
	at += sizeof(struct udp_header);
	if (at + sizeof(*probe) > card->captured)
		return false;
	memcpy(probe, bytes + at, sizeof(*probe));
	return true;
}
