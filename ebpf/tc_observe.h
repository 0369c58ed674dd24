// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Observation in the TC hook: when a packet came in, and what is told when it goes out.
#pragma once

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

weft_inline struct weft_scratch_row *scratch_row(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&weft_scratch, &zero);
}

// Subprograms that the verifier looks at once, by their types (hook.h): what is observed of the
// packet is in the scratch row while it is on its way.

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

weft_inline void observe_begin(struct pipeline *line, u32 device)
{
	u32 zero = 0, wanted = observe_wanted(NULL, device & WEFT_DEVICE_PORT, line->now_ns);
	if (device & WEFT_DEVICE_ENTRY)
		wanted = OBSERVE_TRACING;
	if (!wanted && !(device & WEFT_DEVICE_CARRIER))
		return;
	struct weft_scratch_row *scratch = bpf_map_lookup_elem(&weft_scratch, &zero);
	if (!scratch || weft_inject)
		return;
	observe_in(NULL, &scratch->seen, wanted, OBSERVE_NOW(line));
	line->seen = &scratch->seen;
	if (device & WEFT_DEVICE_ENTRY) {
		line->seen->probe = true;
		line->seen->outward = device & WEFT_DEVICE_OUTWARD;
		line->seen->flags = WEFT_POSTCARD_PROBE;
	}
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

static __noinline u64 observe_identity(struct pipeline *line)
{
	u64 identity = weft_identity(line->packet->context, line->packet->outer_bytes, line->key,
		line->layout, line->seen->identity_key);
	if (line->seen->flags & WEFT_POSTCARD_CARRIER)
		observe_arrived(line->seen, identity);
	return identity;
}

__noinline int weft_listen(struct __sk_buff *skb, u32 outer_bytes, struct weft_key *key,
	struct weft_layout *layout, struct weft_verdict *verdict)
{
	struct weft_scratch_row *scratch = scratch_row();
	struct packet p = {0};
	if (key && layout && verdict && scratch && packet_open(&p, skb, outer_bytes))
		guest_listen(NULL, &p, key, layout, verdict, &scratch->seen);
	return 0;
}

static __noinline void observe_listen(struct pipeline *line)
{
	weft_listen(line->packet->context, line->packet->outer_bytes, line->key, line->layout,
		line->verdict);
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

weft_inline void observe_card(struct pipeline *line)
{
	weft_card(line->packet->context, line->packet->outer_bytes);
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
	if (!line->seen) {
		observe_in(NULL, seen, 0, 0);
		seen->decided_ns = OBSERVE_NOW(line);
		seen->identity = 1;
		line->seen = seen;
		observe_card(line);
	}
	seen->flags |= WEFT_POSTCARD_PROBE;
}

__noinline int weft_out(
	struct __sk_buff *skb, struct weft_key *key, struct weft_verdict *verdict, u32 drop)
{
	struct weft_scratch_row *scratch = scratch_row();
	u64 now_ns = bpf_ktime_get_ns();
	if (!key || !verdict || !scratch || verdict->action == WEFT_ACTION_to_host)
		return 0;
	struct observation *seen = &scratch->seen;
	u32 from = key->in_port, to = observe_to(key, verdict);
	bool probe = seen->flags & WEFT_POSTCARD_PROBE;
	if (!drop && seen->sampled)
		observe_spans(NULL, from, to, seen, now_ns);
	if (seen->identity) {
		observe_write(seen, key, verdict, drop, now_ns);
		observe_post(&seen->card);
	}
	if (drop || probe)
		return 0;
	if (seen->asks)
		guest_asked(NULL, from, to, seen, now_ns);
	if (to && verdict->action != WEFT_ACTION_encap)
		observe_depart(skb, seen, from, to, now_ns);
	return 0;
}

static __noinline void observe_out(struct pipeline *line, enum weft_drop drop)
{
	weft_out(line->packet->context, line->key, line->verdict, drop);
}
