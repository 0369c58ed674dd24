// SPDX-License-Identifier: BSD-2-Clause
// What the files of the DPDK engine share: the engine and its workers.
#pragma once

#include <pthread.h>
#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>
#include <sys/epoll.h>
#include "datapath/dpdk/cores.h"
#include "datapath/dpdk/cpu.h"
#include "datapath/dpdk/flow.h"
#include "datapath/dpdk/observe.h"
#include "datapath/dpdk/port.h"
#include "datapath/pipeline/balance.h"
#include "datapath/table.h"

enum { DPDK_FLOW_SLOTS = 1 << 18, DPDK_SPIN_US = 50 };
enum { DPDK_WIRES = ENGINE_UNDERLAYS };
enum { DPDK_EVENTS = 32 }; // that a worker hears of at once

// A queue of a port, as its worker sees it.
struct dpdk_queue {
	struct dpdk_port *port;
	u32 index;
	u64 empty_since_ns;   // polled in vain since then; 0: it was not
	bool armed;           // its descriptor wakes the worker; else it is polled
	bool woken;           // by it just now; it is still to be put aside
	u64 owed;             // cycles it has had beyond its turn
	u64 packets, busy_ns; // received here, and what they cost (sampled, scaled up)
};

// What a worker polls. weftd's thread publishes a new list; the old one goes after a grace period.
struct dpdk_poll_list {
	u32 count;
	struct dpdk_queue *queue[]; // owned by the engine; state changed by the worker alone
};

// Frames that wait for the end of the burst, by out-port.
struct dpdk_out {
	u32 count;
	bool listed;         // among worker->pending
	u8 flow[DPDK_BURST]; // of each frame: for ports with several queues
	struct rte_mbuf *frame[DPDK_BURST];
};

struct dpdk_clock { // time stamp counter -> CLOCK_MONOTONIC
	u64 tsc, ns;
	double ns_per_cycle;
	u64 behind_ns; // CLOCK_REALTIME less it
	u64 period_ns; // until it is set again
	bool calm;     // undisturbed when it was set
};

struct dpdk_worker {
	struct engine *engine;
	u32 index;
	struct tables tables; // the engine's, but for counters: those are this worker's own
	struct flow_table flows;
	struct weft_key key; // these four: of the frame that is run
	struct weft_layout layout;
	struct weft_verdict verdict;
	struct balance balance;
	bool dives;                         // verdicts of single flows were met in the last burst,
	bool dives_first;                   // and of little else: flows are asked for first
	struct weft_port_count_row *counts; // rows of tables: they are asked for with every frame
	struct weft_generation_row *generations;
	const struct weft_port_row *ports;
	const struct weft_host_row *host;
	const struct weft_guest_row *guests;
	struct dpdk_out *out; // by port slot
	u32 *pending;         // slots with frames
	u32 pending_count;
	u32 copies;                   // mbufs of floods among them, at most
	struct engine_result *result; // injecting: frames go here instead
	struct dpdk_clock clock;
	u64 now_ns;
	struct weft_ip sender; // of the burst's last frame from a peer,
	u32 sender_peer;       // and that peer; 0: none yet

	pthread_t thread;
	bool started;
	bool stop;
	struct dpdk_poll_list *list;
	int epoll_fd, wake_fd; // wake_fd: an eventfd, for weftd
	struct engine_cpu cpu; // but for what cpu.h knows
	struct cpu_wake wake;
	u64 turn;        // cycles of a queue's turn
	u32 sample_in;   // bursts until one is timed
	u64 decided_tsc; // of a burst that is timed: before it is sent; else 0
	u64 polled_tsc;  // before the last receive
	struct observe observe;
	u32 random;
	u32 rounds;      // since descriptors were looked at
	u64 peeked_ns;   // when that was
	int event_count; // of the last wake-up, not yet settled; -1: none
	struct epoll_event events[DPDK_EVENTS];
};

