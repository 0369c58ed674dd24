// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// A slot of the flow cache (flow.h): the whole key and the verdict.
#pragma once

#include <weft/verdict.h>

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
