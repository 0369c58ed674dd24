// SPDX-License-Identifier: BSD-2-Clause
// Flights to taps (ebpf/weft_taken.bpf.c): the rows are memory shared with the kernel.
#include "datapath/dpdk/taken.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <rte_mbuf_dyn.h>
#include <sys/mman.h>
#include "ebpf/shared.h"

#include "weft_taken.skel.h"

static int stamp_offset = -1, name_offset = -1;
static struct weft_taken_bpf *loaded; // for good: workers may be at its rows
static struct weft_flight *flights;
static struct bpf_link *link; // while it watches
static bool watching;
static u64 begun;

int taken_fields(void)
{
	static const struct rte_mbuf_dynfield stamp = {
		.name = "weft_stamp", .size = sizeof(u64), .align = sizeof(u64)};
	static const struct rte_mbuf_dynfield name = {
		.name = "weft_name", .size = sizeof(u64), .align = sizeof(u64)};
	if (stamp_offset < 0)
		stamp_offset = rte_mbuf_dynfield_register(&stamp);
	if (name_offset < 0)
		name_offset = rte_mbuf_dynfield_register(&name);
	return stamp_offset < 0 || name_offset < 0 ? -ENOMEM : 0;
}

u64 *taken_stamp(struct rte_mbuf *frame)
{
	return RTE_MBUF_DYNFIELD(frame, stamp_offset, u64 *);
}

u64 *taken_name(struct rte_mbuf *frame)
{
	return RTE_MBUF_DYNFIELD(frame, name_offset, u64 *);
}

static int load(void)
{
	if (loaded)
		return 0;
	struct weft_taken_bpf *skeleton = weft_taken_bpf__open();
	if (!skeleton)
		return -errno;
	skeleton->rodata->weft_landed_only = true;
	bpf_map__set_max_entries(skeleton->maps.weft_latency, 1); // the engine's own is used
	int error = weft_taken_bpf__load(skeleton);
	if (!error) {
		flights = mmap(NULL, WEFT_FLIGHTS * sizeof(*flights), PROT_READ | PROT_WRITE,
			MAP_SHARED, bpf_map__fd(skeleton->maps.weft_flight), 0);
		if (flights == MAP_FAILED)
			error = -errno;
	}
	if (error)
		weft_taken_bpf__destroy(skeleton);
	else
		loaded = skeleton;
	return error;
}

int taken_watch(bool on)
{
	int error = on ? load() : 0;
	if (error || on == watching)
		return error;
	__atomic_store_n(&watching, false, __ATOMIC_RELEASE);
	bpf_link__destroy(link);
	link = on ? bpf_program__attach(loaded->progs.weft_taken) : NULL;
	if (on && !link)
		return -errno;
	__atomic_store_n(&watching, on, __ATOMIC_RELEASE);
	return 0;
}

u64 taken_begin(u64 out_ns)
{
	if (!__atomic_load_n(&watching, __ATOMIC_ACQUIRE))
		return 0;
	u64 slot = __atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED) & (WEFT_FLIGHTS - 1);
	u64 name = (out_ns & ~(u64)(WEFT_FLIGHTS - 1)) | slot;
	struct weft_flight *flight = &flights[slot];
	flight->taken_ns = 0;
	flight->out_ns = name; // whose row it is, also when it has landed
	__atomic_store_n(&flight->name, name, __ATOMIC_RELEASE);
	return name;
}

u64 taken_when(u64 name)
{
	const struct weft_flight *flight = &flights[name & (WEFT_FLIGHTS - 1)];
	if (__atomic_load_n(&flight->out_ns, __ATOMIC_RELAXED) != name)
		return 1;
	return __atomic_load_n(&flight->taken_ns, __ATOMIC_ACQUIRE);
}
