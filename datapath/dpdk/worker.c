// SPDX-License-Identifier: BSD-2-Clause
// A worker: a thread that receives, runs bursts, and sleeps when there is nothing to do.
//
// A queue is hot (polled in every round) or armed (its descriptor wakes the worker). Hot queues
// that stay empty are armed one by one; when none is hot the worker sleeps. So idle ports cost
// nothing, however many there are.
//
// Frames differ a hundredfold in cost: a hit, a flood to a thousand members. So queues take turns
// of equal time, not of equal frames (deficit round robin): who has taken more sits out rounds
// until it is paid, while others have frames. Bursts stay whole, and what waits, waits in its ring.
#include <cap-ng.h>
#include <errno.h>
#include <rte_lcore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "datapath/dpdk/dpdk.h"

enum {
	TURN_NS = 2000,   // a burst of hits, about
	TURNS_MOST = 256, // of debt: it may be the kernel that took the core meanwhile
	PEEK_ROUNDS = 64, // busy: armed descriptors are looked at every so many rounds,
	PEEK_NS = 40000,  // but not more often: the system call takes as long as some frames
};

static void worker_tables(struct dpdk_worker *worker)
{
	worker->tables = worker->engine->tables;
#define X(name, table_kind, role, key, row, fallback) \
	if (WEFT_TABLE_##table_kind == WEFT_TABLE_PER_CPU) \
		worker->tables.name = table_new(WEFT_TABLE_##table_kind, sizeof(struct key), \
			sizeof(struct row), table_capacity(worker->engine->tables.name));
	WEFT_TABLES(X)
#undef X
}

struct dpdk_worker *worker_new(struct engine *engine, u32 index, u32 flow_slots)
{
	struct dpdk_worker *worker = aligned_alloc(64, (sizeof(*worker) + 63) & ~63ul);
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = DPDK_EVENT_WAKE};
	if (!worker)
		return NULL;
	memset(worker, 0, sizeof(*worker));
	worker->engine = engine;
	worker->index = index;
	worker->out = calloc(engine->slots, sizeof(*worker->out));
	worker->pending = calloc(engine->slots, sizeof(*worker->pending));
	worker->list = calloc(1, sizeof(*worker->list));
	worker->clock.ns_per_cycle = 1e9 / (double)rte_get_tsc_hz();
	worker->turn = (u64)(TURN_NS / worker->clock.ns_per_cycle);
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker_tables(worker);
	u32 zero = 0;
	worker->counts = table_get(worker->tables.port_count, &zero);
	worker->generations = table_get(worker->tables.generation, &zero);
	worker->ports = table_get(worker->tables.port, &zero);
	worker->host = table_get(worker->tables.host, &zero);
	worker->guests = table_get(worker->tables.guest, &zero);
	if (!flows_new(&worker->flows, flow_slots) || !worker->out || !worker->pending ||
		!worker->list || worker->epoll_fd < 0 || worker->wake_fd < 0 ||
		epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event)) {
		worker_free(worker);
		return NULL;
	}
	return worker;
}

void worker_wake(struct dpdk_worker *worker)
{
	u64 one = 1;
	if (write(worker->wake_fd, &one, sizeof(one)) < 0)
		return; // it is awake: the counter is full
}

