// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The life of a packet: parse, decide, commit, apply. Read this first.
//
// A hook defines, before it includes this file:
//   struct packet, packet_at, packet_tag, packet_length      (see parse.h)
//   TABLE_GET, TABLE_ROW, TABLE_INSERT, TABLE_REPLACE         access to the tables
//   PARSE(line, in_port), DECIDE(line), COMMIT(line), PROBE(line), PROBE_JUDGE(line, own),
//   PROBE_ANSWER(line)
//                                                             these steps, or a subprogram around
//   REWRITE(line, bytes)                                      packet_rewrite, or a subprogram
//   BALANCE(line)                                             what DECIDE has worked out
//   OBSERVE_NOW(line)                                         ns, for packets that are observed
//   OBSERVE_RANDOM()                                          a u32
//   OBSERVE_CPU(tables)                                       number of the CPU, or worker
//   OBSERVE_INSERT(tables, key)                               a latency row of zeros, if it is new
// and writes apply_forward, apply_encap, apply_flood, apply_reply and apply_to_host for its kind
// of buffer.
#pragma once

#include "datapath/pipeline/commit.h"
#include "datapath/pipeline/decide.h"
#include "datapath/pipeline/identity.h"
#include "datapath/pipeline/observe.h"
#include "datapath/pipeline/observe_guest.h"
#include "datapath/pipeline/overlay.h"
#include "datapath/pipeline/parse.h"
#include "datapath/pipeline/probe.h"
#include "datapath/pipeline/reply.h"
#include "datapath/pipeline/rewrite.h"

struct pipeline {
	struct packet *packet;
	struct tables *tables;
	u64 now_ns;
	u32 vni; // the frame came from a peer: outer headers are off, or before packet_at's 0
	// The hook's own, and where they are: in BPF no stack would hold them.
	struct weft_key *key;
	struct weft_layout *layout;
	struct weft_verdict *verdict;
	u64 configuration;            // the cache's: generation before decide
	struct weft_rewrite *rewrite; // holds if the verdict says so
	struct observation *seen;     // NULL: nobody asks
};

// Can this hook apply it? False: the packet passes on to the next hook (XDP to TC, TC to the
// carrier), as it came and uncounted.
weft_inline bool hook_takes(struct pipeline *line, u32 action);

// The cache in front of decide: find fills in the verdict that decide would give, or remembers
// where keep shall put it. An engine without one finds nothing.
weft_inline bool flow_find(struct pipeline *line);
weft_inline void flow_keep(struct pipeline *line);

// Each changes the packet and hands it over, or returns the reason why it did not. They count
// what they send (account_tx); the driver counts the rest.
static enum weft_drop apply_forward(struct pipeline *line);
static enum weft_drop apply_encap(struct pipeline *line);
static enum weft_drop apply_flood(struct pipeline *line);
static enum weft_drop apply_reply(struct pipeline *line);
static enum weft_drop apply_to_host(struct pipeline *line);

// Of a packet that is observed: observe_card keeps it as it came in, if it is traced; observe_out
// tells that it was handed over or dropped: now, or when the engine knows better.
static u64 observe_identity(struct pipeline *line);
static void observe_listen(struct pipeline *line); // guest_listen
static void observe_card(struct pipeline *line);
static void observe_out(struct pipeline *line, enum weft_drop drop);

// A probe has reached its port, or a guest answers: weftd gets a card of it (WEFT_POSTCARD_PROBE),
// nobody the frame. Nothing may be known of its way (line->seen is NULL). observe_out follows, if
// there is.
static void probe_take(struct pipeline *line);

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

// A tag that is payload must not reach a trunk port: there it would name another network.
weft_inline bool packet_may_reach(struct tables *tables, u8 verdict_flags, u32 member_port)
{
	struct weft_index index = {member_port};
	if (!(verdict_flags & WEFT_VERDICT_KEEP_TAG))
		return true;
	const struct weft_port_row *port = TABLE_GET(tables, port, &index);
	return port && !(port->flags & WEFT_PORT_TRUNK);
}

// The tag that a copy for this member leaves with; vid: that of the frame.
weft_inline u16 packet_leave_tag(u8 verdict_flags, u16 vid, u16 member_tag)
{
	if (verdict_flags & WEFT_VERDICT_KEEP_TAG)
		return vid;
	return member_tag == WEFT_MEMBER_PEER ? 0 : member_tag;
}

weft_inline bool pipeline_sends(const struct weft_verdict *v)
{
	return v->action == WEFT_ACTION_forward || v->action == WEFT_ACTION_encap ||
	       v->action == WEFT_ACTION_flood;
}

weft_inline bool pipeline_too_big(const struct pipeline *line)
{
	const struct weft_verdict *v = line->verdict;
	if (!v->max_bytes || !pipeline_sends(v))
		return false;
	return packet_segment_length(line->packet, line->layout) >
	       v->max_bytes + packet_tag_bytes(line->layout);
}

// The frame is lost; its sender is told, if it can be. Of the frame it is observed, not of the
// answer.
weft_inline void pipeline_refuse(struct pipeline *line, struct weft_record *record)
{
	struct weft_index index = {line->key->in_port};
	const struct weft_port_row *port = TABLE_GET(line->tables, port, &index);
	struct observation *seen = line->seen;
	if (!line->verdict->reply || !port ||
		!meter_spend(line->tables, port->error_meter, line->now_ns, 1))
		return;
	line->seen = NULL;
	bool answered = apply_reply(line) == WEFT_DROP_none;
	line->seen = seen;
	if (record)
		record->answered = answered;
	if (seen && answered)
		seen->flags |= WEFT_POSTCARD_ANSWERED;
}

