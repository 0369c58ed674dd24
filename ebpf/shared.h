// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What the programs and the engine's user half share beyond the tables.
#pragma once

#include <weft/types.h>

// ifindex -> port, direct-mapped and checked: an array is looked up for free, where a hash costs
// 30 ns. Who shares a slot with a later one is found in the hash weft_device.
enum { WEFT_DEVICE_SLOTS = 8192 };

struct weft_device_slot {
	u32 ifindex;
	u32 port;
};

// Flow cache: slots per CPU, a power of two.
enum { WEFT_FLOW_SLOTS = 8192 };