struct engine {
	struct tables tables;
	struct keep *keep;         // the memory of the dynamic ones; NULL: they go with weftd
	char *keep_dir;            // NULL: not configured
	rte_spinlock_t write_lock; // of tables
	struct rte_rcu_qsbr *rcu;  // reader ids: worker indices
	bool walking;              // nothing is reclaimed now
	u64 grace;                 // token of the running grace period
	bool retiring;
	struct dpdk_port **ports;   // by slot: port ids, underlay devices without a port, wires
	struct dpdk_queue **queues; // of each slot: DPDK_QUEUES
	u32 port_capacity, slots;
	u32 underlay[ENGINE_UNDERLAYS];                // their slots; 0: none
	struct dpdk_worker *workers[DPDK_WORKERS + 1]; // the last: for inject, without a thread
	u32 worker_count;                              // with threads
	u64 spin_ns; // a queue stays hot for so long without a frame
	struct dpdk_cores cores;
	struct engine_overlay overlay;      // as weftd said it last
	int event_fd, queues_fd, events_fd; // events.c: the last for weftd
	struct rte_ring *cards;             // postcards for weftd
	int card_fd;
	u64 cards_lost;
	struct rte_ring *entering; // frames of weftd's own, for the first worker
	u8 *changed;               // by slot: state changed since the last `events`
};

static inline struct dpdk_worker *dpdk_injector(struct engine *engine)
{
	return engine->workers[engine->worker_count];
}

// NULL: nothing is attached there. A worker may use it until its next quiet state.
static inline struct dpdk_port *dpdk_port_at(const struct engine *engine, u32 slot)
{
	return slot < engine->slots ? __atomic_load_n(&engine->ports[slot], __ATOMIC_ACQUIRE)
				    : NULL;
}

// What epoll says of a queue. A number, not a pointer: who wakes up may hold an event of a port
// that is gone by then.
enum { DPDK_EVENT_WAKE = 0 }; // slot 0 is no port: weftd wakes the worker

static inline u64 dpdk_event(u32 slot, u32 queue)
{
	return (u64)slot * DPDK_QUEUES + queue;
}

// NULL: the port is gone.
static inline struct dpdk_queue *dpdk_event_queue(const struct engine *engine, u64 event)
{
	struct dpdk_queue *queues =
		__atomic_load_n(&engine->queues[event / DPDK_QUEUES], __ATOMIC_ACQUIRE);
	return queues ? &queues[event % DPDK_QUEUES] : NULL;
}

// The slot of an underlay device; 0: it is none.
static inline u32 dpdk_underlay_slot(const struct engine *engine, u32 ifindex)
{
	for (u32 i = 0; i < ENGINE_UNDERLAYS && engine->underlay[i]; i++) {
		const struct dpdk_port *port = dpdk_port_at(engine, engine->underlay[i]);
		if (port && port->ifindex == ifindex)
			return engine->underlay[i];
	}
	return 0;
}

// worker.c
struct dpdk_worker *worker_new(struct engine *engine, u32 index, u32 flow_slots);
int worker_start(struct dpdk_worker *worker, const cpu_set_t *cpus); // NULL: any
void worker_free(struct dpdk_worker *worker);                        // ends its thread first
void worker_wake(struct dpdk_worker *worker);

// clock.c: CLOCK_MONOTONIC.
u64 worker_now(struct dpdk_worker *worker);
u64 worker_time(const struct dpdk_worker *worker, u64 tsc); // of a moment not long ago

// burst.c: frames of one port in, frames out. worker_burst consumes the frames.
void worker_burst(
	struct dpdk_worker *worker, struct dpdk_port *port, struct rte_mbuf **frames, u32 count);
void worker_flush(struct dpdk_worker *worker);
// What waits in engine->entering; returns how many frames it was.
u32 worker_enter(struct dpdk_worker *worker);
// One frame as if it had come in by the port (0: by an underlay); what leaves goes to
// worker->result.
void worker_inject(struct dpdk_worker *worker, u32 port, struct rte_mbuf *frame);

// shared.c: tables that workers read while weftd writes.
int shared_put(struct engine *engine, enum weft_table table, const void *key, const void *row);
int shared_get(struct engine *engine, enum weft_table table, const void *key, void *row);
int shared_del(struct engine *engine, enum weft_table table, const void *key, void *row);
int shared_expire(struct engine *engine, enum weft_table table, const void *key, void *row);
int shared_walk(struct engine *engine, enum weft_table table, engine_walk_fn *fn, void *context);
int shared_walk_part(struct engine *engine, enum weft_table table, u32 *cursor, engine_walk_fn *fn,
	void *context);
void *shared_at(struct engine *engine, enum weft_table table, u32 index);
void shared_status(struct engine *engine, enum weft_table table, struct engine_table_status *out);
// Of memory, in all threads.
u64 shared_bytes(enum weft_table table, u32 capacity, u32 workers);
void shared_reclaim(struct engine *engine); // if the grace period is over; begins the next
void shared_wait(struct engine *engine);    // until no worker holds what was there before
// Counts frames that were dropped at a port. Any thread.
void shared_lost(struct engine *engine, u32 slot, enum weft_drop reason, u32 frames);
