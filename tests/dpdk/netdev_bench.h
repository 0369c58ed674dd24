// SPDX-License-Identifier: BSD-2-Clause
// What frames cost in the netdev driver: from one tap to another, CPU time, the guests' own not
// counted.
#pragma once

#include "tests/dpdk/netdev_rig.h"

enum { BENCH_ROUNDS = 20000 };

static u64 bench_now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (u64)time.tv_sec * 1000000000 + (u64)time.tv_nsec;
}

static void bench_shape(struct end *a, struct end *b, const char *name, const struct shape *shape,
	u32 burst, u32 rounds)
{
	struct rte_mbuf *frames[DPDK_BURST];
	u64 rx_ns = 0, tx_ns = 0, write_ns = 0, count = 0;
	build(&sent, shape);
	for (u32 round = 0; round < rounds; round++) {
		u64 t0 = bench_now();
		for (u32 i = 0; i < burst; i++)
			assert_true(guest_write(a->guest, &sent));
		u64 t1 = bench_now();
		u32 n = dpdk_netdev.rx(&a->port, 0, frames, burst);
		u64 t2 = bench_now();
		u32 taken = dpdk_netdev.tx(&b->port, 0, frames, n);
		u64 t3 = bench_now();
		rte_pktmbuf_free_bulk(frames + taken, n - taken);
		write_ns += t1 - t0;
		rx_ns += t2 - t1;
		tx_ns += t3 - t2;
		count += taken;
		while (readable(b->guest, 0))
			guest_read(b->guest, &got);
	}
	printf("%-12s rx %5llu ns, tx %5llu ns, %6.1f Gb/s in the driver; guest's write %5llu ns; "
	       "%llu of %llu\n",
		name, (unsigned long long)(rx_ns / count), (unsigned long long)(tx_ns / count),
		(double)count * sent.length * 8 / (double)(rx_ns + tx_ns),
		(unsigned long long)(write_ns / count), (unsigned long long)count,
		(unsigned long long)rounds * burst);
}

static int bench(void)
{
	struct end a, b;
	end_open(&a, "a", OFFLOADS_ALL);
	end_open(&b, "b", OFFLOADS_ALL);
	run("/sbin/tc qdisc replace dev b root noqueue; /sbin/tc qdisc replace dev a root noqueue");
	for (int i = 0; i < 3; i++) {
		bench_shape(&a, &b, "64 B x32", &(struct shape){0, false, UDP, 22, false, 0}, 32,
			BENCH_ROUNDS);
		bench_shape(&a, &b, "64 B x1", &(struct shape){0, false, UDP, 22, false, 0}, 1,
			BENCH_ROUNDS * 8);
		bench_shape(&a, &b, "1514 B x32", &(struct shape){0, false, TCP, 1460, true, 0}, 32,
			BENCH_ROUNDS);
		bench_shape(&a, &b, "64 KiB x16", &(struct shape){0, false, TCP, 65480, true, 1448},
			16, BENCH_ROUNDS / 10);
	}
	end_close(&a);
	end_close(&b);
	return 0;
}
