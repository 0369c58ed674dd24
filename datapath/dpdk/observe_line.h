// SPDX-License-Identifier: BSD-2-Clause
// Observation of one frame: what pipeline.h asks of a hook, and which frames of a burst it is.
#pragma once

#include "datapath/dpdk/line.h"
#include "datapath/dpdk/taken.h"

// Frames until the next sample: at random, around 2^32 / below, or a pattern could hide.
weft_inline u32 observe_next(struct dpdk_worker *worker, u32 below)
{
	u64 mean = below ? (1ull << 32) / below : 0;
	worker->random = worker->random * 1664525 + 1013904223;
	return mean > 1 ? 1 + (u32)((u64)worker->random * (2 * mean - 1) >> 32) : 1;
}

static __attribute__((noinline)) u32 observe_choose(
	struct dpdk_worker *worker, struct dpdk_port *port, u32 below, bool all, u32 count)
{
	u32 chosen = 0, at = port->sample_in;
	if (!at) // the port is new, or was not sampled before
		at = observe_next(worker, below);
	for (; below && at <= count; at += observe_next(worker, below))
		chosen |= WEFT_BIT(at - 1);
	port->sample_in = at > count ? at - count : 0;
	worker_now(worker); // all stamps of the burst are by one setting of the clock
	worker->observe.sampled = chosen;
	return all ? ~0u >> (32 - count) : chosen;
}

// Bits of the frames that are looked at more closely.
weft_inline u32 observe_burst(struct dpdk_worker *worker, struct dpdk_port *port, u32 count)
{
	const struct weft_host_row *host = worker->host;
	const struct weft_port_row *row = &worker->ports[port->id];
	u32 below = port->id ? row->sample_below : host->sample_below;
	bool all = unlikely(host->trace_until_ns != 0) &&
		   (s64)(host->trace_until_ns - worker->now_ns) > 0;
	all |= below &&
	       guest_owes(&worker->guests[port->id]); // the guest's answer may be among them
	if (unlikely(below != port->sample_below)) {
		port->sample_below = below;
		port->sample_in = 0;
	}
	if (likely(!all && (!below || port->sample_in > count))) {
		port->sample_in -= below ? count : port->sample_in;
		return 0;
	}
	return count ? observe_choose(worker, port, below, all, count) : 0;
}

// When the frame left the VM or came in: as the kernel says, or when weft began to look. Between
// that and its finding the frame the core may be taken away.
static u64 observe_in_ns(const struct dpdk_line *line, const struct dpdk_port *port)
{
	struct dpdk_worker *worker = line->worker;
	if (!port->stamped)
		return worker_time(worker, worker->polled_tsc);
	u64 stamp_ns = *taken_stamp(line->packet.frame) - worker->clock.behind_ns;
	u64 now_ns = worker_time(worker, rte_rdtsc());
	return (s64)(now_ns - stamp_ns) > 0 ? stamp_ns : now_ns; // no point is later than the next
}

static struct observation *observe_frame(
	struct dpdk_line *line, const struct dpdk_port *port, u32 index)
{
	struct dpdk_worker *worker = line->worker;
	const struct weft_host_row *host = worker->host;
	struct observed *observed = &worker->observe.packets[worker->observe.count++];
	bool tracing = (s64)(host->trace_until_ns - worker->now_ns) > 0;
	bool sampled = worker->observe.sampled >> index & 1;
	observed->frame = NULL;
	observed->told = false;
	bool answering = guest_owes(&worker->guests[line->in_port]);
	observe_in(&worker->tables, &observed->seen,
		(sampled ? OBSERVE_SAMPLED : 0) | (tracing ? OBSERVE_TRACING : 0) |
			(answering ? OBSERVE_ANSWERING : 0),
		observe_in_ns(line, port));
	if (port->id != line->in_port)
		observed->seen.flags = WEFT_POSTCARD_OWN;
	return &observed->seen;
}

weft_inline struct observed *observed_of(struct observation *seen)
{
	return (struct observed *)seen;
}

static u64 observe_identity(struct pipeline *line)
{
	return packet_identity(line->packet, line->key, line->layout, line->seen->identity_key);
}

static void observe_listen(struct pipeline *line)
{
	guest_listen(
		line->tables, line->packet, line->key, line->layout, line->verdict, line->seen);
}

static void observe_card(struct pipeline *line)
{
	struct weft_postcard *card = &line->seen->card;
	card->bytes = line->packet->length;
	card->tci = card->tagged = 0;
	card->captured = RTE_MIN(line->packet->window, (u32)WEFT_POSTCARD_FRAME);
	memcpy(card->frame, line->packet->bytes, card->captured);
	if (frame_is_super(line->packet->frame))
		line->seen->flags |= WEFT_POSTCARD_SUPER;
}

// Of a frame cut into several, the first counts; of a flood, the last copy of the first list.
static void observe_staged(struct pipeline *line, u32 slot, struct rte_mbuf *frame)
{
	struct observed *observed = observed_of(line->seen);
	if (observed->told || (observed->frame && line->verdict->action != WEFT_ACTION_flood))
		return;
	observed->frame = frame;
	observed->slot = slot;
	observed->from = line->key->in_port;
	observed->to = observe_to(line->key, line->verdict);
	if (line->verdict->action == WEFT_ACTION_encap)
		line->seen->flags |= WEFT_POSTCARD_OWN;
	observe_write(line->seen, line->key, line->verdict, WEFT_DROP_none, 0);
}

static void probe_take(struct pipeline *line)
{
	struct dpdk_worker *worker = line_of(line)->worker;
	struct observation unseen, *seen = line->seen;
	if (worker->result)
		return;
	if (!seen || !seen->identity) { // not traced; of a probe there is no sample
		observe_in(&worker->tables, &unseen, 0, 0);
		unseen.decided_ns = OBSERVE_NOW(line);
		unseen.identity = 1;
		line->seen = &unseen;
		observe_card(line);
	}
	line->seen->flags |= WEFT_POSTCARD_PROBE;
	observe_write(line->seen, line->key, line->verdict, WEFT_DROP_none, OBSERVE_NOW(line));
	observe_post(worker, &line->seen->card);
	line->seen = seen;
}

// What was staged is told when it leaves.
static void observe_out(struct pipeline *line, enum weft_drop drop)
{
	if (!drop || !line->seen->identity)
		return;
	observe_write(line->seen, line->key, line->verdict, drop, OBSERVE_NOW(line));
	observe_post(line_of(line)->worker, &line->seen->card);
}
