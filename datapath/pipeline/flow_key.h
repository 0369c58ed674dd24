// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The flow caches' own look at a frame: of nearly all frames they want to know less than parse
// tells, and all of it stands in a few words.
//
// A regular frame is IP, but not ICMP and no UDP that may be a probe, has one tag at most, no IP
// options or extension headers, and is no fragment. Frames with equal keys (and IPv6 addresses)
// have equal keys by parse(), too; tests/dpdk/flow_test.c.
#pragma once

#include <weft/probe.h>
#include <weft/verdict.h>
#include <weft/wire.h>

// The verifier of BPF wants to see each look bounded. Elsewhere bytes up to FLOW_READ_BYTES must be
// memory, whatever they hold.
#ifndef FLOW_HAS
#define FLOW_HAS(frame, at, count) true
#endif

enum { FLOW_READ_BYTES = 80 };
enum { FLOW_IP6 = WEFT_BIT(16) }; // in a key's `rest`, whose upper bits are the engine's

struct flow_key {
	u64 dst_src; // MACs: all of dst, 2 bytes of src
	u64 src_l4;  // 4 bytes of src, the ports
	u64 ips;     // IPv4: both; IPv6: what both hash to
	u64 place;   // in_port 28 bits, vni 24, vid 12
	u32 rest;    // protocol 8 bits, TCP flags 8, FLOW_IP6
	bool tagged; // not of the key: a tag is there, VID 0 included
};

// A frame, and where its parts are.
struct flow_frame {
	const u8 *bytes;
	const u8 *bytes_end; // for FLOW_HAS
	u32 readable;        // that lie there
	u32 length;          // of the frame
	bool tagged;         // set before: by a tag beside the bytes, which is vid
	u32 vid;
	u32 l3, l4, headers, end; // offsets; headers: what follows them; end: of IP's payload
	u32 protocol, ports;      // no ports: 0
	const u8 *ip6;            // addresses, of an IPv6 frame
};

// BPF would load byte by byte what need not be aligned.
#ifdef __bpf__
typedef u64 flow_u64 __attribute__((may_alias));
typedef u32 flow_u32 __attribute__((may_alias));
typedef u16 flow_u16 __attribute__((may_alias));
#else
typedef u64 flow_u64 __attribute__((may_alias, aligned(1)));
typedef u32 flow_u32 __attribute__((may_alias, aligned(1)));
typedef u16 flow_u16 __attribute__((may_alias, aligned(1)));
#endif

weft_inline u64 flow_load64(const u8 *at)
{
	return *(const flow_u64 *)at;
}

weft_inline u32 flow_load32(const u8 *at)
{
	return *(const flow_u32 *)at;
}

weft_inline u32 flow_load16(const u8 *at) // to host order
{
	return weft_swap16(*(const flow_u16 *)at);
}

weft_inline bool flow_read_ip4(struct flow_frame *f, struct flow_key *key)
{
	const u8 *ip = f->bytes + f->l3;
	if (!FLOW_HAS(f, f->l3, 20))
		return false;
	u32 total = flow_load16(ip + 2);
	if (ip[0] != 0x45 || flow_load16(ip + 6) & 0x3fff || total > f->length - f->l3)
		return false;
	key->ips = flow_load64(ip + 12);
	f->protocol = ip[9];
	f->l4 = f->l3 + 20;
	f->end = f->l3 + total;
	return true;
}

weft_inline bool flow_read_ip6(struct flow_frame *f, struct flow_key *key)
{
	const u8 *ip = f->bytes + f->l3;
	if (!FLOW_HAS(f, f->l3, 40))
		return false;
	u32 payload = flow_load16(ip + 4);
	if (ip[0] >> 4 != 6 || !payload || payload > f->length - f->l3 - 40)
		return false;
	key->ips = flow_load64(ip + 8) * 0x9e3779b97f4a7c15ull ^
		   flow_load64(ip + 16) * 0xc2b2ae3d27d4eb4full ^
		   flow_load64(ip + 24) * 0x165667b19e3779f9ull ^
		   flow_load64(ip + 32) * 0x27d4eb2f165667c5ull;
	key->rest = FLOW_IP6;
	f->ip6 = ip + 8;
	f->protocol = ip[6];
	f->l4 = f->l3 + 40;
	f->end = f->l3 + 40 + payload;
	return true;
}

