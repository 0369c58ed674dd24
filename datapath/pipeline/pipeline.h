// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The life of a packet: parse, decide, commit, apply. Read this first.
//
// A hook defines, before it includes this file:
//   struct packet, packet_at, packet_tag, packet_length      (see parse.h)
//   TABLE_GET, TABLE_ROW, TABLE_INSERT, TABLE_REPLACE         access to the tables
//   DECIDE(key, tables, now_ns, verdict)                      decide, or a subprogram around it
// and writes apply_forward, apply_flood, apply_reply and apply_to_host for its kind of buffer.
#pragma once

#include "datapath/pipeline/commit.h"
#include "datapath/pipeline/decide.h"
#include "datapath/pipeline/parse.h"
#include "datapath/pipeline/reply.h"

struct pipeline {
	struct packet *packet;
	struct tables *tables;
	u64 now_ns;
	u32 actions; // mask of WEFT_BIT(enum weft_action) that this hook can apply
	struct weft_key key;
	struct weft_layout layout;
	struct weft_verdict verdict;
	void *flow;        // the cache's: the slot of this key
	u64 configuration; // the cache's: generation before decide
};

// The cache in front of decide: find fills in the verdict that decide would give, or remembers
// where keep shall put it. An engine without one finds nothing.
weft_inline bool flow_find(struct pipeline *line);
weft_inline void flow_keep(struct pipeline *line);

// Each changes the packet and hands it over, or returns the reason why it did not. They count
// what they send (account_tx); the driver counts the rest.
weft_inline enum weft_drop apply_forward(struct pipeline *line);
weft_inline enum weft_drop apply_flood(struct pipeline *line);
weft_inline enum weft_drop apply_reply(struct pipeline *line);
weft_inline enum weft_drop apply_to_host(struct pipeline *line);

// The length that the MTU is held against: of a superpacket, its largest segment with headers.
weft_inline u32 packet_segment_length(const struct packet *p, const struct weft_layout *layout);
// How many frames the packet is on a wire: what a meter charges.
weft_inline u32 packet_segments(const struct packet *p, const struct weft_layout *layout);

// Bytes of a tag that stands in the frame: lengths are counted without it, in every engine.
weft_inline u32 packet_tag_bytes(const struct weft_layout *layout)
{
	return layout->l3_bytes > sizeof(struct eth_header)
		       ? layout->l3_bytes - (u32)sizeof(struct eth_header)
		       : 0;
}

weft_inline enum weft_drop pipeline_apply(struct pipeline *line)
{
	const struct weft_verdict *v = &line->verdict;
	if (v->action == WEFT_ACTION_drop)
		return v->reason;
	if (v->action == WEFT_ACTION_to_host)
		return apply_to_host(line);
	if (v->action == WEFT_ACTION_reply)
		return apply_reply(line);
	if (v->max_bytes) {
		u32 length = packet_segment_length(line->packet, &line->layout);
		if (length > v->max_bytes + packet_tag_bytes(&line->layout))
			return WEFT_DROP_too_big;
	}
	if (v->meter && !meter_spend(line->tables, v->meter, line->now_ns,
				packet_segments(line->packet, &line->layout)))
		return WEFT_DROP_storm;
	return v->action == WEFT_ACTION_flood ? apply_flood(line) : apply_forward(line);
}

// False: the verdict is outside the hook's mask; no table and no byte has changed.
weft_inline bool pipeline_run(struct pipeline *line, u32 in_port, struct weft_record *record)
{
	struct weft_verdict *v = &line->verdict;
	u32 length = packet_length(line->packet);
	enum weft_drop drop = parse(line->packet, in_port, &line->key, &line->layout);
	__builtin_memset(v, 0, sizeof(*v));
	if (drop) {
		v->action = WEFT_ACTION_drop;
		v->reason = drop;
	} else if (!flow_find(line)) {
		DECIDE(&line->key, line->tables, line->now_ns, v);
		flow_keep(line);
	}
	if (record) {
		record->verdict = *v;
		record->passed = !(line->actions & WEFT_BIT(v->action));
	}
	if (!(line->actions & WEFT_BIT(v->action)))
		return false;

	account_rx(line->tables, in_port, length - packet_tag_bytes(&line->layout));
	commit(line->tables, &line->key, v, line->now_ns);
	drop = pipeline_apply(line);
	if (drop) {
		v->action = WEFT_ACTION_drop;
		account_drop(line->tables, in_port, drop);
	}
	if (record) {
		record->action = v->action;
		record->reason = drop;
	}
	return true;
}
