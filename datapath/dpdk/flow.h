// SPDX-License-Identifier: BSD-2-Clause
// The flow cache (pipeline/flow.h) of a worker: 8-way sets, two for a key; one cache line per slot.
//
// Two levels in one table: what a frame's head (struct weft_key_head) decides stands once for all
// flows between two stations; where decide has read more, the head's slot sends on to that of the
// flow. So plain switching needs no memory per flow.
//
// Beyond a core's caches a frame costs what it waits for memory, so a slot is one line: the key of
// a regular frame without its constants, and the verdict. What a service changes stands in the line
// beside it: cores fetch lines in pairs. IPv6 addresses stand in a second array. A set's signatures
// say which of its slots may be the one, so that a look-up touches one slot, whatever the others
// hold. A key has two sets, as in cuckoo hashing, without moving anybody (Broder, Mitzenmacher:
// Using Multiple Hash Functions to Improve IP Lookups, INFOCOM 2001): with one, some are full long
// before the table is.
#pragma once

#include <emmintrin.h>
#include <string.h>
#include "datapath/pipeline/flow.h"
#include "datapath/pipeline/flow_key.h"

enum { FLOW_WAYS = 8, FLOW_UNIT_SHIFT = 20 }; // time in units of 2^20 ns

enum { FLOW_HEAD = WEFT_BIT(17) }; // in a key's `rest`

enum {
	FLOW_DEEP = WEFT_ACTION_count, // action of a head's slot: ask that of the flow
	FLOW_REWRITE = WEFT_BIT(8),    // beside an action: addresses change
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

struct flow_pair {
	struct flow_slot slot;
	struct flow_rewrite change __attribute__((aligned(64)));
} __attribute__((aligned(128)));

_Static_assert(sizeof(struct flow_pair) == 128, "two cache lines");

struct flow_table {
	struct flow_pair *pairs;
	struct flow_ip6 *ip6; // by pair
	struct flow_set *sets;
	u32 mask; // of set numbers
};

// flow.c. False: out of memory; free it all the same.
bool flows_new(struct flow_table *flows, u32 slots);
void flows_free(struct flow_table *flows);
u64 flows_bytes(u32 slots);

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

weft_inline bool flow_equal(const struct flow_slot *slot, const struct flow_key *key)
{
	return !((slot->dst_src ^ key->dst_src) | (slot->src_l4 ^ key->src_l4) |
		 (slot->ips ^ key->ips) | (slot->place ^ key->place) | (slot->rest ^ key->rest));
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

// Where a flow is when its own set has no room: of that set this one is the other, too.
weft_inline struct flow_set *flow_other_set(
	const struct flow_table *flows, const struct flow_set *set, u16 signature)
{
	return &flows->sets[((u32)(set - flows->sets) ^ signature) & flows->mask];
}

// The ways that have this signature: two bits each.
weft_inline u32 flow_ways(const struct flow_set *set, u16 signature)
{
	__m128i all = _mm_load_si128((const __m128i *)set);
	return (u32)_mm_movemask_epi8(_mm_cmpeq_epi16(all, _mm_set1_epi16((short)signature)));
}

weft_inline struct flow_slot *flow_way(
	const struct flow_table *flows, const struct flow_set *set, u32 ways)
{
	u32 way = (u32)__builtin_ctz(ways) / 2;
	return &flows->pairs[(size_t)(set - flows->sets) * FLOW_WAYS + way].slot;
}

// The slot that may have the key, by its signature; else where it will be, if there is room.
weft_inline struct flow_slot *flow_slot_of(
	const struct flow_table *flows, const struct flow_set *set, u16 signature)
{
	u32 ways = flow_ways(set, signature);
	if (__builtin_expect(ways != 0, 1))
		return flow_way(flows, set, ways);
	const struct flow_set *other = flow_other_set(flows, set, signature);
	ways = flow_ways(other, signature);
	return ways ? flow_way(flows, other, ways)
		    : flow_way(flows, set, flow_ways(set, 0) | WEFT_BIT(15));
}

weft_inline size_t flow_index_of(const struct flow_table *flows, const struct flow_slot *slot)
{
	return (size_t)((const struct flow_pair *)slot - flows->pairs);
}

weft_inline struct flow_ip6 *flow_ip6_of(
	const struct flow_table *flows, const struct flow_slot *slot)
{
	return &flows->ip6[flow_index_of(flows, slot)];
}

weft_inline struct flow_rewrite *flow_rewrite_of(struct flow_slot *slot)
{
	return &((struct flow_pair *)slot)->change;
}

// Keeps a row under a key, and returns where; ip6: the addresses, if that is of an IPv6 flow.
struct flow_slot *flow_store(const struct flow_table *flows, const struct flow_key *key,
	const struct flow_slot *row, const u8 *ip6);
// Only what is the key's own: frames that nobody keeps cost other flows nothing.
void flow_forget(const struct flow_table *flows, const struct flow_key *key);
