// SPDX-License-Identifier: BSD-2-Clause
// Observation in a worker: packets leave, guests take them, postcards go to weftd.
#include "datapath/dpdk/observe.h"

#include <errno.h>
#include <rte_ring_elem.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <weft/log.h>
#include "datapath/dpdk/dpdk.h"
#include "datapath/dpdk/taken.h"
#include "datapath/pipeline/observe.h"

LOG_MODULE(dpdk);

int observe_open(struct engine *engine)
{
	char name[RTE_RING_NAMESIZE];
	static u32 number;
	snprintf(name, sizeof(name), "weft-cards-%u", number++);
	engine->card_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	engine->cards = rte_ring_create_elem(
		name, sizeof(struct weft_postcard), OBSERVE_CARDS, SOCKET_ID_ANY, RING_F_SC_DEQ);
	return engine->card_fd < 0 || !engine->cards ? -ENOMEM : 0;
}

void observe_close(struct engine *engine)
{
	if (engine->card_fd >= 0)
		close(engine->card_fd);
	rte_ring_free(engine->cards);
}

int observe_card_fd(struct engine *engine)
{
	return engine->card_fd;
}

u64 observe_cards(struct engine *engine,
	void (*fn)(const struct weft_postcard *card, void *context), void *context)
{
	struct weft_postcard card;
	u64 eaten, one = 1;
	u32 taken = 0;
	if (read(engine->card_fd, &eaten, sizeof(eaten)) < 0)
		eaten = 0; // look all the same
	for (; taken < ENGINE_CARDS_AT_ONCE; taken++) {
		if (rte_ring_sc_dequeue_elem(engine->cards, &card, sizeof(card)))
			break;
		fn(&card, context);
	}
	if (taken == ENGINE_CARDS_AT_ONCE && write(engine->card_fd, &one, sizeof(one)) < 0)
		log_warn("postcards wait: %m"); // for the next one
	return __atomic_load_n(&engine->cards_lost, __ATOMIC_RELAXED);
}

void observe_post(struct dpdk_worker *worker, const struct weft_postcard *card)
{
	struct engine *engine = worker->engine;
	u64 one = 1;
	if (rte_ring_mp_enqueue_elem(engine->cards, (void *)card, sizeof(*card)))
		__atomic_fetch_add(&engine->cards_lost, 1, __ATOMIC_RELAXED);
	else if (write(engine->card_fd, &one, sizeof(one)) < 0)
		return; // it is readable already
}

static struct dpdk_worker *worker_of(const struct tables *tables)
{
	return (void *)((u8 *)tables - offsetof(struct dpdk_worker, tables));
}

u32 observe_cpu(const struct tables *tables)
{
	return worker_of(tables)->index;
}

// The table has one writer at a time. A latency row is new only once.
void observe_insert(struct tables *tables, const void *key)
{
	static const struct weft_latency_row none;
	struct engine *engine = worker_of(tables)->engine;
	rte_spinlock_lock(&engine->write_lock);
	table_insert(tables->latency, key, &none);
	rte_spinlock_unlock(&engine->write_lock);
}

// Flights end where a guest's taking can be seen. Who takes frames from an underlay that is a tap
// is no guest.
static bool flies(const struct observed *observed)
{
	return observed->seen.card.out_point == WEFT_POINT_P5;
}

static void leaving(struct dpdk_worker *worker, struct observed *observed, struct rte_mbuf *frame)
{
	const struct dpdk_port *port = dpdk_port_at(worker->engine, observed->slot);
	u64 now_ns = worker_time(worker, rte_rdtsc());
	observed->seen.card.out_ns = now_ns;
	observed->name = flies(observed) && port && port->named ? taken_begin(now_ns) : 0;
	if (observed->name)
		*taken_name(frame) = observed->name;
}

void observe_leaving(struct dpdk_worker *worker, u32 slot, const struct dpdk_out *out)
{
	for (u32 i = 0; i < worker->observe.count; i++) {
		struct observed *observed = &worker->observe.packets[i];
		observed->index = out->count;
		for (u32 k = 0; observed->frame && observed->slot == slot && k < out->count; k++)
			if (out->frame[k] == observed->frame)
				observed->index = k;
		if (observed->index == out->count)
			continue;
		observed->queue = out->flow[observed->index];
		leaving(worker, observed, observed->frame);
	}
}

