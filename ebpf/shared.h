// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What the programs and the engine's user half share beyond the tables.
#pragma once

#include <weft/types.h>

// ifindex -> port, direct-mapped and checked: an array is looked up for free, where a hash costs
// 30 ns. Who shares a slot with a later one is found in the hash weft_device.
enum { WEFT_DEVICE_SLOTS = 8192 };

struct weft_device_slot {
	u32 ifindex;
	u32 device; // port id (0: none) and roles
};

struct weft_port_device_row {
	u32 ifindex;          // 0: the port has no device
	u16 direct;           // 1: a veth, whose other end takes at once
	struct weft_mac peer; // what is for this address
};

// What a netdev is besides a port.
enum {
	WEFT_DEVICE_CARRIER = WEFT_BIT(31),  // the kernel's VXLAN device
	WEFT_DEVICE_UNDERLAY = WEFT_BIT(30), // weft decapsulates itself what it can
	WEFT_DEVICE_ENTRY = WEFT_BIT(29),    // weftd's own frames: the last 4 bytes name their port
	WEFT_DEVICE_OUTWARD = WEFT_BIT(28),  // there: it goes to the port, not from it
	WEFT_DEVICE_WATCHED = WEFT_BIT(27),  // when the carrier's frames come in is of interest
	WEFT_DEVICE_XDP = WEFT_BIT(26),      // the XDP program is on it, and may send by it
	WEFT_DEVICE_PORT = WEFT_BIT(26) - 1, // mask of the port id
};

// Flow cache: slots per CPU, a power of two, unless the configuration says so.
enum { WEFT_FLOW_SLOTS = 8192, WEFT_FLOW_WAYS = 4 };

// A packet on its way from the hand-over (P5) to the reader of a tap (P6). Its name stands in the
// skb's time stamp: the time of the hand-over, in its low bits the index of this row.
enum { WEFT_FLIGHTS = 1 << 14 };

struct weft_flight {
	u64 name; // 0: landed
	u64 out_ns;
	u64 taken_ns; // for engines that look themselves
	u64 identity; // 0: not traced
	u32 from, to;
	u32 sampled;
	u32 reserved;
};

enum { WEFT_POSTCARD_RING_BYTES = 1 << 20 };

struct weft_observed_row {
	u64 flights; // begun
	u64 cards_lost;
};
