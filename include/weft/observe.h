// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Where the time goes: observation points, the hops between them, histograms, postcards.
//
// Terms: residence time is IOAM's transit delay (RFC 9197 section 4.4.2.4), one-way delay is RFC
// 7679's. Times are CLOCK_MONOTONIC nanoseconds of this host.
#pragma once

#include <weft/types.h>

// List 5: the observation points, the same in every engine.
#define WEFT_POINTS(X) \
	X(P0, "the frame has left the VM (or the device) behind the port") \
	X(P1, "decided") \
	X(P2, "handed to the underlay, encapsulated or for the carrier") \
	X(P3, "received by the underlay device of the peer") \
	X(P4, "decided, by the peer") \
	X(P5, "handed to the port") \
	X(P6, "the VM has taken it from the port's queue")

enum weft_point {
#define X(name, text) WEFT_POINT_##name,
	WEFT_POINTS(X)
#undef X
		WEFT_POINT_count,
};

// List 6: what is kept as a histogram, by (where from, where to).
#define WEFT_SPANS(X) \
	X(decide, "from the port or the underlay (P0, P3) until decided (P1, P4)") \
	X(residence, "from the port or the underlay (P0, P3) until handed over (P2, P5)") \
	X(queue, "from the hand-over to the port (P5) until the VM takes it (P6)") \
	X(guest, "from the hand-over to the port (P5) until the VM's answer leaves it (P0)")

enum weft_span {
#define X(name, text) WEFT_SPAN_##name,
	WEFT_SPANS(X)
#undef X
		WEFT_SPAN_count,
};

// Log-linear histograms as HdrHistogram's: 32 buckets per power of two, so the middle of a bucket
// is within 1.6 % of every value in it. Values below 32 ns are exact, those above 2^36 ns (69 s)
// are in the last bucket.
enum {
	WEFT_LATENCY_LINEAR = 32,
	WEFT_LATENCY_SHIFT = 5,
	WEFT_LATENCY_BUCKETS = 1024,
};

weft_inline u32 weft_log2(u64 value)
{
	u32 log = 0;
	for (u32 step = 32; step; step >>= 1) {
		if (value >> step) {
			value >>= step;
			log += step;
		}
	}
	return log;
}

weft_inline u32 weft_latency_bucket(u64 ns)
{
	if (ns < WEFT_LATENCY_LINEAR)
		return (u32)ns;
	u32 octave = weft_log2(ns) - WEFT_LATENCY_SHIFT;
	u32 bucket = WEFT_LATENCY_LINEAR * octave + (u32)(ns >> octave);
	return bucket < WEFT_LATENCY_BUCKETS ? bucket : WEFT_LATENCY_BUCKETS - 1;
}

// The smallest value of a bucket; of WEFT_LATENCY_BUCKETS: where the last one ends.
weft_inline u64 weft_latency_from_ns(u32 bucket)
{
	if (bucket < 2 * WEFT_LATENCY_LINEAR)
		return bucket;
	u32 octave = bucket / WEFT_LATENCY_LINEAR - 1;
	return (u64)(WEFT_LATENCY_LINEAR + bucket % WEFT_LATENCY_LINEAR) << octave;
}

// 1 of N packets as a bound that a random u32 is held against; 0: none.
weft_inline u32 weft_sample_below(u32 one_in)
{
	return one_in ? (u32)(0xffffffffu / one_in) : 0;
}

enum weft_postcard_flag {
	WEFT_POSTCARD_OWN = WEFT_BIT(0),      // between hosts by weft's own headers
	WEFT_POSTCARD_CARRIER = WEFT_BIT(1),  // by the kernel's VXLAN device
	WEFT_POSTCARD_SUPER = WEFT_BIT(2),    // a superpacket
	WEFT_POSTCARD_PROBE = WEFT_BIT(3),    // weft/probe.h: told whether or not a trace runs
	WEFT_POSTCARD_ANSWERED = WEFT_BIT(4), // dropped, and its sender was told
};

// So long a question waits for its answer.
#define GUEST_PATIENCE_NS 1000000000ull

// What one host has seen of one traced packet, from coming in to the hand-over or the drop. What
// happens later (P6) is on a card of its own, with nothing but identity, places and out_ns.
enum { WEFT_POSTCARD_FRAME = 176 }; // a tagged IPv6 probe is in it
struct weft_postcard {
	u64 identity;
	u64 in_ns; // 0: not observed; so the others
	u64 decided_ns;
	u64 out_ns;
	u32 from, to; // ports or peers, as in the latency table
	u32 network;
	u32 reason;   // enum weft_drop
	u32 bytes;    // of the frame
	u8 action;    // enum weft_action
	u8 in_point;  // enum weft_point: P0, P3
	u8 out_point; // P2, P5, P6; P1, P4: the decision was to drop it
	u8 flags;     // enum weft_postcard_flag
	u32 captured; // bytes of the frame below
	u16 tci;      // of a tag that is beside the frame
	u16 tagged;   // it is
	u32 backend;  // of a service, whose traffic it is; 0: of none
	u32 reserved;
	u8 frame[WEFT_POSTCARD_FRAME]; // as it came in, without outer headers
};
_Static_assert(sizeof(struct weft_postcard) == 72 + WEFT_POSTCARD_FRAME, "no padding");
