// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The flow cache (pipeline/flow.h) in BPF: sets of four slots, one region of an array per CPU, two
// cache lines per slot. A set's signatures say which slot may be the one, so that a look-up touches
// no other.
#pragma once

#include "datapath/pipeline/flow.h"

struct flow_slot {
	struct weft_key key;
	u64 configuration; // generations when it was decided
	u64 network_generation;
	u64 decided_ns;
	u32 network;
	u32 port;
	u32 max_bytes;
	u16 tag;
	u8 used;
	u8 flags; // enum weft_verdict_flag
	u32 vni;
	u32 action;
	u64 reserved[2];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct flow_slot) == 128, "two cache lines");

const volatile u32 weft_flow_slots = WEFT_FLOW_SLOTS;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEFT_FLOW_SLOTS); // times the CPUs, set by the user half
	__type(key, u32);
	__type(value, struct flow_slot);
} weft_flow SEC(".maps");

// Of the slots whose flags say so: by the same index.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEFT_FLOW_SLOTS); // times the CPUs, set by the user half
	__type(key, u32);
	__type(value, struct weft_rewrite);
} weft_flow_rewrite SEC(".maps");

// Independent multiplications: they overlap. Neighbouring flows must not share a slot.
weft_inline u64 flow_hash(const struct weft_key *key)
{
	const u64 *word = (const u64 *)key;
	u64 hash = word[0] * 0x9e3779b97f4a7c15ull ^ word[1] * 0xc2b2ae3d27d4eb4full ^
		   word[2] * 0x165667b19e3779f9ull ^ word[3] * 0x27d4eb2f165667c5ull ^
		   word[4] * 0xd6e8feb86659fd93ull ^ word[5] * 0xff51afd7ed558ccdull ^
		   word[6] * 0xc4ceb9fe1a85ec53ull ^ word[7] * 0x94d049bb133111ebull;
	return (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull >> 1 ^ hash >> 29;
}

weft_inline bool flow_key_equal(const struct weft_key *a, const struct weft_key *b)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;
	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]) |
		 (x[5] ^ y[5]) | (x[6] ^ y[6]) | (x[7] ^ y[7]));
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries,
		WEFT_FLOW_SLOTS / WEFT_FLOW_WAYS); // times the CPUs, set by the user half
	__type(key, u32);
	__type(value, u64); // a signature of 16 bits for each slot; 0: it is empty
} weft_flow_set SEC(".maps");

// The slot of the key, or the one that it would have: where in the array. *set: its signatures,
// with the key's own put in; NULL: no slot.
weft_inline u32 flow_place(const struct weft_key *key, u64 **set, u64 *signatures)
{
	u64 hash = flow_hash(key);
	u32 sets = weft_flow_slots / WEFT_FLOW_WAYS;
	u32 index = bpf_get_smp_processor_id() * sets + ((u32)hash & (sets - 1));
	u64 sign = hash >> 48 | 1, all, found, empty, way;
	*set = bpf_map_lookup_elem(&weft_flow_set, &index);
	if (!*set)
		return 0;
	all = **set;
	found = all ^ sign * 0x0001000100010001ull;
	found = (found - 0x0001000100010001ull) & ~found & 0x8000800080008000ull;
	empty = (all - 0x0001000100010001ull) & ~all & 0x8000800080008000ull;
	found = found ? found : empty;
	way = (hash >> 40) & (WEFT_FLOW_WAYS - 1); // nothing is free: one of them goes
	if (found)
		way = found & 0x8000 ? 0 : found & 0x80000000 ? 1 : found & 0x800000000000 ? 2 : 3;
	*signatures = (all & ~(0xffffull << 16 * way)) | sign << 16 * way;
	return index * WEFT_FLOW_WAYS + (u32)way;
}

weft_inline u64 flow_generation(u32 index)
{
	u64 *row = bpf_map_lookup_elem(&weft_generation, &index);
	return row ? *row : 0;
}

weft_inline bool flow_find(struct pipeline *line)
{
	struct weft_verdict *v = line->verdict;
	u64 *set, signatures;
	if (!flow_cacheable(line->key))
		return false;
	u32 index = flow_place(line->key, &set, &signatures);
	struct flow_slot *slot = bpf_map_lookup_elem(&weft_flow, &index);
	if (!slot)
		return false;
	line->configuration = flow_generation(0);
	if (!flow_key_equal(&slot->key, line->key) || !slot->used ||
		(s64)(line->now_ns - slot->decided_ns) > (s64)flow_life_ns(slot->flags) ||
		slot->configuration != line->configuration ||
		slot->network_generation != flow_generation(slot->network))
		return false;
	v->action = slot->action;
	v->flags = slot->flags;
	v->vni = slot->vni;
	v->network = slot->network;
	v->port = slot->port;
	v->tag = slot->tag;
	v->max_bytes = slot->max_bytes;
	if (v->flags & WEFT_VERDICT_REWRITE)
		line->rewrite = bpf_map_lookup_elem(&weft_flow_rewrite, &index);
	return true;
}

// Generations are those from before decide: a change in between leaves a stale slot, never a wrong
// one.
weft_inline void flow_keep(struct pipeline *line)
{
	const struct weft_verdict *v = line->verdict;
	u64 *set, signatures;
	if (!flow_cacheable(line->key) || !flow_keepable(v))
		return;
	u32 index = flow_place(line->key, &set, &signatures);
	struct flow_slot *slot = bpf_map_lookup_elem(&weft_flow, &index);
	if (!slot || !set)
		return;
	slot->used = false;
	if (v->flags & WEFT_VERDICT_REWRITE) {
		struct weft_rewrite *rewrite = bpf_map_lookup_elem(&weft_flow_rewrite, &index);
		if (!rewrite || !line->rewrite)
			return;
		*rewrite = *line->rewrite;
	}
	slot->action = v->action;
	slot->flags = v->flags;
	slot->vni = v->vni;
	slot->key = *line->key;
	slot->configuration = line->configuration;
	slot->network_generation = v->generation;
	slot->decided_ns = line->now_ns;
	slot->network = v->network;
	slot->port = v->port;
	slot->max_bytes = v->max_bytes;
	slot->tag = v->tag;
	slot->used = true;
	*set = signatures;
}
