// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The TC hook with the busy stage.
#include "tests/busy/stages.h"
#include "ebpf/weft_tc.bpf.c"
#include "tests/busy/stage_busy.h"

enum { BUSY_TURNS = 1 << 20 };

static long busy_turn(u32 turn, u64 *until_ns)
{
	(void)turn;
	return bpf_ktime_get_ns() >= *until_ns;
}

static __noinline void busy_wait(u64 ns)
{
	u64 until_ns = bpf_ktime_get_ns() + ns;
	bpf_loop(BUSY_TURNS, busy_turn, &until_ns, 0);
}
