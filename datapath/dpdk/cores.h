// SPDX-License-Identifier: BSD-2-Clause
// Which cores the workers run on: a list as in "1-2,4", one worker each.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <weft/types.h>

enum { DPDK_WORKERS = 16 };

struct dpdk_cores {
	u32 count; // 0: one worker on any core
	cpu_set_t cpus[DPDK_WORKERS];
};

// text NULL: any core. -EINVAL and a static sentence: no such list, or a core that is not ours.
int cores_read(const char *text, struct dpdk_cores *out, const char **why);

// The calling thread gets short turns, and so gets them sooner: frames wait for as long as a worker
// does.
void cores_claim(void);
