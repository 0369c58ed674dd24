// SPDX-License-Identifier: BSD-2-Clause
// The pipeline bound to mbufs and to native tables that many workers share. Tags stand in the
// bytes.
#pragma once

#include <rte_mbuf.h>
#include <weft/wire.h>
#include "datapath/dpdk/dpdk.h"

struct packet {
	struct rte_mbuf *frame; // NULL: handed over, and its bytes with it
	const u8 *bytes;
	u32 length; // of the whole frame
	u32 window; // bytes of the first segment, at most WEFT_PARSE_BYTES
};

weft_inline void packet_open(struct packet *p, struct rte_mbuf *frame)
{
	p->frame = frame;
	p->bytes = rte_pktmbuf_mtod(frame, const u8 *);
	p->length = frame->pkt_len;
	p->window = RTE_MIN((u32)frame->data_len, (u32)WEFT_PARSE_BYTES);
}

weft_inline const void *packet_at(const struct packet *p, u32 offset, u32 bytes)
{
	return offset + bytes <= p->window ? p->bytes + offset : NULL;
}

weft_inline u32 packet_length(const struct packet *p)
{
	return p->length;
}

weft_inline bool packet_tag(const struct packet *p, u16 *tpid, u16 *tci)
{
	(void)p, (void)tpid, (void)tci;
	return false;
}

weft_inline bool packet_word(const struct packet *p, u32 at, u64 *word)
{
	if (at + sizeof(*word) > p->window)
		return false;
	memcpy(word, p->bytes + at, sizeof(*word));
	return true;
}

#define OBSERVE_NOW(line)    line_now(line)
#define PARSE(line, in_port) parse((line)->packet, (in_port), (line)->key, (line)->layout)
#define DECIDE(line)         line_decide(line)
#define COMMIT(line)         line_commit(line)
#define BALANCE(line)        line_balance(line)
#define REWRITE(line, bytes) \
	packet_rewrite((line)->packet, (line)->tables, (line)->key, (line)->layout, \
		(line)->rewrite, (bytes))
#define PROBE(line)            line_probe(line)
#define PROBE_JUDGE(line, own) probe_judge((line)->verdict, (own))
#define PROBE_ANSWER(line)     probe_answer((line)->tables, (line)->key->in_port)

struct pipeline;
static u64 line_now(struct pipeline *line);
static void line_decide(struct pipeline *line);
static void line_commit(struct pipeline *line);
static struct balance *line_balance(struct pipeline *line);
static bool line_probe(struct pipeline *line);

#include "datapath/pipeline/flow.h"
#include "datapath/pipeline/pipeline.h"
#include "datapath/pipeline/flow_rewrite.h"

struct dpdk_line { // one frame of a burst
	struct pipeline line;
	struct packet packet;
	struct dpdk_worker *worker;
	u32 in_port;
	struct flow_key flow;
	const u8 *ip6;          // the frame's addresses, if it is IPv6
	struct flow_set *set;   // NULL: not a regular frame
	struct flow_slot *slot; // where its head is, or its flow if that is asked for; or would be
	u16 signature;
	bool deep; // its flow is
	bool hit;
};

static void observe_staged(struct pipeline *line, u32 slot, struct rte_mbuf *frame);

weft_inline struct dpdk_line *line_of(struct pipeline *line)
{
	return (struct dpdk_line *)line;
}

static u64 line_now(struct pipeline *line)
{
	return worker_time(line_of(line)->worker, rte_rdtsc());
}

weft_inline u8 line_flow(struct pipeline *line)
{
	return line_of(line)->set ? flow_spread(&line_of(line)->flow) : 0;
}

weft_inline u64 line_generation(const struct dpdk_worker *worker, u32 index)
{
	return __atomic_load_n(&worker->generations[index].value, __ATOMIC_ACQUIRE);
}

static struct balance *line_balance(struct pipeline *line)
{
	return &line_of(line)->worker->balance;
}

static __attribute__((noinline)) void line_decide(struct pipeline *line)
{
	decide(line->key, line->tables, line->now_ns, line->verdict, line_balance(line));
}

// Time stamps are stores to rows that are there; all else has the tables to itself.
static __attribute__((noinline)) void line_commit(struct pipeline *line)
{
	rte_spinlock_t *lock = &line_of(line)->worker->engine->write_lock;
	bool alone = line->verdict->effects & ~(WEFT_EFFECT_stamps | WEFT_EFFECT_suppress);
	if (alone)
		rte_spinlock_lock(lock);
	commit(line->tables, line->key, line->verdict, line_balance(line), line->now_ns);
	if (alone)
		rte_spinlock_unlock(lock);
}

static __attribute__((noinline)) bool line_probe(struct pipeline *line)
{
	return probe_valid(line->packet, line->tables, line->layout);
}

// --- the looks at a frame: what is wanted next is asked for before others are looked at

// Wants the signatures of the key's set.
weft_inline void line_seek(struct dpdk_line *line, const struct flow_key *key)
{
	u64 hash = flow_hash(key);
	line->set = flow_set_of(&line->worker->flows, hash);
	line->signature = flow_signature(hash);
	rte_prefetch0(line->set);
}

