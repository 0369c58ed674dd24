// SPDX-License-Identifier: BSD-2-Clause
// A worker that sleeps and is woken: what it does first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "tests/dpdk/worker_rig.h"

enum { BYTES = 64, WAKES = 200 };

static struct {
	int kick;
	u32 offered;             // frames that wait
	u32 armed, disarmed;     // calls
	u32 disarmed_at_receipt; // as it was when the last frame was taken
} port;

static u32 load(const u32 *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void add(u32 *at)
{
	__atomic_add_fetch(at, 1, __ATOMIC_RELEASE);
}

static u32 receive(struct dpdk_port *of, u32 queue, struct rte_mbuf **frames, u32 capacity)
{
	u8 bytes[BYTES];
	(void)of, (void)queue, (void)capacity;
	if (!__atomic_exchange_n(&port.offered, 0, __ATOMIC_ACQ_REL))
		return 0;
	port.disarmed_at_receipt = load(&port.disarmed);
	rig_frame(bytes, BYTES, 2, 1);
	frames[0] = rig_mbuf(bytes, BYTES);
	return 1;
}

static bool arm(struct dpdk_port *of, u32 queue, bool on)
{
	u64 eaten;
	(void)of, (void)queue;
	bool waiting = load(&port.offered);
	if (on)
		add(&port.armed);
	else if (read(port.kick, &eaten, sizeof(eaten)) == sizeof(eaten))
		add(&port.disarmed);
	return on && waiting;
}

static const struct dpdk_driver driver = {
	"waking", rig_open, rig_close, receive, rig_tx, arm, rig_state};

// A worker that polls RIG_FROM, and the busy port if it is given.
static void world(u32 spin_us, u32 busy)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = dpdk_event(RIG_FROM, 0)};
	rig_start(&(struct engine_config){.dpdk = {.memory_mb = 64, .spin_us = spin_us}});
	rig_put_place(1, RIG_FROM);
	rig_put_place(2, RIG_TO);
	rig.engine->ports[RIG_FROM]->driver = &driver;
	memset(&port, 0, sizeof(port));
	port.kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct dpdk_worker *worker = rig.engine->workers[0];
	assert_int_equal(epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, port.kick, &event), 0);
	struct dpdk_poll_list *list = malloc(sizeof(*list) + 2 * sizeof(list->queue[0]));
	free(worker->list);
	list->count = 0;
	list->queue[list->count++] = rig.engine->queues[RIG_FROM];
	if (busy)
		list->queue[list->count++] = rig.engine->queues[busy];
	worker->list = list;
	assert_int_equal(engine_dpdk->commit(rig.engine), 0);
}

static void world_end(void)
{
	rig_stop();
	close(port.kick);
}

static void await(const char *what, const u32 *at, u32 value)
{
	u64 deadline = rig_now_ns() + 5000000000ull;
	while (load(at) < value) {
		if (rig_now_ns() > deadline)
			fail_msg("%s: %u, not %u", what, load(at), value);
		sched_yield();
	}
}

// The frame before the system calls that put its descriptor aside, and these before the next sleep.
static void a_frame_that_wakes_is_sent_first(void **state)
{
	(void)state;
	world(0, 0);
	for (u32 i = 0; i < WAKES; i++) {
		await("armed", &port.armed, i + 1);
		assert_int_equal(load(&port.disarmed), i);
		__atomic_store_n(&port.offered, 1, __ATOMIC_RELEASE);
		assert_int_equal(eventfd_write(port.kick, 1), 0);
		await("disarmed", &port.disarmed, i + 1);
		assert_int_equal(__atomic_load_n(&rig.sent[RIG_TO], __ATOMIC_ACQUIRE), i + 1);
		assert_int_equal(port.disarmed_at_receipt, i);
	}
	world_end();
}

static u32 always(struct rte_mbuf **out, u32 capacity)
{
	u8 bytes[BYTES];
	for (u32 i = 0; i < capacity; i++) {
		rig_frame(bytes, BYTES, 2, 1);
		out[i] = rig_mbuf(bytes, BYTES);
	}
	return capacity;
}

static void a_queue_that_sleeps_is_heard_beside_a_busy_one(void **state)
{
	(void)state;
	rig.source[RIG_TO] = always; // it gets its own frames back: dropped
	world(0, RIG_TO);
	for (u32 i = 0; i < WAKES; i++) {
		await("armed", &port.armed, i + 1);
		__atomic_store_n(&port.offered, 1, __ATOMIC_RELEASE);
		assert_int_equal(eventfd_write(port.kick, 1), 0);
		await("disarmed", &port.disarmed, i + 1);
		assert_int_equal(load(&port.offered), 0);
	}
	world_end();
}

// dpdk: {spin_us}: a queue is polled for so long before its descriptor is used.
static void spins_as_long_as_it_was_told(void **state)
{
	(void)state;
	for (u32 us = 200; us <= 20000; us *= 10) {
		world(us, 0);
		for (u32 i = 0; i < 20; i++) {
			await("armed", &port.armed, i + 1);
			u64 from_ns = rig_now_ns();
			__atomic_store_n(&port.offered, 1, __ATOMIC_RELEASE);
			assert_int_equal(eventfd_write(port.kick, 1), 0);
			await("armed", &port.armed, i + 2);
			u64 took_ns = rig_now_ns() - from_ns;
			if (took_ns < us * 1000ull)
				fail_msg("armed again after %llu ns of %u us",
					(unsigned long long)took_ns, us);
		}
		world_end();
	}
}

// A wake-up that is heard while another one comes does not stand for both.
static void stops_whenever_it_is_told(void **state)
{
	(void)state;
	alarm(60); // else the test would wait for ever
	for (u32 i = 0; i < 2 * WAKES; i++) {
		world(0, 0);
		await("armed", &port.armed, 1);
		worker_wake(rig.engine->workers[0]);
		u64 from_ns = rig_now_ns();
		while (rig_now_ns() - from_ns < i * 100)
			;
		world_end();
	}
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_that_wakes_is_sent_first),
		cmocka_unit_test(a_queue_that_sleeps_is_heard_beside_a_busy_one),
		cmocka_unit_test(spins_as_long_as_it_was_told),
		cmocka_unit_test(stops_whenever_it_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
