// SPDX-License-Identifier: BSD-2-Clause
// A worker's clock: CLOCK_MONOTONIC by the core's counter.
#include <time.h>
#include "datapath/dpdk/dpdk.h"

enum {
	CLOCK_NS = 100000000, // the counter is held against the clock so often
	CLOCK_FIRST_NS = 1000000,
	CLOCK_CYCLES = 2000, // that takes so long at most, undisturbed
	CLOCK_BRIEF = 400,   // or so long, at best: it is as exact as it is brief
	CLOCK_LOOKS = 8,     // that are tried for it
};

static u64 clock_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

// What the counter and CLOCK_REALTIME said at one moment of CLOCK_MONOTONIC. Returns how long that
// moment was, in cycles: the core may be taken away meanwhile.
static u64 clock_look(struct dpdk_clock *clock)
{
	u64 before = rte_rdtsc(), ns = clock_of(CLOCK_MONOTONIC), behind = clock_of(CLOCK_REALTIME);
	u64 after = rte_rdtsc();
	clock->ns = ns;
	clock->tsc = before + (after - before) / 4;
	clock->behind_ns = behind - ns;
	return after - before;
}

// The counter's rate is what it was since the last time: the kernel's clock is steered. The first
// rate is DPDK's, rounded to 10 MHz: it is held against the clock soon, then less and less often.
static void clock_set(struct dpdk_clock *clock)
{
	struct dpdk_clock look = *clock, best = *clock;
	u64 shortest = ~0ull;
	for (u32 i = 0; i < CLOCK_LOOKS && shortest > CLOCK_BRIEF; i++) {
		u64 cycles = clock_look(&look);
		if (cycles < shortest)
			best = look;
		shortest = RTE_MIN(shortest, cycles);
	}
	best.calm = shortest <= CLOCK_CYCLES;
	if (clock->calm && best.calm && best.ns - clock->ns < 100ull * CLOCK_NS)
		best.ns_per_cycle = (double)(best.ns - clock->ns) / (double)(best.tsc - clock->tsc);
	best.period_ns = RTE_MIN(clock->period_ns * 2 + CLOCK_FIRST_NS, (u64)CLOCK_NS);
	*clock = best;
}

u64 worker_now(struct dpdk_worker *worker)
{
	struct dpdk_clock *clock = &worker->clock;
	u64 passed = (u64)((double)(rte_rdtsc() - clock->tsc) * clock->ns_per_cycle);
	if (likely(passed < clock->period_ns))
		return clock->ns + passed;
	clock_set(clock);
	return clock->ns;
}

u64 worker_time(const struct dpdk_worker *worker, u64 tsc)
{
	const struct dpdk_clock *clock = &worker->clock;
	return clock->ns + (u64)(s64)((double)(s64)(tsc - clock->tsc) * clock->ns_per_cycle);
}
