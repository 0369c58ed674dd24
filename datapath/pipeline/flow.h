// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The flow cache in front of decide: key -> forward or encap.
//
// Two cache lines per slot; the whole key is compared, so a hit is what decide would say while the
// generations stand. A slot lives as long as FDB rows go without a refresh, so that ageing lags by
// twice that at most. Kept out: whatever teaches, floods, answers or opens and closes a connection.
//
// An engine that has a cache includes this file and defines before:
//   FLOW_SLOT(line)               the slot of line->key (struct flow_slot *), or NULL
//   FLOW_GENERATION(line, index)  a row of the generation table
#pragma once

#include "datapath/pipeline/flow_slot.h"
#include "datapath/pipeline/pipeline.h"

weft_inline bool flow_cacheable(const struct weft_key *key)
{
	if (key->flags & WEFT_KEY_FRAGMENT || key->ethertype == WEFT_ETH_ARP)
		return false;
	if (key->protocol == WEFT_IP_TCP)
		return !(key->tcp_flags & 0x07); // FIN, SYN, RST
	return key->protocol != WEFT_IP_ICMPV6;  // ND among them
}

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

weft_inline bool flow_find(struct pipeline *line)
{
	struct weft_verdict *v = &line->verdict;
	struct flow_slot *slot = flow_cacheable(&line->key) ? FLOW_SLOT(line) : NULL;
	line->flow = slot;
	if (!slot)
		return false;
	line->configuration = FLOW_GENERATION(line, 0);
	if (!flow_key_equal(&slot->key, &line->key) || !slot->used ||
		(s64)(line->now_ns - slot->decided_ns) > (s64)WEFT_REFRESH_NS ||
		slot->configuration != line->configuration ||
		slot->network_generation != FLOW_GENERATION(line, slot->network))
		return false;
	v->action = slot->action;
	v->flags = slot->flags;
	v->vni = slot->vni;
	v->network = slot->network;
	v->port = slot->port;
	v->tag = slot->tag;
	v->max_bytes = slot->max_bytes;
	return true;
}

// Generations are those from before decide: a change in between leaves a stale slot, never a wrong
// one.
weft_inline void flow_keep(struct pipeline *line)
{
	const struct weft_verdict *v = &line->verdict;
	struct flow_slot *slot = line->flow;
	if (!slot)
		return;
	slot->used = false;
	if ((v->action != WEFT_ACTION_forward && v->action != WEFT_ACTION_encap) ||
		v->effects & ~WEFT_EFFECT_refresh)
		return;
	slot->action = v->action;
	slot->flags = v->flags;
	slot->vni = v->vni;
	slot->key = line->key;
	slot->configuration = line->configuration;
	slot->network_generation = v->generation;
	slot->decided_ns = line->now_ns;
	slot->network = v->network;
	slot->port = v->port;
	slot->max_bytes = v->max_bytes;
	slot->tag = v->tag;
	slot->used = true;
}
