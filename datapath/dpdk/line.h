// SPDX-License-Identifier: BSD-2-Clause
// The pipeline bound to mbufs and to native tables that many workers share. Tags stand in the
// bytes.
#pragma once

#include <rte_mbuf.h>
#include <weft/wire.h>
#include "datapath/dpdk/dpdk.h"

struct packet {
	struct rte_mbuf *frame; // NULL: handed over; bytes stay what they were until the burst ends
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

#define TABLE_GET(tables, name, key)          table_get((tables)->name, (key))
#define TABLE_ROW(tables, name, key)          table_get((tables)->name, (key))
#define TABLE_INSERT(tables, name, key, row)  table_insert((tables)->name, (key), (row))
#define TABLE_REPLACE(tables, name, key, row) table_replace((tables)->name, (key), (row))

// A burst is parsed as a whole before the first frame is decided.
struct pipeline;
static enum weft_drop line_parsed(const struct pipeline *line, u32 in_port);
static void line_decide(struct pipeline *line);
static void line_commit(struct pipeline *line);
static struct flow_slot *line_slot(const struct pipeline *line);
static u64 line_generation(const struct pipeline *line, u32 index);
#define PARSE(line, in_port)          line_parsed(line, in_port)
#define DECIDE(line)                  line_decide(line)
#define COMMIT(line)                  line_commit(line)
#define FLOW_SLOT(line)               line_slot(line)
#define FLOW_GENERATION(line, number) line_generation(line, number)

#include "datapath/pipeline/flow.h"

struct dpdk_line { // one frame of a burst
	struct pipeline line;
	struct packet packet;
	struct dpdk_worker *worker;
	enum weft_drop parsed;
	u32 in_port;
	struct flow_slot *slot;
};

weft_inline struct dpdk_line *line_of(struct pipeline *line)
{
	return (struct dpdk_line *)line;
}

weft_inline enum weft_drop line_parsed(const struct pipeline *line, u32 in_port)
{
	(void)in_port; // it is in the key
	return ((const struct dpdk_line *)line)->parsed;
}

weft_inline struct flow_slot *line_slot(const struct pipeline *line)
{
	return ((const struct dpdk_line *)line)->slot;
}

weft_inline u64 line_generation(const struct pipeline *line, u32 index)
{
	const struct weft_index key = {index};
	const struct weft_generation_row *row = TABLE_GET(line->tables, generation, &key);
	return row ? __atomic_load_n(&row->value, __ATOMIC_ACQUIRE) : 0;
}

static __attribute__((noinline)) void line_decide(struct pipeline *line)
{
	decide(&line->key, line->tables, line->now_ns, &line->verdict);
}

// A refresh is one store to a row; all else has the tables to itself.
static __attribute__((noinline)) void line_commit(struct pipeline *line)
{
	rte_spinlock_t *lock = &line_of(line)->worker->engine->write_lock;
	bool alone = line->verdict.effects & ~(WEFT_EFFECT_refresh | WEFT_EFFECT_suppress);
	if (alone)
		rte_spinlock_lock(lock);
	commit(line->tables, &line->key, &line->verdict, line->now_ns);
	if (alone)
		rte_spinlock_unlock(lock);
}

// Parses, and asks for the cache line that flow_find will want.
weft_inline void line_open(struct dpdk_line *line, struct dpdk_worker *worker, u32 in_port, u32 vni,
	struct rte_mbuf *frame)
{
	packet_open(&line->packet, frame);
	line->worker = worker;
	line->in_port = in_port;
	line->line.packet = &line->packet;
	line->line.tables = &worker->tables;
	line->line.now_ns = worker->now_ns;
	line->line.vni = vni;
	line->parsed = parse(&line->packet, in_port, &line->line.key, &line->line.layout);
	line->line.key.vni = vni;
	line->slot = &worker->flows[flow_hash(&line->line.key) & worker->flow_mask];
	rte_prefetch0(line->slot);
	rte_prefetch0((const u8 *)line->slot + 64);
}