weft_inline bool flow_read_tcp(struct flow_frame *f, struct flow_key *key)
{
	const u8 *l4 = f->bytes + f->l4;
	if (!FLOW_HAS(f, f->l4, 20))
		return false;
	u32 bytes = (u32)(l4[12] >> 4) * 4, flags = l4[13];
	key->rest |= flags << 8;
	f->ports = flow_load32(l4);
	f->headers = f->l4 + bytes;
	return f->l4 + 20 <= f->readable && bytes >= 20 && f->headers <= f->end &&
	       !(flags & WEFT_TCP_UNCACHED);
}

weft_inline bool flow_read_udp(struct flow_frame *f)
{
	const u8 *l4 = f->bytes + f->l4;
	if (!FLOW_HAS(f, f->l4, 8))
		return false;
	u32 bytes = flow_load16(l4 + 4);
	f->ports = flow_load32(l4);
	f->headers = f->l4 + 8;
	return f->headers <= f->readable && bytes >= 8 && f->l4 + bytes <= f->end &&
	       flow_load16(l4 + 2) != WEFT_PROBE_PORT;
}

// Of others parse tells the protocol alone, but for those that it looks into.
weft_inline bool flow_read_other(struct flow_frame *f)
{
	u32 p = f->protocol;
	f->ports = 0;
	f->headers = f->l4;
	return f->l4 <= f->readable && f->l4 <= f->end && p != WEFT_IP_ICMP &&
	       p != WEFT_IP_ICMPV6 && p != WEFT_IP_HOPOPTS && p != WEFT_IP_ROUTING &&
	       p != WEFT_IP_FRAGMENT && p != WEFT_IP_DSTOPTS;
}

weft_inline bool flow_read_l4(struct flow_frame *f, struct flow_key *key)
{
	key->rest |= f->protocol;
	if (f->protocol == WEFT_IP_TCP)
		return flow_read_tcp(f, key);
	return f->protocol == WEFT_IP_UDP ? flow_read_udp(f) : flow_read_other(f);
}

// False: the frame is not regular.
weft_inline bool flow_read(struct flow_frame *f, u32 in_port, u32 vni, struct flow_key *key)
{
	f->l3 = sizeof(struct eth_header);
	f->ip6 = NULL;
	if (!FLOW_HAS(f, 0, f->l3 + (u32)sizeof(struct vlan_header)))
		return false;
	u32 type = flow_load16(f->bytes + 12);
	if (type == WEFT_ETH_8021Q && !f->tagged) {
		f->tagged = true;
		f->vid = flow_load16(f->bytes + 14) & WEFT_VID_MASK;
		type = flow_load16(f->bytes + 16);
		f->l3 += (u32)sizeof(struct vlan_header);
	}
	key->rest = 0;
	bool ip = type == WEFT_ETH_IPV4   ? flow_read_ip4(f, key)
		  : type == WEFT_ETH_IPV6 ? flow_read_ip6(f, key)
					  : false;
	if (!ip || !flow_read_l4(f, key))
		return false;
	key->dst_src = flow_load64(f->bytes);
	key->src_l4 = flow_load32(f->bytes + 8) | (u64)f->ports << 32;
	key->tagged = f->tagged;
	key->place = in_port | (u64)vni << 28 | (u64)f->vid << 52;
	return true;
}

weft_inline bool flow_ip6_equal(const u64 *word, const u8 *at)
{
	return !((word[0] ^ flow_load64(at)) | (word[1] ^ flow_load64(at + 8)) |
		 (word[2] ^ flow_load64(at + 16)) | (word[3] ^ flow_load64(at + 24)));
}

weft_inline u64 flow_hash(const struct flow_key *key)
{
	u64 hash = key->dst_src * 0x9e3779b97f4a7c15ull ^ key->src_l4 * 0xc2b2ae3d27d4eb4full ^
		   key->ips * 0x165667b19e3779f9ull ^ key->place * 0xd6e8feb86659fd93ull ^
		   key->rest * 0xff51afd7ed558ccdull;
	return (hash ^ hash >> 32) * 0x94d049bb133111ebull; // its upper bits are good
}
