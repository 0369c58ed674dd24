// SPDX-License-Identifier: BSD-2-Clause
// Observation in a worker: packets that are sampled or traced, from receiving to the guest's
// taking.
#pragma once

#include <rte_mbuf.h>
#include <rte_ring.h>
#include "datapath/dpdk/port.h"
#include "datapath/pipeline/observation.h"

struct dpdk_worker;
struct dpdk_out;
struct engine;
struct tables;

#define OBSERVE_RANDOM()            1u // frames are counted down: observe_line.h
#define OBSERVE_CPU(tables)         observe_cpu(tables)
#define OBSERVE_INSERT(tables, key) observe_insert((tables), (key))
u32 observe_cpu(const struct tables *tables);
void observe_insert(struct tables *tables, const void *key);

enum {
	OBSERVE_FLIGHTS = 256,         // of a worker; one too many, and the oldest is not observed
	OBSERVE_AWAKE_NS = 2000000,    // a worker stays awake for a guest so long
	OBSERVE_SHARE = 32,            // then it looks after another 1/32 of the time so far
	OBSERVE_FLIGHT_NS = 200000000, // and so long; what is taken later is not observed
	OBSERVE_NAMED_NS = 1000000000, // the same of frames with names: the kernel looks
	OBSERVE_LOOK_NS = 5000000,     // and who has nothing else to do asks it so often
	OBSERVE_CARDS = 4096,          // that wait for weftd
};

// A packet of the burst that runs.
struct observed {
	struct observation seen;
	struct rte_mbuf *frame; // that is to leave for it; NULL: none. For comparing only.
	bool told;              // one has left
	u32 slot;               // where it left
	u32 from, to;
	u32 index; // of the frame in the list that is being sent
	u32 queue; // before it is taken modulo the port's
	u64 name;  // 0: none
};

// A frame that a guest has got and not yet taken.
struct observe_flight {
	u32 slot;
	u16 queue;
	u16 mark; // the driver's
	u64 name; // or the frame's
	u32 from, to;
	u64 out_ns;
	u64 identity; // 0: not traced
	bool sampled;
};

struct observe {
	struct observed packets[DPDK_BURST];
	u32 count;
	u32 sampled;         // bits: frames of the burst that are for the histograms
	u32 flying, waiting; // waiting: for a driver to be asked, so the worker stays awake
	u64 look_in_ns;      // while any flies: a worker that sleeps wakes then
	struct observe_flight flights[OBSERVE_FLIGHTS];
};

int observe_open(struct engine *engine);
void observe_close(struct engine *engine);
int observe_card_fd(struct engine *engine);
u64 observe_cards(struct engine *engine,
	void (*fn)(const struct weft_postcard *card, void *context), void *context);

// A traced packet's card is whole.
void observe_post(struct dpdk_worker *worker, const struct weft_postcard *card);
// The list of a slot: before and after it is sent; the last `lost` were not taken.
void observe_leaving(struct dpdk_worker *worker, u32 slot, const struct dpdk_out *out);
void observe_left(struct dpdk_worker *worker, u32 slot, u32 frames, u32 lost);
// Have guests taken what they got? Called once per round while any flies.
void observe_look(struct dpdk_worker *worker);