static void fly(struct dpdk_worker *worker, const struct observed *observed)
{
	struct observe *observe = &worker->observe;
	struct dpdk_port *port = dpdk_port_at(worker->engine, observed->slot);
	u32 queue = port && port->tx_queues ? observed->queue % port->tx_queues : 0;
	if (!port || observed->seen.card.out_point != WEFT_POINT_P5 ||
		(!port->driver->mark && !observed->name))
		return;
	if (observe->flying == OBSERVE_FLIGHTS)
		memmove(observe->flights, observe->flights + 1,
			--observe->flying * sizeof(observe->flights[0]));
	observe->flights[observe->flying++] = (struct observe_flight){
		.slot = observed->slot,
		.queue = (u16)queue,
		.mark = observed->name ? 0 : port->driver->mark(port, queue),
		.name = observed->name,
		.from = observed->from,
		.to = observed->to,
		.out_ns = observed->seen.card.out_ns,
		.identity = observed->seen.identity,
		.sampled = observed->seen.sampled,
	};
}

static void left(struct dpdk_worker *worker, struct observed *observed, bool lost)
{
	struct observation *seen = &observed->seen;
	if (lost) {
		seen->card.action = WEFT_ACTION_drop;
		seen->card.reason = WEFT_DROP_device_dropped;
	} else if (seen->sampled) {
		observe_spans(
			&worker->tables, observed->from, observed->to, seen, seen->card.out_ns);
	}
	if (!lost && seen->asks)
		guest_asked(&worker->tables, observed->from, observed->to, seen, seen->card.out_ns);
	if (seen->identity)
		observe_post(worker, &seen->card);
	if (!lost && flies(observed))
		fly(worker, observed);
	observed->frame = NULL;
	observed->told = true;
}

void observe_left(struct dpdk_worker *worker, u32 slot, u32 frames, u32 lost)
{
	for (u32 i = 0; i < worker->observe.count; i++) {
		struct observed *observed = &worker->observe.packets[i];
		if (observed->frame && observed->slot == slot && observed->index < frames)
			left(worker, observed, observed->index + lost >= frames);
	}
}

static void land(struct dpdk_worker *worker, const struct observe_flight *flight, u64 taken_ns)
{
	if (flight->sampled)
		observe_span(&worker->tables, flight->from, flight->to, WEFT_SPAN_queue,
			histogram_between(flight->out_ns, taken_ns));
	if (!flight->identity)
		return;
	struct weft_postcard card = {
		.identity = flight->identity,
		.out_ns = taken_ns,
		.from = flight->from,
		.to = flight->to,
		.out_point = WEFT_POINT_P6,
	};
	observe_post(worker, &card);
}

// When it was taken; 0: not yet, 1: that cannot be seen any more.
static u64 flight_look(const struct dpdk_worker *worker, const struct observe_flight *flight)
{
	if (flight->name)
		return taken_when(flight->name);
	struct dpdk_port *port = dpdk_port_at(worker->engine, flight->slot);
	int taken = port && port->driver->taken
			    ? port->driver->taken(port, flight->queue, flight->mark)
			    : -1;
	return taken < 0 ? 1 : taken ? worker_time(worker, rte_rdtsc()) : 0;
}

// Not taken yet: it is looked for again.
static void fly_on(struct observe *observe, const struct observe_flight *flight, u64 age_ns)
{
	u64 look_in_ns = flight->name ? OBSERVE_LOOK_NS : age_ns / OBSERVE_SHARE;
	if (look_in_ns < observe->look_in_ns)
		observe->look_in_ns = look_in_ns;
	observe->waiting += !flight->name && age_ns < OBSERVE_AWAKE_NS;
	observe->flights[observe->flying++] = *flight;
}

void observe_look(struct dpdk_worker *worker)
{
	struct observe *observe = &worker->observe;
	u32 flying = observe->flying;
	observe->flying = observe->waiting = 0;
	observe->look_in_ns = OBSERVE_LOOK_NS;
	for (u32 i = 0; i < flying; i++) {
		const struct observe_flight *flight = &observe->flights[i];
		u64 age_ns = histogram_between(flight->out_ns, worker->now_ns);
		u64 life_ns = flight->name ? OBSERVE_NAMED_NS : OBSERVE_FLIGHT_NS;
		u64 taken_ns = flight_look(worker, flight);
		if (taken_ns > 1)
			land(worker, flight, taken_ns);
		else if (!taken_ns && age_ns < life_ns)
			fly_on(observe, flight, age_ns);
	}
}
