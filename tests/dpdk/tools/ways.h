// SPDX-License-Identifier: BSD-2-Clause
// ways.h - send and receive in bursts between two guests, and teach the switch before where they
// live
#pragma once

#include <rte_cycles.h>

#include "frames.h"

#define DRAIN_MS     20
#define PATH_SECONDS 15

/* A direction in which frames go. */
struct way {
	struct frames *frames;
	uint16_t from, to;
	uint16_t first, count; /* what of the burst waits still */
	struct rte_mbuf *burst[BURST];
	uint64_t sent, received;
};

static struct frames frames[PORTS];

static inline uint64_t cycles_of_ms(uint64_t ms)
{
	return rte_get_tsc_hz() / 1000 * ms;
}

/* --- sending and receiving --- */

static inline struct way way_new(int from)
{
	return (struct way){.frames = &frames[from], .from = (uint16_t)from, .to = (uint16_t)!from};
}

/* Send what waits, and if nothing does, a new burst. */
static inline uint16_t way_send(struct way *way)
{
	uint16_t sent;

	if (!way->count) {
		way->first = 0;
		way->count = frames_take(way->frames, way->burst, BURST);
	}
	sent = rte_eth_tx_burst(way->from, 0, way->burst + way->first, way->count);
	way->first += sent;
	way->count -= sent;
	way->sent += sent;
	return sent;
}

/* Frames of another length are the switch's own. The bytes are not looked at: they are in the other
 * core. */
static inline uint16_t way_receive(struct way *way)
{
	struct rte_mbuf *burst[BURST];
	uint16_t got = rte_eth_rx_burst(way->to, 0, burst, BURST), i;
	uint32_t bytes = way->frames->size + frames[way->to].outer;

	for (i = 0; i < got; i++)
		way->received += burst[i]->pkt_len == bytes;
	if (got)
		rte_pktmbuf_free_bulk(burst, got);
	return got;
}

static inline void way_end(struct way *way)
{
	rte_pktmbuf_free_bulk(way->burst + way->first, way->count);
	way->count = 0;
}

static inline bool send_one(int from, uint64_t stamp)
{
	struct rte_mbuf *mbuf;

	if (!frames_take(&frames[from], &mbuf, 1))
		return false;
	frame_stamp(&frames[from], mbuf, stamp);
	if (rte_eth_tx_burst((uint16_t)from, 0, &mbuf, 1))
		return true;
	rte_pktmbuf_free(mbuf);
	return false;
}

/* Receive until a frame of ours with this stamp is there. */
static inline bool receive_one(int at, uint64_t stamp, uint64_t deadline)
{
	struct rte_mbuf *mbuf;
	uint64_t seen;
	bool found;

	do {
		if (!rte_eth_rx_burst((uint16_t)at, 0, &mbuf, 1))
			continue;
		found = frame_read(&frames[at], mbuf, &seen) && seen == stamp;
		rte_pktmbuf_free(mbuf);
		if (found)
			return true;
	} while (rte_rdtsc() < deadline);
	return false;
}

/* What is still under way arrives: it counts for the loss, not for the rate. */
static inline void drain(struct way *ways)
{
	uint64_t quiet = rte_rdtsc();

	while (rte_rdtsc() - quiet < cycles_of_ms(DRAIN_MS))
		if (way_receive(&ways[0]) + way_receive(&ways[1]))
			quiet = rte_rdtsc();
}

/* --- before a run: the switch is up, and knows where each MAC lives --- */

static inline void wait_for_path(int from)
{
	uint64_t deadline = rte_rdtsc() + PATH_SECONDS * rte_get_tsc_hz(), stamp;

	do {
		if (rte_rdtsc() > deadline)
			errx(EXIT_UNMET, "no frame gets from %c to %c", "AB"[from], "BA"[from]);
		stamp = rte_rdtsc();
	} while (!send_one(from, stamp) ||
		 !receive_one(!from, stamp, rte_rdtsc() + cycles_of_ms(10)));
}

/* A frame from each MAC of A, slowly enough for a switch that learns beside its fast path. */
static inline void teach_macs(void)
{
	struct way ways[PORTS] = {way_new(0), way_new(1)};
	uint64_t sent = 0;

	while (sent < frames[0].macs) {
		sent += way_send(&ways[0]);
		way_receive(&ways[0]);
		way_receive(&ways[1]);
		rte_delay_us(BURST);
	}
	way_end(&ways[0]);
	drain(ways);
}

/* service: what A sends is for one, and B serves it. */
static inline void teach(uint16_t size, uint32_t flows, uint32_t macs, bool service)
{
	struct way ways[PORTS] = {way_new(0), way_new(1)};
	int from;

	for (from = 0; from < PORTS; from++)
		frames_build(&frames[from], from, &frames_end[!from], size, 1, macs);
	wait_for_path(0);
	wait_for_path(1);
	if (macs > 1)
		teach_macs();
	for (from = 0; from < PORTS; from++)
		frames_build(&frames[from], from,
			service && !from ? &frames_service : &frames_end[!from], size, flows, macs);
	drain(ways);
}
