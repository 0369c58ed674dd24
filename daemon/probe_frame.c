// SPDX-License-Identifier: BSD-2-Clause
// Probes as frames: building them whole, checksums and tag included, and reading them from cards.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft/observe.h>
#include <weft/wire.h>
#include "daemon/address.h"
#include "daemon/probe.h"

enum { PADDING_TYPE = 1, PADDING_AT = 44, PADDING_HEAD = 4, NANOSECONDS = 1000000000 };

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
	int fd = clock ? -1 : open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return clock;
	ssize_t bytes = read(fd, boot, sizeof(boot) - 1);
	close(fd);
	if (bytes > 0) // a random UUID: its first 32 bits do
		clock = (u32)strtoul(boot, NULL, 16) | 1;
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

static u8 *put_ethernet(const struct probe_way *way, u8 *at)
{
	u16 type = address_v4(&way->ip_dst) ? WEFT_ETH_IPV4 : WEFT_ETH_IPV6;
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
	u8 *l3 = put_ethernet(way, frame), *l4 = l3 + l3_bytes(way);
	memcpy(l4 + sizeof(struct udp_header), &p, sizeof(p));
	put_ip(way, l3, ip);
	put_udp(way, l4, udp);
	return (u32)(l3 - frame) + ip;
}

bool probe_frame_read(
	const struct weft_postcard *card, struct weft_probe *probe, struct probe_way *way)
{
	const u8 *bytes = card->frame;
	u32 at = sizeof(struct eth_header);
	struct eth_header eth;
	memcpy(&eth, bytes, sizeof(eth));
	u16 type = weft_ntoh16(eth.type);
	if (type == WEFT_ETH_8021Q) {
		struct vlan_header vlan;
		memcpy(&vlan, bytes + at, sizeof(vlan));
		type = weft_ntoh16(vlan.type);
		at += sizeof(vlan);
	}
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
