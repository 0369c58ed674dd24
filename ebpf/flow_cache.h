// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The flow cache (pipeline/flow.h) in BPF: direct-mapped, one region of an array per CPU, two cache
// lines per slot.
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
weft_inline u32 flow_hash(const struct weft_key *key)
{
	const u64 *word = (const u64 *)key;
	u64 hash = word[0] * 0x9e3779b97f4a7c15ull ^ word[1] * 0xc2b2ae3d27d4eb4full ^
		   word[2] * 0x165667b19e3779f9ull ^ word[3] * 0x27d4eb2f165667c5ull ^
		   word[4] * 0xd6e8feb86659fd93ull ^ word[5] * 0xff51afd7ed558ccdull ^
		   word[6] * 0xc4ceb9fe1a85ec53ull ^ word[7] * 0x94d049bb133111ebull;
	return (u32)(hash >> 32) ^ (u32)(hash >> 47);
}

weft_inline bool flow_key_equal(const struct weft_key *a, const struct weft_key *b)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;
	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]) |
		 (x[5] ^ y[5]) | (x[6] ^ y[6]) | (x[7] ^ y[7]));
}

weft_inline u32 flow_index(const struct weft_key *key)
{
	return bpf_get_smp_processor_id() * WEFT_FLOW_SLOTS +
	       (flow_hash(key) & (WEFT_FLOW_SLOTS - 1));
}

weft_inline u64 flow_generation(u32 index)
{
	u64 *row = bpf_map_lookup_elem(&weft_generation, &index);
	return row ? *row : 0;
}

weft_inline bool flow_find(struct pipeline *line)
{
	struct weft_verdict *v = line->verdict;
	u32 index = flow_index(line->key);
	struct flow_slot *slot =
		flow_cacheable(line->key) ? bpf_map_lookup_elem(&weft_flow, &index) : NULL;
	if (!slot)
		return false;
	line->configuration = flow_generation(0);
	if (!flow_key_equal(&slot->key, line->key) || !slot->used ||
		(s64)(line->now_ns - slot->decided_ns) > (s64)WEFT_REFRESH_NS ||
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
	u32 index = flow_index(line->key);
	struct flow_slot *slot =
		flow_cacheable(line->key) ? bpf_map_lookup_elem(&weft_flow, &index) : NULL;
	if (!slot)
		return;
	slot->used = false;
	if (!flow_keepable(v))
		return;
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
}
