// SPDX-License-Identifier: BSD-2-Clause
// Which hook gives a device's frames to the program: tcx where the kernel has it, else clsact.
//
// A new tcx link costs the kernel an RCU grace period under its one network lock: 14 ms, so 14 s
// for a thousand ports. A clsact filter is there in 0.2 ms, at 100 ns more per packet. So tcx has a
// budget, and devices beyond it (a large batch, the boot of a large host) get filters. Whatever
// hook a device has, it keeps: only the program is replaced, and no packet is lost.
#include "datapath/ebpf/ebpf.h"
#include "datapath/netdev.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "weft_tc.skel.h"

// New tcx links: 10 per second, and 40 at once.
#define TCX_INTERVAL_NS 100000000ull
#define TCX_BURST_NS    4000000000ull

static const struct ebpf_hook *const hooks[] = {&ebpf_tcx, &ebpf_clsact};

static void pin_path(char path[EBPF_PATH_BYTES], const struct engine *engine,
	const struct ebpf_hook *hook, u32 ifindex)
{
	ebpf_pin_path(path, engine, hook->dir, "%u", ifindex);
}

static bool has_pin(const struct engine *engine, const struct ebpf_hook *hook, u32 ifindex)
{
	char path[EBPF_PATH_BYTES];
	pin_path(path, engine, hook, ifindex);
	return access(path, F_OK) == 0;
}

// A token bucket kept as one time stamp.
static bool take_tcx(struct engine *engine)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	u64 now = (u64)time.tv_sec * 1000000000 + (u64)time.tv_nsec;
	u64 from = engine->tcx_full_at_ns > now ? engine->tcx_full_at_ns : now;
	if (from - now > TCX_BURST_NS - TCX_INTERVAL_NS)
		return false;
	engine->tcx_full_at_ns = from + TCX_INTERVAL_NS;
	return true;
}

static const struct ebpf_hook *choose(struct engine *engine, u32 ifindex)
{
	if (!engine->tcx)
		return &ebpf_clsact;
	if (has_pin(engine, &ebpf_tcx, ifindex))
		return &ebpf_tcx;
	if (has_pin(engine, &ebpf_clsact, ifindex))
		return &ebpf_clsact;
	return take_tcx(engine) ? &ebpf_tcx : &ebpf_clsact;
}

// To look for the device takes a descriptor, and the hooks no more at a time: where there is none
// left, they would take a pin that they cannot open for one that is not there.
int ebpf_hook_check(struct engine *engine, u32 ifindex, const char **why)
{
	char path[EBPF_PATH_BYTES];
	int error = netdev_find(ifindex);
	if (error) {
		*why = ebpf_why(
			"there is no device with index %u in weftd's network namespace", ifindex);
		return error;
	}
	for (size_t i = 0; !error && i < WEFT_ARRAY_SIZE(hooks); i++) {
		pin_path(path, engine, hooks[i], ifindex);
		error = hooks[i]->check(path, ifindex, why);
	}
	return error;
}

static void detach(struct engine *engine, const struct ebpf_hook *hook, u32 ifindex)
{
	char path[EBPF_PATH_BYTES];
	pin_path(path, engine, hook, ifindex);
	hook->detach(path, ifindex);
}

int ebpf_hook_attach(struct engine *engine, u32 ifindex, const char **why)
{
	char path[EBPF_PATH_BYTES];
	int error = ebpf_hook_check(engine, ifindex, why);
	if (error)
		return error;
	const struct ebpf_hook *hook = choose(engine, ifindex);
	pin_path(path, engine, hook, ifindex);
	error = hook->attach(path, ifindex, bpf_program__fd(engine->program->progs.weft_tc));
	if (error) {
		*why = ebpf_why(
			"the kernel refused weft's TC program on the device with index %u: %s",
			ifindex, strerror(-error));
		return error;
	}
	// Only after the new hook works: an earlier weftd may have been told to use the other.
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(hooks); i++)
		if (hooks[i] != hook && has_pin(engine, hooks[i], ifindex))
			detach(engine, hooks[i], ifindex);
	return 0;
}

void ebpf_hook_detach(struct engine *engine, u32 ifindex)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(hooks); i++)
		detach(engine, hooks[i], ifindex);
}

void ebpf_hook_prune(struct engine *engine, bool (*wanted)(struct engine *engine, u32 ifindex))
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(hooks); i++)
		ebpf_pin_prune(engine, hooks[i]->dir, wanted, ebpf_hook_detach);
}
