// SPDX-License-Identifier: BSD-2-Clause
// Reads the list of cores; claims one.
#include "datapath/dpdk/cores.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// As the kernel has it; its header and that of the C library exclude each other.
struct attributes {
	u32 size, policy;
	u64 flags;
	int nice;
	u32 priority;
	u64 runtime, deadline, period;
};

enum { SLICE_NS = 300000 }; // the kernel's own is some milliseconds

static int core_add(struct dpdk_cores *out, const cpu_set_t *ours, long core, const char **why)
{
	if (core < 0 || core >= CPU_SETSIZE || !CPU_ISSET(core, ours)) {
		*why = "dpdk.cores names a core that weftd may not use; `nproc` and `taskset -p` "
		       "tell "
		       "which it may";
		return -EINVAL;
	}
	for (u32 i = 0; i < out->count; i++) {
		if (!CPU_ISSET(core, &out->cpus[i]))
			continue;
		*why = "dpdk.cores names a core twice: a core has one worker";
		return -EINVAL;
	}
	if (out->count == DPDK_WORKERS) {
		*why = "dpdk.cores names more than 16 cores";
		return -EINVAL;
	}
	CPU_ZERO(&out->cpus[out->count]);
	CPU_SET(core, &out->cpus[out->count++]);
	return 0;
}

int cores_read(const char *text, struct dpdk_cores *out, const char **why)
{
	cpu_set_t ours;
	char *end = NULL;
	memset(out, 0, sizeof(*out));
	pthread_getaffinity_np(pthread_self(), sizeof(ours), &ours);
	for (const char *at = text; at && *at; at = *end ? end + 1 : end) {
		long first = strtol(at, &end, 10), last = first;
		if (end != at && *end == '-')
			last = strtol(end + 1, &end, 10);
		if (end == at || last < first || (*end && *end != ',') || last >= CPU_SETSIZE) {
			*why = "dpdk.cores must be a list as in \"1-2,4\"";
			return -EINVAL;
		}
		for (long core = first; core <= last; core++) {
			int error = core_add(out, &ours, core, why);
			if (error)
				return error;
		}
	}
	return 0;
}

void cores_claim(void)
{
	struct attributes wanted = {.size = sizeof(wanted),
		.policy = SCHED_OTHER,
		.nice = getpriority(PRIO_PROCESS, 0),
		.runtime = SLICE_NS};
	syscall(SYS_sched_setattr, 0, &wanted, 0); // kernels before 6.12 have one for all
}
