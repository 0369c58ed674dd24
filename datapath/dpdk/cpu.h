// SPDX-License-Identifier: BSD-2-Clause
// What a worker did with its time: sampled, so that it costs nothing that can be measured.
#pragma once

#include <stdbool.h>
#include <weft/types.h>

enum {
	CPU_SAMPLE = 64,       // of so many bursts one is timed, on average
	CPU_WAKE_BUCKETS = 256 // 8 to an octave of nanoseconds
};

// How long the kernel let a worker wait that could run (its run delay), each time it was woken.
struct cpu_wake {
	int fd; // the thread's schedstat; -1: this kernel has none
	u64 since_ns;
	bool known; // since_ns is; until cpu_wake_after
	u32 count[CPU_WAKE_BUCKETS];
};

// In the worker's thread.
void cpu_wake_open(struct cpu_wake *wake);
void cpu_wake_close(struct cpu_wake *wake);
void cpu_wake_before(struct cpu_wake *wake); // it sleeps now
void cpu_wake_after(struct cpu_wake *wake);  // soon after: it reads a file

// Any thread. part: 0 .. 1. 0: nothing is known.
u64 cpu_wake_quantile(const struct cpu_wake *wake, double part);
