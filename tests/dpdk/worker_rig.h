// SPDX-License-Identifier: BSD-2-Clause
// An engine whose ports are no devices: frames come from memory, and what is sent is counted.
#pragma once

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "datapath/dpdk/attach.h"
#include "datapath/dpdk/eal.h"

extern const struct engine_ops *const engine_dpdk;

enum { RIG_FROM = 1, RIG_TO = 2, RIG_NETWORK = 1, RIG_PORTS = 64, RIG_FRAME_MOST = 2048 };

static struct {
	struct engine *engine;
	u64 sent[RIG_PORTS];
	u8 kept[RIG_FRAME_MOST]; // the frame that was sent last, if kept_bytes was 0
	u32 kept_bytes;
	// Fills in a burst; NULL: nothing comes.
	u32 (*source[RIG_PORTS])(struct rte_mbuf **out, u32 capacity);
} rig;

static inline int rig_open(
	struct dpdk_port *port, const struct engine_port *config, const char **why)
{
	(void)port, (void)config, (void)why;
	return 0;
}

static inline void rig_close(struct dpdk_port *port)
{
	(void)port;
}

static inline u32 rig_rx(struct dpdk_port *port, u32 queue, struct rte_mbuf **out, u32 capacity)
{
	(void)queue;
	return rig.source[port->id] ? rig.source[port->id](out, capacity) : 0;
}

static inline u32 rig_tx(struct dpdk_port *port, u32 queue, struct rte_mbuf **out, u32 count)
{
	(void)queue;
	if (!rig.kept_bytes && count) {
		rig.kept_bytes = RTE_MIN(out[count - 1]->pkt_len, (u32)RIG_FRAME_MOST);
		const void *at = rte_pktmbuf_read(out[count - 1], 0, rig.kept_bytes, rig.kept);
		if (at != rig.kept)
			memcpy(rig.kept, at, rig.kept_bytes);
	}
	rte_pktmbuf_free_bulk(out, count);
	rig.sent[port->id] += count;
	return count;
}

static inline bool rig_arm(struct dpdk_port *port, u32 queue, bool on)
{
	(void)queue;
	return on && rig.source[port->id];
}

static inline void rig_state(struct dpdk_port *port, struct engine_port_state *out)
{
	(void)port, (void)out;
}

static const struct dpdk_driver rig_driver = {
	"rig", rig_open, rig_close, rig_rx, rig_tx, rig_arm, rig_state};

static inline struct dpdk_port *rig_port(u32 id)
{
	struct dpdk_port *port = aligned_alloc(64, (sizeof(*port) + 63) & ~63ul);
	struct dpdk_queue *queues = calloc(DPDK_QUEUES, sizeof(*queues));
	if (!port || !queues)
		errx(1, "out of memory");
	*port = (struct dpdk_port){.id = id,
		.slot = id,
		.engine = rig.engine,
		.driver = &rig_driver,
		.pool = eal_pool(),
		.rx_queues = 1,
		.tx_queues = 1};
	for (u32 i = 0; i < DPDK_QUEUES; i++) {
		port->wake_fd[i] = -1;
		queues[i] = (struct dpdk_queue){.port = port, .index = i};
	}
	rig.engine->queues[id] = queues;
	rig.engine->ports[id] = port;
	return port;
}

static inline void rig_put(enum weft_table table, const void *key, const void *row)
{
	if (engine_dpdk->table_put(rig.engine, table, key, row))
		errx(1, "cannot put a row");
}

static inline void rig_put_port(u32 id, u32 flags)
{
	struct weft_port_row row = {
		.flags = WEFT_PORT_PRESENT | flags, .network = RIG_NETWORK, .mac_limit = 1000};
	rig_put(WEFT_TABLE_port, &(struct weft_index){id}, &row);
}

static inline void rig_put_place(u32 mac, u32 port)
{
	struct weft_fdb_key key = {.network = RIG_NETWORK,
		.mac = {{2, 0, 0, (u8)(mac >> 16), (u8)(mac >> 8), (u8)mac}}};
	struct weft_fdb_row row = {.port = port, .kind = WEFT_FDB_STATIC};
	rig_put(WEFT_TABLE_fdb, &key, &row);
}

// One network with two ports, no station known.
static inline void rig_start(const struct engine_config *config)
{
	struct weft_network_row network = {.flags = WEFT_NETWORK_PRESENT | WEFT_NETWORK_OWN,
		.mtu = 1500,
		.ageing_ns = 300000000000ull,
		.mac_limit = 1000,
		.vni = 100};
	const char *why = "";
	if (engine_dpdk->start(&rig.engine, config, &why))
		errx(1, "the engine does not start: %s", why);
	rig_port(RIG_FROM);
	rig_port(RIG_TO);
	rig_put(WEFT_TABLE_network, &(struct weft_index){RIG_NETWORK}, &network);
	rig_put_port(RIG_FROM, 0);
	rig_put_port(RIG_TO, 0);
}

static inline void rig_stop(void)
{
	engine_dpdk->stop(rig.engine);
	memset(&rig, 0, sizeof(rig));
}

// UDP over IPv4, from station 1 to station `to`; flow: 32 bits of addresses and ports.
static inline void rig_frame(u8 *at, u32 bytes, u32 to, u32 flow)
{
	static const u8 head[42] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0,
		0x40, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2};
	u32 ip = bytes - 14, udp = ip - 20;
	memcpy(at, head, sizeof(head));
	at[3] = (u8)(to >> 16), at[4] = (u8)(to >> 8), at[5] = (u8)to;
	at[16] = (u8)(ip >> 8), at[17] = (u8)ip;
	at[27] = (u8)(flow >> 28), at[28] = (u8)(flow >> 20); // beyond 2^20: other addresses
	at[34] = (u8)(flow >> 8), at[35] = (u8)flow;
	at[36] = (u8)(flow >> 16), at[37] = 80;
	at[38] = (u8)(udp >> 8), at[39] = (u8)udp;
}

static inline struct rte_mbuf *rig_mbuf(const u8 *bytes, u32 length)
{
	struct rte_mbuf *frame = rte_pktmbuf_alloc(eal_pool());
	if (!frame)
		errx(1, "no frames left");
	memcpy(rte_pktmbuf_append(frame, (u16)length), bytes, length);
	return frame;
}

static inline u64 rig_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}