weft_inline enum weft_drop pipeline_apply(struct pipeline *line)
{
	const struct weft_verdict *v = line->verdict;
	switch (v->action) {
	case WEFT_ACTION_drop:
		return v->reason;
	case WEFT_ACTION_to_host:
		return apply_to_host(line);
	case WEFT_ACTION_reply:
		return apply_reply(line);
	}
	if (v->meter && !meter_spend(line->tables, v->meter, line->now_ns,
				packet_segments(line->packet, line->layout)))
		return WEFT_DROP_storm;
	if (v->action == WEFT_ACTION_flood)
		return apply_flood(line);
	return v->action == WEFT_ACTION_encap ? apply_encap(line) : apply_forward(line);
}

// bytes: of the packet, as they are counted.
weft_inline enum weft_drop pipeline_change(struct pipeline *line, u32 bytes)
{
	enum weft_drop drop = WEFT_DROP_none;
	(void)bytes;
	if (line->verdict->flags & WEFT_VERDICT_REWRITE && pipeline_sends(line->verdict)) {
		if (line->seen && line->rewrite)
			line->seen->backend = line->rewrite->backend;
		drop = REWRITE(line, bytes);
	}
	return drop ? drop : pipeline_apply(line);
}

weft_inline void pipeline_from_peer(struct weft_key *key, u32 vni)
{
	key->vni = vni;
	if (vni && key->src.byte[0] & 1) {
		key->vni |= WEFT_KEY_BALANCED;
		key->src.byte[0] &= 0xfe;
	}
}

weft_inline void pipeline_decide(struct pipeline *line, u32 in_port)
{
	struct weft_verdict *v = line->verdict;
	enum weft_drop drop = PARSE(line, in_port);
	pipeline_from_peer(line->key, line->vni);
	__builtin_memset(v, 0, sizeof(*v));
	if (drop) {
		v->action = WEFT_ACTION_drop;
		v->reason = drop;
	} else if (line->seen && line->seen->outward) {
		v->action = WEFT_ACTION_forward;
		v->port = in_port;
		v->tag = line->key->vid;
	} else if (!flow_find(line)) {
		DECIDE(line);
		struct balance *balance = BALANCE(line);
		if (balance)
			line->rewrite = &balance->rewrite;
		flow_keep(line);
	}
}

weft_inline void pipeline_observe(struct pipeline *line)
{
	struct observation *seen = line->seen;
	seen->decided_ns = OBSERVE_NOW(line);
	if (seen->tracing) {
		u64 identity = observe_identity(line);
		bool traced = (u32)identity <= seen->trace_below || probe_suspect(line->key) ||
			      probe_answer_suspect(line->key) || seen->outward;
		seen->identity = traced ? identity : 0;
	}
	if (seen->answering || seen->sampled)
		observe_listen(line);
	if (seen->identity)
		observe_card(line);
	else if (!seen->sampled)
		line->seen = NULL;
}

weft_inline bool pipeline_own_probe(const struct pipeline *line)
{
	return line->seen && line->seen->probe;
}

// Is it a probe? Then the verdict is one for probes.
weft_inline bool pipeline_probe(struct pipeline *line)
{
	if (!probe_suspect(line->key) || !PROBE(line))
		return false;
	PROBE_JUDGE(line, pipeline_own_probe(line));
	return true;
}

// Does a guest answer weftd? It may say so in no network but those of its port.
weft_inline bool pipeline_answer(struct pipeline *line)
{
	return line->verdict->reason == WEFT_DROP_not_routed && probe_answer_suspect(line->key) &&
	       PROBE_ANSWER(line);
}

// What never becomes a packet of a port: outer headers that are wrong or from nobody.
weft_inline void pipeline_reject(
	struct tables *tables, u32 port, enum weft_drop drop, struct weft_record *record)
{
	account_drop(tables, port, drop);
	if (record) {
		record->action = WEFT_ACTION_drop;
		record->reason = drop;
	}
}

// False: the hook does not take it; no table and no byte has changed.
weft_inline bool pipeline_run(struct pipeline *line, u32 in_port, struct weft_record *record)
{
	struct weft_verdict *v = line->verdict;
	u32 length = packet_length(line->packet);
	pipeline_decide(line, in_port);
	if (line->seen)
		pipeline_observe(line);
	bool probe = pipeline_probe(line), answer = pipeline_answer(line);
	if (answer && line->seen)
		line->seen->sampled = false; // weftd has asked: it is nobody's traffic
	u32 action = v->action;
	bool too_big = pipeline_too_big(line);
	if (too_big) {
		// A flooded frame's destination is elsewhere: an answer would teach a peer
		// otherwise. And the port has sent no probe.
		bool stranger = v->action == WEFT_ACTION_flood && v->flags & WEFT_VERDICT_FROM_PEER;
		v->reply = stranger || probe ? WEFT_REPLY_none : refuse_too_big(line->key);
		v->reply_mac = line->key->dst; // as if the destination had said it
		action = v->reply ? WEFT_ACTION_reply : WEFT_ACTION_drop;
	}
	u32 lost = too_big ? WEFT_DROP_too_big : 0;
	if (action == WEFT_ACTION_reply && !lost)
		lost = v->reason;
	bool applies = hook_takes(line, action);
	if (record) {
		record->verdict = *v;
		record->passed = !applies;
	}
	if (!applies)
		return false;

	length -= packet_tag_bytes(line->layout);
	if (!pipeline_own_probe(line))
		account_rx(line->tables, in_port, length);
	if (v->effects)
		COMMIT(line);
	enum weft_drop drop = lost;
	if (drop)
		pipeline_refuse(line, record);
	else if (answer || (probe && v->action == WEFT_ACTION_forward))
		probe_take(line);
	else
		drop = pipeline_change(line, length);
	if (line->seen)
		observe_out(line, drop);
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
