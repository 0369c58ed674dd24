// SPDX-License-Identifier: BSD-2-Clause
// The flow cache (pipeline/flow.h) of a worker: 8-way sets, one cache line per slot.
//
// Two levels in one table: what a frame's head (struct weft_key_head) decides stands once for all
// flows between two stations; where decide has read more, the head's slot sends on to that of the
// flow. So plain switching needs no memory per flow.
//
// Beyond a core's caches a frame costs what it waits for memory, so a slot is one line: the key of
// a regular frame without its constants, and the verdict. IPv6 addresses, which do not fit, stand
// in a second array. A set's signatures say which of its slots may be the one, so that a look-up
// touches one slot, whatever the others hold.
#pragma once

#include <emmintrin.h>
#include <string.h>
#include <weft/probe.h>
#include <weft/verdict.h>
#include <weft/wire.h>
#include "datapath/pipeline/flow.h"

enum { FLOW_WAYS = 8, FLOW_UNIT_SHIFT = 20 }; // time in units of 2^20 ns

enum { FLOW_IP6 = WEFT_BIT(16), FLOW_HEAD = WEFT_BIT(17) }; // in a key's `rest`

enum {
	FLOW_DEEP = WEFT_ACTION_count, // action of a head's slot: ask that of the flow
	FLOW_REWRITE = WEFT_BIT(8),    // beside an action: addresses change
};

// A regular frame: TCP or UDP (but none that may be a probe), at most one tag, no IP options or
// extension headers, no fragment. Frames with equal keys (and IPv6 addresses) have equal keys by
// parse(), too; tests/dpdk/flow_test.c.
struct flow_key {
	u64 dst_src; // MACs: all of dst, 2 bytes of src
	u64 src_l4;  // 4 bytes of src, the ports
	u64 ips;     // IPv4: both; IPv6: what both hash to
	u64 place;   // in_port 28 bits, vni 24, vid 12
	u32 rest;    // protocol 8 bits, TCP flags 8, FLOW_IP6, FLOW_HEAD
	bool tagged; // not of the key: a tag is in the bytes, VID 0 included
};

struct flow_slot {
	u64 dst_src, src_l4, ips, place;
	u32 rest;
	u32 port;
	u32 network;
	u32 configuration, network_generation; // generations when it was decided; their low bits
	u32 decided;                           // when; 0: the slot is empty
	u32 tag;                               // to leave with
	u16 max_bytes;
	u16 action;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct flow_slot) == 64, "one cache line");

struct flow_set {
	u16 signature[FLOW_WAYS]; // 0: an empty slot
} __attribute__((aligned(16)));

struct flow_ip6 {
	u64 word[4];
};

struct flow_rewrite { // one cache line
	struct weft_rewrite rewrite;
	u64 reserved;
} __attribute__((aligned(64)));

struct flow_table {
	struct flow_slot *slots;
	struct flow_ip6 *ip6;          // by slot
	struct flow_rewrite *rewrites; // by slot
	struct flow_set *sets;
	u32 mask; // of set numbers
};

