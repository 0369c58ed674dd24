// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The identity of a packet: a keyed hash of bytes that no stage rewrites, so that every host and
// every observation point knows it again, encapsulated or not.
//
// TCP: sequence and acknowledgement numbers, the first 16 bytes of payload; a superpacket has that
// of its first segment. Without payload, where nobody cuts or merges: flags, window, the first 16
// bytes of options. Others: the IPv4 identification and the first 32 bytes of payload; ICMP's
// begin after its checksum. Never addresses, ports, TTL, checksums, lengths.
#pragma once

#include <weft/verdict.h>
#include "datapath/pipeline/parse.h"

// The hook's: 8 bytes at an offset, anywhere in the packet. False: it ends before.
weft_inline bool packet_word(const struct packet *p, u32 at, u64 *word);

weft_inline u64 identity_mix(u64 hash, u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

// Up to `words` words from `at` on, no byte beyond `end`.
weft_inline u64 identity_bytes(const struct packet *p, u64 hash, u32 at, u32 end, u32 words)
{
	const u32 bytes = sizeof(u64);
	u64 word;
	u32 i = 0;
	for (; i < words && at + bytes <= end; i++, at += bytes) {
		if (!packet_word(p, at, &word))
			return hash;
		hash = identity_mix(hash, word);
	}
	// The last ones are the high ones of a word that ends there.
	u32 rest = end - at;
	if (i < words && at < end && packet_word(p, end - bytes, &word))
		hash = identity_mix(hash, word >> (8 * (bytes - rest) & 63));
	return hash;
}

// Where the IP packet ends (a short frame is padded); of other frames: nowhere.
weft_inline u32 identity_end(const struct packet *p, const struct weft_key *key,
	const struct weft_layout *layout, u64 *hash)
{
	u32 l3 = layout->l3_bytes;
	union {
		u64 word;
		be16 half[4];
	} head;
	if (!packet_word(p, l3, &head.word) ||
		(key->ethertype != WEFT_ETH_IPV4 && key->ethertype != WEFT_ETH_IPV6))
		return ~0u;
	bool ipv6 = key->ethertype == WEFT_ETH_IPV6;
	if (!ipv6 && key->protocol != WEFT_IP_TCP)
		*hash = identity_mix(
			*hash, (u64)head.half[2] << 16 | (head.half[3] & weft_hton16(0x1fff)));
	u32 bytes = weft_ntoh16(ipv6 ? head.half[2] : head.half[1]);
	if (!bytes && packet_length(p) > 65535) // a superpacket larger than the field
		return ~0u;
	return l3 + bytes + (ipv6 ? (u32)sizeof(struct ipv6_header) : 0);
}

// Never 0.
weft_inline u64 packet_identity(const struct packet *p, const struct weft_key *key,
	const struct weft_layout *layout, u64 secret)
{
	u64 hash = identity_mix(secret, (u64)key->ethertype << 8 | key->protocol);
	u32 end = identity_end(p, key, layout, &hash), l4 = layout->l4_bytes;
	bool icmp = key->protocol == WEFT_IP_ICMP || key->protocol == WEFT_IP_ICMPV6;
	if (!l4) { // of IP: what is behind its header
		hash = identity_bytes(p, hash, layout->header_bytes, end, 4);
	} else if (key->protocol == WEFT_IP_TCP) {
		bool bare = end <= layout->header_bytes;
		u64 flags;
		hash = identity_bytes(p, hash, l4 + 4, end, 1);
		if (bare && packet_word(p, l4 + 12, &flags))
			hash = identity_mix(hash, (u32)flags);
		hash = identity_bytes(p, hash, bare ? l4 + 20 : layout->header_bytes, end, 2);
	} else {
		hash = identity_bytes(p, hash, icmp ? l4 + 4 : l4 + 8, end, 4);
	}
	return hash ? hash : 1;
}
