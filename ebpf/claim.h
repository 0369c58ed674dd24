// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What the dpdk engine claims of a device's frames: shared by ebpf/weft_claim.bpf.c,
// ebpf/weft_steer.bpf.c and their loaders.
#pragma once

#include <weft/types.h>

// Devices received by AF_XDP, and queues of each.
enum { WEFT_STEERED = 64, WEFT_STEERED_QUEUES = 16 };

enum weft_claim_flag {
	WEFT_CLAIM_ALL = WEFT_BIT(0),      // every frame
	WEFT_CLAIM_UNTAGGED = WEFT_BIT(1), // untagged and priority-tagged ones
	WEFT_CLAIM_TAGGED = WEFT_BIT(2),   // 802.1Q ones of `vid`
	WEFT_CLAIM_UNDERLAY = WEFT_BIT(3), // untagged and priority-tagged VXLAN for `host`
	WEFT_CLAIM_VIPS = WEFT_BIT(4),     // untagged ones for addresses in weft_claim_vips
};

struct weft_claim_vip {
	u32 ifindex;
	struct weft_ip address;
};

struct weft_claim {
	u32 flags;
	u16 udp_port;
	u16 reserved;
	struct weft_ip host;
	u64 vid[64]; // a bit for each
};
