// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Observation in both hooks: when a packet came in, what it is, and what is told when it goes out.
#pragma once

weft_inline struct weft_scratch_row *scratch_row(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&weft_scratch, &zero);
}

// The hook's. observe_arrived: of a frame from the carrier, what is known of its coming in.
// weft_card: the frame into the card. observe_depart: its way to whoever takes it (P6).
weft_inline void observe_arrived(struct observation *seen, u64 identity);
int weft_card(HOOK_CONTEXT *context, u32 at);
weft_inline void observe_depart(
	HOOK_CONTEXT *context, const struct observation *seen, u32 from, u32 to, u64 out_ns);

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

// Subprograms that the verifier looks at once, by their types (hook.h): what is observed of the
// packet is in the scratch row while it is on its way.

static __noinline u64 observe_identity(struct pipeline *line)
{
	u64 identity = weft_identity(line->packet->context, line->packet->outer_bytes, line->key,
		line->layout, line->seen->identity_key);
	if (line->seen->flags & WEFT_POSTCARD_CARRIER)
		observe_arrived(line->seen, identity);
	return identity;
}

__noinline int weft_listen(HOOK_CONTEXT *context, u32 outer_bytes, struct weft_key *key,
	struct weft_layout *layout, struct weft_verdict *verdict)
{
	struct weft_scratch_row *scratch = scratch_row();
	struct packet p = {0};
	if (key && layout && verdict && scratch && packet_open(&p, context, outer_bytes))
		guest_listen(NULL, &p, key, layout, verdict, &scratch->seen);
	return 0;
}

static __noinline void observe_listen(struct pipeline *line)
{
	weft_listen(line->packet->context, line->packet->outer_bytes, line->key, line->layout,
		line->verdict);
}

weft_inline void observe_card(struct pipeline *line)
{
	weft_card(line->packet->context, line->packet->outer_bytes);
}

__noinline int weft_out(
	HOOK_CONTEXT *context, struct weft_key *key, struct weft_verdict *verdict, u32 drop)
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
		observe_depart(context, seen, from, to, now_ns);
	return 0;
}

static __noinline void observe_out(struct pipeline *line, enum weft_drop drop)
{
	weft_out(line->packet->context, line->key, line->verdict, drop);
}
