// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The flow cache of pipeline/flow.h in BPF: direct-mapped, one region of an array per CPU.
#pragma once

#include "datapath/pipeline/flow_slot.h"

weft_inline struct flow_slot *flow_slot_of(const struct weft_key *key);
weft_inline u64 flow_generation(u32 index);
#define FLOW_SLOT(line)              flow_slot_of(&(line)->key)
#define FLOW_GENERATION(line, index) flow_generation(index)
#include "datapath/pipeline/flow.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEFT_FLOW_SLOTS); // times the CPUs, set by the user half
	__type(key, u32);
	__type(value, struct flow_slot);
} weft_flow SEC(".maps");

weft_inline struct flow_slot *flow_slot_of(const struct weft_key *key)
{
	u32 index = bpf_get_smp_processor_id() * WEFT_FLOW_SLOTS +
		    (flow_hash(key) & (WEFT_FLOW_SLOTS - 1));
	return bpf_map_lookup_elem(&weft_flow, &index);
}

weft_inline u64 flow_generation(u32 index)
{
	u64 *row = bpf_map_lookup_elem(&weft_generation, &index);
	return row ? *row : 0;
}
