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

// The packet stays with the kernel for now.
static __noinline int observe_expect(struct __sk_buff *skb, struct observation *seen)
{
	u32 zero = 0;
	struct weft_scratch_row *scratch = bpf_map_lookup_elem(&weft_scratch, &zero);
	struct weft_expected_row *row = expected_row();
	if (!seen || !row || !scratch ||
		weft_parse(skb, OWN_BYTES, 0, &scratch->key, &scratch->layout))
		return 0;
	u64 identity =
		weft_identity(skb, OWN_BYTES, &scratch->key, &scratch->layout, seen->identity_key);
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
	u64 identity = weft_identity(line->packet->context, line->packet->outer_bytes, &line->key,
		&line->layout, line->seen->identity_key);
	if (line->seen->flags & WEFT_POSTCARD_CARRIER)
		observe_arrived(line->seen, identity);
	return identity;
}

static __noinline void observe_listen(struct pipeline *line)
{
	if (line->seen)
		guest_listen(line->tables, line->packet, &line->key, &line->layout, &line->verdict,
			line->seen);
}

static __noinline void observe_card(struct pipeline *line)
{
	struct __sk_buff *skb = line->packet->context;
	struct weft_postcard *card = &line->seen->card;
	u32 at = line->packet->outer_bytes, bytes = WEFT_POSTCARD_FRAME;
	card->captured = 0;
	card->tagged = skb->vlan_present;
	card->tci = (u16)skb->vlan_tci;
	if (at > WEFT_PARSE_BYTES || skb->len <= at)
		return;
	card->bytes = skb->len - at;
	if (bytes > skb->len - at)
		bytes = skb->len - at;
	if (bytes - 1 < WEFT_POSTCARD_FRAME && !bpf_skb_load_bytes(skb, at, card->frame, bytes))
		card->captured = bytes;
	if (skb->gso_size)
		line->seen->flags |= WEFT_POSTCARD_SUPER;
}

// The reader of the tap will be seen to take it.
weft_inline void observe_depart(const struct pipeline *line, u32 to, u64 out_ns)
{
	struct weft_index index = {to};
	const struct weft_port_row *port = TABLE_GET(line->tables, port, &index);
	u32 slot = flight_next();
	u64 name = (out_ns & ~(u64)(WEFT_FLIGHTS - 1)) | slot;
	if (!port || !(port->flags & WEFT_PORT_TAP))
		return;
	struct weft_flight *flight = bpf_map_lookup_elem(&weft_flight, &slot);
	if (!flight ||
		bpf_skb_set_tstamp(line->packet->context, name, BPF_SKB_TSTAMP_DELIVERY_MONO))
		return;
	*(volatile u64 *)&flight->name = 0;
	flight->out_ns = out_ns;
	flight->identity = line->seen->identity;
	flight->sampled = line->seen->sampled;
	flight->from = line->key.in_port;
	flight->to = to;
	*(volatile u64 *)&flight->name = name;
}

static __noinline void probe_take(struct pipeline *line)
{
	u32 zero = 0;
	struct weft_scratch_row *scratch = bpf_map_lookup_elem(&weft_scratch, &zero);
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

static __noinline void observe_out(struct pipeline *line, enum weft_drop drop)
{
	struct observation *seen = line->seen;
	u32 from = line->key.in_port, to = observe_to(&line->key, &line->verdict);
	u64 now_ns = OBSERVE_NOW(line);
	if (!seen || line->verdict.action == WEFT_ACTION_to_host)
		return;
	if (!drop && seen->sampled)
		observe_spans(line->tables, from, to, seen, now_ns);
	if (seen->identity) {
		observe_write(seen, &line->key, &line->verdict, drop, now_ns);
		observe_post(&seen->card);
	}
	if (!drop && seen->asks && !(seen->flags & WEFT_POSTCARD_PROBE))
		guest_asked(line->tables, from, to, seen, now_ns);
	if (!drop && to && line->verdict.action != WEFT_ACTION_encap &&
		!(seen->flags & WEFT_POSTCARD_PROBE))
		observe_depart(line, to, now_ns);
}