void worker_free(struct dpdk_worker *worker)
{
	if (worker->started) {
		__atomic_store_n(&worker->stop, true, __ATOMIC_RELEASE);
		worker_wake(worker);
		pthread_join(worker->thread, NULL);
	}
#define X(name, table_kind, role, key, row, fallback) \
	if (WEFT_TABLE_##table_kind == WEFT_TABLE_PER_CPU) \
		table_free(worker->tables.name);
	WEFT_TABLES(X)
#undef X
	flows_free(&worker->flows);
	close(worker->epoll_fd);
	close(worker->wake_fd);
	free(worker->out);
	free(worker->pending);
	free(worker->list);
	free(worker);
}

// --- the thread

// Polled from now. Its descriptor is put aside by worker_settle.
static void queue_heat(struct dpdk_queue *queue)
{
	if (!queue->armed)
		return;
	queue->armed = false;
	queue->empty_since_ns = 0;
	queue->woken = true;
}

// True: it is armed now.
static bool queue_cool(struct dpdk_queue *queue)
{
	queue->armed = !queue->port->driver->arm(queue->port, queue->index, true);
	if (!queue->armed)
		queue->empty_since_ns = 0;
	return queue->armed;
}

static u32 queue_receive(
	struct dpdk_worker *worker, struct dpdk_queue *queue, struct rte_mbuf **frames)
{
	struct dpdk_port *port = queue->port;
	worker->polled_tsc = rte_rdtsc();
	return queue->index < port->rx_queues
		       ? port->driver->rx(port, queue->index, frames, DPDK_BURST)
		       : 0;
}

static u64 ns_of(const struct dpdk_worker *worker, u64 cycles)
{
	return (u64)((double)cycles * worker->clock.ns_per_cycle * CPU_SAMPLE);
}

// The next burst that is timed: at random, or a port could always be missed.
static u32 sample_next(struct dpdk_worker *worker)
{
	worker->random = worker->random * 1664525 + 1013904223;
	return 1 + (worker->random >> 16) % (2 * CPU_SAMPLE - 1);
}

// How often the kernel took the core from this thread. A burst in which it did is no sample.
static long preemptions(void)
{
	struct rusage usage;
	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nivcsw;
}

// As queue_poll, but timed.
static u32 queue_sample(
	struct dpdk_worker *worker, struct dpdk_queue *queue, struct rte_mbuf **frames)
{
	long before = preemptions();
	u64 start = rte_rdtsc();
	u32 count = queue_receive(worker, queue, frames);
	u64 received = rte_rdtsc();
	if (!count)
		return 0;
	worker->decided_tsc = received;
	worker_burst(worker, queue->port, frames, count);
	u64 sent = rte_rdtsc();
	u64 decided = worker->decided_tsc;
	worker->decided_tsc = 0;
	if (preemptions() != before)
		return count; // the next one, then
	worker->cpu.receive_ns += ns_of(worker, received - start);
	worker->cpu.decide_ns += ns_of(worker, decided - received);
	worker->cpu.send_ns += ns_of(worker, sent - decided);
	queue->busy_ns += ns_of(worker, sent - start);
	worker->sample_in = sample_next(worker);
	return count;
}

// A round of its debt is paid. True: that is not all.
static bool queue_owes(const struct dpdk_worker *worker, struct dpdk_queue *queue)
{
	queue->owed -= RTE_MIN(queue->owed, worker->turn);
	return queue->owed;
}

static u32 queue_poll(struct dpdk_worker *worker, struct dpdk_queue *queue)
{
	struct rte_mbuf *frames[DPDK_BURST];
	u64 start = rte_rdtsc();
	u32 count;
	if (unlikely(worker->sample_in <= 1)) {
		count = queue_sample(worker, queue, frames);
	} else {
		count = queue_receive(worker, queue, frames);
		if (count)
			worker_burst(worker, queue->port, frames, count);
		worker->sample_in -= count > 0;
	}
	if (!count) {
		if (!queue->empty_since_ns)
			queue->empty_since_ns = worker->now_ns;
		return 0;
	}
	queue->owed = RTE_MIN(rte_rdtsc() - start, TURNS_MOST * worker->turn);
	worker->cpu.bursts++;
	queue->packets += count;
	queue->empty_since_ns = 0;
	return count;
}

// After a poll in vain. True: it is armed now, at once when only a timer wanted that poll.
static bool queue_rest(const struct dpdk_worker *worker, struct dpdk_queue *queue)
{
	bool looked = queue->woken && queue->port->timed;
	if (!looked && worker->now_ns - queue->empty_since_ns < worker->engine->spin_ns)
		return false;
	if (!queue_cool(queue))
		return false;
	queue->woken = false; // not to be put aside any more
	return true;
}

// The queues whose descriptors are ready are hot from now. Only while the worker is online: else a
// queue could go away meanwhile.
static void worker_heed(struct dpdk_worker *worker)
{
	for (int i = 0; i < worker->event_count; i++) {
		struct dpdk_queue *queue =
			dpdk_event_queue(worker->engine, worker->events[i].data.u64);
		if (queue)
			queue_heat(queue);
	}
}

// After the round that a wake-up was for: the first frame does not wait for system calls, which
// are dear on a core that has just been woken. The worker was online all the time. True: weftd has
// called, perhaps once more since the round began, and what it wants is to be looked at again.
static bool worker_settle(struct dpdk_worker *worker)
{
	bool called = false;
	u64 eaten;
	cpu_wake_after(&worker->wake);
	for (int i = 0; i < worker->event_count; i++) {
		u64 event = worker->events[i].data.u64;
		struct dpdk_queue *queue = dpdk_event_queue(worker->engine, event);
		if (event == DPDK_EVENT_WAKE) {
			called |= read(worker->wake_fd, &eaten, sizeof(eaten)) > 0;
		} else if (queue && queue->woken) {
			queue->woken = false;
			queue->port->driver->arm(queue->port, queue->index, false);
		}
	}
	worker->event_count = 0;
	return called;
}

// What has come for queues that are armed while others are busy. `armed`: there are some.
static void worker_peek(struct dpdk_worker *worker, bool armed)
{
	if (!armed || ++worker->rounds < PEEK_ROUNDS ||
		worker->now_ns - worker->peeked_ns < PEEK_NS)
		return;
	worker->rounds = 0;
	worker->peeked_ns = worker->now_ns;
	worker->event_count = epoll_wait(worker->epoll_fd, worker->events, DPDK_EVENTS, 0);
	worker_heed(worker);
}

// Who owes pays only to somebody: not a queue that alone has frames. When all that have frames owe,
// the round is nobody's: as many pass at once as bring the first of them its turn.
static void worker_forgive(
	const struct dpdk_poll_list *list, struct dpdk_queue *last, u32 served, u32 owing)
{
	u64 least = UINT64_MAX;
	if (served + owing == 1 && last)
		last->owed = 0;
	if (!owing || served)
		return;
	for (u32 i = 0; i < list->count; i++)
		if (list->queue[i]->owed)
			least = RTE_MIN(least, list->queue[i]->owed);
	for (u32 i = 0; i < list->count; i++)
		list->queue[i]->owed -= RTE_MIN(list->queue[i]->owed, least);
}

// One round over the hot queues. Returns how many stay hot.
static u32 worker_round(struct dpdk_worker *worker, const struct dpdk_poll_list *list, u32 *frames)
{
	struct dpdk_queue *last = NULL; // that had frames
	u32 hot = 0, owing = 0, served = 0;
	for (u32 i = 0; i < list->count; i++) {
		struct dpdk_queue *queue = list->queue[i];
		if (queue->armed)
			continue;
		if (queue_owes(worker, queue)) {
			owing++;
			continue;
		}
		u32 count = queue_poll(worker, queue);
		*frames += count;
		if (count)
			last = queue, served++;
		if (count || !queue_rest(worker, queue))
			hot++;
	}
	worker_forgive(list, last, served, owing);
	return hot + owing;
}

static void worker_sleep(struct dpdk_worker *worker)
{
	struct rte_rcu_qsbr *rcu = worker->engine->rcu;
	const struct timespec patience = {.tv_nsec = (long)worker->observe.look_in_ns};
	u64 from_ns = worker_now(worker);
	cpu_wake_before(&worker->wake);
	rte_rcu_qsbr_thread_offline(rcu, worker->index);
	worker->event_count = epoll_pwait2(worker->epoll_fd, worker->events, DPDK_EVENTS,
		worker->observe.flying ? &patience : NULL, NULL);
	rte_rcu_qsbr_thread_online(rcu, worker->index);
	worker_heed(worker);
	worker->now_ns = worker_now(worker);
	worker->cpu.sleeps++;
	worker->cpu.sleep_ns += worker->now_ns - from_ns;
}

static void worker_loop(struct dpdk_worker *worker)
{
	struct rte_rcu_qsbr *rcu = worker->engine->rcu;
	worker->now_ns = worker_now(worker);
	while (!__atomic_load_n(&worker->stop, __ATOMIC_ACQUIRE)) {
		const struct dpdk_poll_list *list =
			__atomic_load_n(&worker->list, __ATOMIC_ACQUIRE);
		u64 from_ns = worker->now_ns;
		u32 frames = 0;
		u32 hot = worker_round(worker, list, &frames);
		bool armed = hot < list->count;
		worker->now_ns = worker_now(worker);
		if (unlikely(!worker->index && !rte_ring_empty(worker->engine->entering)))
			frames += worker_enter(worker);
		worker->cpu.packets += frames;
		*(frames ? &worker->cpu.busy_ns : &worker->cpu.idle_ns) += worker->now_ns - from_ns;
		if (unlikely(worker->observe.flying)) {
			observe_look(worker);
			hot += worker->observe.waiting;
		}
		if (unlikely(worker->event_count > 0 || worker->wake.known))
			hot += worker_settle(worker);
		rte_rcu_qsbr_quiescent(rcu, worker->index);
		if (!hot)
			worker_sleep(worker);
		else
			worker_peek(worker, armed);
	}
}

// Its descriptors are open and its memory is mapped: it needs nothing more of root.
static void drop_privileges(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	capng_clear(CAPNG_SELECT_CAPS);
	capng_apply(CAPNG_SELECT_CAPS);
}

static void *worker_main(void *context)
{
	struct dpdk_worker *worker = context;
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	cores_claim();
	cpu_wake_open(&worker->wake);
	drop_privileges();
	if (rte_thread_register())
		return NULL;
	rte_rcu_qsbr_thread_register(worker->engine->rcu, worker->index);
	rte_rcu_qsbr_thread_online(worker->engine->rcu, worker->index);
	worker_loop(worker);
	rte_rcu_qsbr_thread_offline(worker->engine->rcu, worker->index);
	rte_rcu_qsbr_thread_unregister(worker->engine->rcu, worker->index);
	rte_thread_unregister();
	cpu_wake_close(&worker->wake);
	return NULL;
}

int worker_start(struct dpdk_worker *worker, const cpu_set_t *cpus)
{
	sigset_t all, before;
	sigfillset(&all);        // signals are weftd's
	sigdelset(&all, SIGBUS); // of a guest's memory: else the kernel ends weftd
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return -error;
	worker->started = true;
	pthread_setname_np(worker->thread, ENGINE_WORKER_NAME); // weftd looks for it after commit
	if (cpus)
		pthread_setaffinity_np(worker->thread, sizeof(*cpus), cpus);
	return 0;
}
