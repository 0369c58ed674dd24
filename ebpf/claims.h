// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The claims as the programs see them: one map for all.
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "ebpf/claim.h"

enum { IPV4_OFFSET = 0x1fff };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u32); // ifindex
	__type(value, struct weft_claim);
} weft_claims SEC(".maps");
