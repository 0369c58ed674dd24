// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Observation: how long packets took, as histograms (the latency table) and as postcards.
//
// A packet is sampled at random for the histograms; while a trace runs, it is traced if its
// identity says so, on every host alike. The engine stamps it as it comes in (observe_in), the
// pipeline when it is decided, the engine's observe_out when it is handed over or dropped.
#pragma once

#include <weft/tables.h>
#include <weft/verdict.h>
#include "datapath/pipeline/histogram.h"
#include "datapath/pipeline/observation.h"

enum observe_why {
	OBSERVE_SAMPLED = WEFT_BIT(0),
	OBSERVE_TRACING = WEFT_BIT(1),
	OBSERVE_ANSWERING = WEFT_BIT(2),
};

// A guest may never answer, and each of its frames that is looked at costs.
enum { GUEST_HEARD_MOST = 256 };

weft_inline bool guest_owes(const struct weft_guest_row *row)
{
	return row->out_ns && row->heard < GUEST_HEARD_MOST;
}

// Is the packet that comes in now to be observed? Port 0: it comes from an underlay device.
weft_inline u32 observe_wanted(struct tables *tables, u32 port, u64 now_ns)
{
	struct weft_index index = {port}, zero = {0};
	const struct weft_host_row *host = TABLE_GET(tables, host, &zero);
	const struct weft_port_row *row = TABLE_GET(tables, port, &index);
	if (!host || !row)
		return 0;
	u32 below = port ? row->sample_below : host->sample_below;
	u32 wanted = below && OBSERVE_RANDOM() <= below ? OBSERVE_SAMPLED : 0;
	if (wanted && host->rest_until_ns && (s64)(host->rest_until_ns - now_ns) > 0)
		wanted = 0;
	const struct weft_guest_row *guest =
		below && port ? TABLE_GET(tables, guest, &index) : NULL;
	if (guest && guest_owes(guest))
		wanted |= OBSERVE_ANSWERING;
	if (host->trace_until_ns && (s64)(host->trace_until_ns - now_ns) > 0)
		wanted |= OBSERVE_TRACING;
	return wanted;
}

weft_inline void observe_in(struct tables *tables, struct observation *seen, u32 wanted, u64 in_ns)
{
	struct weft_index zero = {0};
	const struct weft_host_row *host = TABLE_GET(tables, host, &zero);
	seen->in_ns = in_ns;
	seen->decided_ns = 0;
	seen->identity = 0;
	seen->sampled = wanted & OBSERVE_SAMPLED;
	seen->tracing = wanted & OBSERVE_TRACING;
	seen->answering = wanted & OBSERVE_ANSWERING;
	seen->asks = false;
	seen->flags = 0;
	seen->backend = 0;
	seen->probe = false;
	seen->outward = false;
	seen->identity_key = host ? host->identity_key : 0;
	seen->trace_below = host && seen->tracing ? host->trace_below : 0;
}

weft_inline void observe_span(struct tables *tables, u32 from, u32 to, enum weft_span span, u64 ns)
{
	struct weft_latency_key key = {.from = from,
		.to = to,
		.span = span,
		.cpu = OBSERVE_CPU(tables) % WEFT_LATENCY_CPUS};
	struct weft_latency_row *row = TABLE_ROW(tables, latency, &key);
	if (!row) {
		OBSERVE_INSERT(tables, &key);
		row = TABLE_ROW(tables, latency, &key);
	}
	if (row) {
		histogram_count(row, ns);
		return;
	}
	struct weft_index index = {from};
	struct weft_usage_row *usage = TABLE_ROW(tables, port_usage, &index);
	if (usage)
		__sync_fetch_and_add(&usage->samples_lost, 1);
}

// Where the verdict sends the packet; 0: to several, or to nobody.
weft_inline u32 observe_to(const struct weft_key *key, const struct weft_verdict *v)
{
	if (v->action == WEFT_ACTION_reply)
		return key->in_port;
	return v->action == WEFT_ACTION_forward || v->action == WEFT_ACTION_encap ? v->port : 0;
}

// A sampled packet was handed over.
weft_inline void observe_spans(
	struct tables *tables, u32 from, u32 to, const struct observation *seen, u64 out_ns)
{
	if (!seen->in_ns)
		return;
	observe_span(tables, from, to, WEFT_SPAN_decide,
		histogram_between(seen->in_ns, seen->decided_ns));
	observe_span(tables, from, to, WEFT_SPAN_residence, histogram_between(seen->in_ns, out_ns));
}

// All of the card but its frame.
weft_inline void observe_write(struct observation *seen, const struct weft_key *key,
	const struct weft_verdict *v, enum weft_drop drop, u64 out_ns)
{
	struct weft_postcard *card = &seen->card;
	card->identity = seen->identity;
	card->in_ns = seen->in_ns;
	card->decided_ns = seen->decided_ns;
	card->out_ns = out_ns;
	card->from = key->in_port;
	card->to = observe_to(key, v);
	card->network = v->network;
	card->reason = drop;
	card->action = drop ? WEFT_ACTION_drop : (u8)v->action;
	card->in_point = key->vni ? WEFT_POINT_P3 : WEFT_POINT_P0; // also of a cached verdict
	card->out_point = v->action == WEFT_ACTION_encap  ? WEFT_POINT_P2
			  : v->action == WEFT_ACTION_drop ? card->in_point + 1
							  : WEFT_POINT_P5;
	card->flags = seen->flags;
	card->backend = seen->backend;
}

enum { GUEST_ASKING = 1 }; // instead of out_ns: some CPU writes its question down

// A question (observe_guest.h) is handed to its port.
weft_inline void guest_asked(
	struct tables *tables, u32 from, u32 to, const struct observation *seen, u64 out_ns)
{
	struct weft_index index = {to};
	struct weft_guest_row *row = TABLE_ROW(tables, guest, &index);
	if (!seen->asks || !row)
		return;
	u64 before = *(volatile u64 *)&row->out_ns;
	if (before == GUEST_ASKING || (before && (s64)(out_ns - before) < (s64)GUEST_PATIENCE_NS) ||
		__sync_val_compare_and_swap(&row->out_ns, before, GUEST_ASKING) != before)
		return;
	row->protocol = seen->question.protocol;
	row->src = seen->question.src;
	row->dst = seen->question.dst;
	row->ports = seen->question.ports;
	row->expected = seen->question.expected;
	row->from = from;
	row->heard = 0;
	*(volatile u64 *)&row->out_ns = out_ns;
}