// The frame itself.
weft_inline void line_open(struct dpdk_line *line, struct dpdk_worker *worker, u32 in_port, u32 vni,
	struct rte_mbuf *frame)
{
	packet_open(&line->packet, frame);
	line->worker = worker;
	line->in_port = in_port;
	line->line.vni = vni;
	line->hit = false;
	line->deep = false;
	line->set = NULL;
	struct flow_frame f = {
		.bytes = line->packet.bytes,
		.readable = line->packet.window,
		.length = line->packet.length,
	};
	if (unlikely(!flow_read(&f, in_port, vni, &line->flow)))
		return;
	line->ip6 = f.ip6;
	line->deep = worker->dives_first;
	struct flow_key head = flow_head(&line->flow);
	line_seek(line, line->deep ? &line->flow : &head);
}

// The set; wants the slot.
weft_inline void line_locate(struct dpdk_line *line)
{
	if (unlikely(!line->set))
		return;
	line->slot = flow_slot_of(&line->worker->flows, line->set, line->signature);
	rte_prefetch0(line->slot);
	if (line->deep) // most often a service's
		rte_prefetch0(flow_rewrite_of(line->slot));
}

// The head's slot: if it sends on, wants the set of the flow. The worker looks for such ahead in
// its next burst.
weft_inline void line_dive(struct dpdk_line *line)
{
	if (!line->set || line->deep || line->slot->action != FLOW_DEEP)
		return;
	struct flow_key head = flow_head(&line->flow);
	if (!flow_equal(line->slot, &head))
		return;
	line->deep = true;
	line->worker->dives = true;
	line_seek(line, &line->flow);
}

weft_inline bool line_equal(const struct dpdk_line *line)
{
	struct flow_key head = flow_head(&line->flow);
	if (likely(!line->deep))
		return flow_equal(line->slot, &head);
	const struct flow_ip6 *ip6 = flow_ip6_of(&line->worker->flows, line->slot);
	return flow_equal(line->slot, &line->flow) &&
	       (!(line->flow.rest & FLOW_IP6) || flow_ip6_equal(ip6->word, line->ip6));
}

weft_inline bool line_holds(const struct dpdk_line *line, u32 configuration, u32 now)
{
	const struct flow_slot *slot = line->slot;
	return line_equal(line) && slot->configuration == configuration &&
	       now - slot->decided <= flow_life(slot) &&
	       slot->network_generation == (u32)line_generation(line->worker, slot->network);
}

// The flow was asked for first, and is not known: then the head is.
static __attribute__((noinline)) void line_surface(struct dpdk_line *line)
{
	struct flow_key head = flow_head(&line->flow);
	line->deep = false;
	line_seek(line, &head);
	line_locate(line);
}

// The slot. configuration: the generation, from before the burst was decided.
weft_inline void line_match(struct dpdk_line *line, u32 configuration, u32 now)
{
	if (unlikely(!line->set))
		return;
	if (line->deep && line->worker->dives_first) {
		line->hit = line_holds(line, configuration, now);
		if (likely(line->hit))
			return;
		line_surface(line);
	}
	if (unlikely(line->slot->action == FLOW_DEEP)) {
		line_dive(line);
		line_locate(line);
	}
	line->hit = line_holds(line, configuration, now);
}

// --- what pipeline.h asks of a cache

weft_inline bool flow_find(struct pipeline *line)
{
	const struct dpdk_line *l = line_of(line);
	struct weft_verdict *v = line->verdict;
	line->configuration = line_generation(l->worker, 0);
	if (!l->hit)
		return false;
	struct weft_index index = {l->slot->network};
	const struct weft_network_row *network = TABLE_GET(line->tables, network, &index);
	v->action = l->slot->action & ~FLOW_REWRITE;
	if (l->slot->action & FLOW_REWRITE) {
		v->flags |= WEFT_VERDICT_REWRITE;
		line->rewrite = &flow_rewrite_of(l->slot)->to;
	}
	v->network = l->slot->network;
	v->port = l->slot->port;
	v->tag = (u16)l->slot->tag;
	v->max_bytes = l->slot->max_bytes;
	v->vni = network->vni;
	return true;
}

// Generations are those from before decide: a change in between leaves a stale slot, never a wrong
// one.
weft_inline void flow_keep(struct pipeline *line)
{
	const struct dpdk_line *l = line_of(line);
	const struct flow_table *flows = &l->worker->flows;
	const struct weft_verdict *v = line->verdict;
	struct flow_slot row = {
		.port = v->port,
		.network = v->network,
		.configuration = (u32)line->configuration,
		.network_generation = (u32)v->generation,
		.decided = flow_time(line->now_ns),
		.tag = v->tag,
		.max_bytes = (u16)v->max_bytes,
		.action = FLOW_DEEP,
	};
	if (!l->set)
		return;
	struct flow_key key = flow_head(&l->flow);
	if (flow_is_deep(v)) {
		flow_store(flows, &key, &row, NULL);
		key = l->flow;
	}
	bool rewrite = v->flags & WEFT_VERDICT_REWRITE;
	row.action = (u16)(v->action | (rewrite ? FLOW_REWRITE : 0));
	// What is changed is worked out for the flow alone.
	if (!flow_cacheable(line->key) || !flow_keepable(v) || v->max_bytes > UINT16_MAX ||
		(rewrite && !flow_is_deep(v))) {
		flow_forget(flows, &key);
		return;
	}
	struct flow_slot *slot = flow_store(flows, &key, &row, l->ip6);
	if (rewrite)
		flow_work_out(flow_rewrite_of(slot), line->key, line->rewrite);
}