weft_inline u64 flow_load64(const u8 *at)
{
	u64 value;
	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

weft_inline u64 flow_load32(const u8 *at)
{
	u32 value;
	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

weft_inline u32 flow_load16(const u8 *at) // to host order
{
	u16 value;
	__builtin_memcpy(&value, at, sizeof(value));
	return weft_swap16(value);
}

// Where a frame's parts are.
struct flow_frame {
	const u8 *bytes;
	u32 readable; // that lie there
	u32 length;   // of the frame
	u32 l4, end;  // offsets: of the L4 header, of the end of the IP payload
	u32 protocol;
};

weft_inline bool flow_read_ip4(struct flow_frame *f, u32 l3, struct flow_key *key)
{
	const u8 *ip = f->bytes + l3;
	u32 total = flow_load16(ip + 2);
	if (ip[0] != 0x45 || flow_load16(ip + 6) & 0x3fff || total > f->length - l3)
		return false;
	key->ips = flow_load64(ip + 12);
	f->protocol = ip[9];
	f->l4 = l3 + 20;
	f->end = l3 + total;
	return true;
}

weft_inline bool flow_read_ip6(struct flow_frame *f, u32 l3, struct flow_key *key)
{
	const u8 *ip = f->bytes + l3;
	u32 payload = flow_load16(ip + 4);
	if (ip[0] >> 4 != 6 || !payload || payload > f->length - l3 - 40)
		return false;
	key->ips = flow_load64(ip + 8) * 0x9e3779b97f4a7c15ull ^
		   flow_load64(ip + 16) * 0xc2b2ae3d27d4eb4full ^
		   flow_load64(ip + 24) * 0x165667b19e3779f9ull ^
		   flow_load64(ip + 32) * 0x27d4eb2f165667c5ull;
	key->rest = FLOW_IP6;
	f->protocol = ip[6];
	f->l4 = l3 + 40;
	f->end = l3 + 40 + payload;
	return true;
}

weft_inline bool flow_read_l4(const struct flow_frame *f, struct flow_key *key)
{
	const u8 *l4 = f->bytes + f->l4;
	key->rest |= f->protocol;
	if (f->protocol == WEFT_IP_UDP) {
		u32 bytes = flow_load16(l4 + 4);
		return f->l4 + 8 <= f->readable && bytes >= 8 && f->l4 + bytes <= f->end &&
		       flow_load16(l4 + 2) != WEFT_PROBE_PORT; // may be a probe
	}
	u32 bytes = (u32)(l4[12] >> 4) * 4, flags = l4[13];
	key->rest |= flags << 8;
	return f->protocol == WEFT_IP_TCP && f->l4 + 20 <= f->readable && bytes >= 20 &&
	       f->l4 + bytes <= f->end && !(flags & WEFT_TCP_UNCACHED);
}

// Bytes up to FLOW_READ_BYTES must be memory, whatever they hold. False: the frame is not regular.
// *ip6: where the addresses are.
enum { FLOW_READ_BYTES = 80 };
weft_inline bool flow_read(const u8 *bytes, u32 readable, u32 length, u32 in_port, u32 vni,
	struct flow_key *key, const u8 **ip6)
{
	struct flow_frame f = {.bytes = bytes, .readable = readable, .length = length};
	u32 type = flow_load16(bytes + 12), l3 = sizeof(struct eth_header), vid = 0;
	if (type == WEFT_ETH_8021Q) {
		vid = flow_load16(bytes + 14) & WEFT_VID_MASK;
		type = flow_load16(bytes + 16);
		l3 += (u32)sizeof(struct vlan_header);
	}
	key->rest = 0;
	*ip6 = bytes + l3 + 8;
	bool ip = type == WEFT_ETH_IPV4   ? flow_read_ip4(&f, l3, key)
		  : type == WEFT_ETH_IPV6 ? flow_read_ip6(&f, l3, key)
					  : false;
	if (!ip || !flow_read_l4(&f, key))
		return false;
	key->dst_src = flow_load64(bytes);
	key->src_l4 = flow_load32(bytes + 8) | flow_load32(bytes + f.l4) << 32;
	key->tagged = l3 != sizeof(struct eth_header);
	key->place = in_port | (u64)vni << 28 | (u64)vid << 52;
	return true;
}

// The key of all frames with the head of this one.
weft_inline struct flow_key flow_head(const struct flow_key *key)
{
	return (struct flow_key){
		.dst_src = key->dst_src,
		.src_l4 = (u32)key->src_l4,
		.place = key->place,
		.rest = key->rest | FLOW_HEAD,
	};
}

// Bits that keep a flow to its way where there are several.
weft_inline u8 flow_spread(const struct flow_key *key)
{
	u64 hash = key->ips * 0x9e3779b97f4a7c15ull ^ (key->src_l4 >> 32) * 0xc2b2ae3d27d4eb4full;
	return (u8)((hash ^ hash >> 32) * 0x94d049bb133111ebull >> 56);
}

weft_inline u64 flow_hash(const struct flow_key *key)
{
	u64 hash = key->dst_src * 0x9e3779b97f4a7c15ull ^ key->src_l4 * 0xc2b2ae3d27d4eb4full ^
		   key->ips * 0x165667b19e3779f9ull ^ key->place * 0xd6e8feb86659fd93ull ^
		   key->rest * 0xff51afd7ed558ccdull;
	return (hash ^ hash >> 32) * 0x94d049bb133111ebull; // its upper bits are good
}

weft_inline bool flow_equal(const struct flow_slot *slot, const struct flow_key *key)
{
	return !((slot->dst_src ^ key->dst_src) | (slot->src_l4 ^ key->src_l4) |
		 (slot->ips ^ key->ips) | (slot->place ^ key->place) | (slot->rest ^ key->rest));
}

weft_inline bool flow_equal_ip6(const struct flow_ip6 *ip6, const u8 *at)
{
	return !((ip6->word[0] ^ flow_load64(at)) | (ip6->word[1] ^ flow_load64(at + 8)) |
		 (ip6->word[2] ^ flow_load64(at + 16)) | (ip6->word[3] ^ flow_load64(at + 24)));
}

weft_inline u32 flow_time(u64 now_ns)
{
	return (u32)(now_ns >> FLOW_UNIT_SHIFT) | 1; // 0 is an empty slot
}

weft_inline u32 flow_life(const struct flow_slot *slot)
{
	u64 ns = flow_life_ns(slot->action & FLOW_REWRITE ? WEFT_VERDICT_REWRITE : 0);
	return (u32)(ns >> FLOW_UNIT_SHIFT);
}

weft_inline struct flow_set *flow_set_of(const struct flow_table *flows, u64 hash)
{
	return &flows->sets[hash >> 24 & flows->mask];
}

weft_inline u16 flow_signature(u64 hash)
{
	return (u16)(hash >> 48) | 1; // 0 is an empty slot
}

// The slot of the key by its signature, else one to put it in.
weft_inline struct flow_slot *flow_slot_of(
	const struct flow_table *flows, const struct flow_set *set, u16 signature)
{
	__m128i all = _mm_load_si128((const __m128i *)set);
	u32 found = (u32)_mm_movemask_epi8(_mm_cmpeq_epi16(all, _mm_set1_epi16((short)signature)));
	if (__builtin_expect(!found, 0))
		found = (u32)_mm_movemask_epi8(_mm_cmpeq_epi16(all, _mm_setzero_si128()));
	u32 way = found ? (u32)__builtin_ctz(found) / 2 : (u32)(signature >> 1) % FLOW_WAYS;
	return &flows->slots[(size_t)(set - flows->sets) * FLOW_WAYS + way];
}

weft_inline struct flow_ip6 *flow_ip6_of(
	const struct flow_table *flows, const struct flow_slot *slot)
{
	return &flows->ip6[slot - flows->slots];
}

weft_inline struct weft_rewrite *flow_rewrite_of(
	const struct flow_table *flows, const struct flow_slot *slot)
{
	return &flows->rewrites[slot - flows->slots].rewrite;
}

// Keeps a row under a key; ip6: the addresses, if that is of an IPv6 flow; rewrite: if its action
// says so.
weft_inline void flow_store(const struct flow_table *flows, const struct flow_key *key,
	const struct flow_slot *row, const u8 *ip6, const struct weft_rewrite *rewrite)
{
	u64 hash = flow_hash(key);
	struct flow_set *set = flow_set_of(flows, hash);
	struct flow_slot *slot = flow_slot_of(flows, set, flow_signature(hash));
	*slot = *row;
	slot->dst_src = key->dst_src;
	slot->src_l4 = key->src_l4;
	slot->ips = key->ips;
	slot->place = key->place;
	slot->rest = key->rest;
	set->signature[(slot - flows->slots) % FLOW_WAYS] = flow_signature(hash);
	if ((key->rest & (FLOW_IP6 | FLOW_HEAD)) == FLOW_IP6)
		memcpy(flow_ip6_of(flows, slot), ip6, sizeof(struct flow_ip6));
	if (rewrite)
		*flow_rewrite_of(flows, slot) = *rewrite;
}

// Only what is the key's own: frames that nobody keeps cost other flows nothing.
weft_inline void flow_forget(const struct flow_table *flows, const struct flow_key *key)
{
	u64 hash = flow_hash(key);
	struct flow_set *set = flow_set_of(flows, hash);
	struct flow_slot *slot = flow_slot_of(flows, set, flow_signature(hash));
	if (!flow_equal(slot, key))
		return;
	*slot = (struct flow_slot){0};
	set->signature[(slot - flows->slots) % FLOW_WAYS] = 0;
}
