// SPDX-License-Identifier: BSD-2-Clause
// Wake-up latency of workers, from the scheduler's own account.
#include "datapath/dpdk/cpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void cpu_wake_open(struct cpu_wake *wake)
{
	wake->fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

void cpu_wake_close(struct cpu_wake *wake)
{
	if (wake->fd >= 0)
		close(wake->fd);
	wake->fd = -1;
}

// How long the thread has waited for a core so far: on a quiet one not even a nanosecond.
static bool run_delay(const struct cpu_wake *wake, u64 *out)
{
	char text[96];
	unsigned long long run = 0, delay = 0;
	ssize_t bytes = wake->fd < 0 ? -1 : pread(wake->fd, text, sizeof(text) - 1, 0);
	if (bytes <= 0)
		return false;
	text[bytes] = '\0';
	bool known = sscanf(text, "%llu %llu", &run, &delay) == 2;
	*out = delay;
	return known;
}

static u32 bucket_of(u64 ns)
{
	if (ns < 8)
		return (u32)ns;
	u32 octave = 63 - (u32)__builtin_clzll(ns);
	return (octave - 2) * 8 + (u32)(ns >> (octave - 3) & 7);
}

static u64 bucket_middle(u32 bucket)
{
	u32 octave = bucket / 8 + 2;
	return bucket < 8 ? bucket : ((2ull * (8 + bucket % 8) + 1) << (octave - 3)) / 2;
}

void cpu_wake_before(struct cpu_wake *wake)
{
	wake->known = run_delay(wake, &wake->since_ns);
}

void cpu_wake_after(struct cpu_wake *wake)
{
	u64 now;
	bool known = wake->known && run_delay(wake, &now);
	wake->known = false;
	if (!known)
		return;
	u32 bucket = bucket_of(now - wake->since_ns);
	if (bucket < CPU_WAKE_BUCKETS)
		wake->count[bucket]++;
}

u64 cpu_wake_quantile(const struct cpu_wake *wake, double part)
{
	u64 all = 0, seen = 0;
	for (u32 i = 0; i < CPU_WAKE_BUCKETS; i++)
		all += wake->count[i];
	for (u32 i = 0; i < CPU_WAKE_BUCKETS; i++) {
		seen += wake->count[i];
		if (seen && (double)seen >= part * (double)all)
			return bucket_middle(i) + !i; // 0 would say that nothing is known
	}
	return 0;
}
