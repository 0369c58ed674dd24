// SPDX-License-Identifier: BSD-2-Clause
// When a guest has taken what its ring was given: never before it has, whatever it asks for; soon
// after, if it asks for interrupts or offers its buffers again; over the wrapping of indices.

#include "tests/unit/unit.h"

#include "datapath/dpdk/vring.h"
#include "tests/dpdk/worker_rig.h"

enum { SIZE = 256, ROUNDS = 400000 };

// A driver as virtio has them: it takes used buffers in order, offers them again in any number, and
// says behind which it wants an interrupt, when it cares.
struct driver {
	struct guest_ring ring;
	union {                           // the ring ends with SIZE entries and the event
		struct vring_avail *none; // its alignment
		u8 bytes[sizeof(struct vring_avail) + (SIZE + 1) * sizeof(u16)];
	} memory;
	struct vring_desc desc[SIZE];
	u16 used;  // by the switch
	u16 taken; // by the driver
	u16 offered;
};

static u32 dice(u32 sides)
{
	static u64 seed = 7;
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(seed >> 33) % sides;
}

static void driver_start(struct driver *driver, bool event_idx, u16 at)
{
	memset(driver, 0, sizeof(*driver));
	driver->ring.size = SIZE;
	driver->ring.desc = driver->desc;
	driver->ring.avail = (struct vring_avail *)driver->memory.bytes;
	driver->ring.event_idx = event_idx;
	driver->used = driver->taken = at;
	driver->offered = at + SIZE;
	driver->ring.avail->idx = driver->offered;
}

// While it polls, Linux says 0, FreeBSD what is long past.
static u16 asks_behind(const struct driver *driver)
{
	u32 how = dice(3);
	return how == 0 ? 0 : how == 1 ? driver->taken : driver->taken - SIZE - 1;
}

static void driver_step(struct driver *driver, bool asks)
{
	u16 unused = driver->offered - driver->used, waiting = driver->used - driver->taken;
	u16 empty = driver->taken + SIZE - driver->offered;
	switch (dice(4)) {
	case 0:
		driver->used += dice(unused + 1u);
		break;
	case 1:
		driver->taken += dice(waiting + 1u);
		break;
	case 2:
		driver->offered += dice(empty + 1u);
		driver->ring.avail->idx = driver->offered;
		break;
	default:
		if (asks)
			driver->ring.avail->ring[SIZE] = asks_behind(driver);
	}
}

// Every mark that a flight may have: behind what is used, or was not long ago.
static void check(const struct driver *driver)
{
	u16 mark = driver->used - (u16)dice(SIZE);
	bool taken = (int16_t)(driver->taken - mark) >= 0;
	if (vring_taken(&driver->ring, mark) == 1 && !taken)
		fail_msg("said to be taken: %u, but that is %u", mark, driver->taken);
}

static void never_too_early(void **state)
{
	static struct driver driver;
	(void)state;
	for (u32 kind = 0; kind < 3; kind++) {
		driver_start(&driver, kind > 0, 65000);
		for (u32 i = 0; i < ROUNDS; i++) {
			driver_step(&driver, kind == 2);
			check(&driver);
		}
	}
}

static void seen_when_it_asks(void **state)
{
	static struct driver driver;
	(void)state;
	for (u32 at = 0; at < 65536; at += 97) { // a ring's worth and the wrap in between
		driver_start(&driver, true, (u16)at);
		driver.used += 10;
		assert_int_equal(vring_taken(&driver.ring, driver.used), 0);
		driver.taken += 9;
		driver.ring.avail->ring[SIZE] = driver.taken;
		assert_int_equal(vring_taken(&driver.ring, driver.used), 0);
		if (driver.taken)
			assert_int_equal(vring_taken(&driver.ring, driver.used - 1), 1);
		driver.ring.avail->ring[SIZE] = ++driver.taken;
		if (driver.taken)
			assert_int_equal(vring_taken(&driver.ring, driver.used), 1);
	}
}

static void seen_when_it_offers(void **state)
{
	static struct driver driver;
	(void)state;
	for (u32 at = 0; at < 65536; at += 97) {
		driver_start(&driver, at & 1, (u16)at);
		driver.used += 10;
		driver.taken += 10;
		driver.ring.avail[0].idx = driver.offered + 9; // one may still be with it
		assert_int_equal(vring_taken(&driver.ring, driver.used), 0);
		driver.ring.avail[0].idx = driver.offered + 10;
		assert_int_equal(vring_taken(&driver.ring, driver.used), 1);
	}
}

static void nothing_is_seen_of_a_closed_ring(void **state)
{
	static struct driver driver;
	(void)state;
	driver_start(&driver, true, 0);
	driver.ring.cut = true;
	assert_int_equal(vring_taken(&driver.ring, 0), -1);
	driver.ring.cut = false;
	driver.ring.desc = NULL;
	assert_int_equal(vring_taken(&driver.ring, 0), -1);
}

// --- and when it takes its time

static int guest_says;

static u16 late_mark(struct dpdk_port *port, u32 queue)
{
	(void)port, (void)queue;
	return 0;
}

static int late_taken(struct dpdk_port *port, u32 queue, u16 mark)
{
	(void)port, (void)queue, (void)mark;
	return guest_says;
}

// The worker looks at a frame that was handed over so long ago.
static const struct observe *look_after(u64 age_ns)
{
	struct dpdk_worker *worker = dpdk_injector(rig.engine);
	worker->now_ns = worker_time(worker, rte_rdtsc());
	for (u32 i = 0; i < worker->observe.flying; i++)
		worker->observe.flights[i].out_ns = worker->now_ns - age_ns;
	observe_look(worker);
	return &worker->observe;
}

static void late_guests_are_seen(void **state)
{
	struct dpdk_driver late = rig_driver;
	struct weft_latency_key queue = {RIG_FROM, RIG_TO, WEFT_SPAN_queue};
	struct weft_latency_row row;
	(void)state;
	rig_start(&(struct engine_config){.dpdk = {.memory_mb = 64}});
	late.mark = late_mark, late.taken = late_taken;
	rig.engine->ports[RIG_TO]->driver = &late;
	struct observe *observe = &dpdk_injector(rig.engine)->observe;
	observe->flights[0] = (struct observe_flight){
		.slot = RIG_TO, .from = RIG_FROM, .to = RIG_TO, .sampled = true};
	observe->flying = 1;
	guest_says = 0;
	assert_int_equal(look_after(1000000)->waiting, 1);
	for (u64 age_ns = 2000000; age_ns < 200000000; age_ns *= 3) {
		assert_int_equal(look_after(age_ns)->waiting, 0); // the worker may sleep
		assert_int_equal(observe->flying, 1);
		assert_true(observe->look_in_ns <= age_ns / 32);
	}
	guest_says = 1;
	queue.cpu = dpdk_injector(rig.engine)->index % WEFT_LATENCY_CPUS;
	assert_int_equal(look_after(100000000)->flying, 0);
	assert_int_equal(engine_dpdk->table_get(rig.engine, WEFT_TABLE_latency, &queue, &row), 0);
	assert_int_equal(row.count, 1);
	assert_in_range(row.min_ns, 100000000, 110000000);
	guest_says = 0;
	observe->flying = 1; // the same again, and nobody takes it
	assert_int_equal(look_after(200000000)->flying, 0);
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_too_early),
		cmocka_unit_test(seen_when_it_asks),
		cmocka_unit_test(seen_when_it_offers),
		cmocka_unit_test(nothing_is_seen_of_a_closed_ring),
		cmocka_unit_test(late_guests_are_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
