// SPDX-License-Identifier: BSD-2-Clause
// What a worker of the dpdk engine runs, with the busy stage.
#include "tests/busy/stages.h"
#include "datapath/dpdk/burst.c"
#include "tests/busy/stage_busy.h"

static u64 busy_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

static void busy_wait(u64 ns)
{
	u64 until_ns = busy_now() + ns;
	while (busy_now() < until_ns)
		;
}
