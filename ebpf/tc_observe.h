// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Observation in the TC hook: the carrier, which shows a frame twice; the frame; taps and probes.
#pragma once

#include "ebpf/line_observe.h"

// What was seen on the underlay device and will come again from the carrier, on the same CPU: by
// identity. One that is merged into another does not come.
enum { EXPECTED = 256, EXPECTED_NS = 20000000 };

struct weft_expected {
	u64 identity; // 0: none
	u64 in_ns;
	bool sampled;
};

struct weft_expected_row {
	u64 last_ns;
	u32 count;
	u32 reserved;
	struct weft_expected expected[EXPECTED];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct weft_expected_row);
} weft_expected SEC(".maps");

weft_inline struct weft_expected_row *expected_row(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&weft_expected, &zero);
}

// The packet stays with the kernel for now.
__noinline int weft_expect(struct __sk_buff *skb)
{
	struct weft_scratch_row *scratch = scratch_row();
	struct weft_expected_row *row = expected_row();
	struct packet p = {.context = skb};
	if (!row || !scratch || !skb_load(&p, OVERLAY6_BYTES + WEFT_PARSE_BYTES) ||
		weft_outer(skb, &scratch->outer) == OWN_NONE)
		return 0;
	u32 outer = scratch->outer.ipv6 ? OVERLAY6_BYTES : OWN_BYTES;
	if (weft_parse(skb, outer, 0, &scratch->key, &scratch->layout))
		return 0;
	struct observation *seen = &scratch->seen;
	u64 identity =
		weft_identity(skb, outer, &scratch->key, &scratch->layout, seen->identity_key);
	bool traced = (u32)identity <= seen->trace_below || probe_suspect(&scratch->key);
	if (!seen->sampled && (!seen->tracing || !traced))
		return 0;
	row->expected[identity % EXPECTED] = (struct weft_expected){
		.identity = identity,
		.in_ns = seen->in_ns,
		.sampled = seen->sampled,
	};
	row->last_ns = seen->in_ns;
	row->count++;
	return 0;
}

// From the carrier comes only what has been seen before: when, if it was.
weft_inline void observe_from_carrier(struct pipeline *line)
{
	struct weft_expected_row *row = expected_row();
	struct observation *seen = line->seen;
	if (!seen || !row)
		return;
	if (row->count && (s64)(line->now_ns - row->last_ns) > EXPECTED_NS)
		row->count = 0;
	seen->flags = WEFT_POSTCARD_CARRIER;
	seen->sampled = seen->answering = false;
	seen->in_ns = 0;
	seen->tracing |= row->count > 0;
	if (!seen->tracing)
		line->seen = NULL;
}

weft_inline void observe_arrived(struct observation *seen, u64 identity)
{
	struct weft_expected_row *row = expected_row();
	if (!row || row->expected[identity % EXPECTED].identity != identity)
		return;
	struct weft_expected *expected = &row->expected[identity % EXPECTED];
	seen->in_ns = expected->in_ns;
	seen->sampled = expected->sampled;
	expected->identity = 0;
	if (row->count)
		row->count--;
}

__noinline int weft_card(struct __sk_buff *skb, u32 at)
{
	struct weft_scratch_row *scratch = scratch_row();
	u32 bytes = WEFT_POSTCARD_FRAME;
	if (!scratch)
		return 0;
	struct weft_postcard *card = &scratch->seen.card;
	card->captured = 0;
	card->tagged = skb->vlan_present;
	card->tci = (u16)skb->vlan_tci;
	if (at > WEFT_PARSE_BYTES || skb->len <= at)
		return 0;
	card->bytes = skb->len - at;
	if (bytes > skb->len - at)
		bytes = skb->len - at;
	// Linux 6.1's verifier wants to see both bounds of this very value, the lower one signed.
	__s32 length = (__s32)bytes;
	__asm__ volatile("" : "+r"(length));
	if (length < 1)
		return 0;
	__asm__ volatile("" : "+r"(length));
	if (length <= WEFT_POSTCARD_FRAME && !bpf_skb_load_bytes(skb, at, card->frame, (u32)length))
		card->captured = (u32)length;
	if (skb->gso_size)
		scratch->seen.flags |= WEFT_POSTCARD_SUPER;
	return 0;
}

// The reader of the tap will be seen to take it.
weft_inline void observe_depart(
	struct __sk_buff *skb, const struct observation *seen, u32 from, u32 to, u64 out_ns)
{
	struct weft_index index = {to};
	const struct weft_port_row *port = TABLE_GET(NULL, port, &index);
	u32 slot = flight_next();
	u64 name = (out_ns & ~(u64)(WEFT_FLIGHTS - 1)) | slot;
	if (!port || !(port->flags & WEFT_PORT_TAP))
		return;
	struct weft_flight *flight = bpf_map_lookup_elem(&weft_flight, &slot);
	if (!flight)
		return;
	if (bpf_skb_set_tstamp(skb, name, BPF_SKB_TSTAMP_DELIVERY_MONO)) {
		if (ip_protocol(skb->protocol))
			return;
		skb->cb[0] = (u32)name; // of other frames the kernel forgets the time
		skb->cb[1] = (u32)(name >> 32);
	}
	*(volatile u64 *)&flight->name = 0;
	flight->out_ns = out_ns;
	flight->identity = seen->identity;
	flight->sampled = seen->sampled;
	flight->from = from;
	flight->to = to;
	*(volatile u64 *)&flight->name = name;
}

static __noinline void probe_take(struct pipeline *line)
{
	struct weft_scratch_row *scratch = scratch_row();
	if (!scratch || weft_inject)
		return;
	struct observation *seen = &scratch->seen;
	if (!line->seen || !seen->identity) { // not traced
		observe_in(NULL, seen, 0, 0);
		seen->decided_ns = OBSERVE_NOW(line);
		seen->identity = 1;
		line->seen = seen;
		observe_card(line);
	}
	seen->sampled = false; // it is nobody's traffic
	seen->flags |= WEFT_POSTCARD_PROBE;
}
