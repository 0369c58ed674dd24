// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What both hooks share: the packet, the tables as BPF maps, decide as a subprogram, the clock.
//
// A hook defines HOOK_CONTEXT (its context struct) first, and afterwards writes packet_length,
// packet_tag and the apply functions of pipeline.h.
#pragma once

#include <weft/wire.h>
#include "ebpf/maps.h"

// In BPF the tables are the program's own maps: there is no object to point to.
struct tables;

#define MAP_ROW(name) typeof(*weft_##name.value)
#define TABLE_GET(tables, name, key) \
	((const MAP_ROW(name) *)((void)(tables), bpf_map_lookup_elem(&weft_##name, (key))))
#define TABLE_ROW(tables, name, key) ((void)(tables), bpf_map_lookup_elem(&weft_##name, (key)))
#define TABLE_INSERT(tables, name, key, row) \
	((void)(tables), bpf_map_update_elem(&weft_##name, (key), (row), BPF_NOEXIST))
#define TABLE_REPLACE(tables, name, key, row) \
	((void)(tables), bpf_map_update_elem(&weft_##name, (key), (row), BPF_EXIST))
#define DECIDE(key, tables, now_ns, verdict) \
	((void)(tables), weft_decide((key), (verdict), (now_ns)))

int weft_decide(struct weft_key *key, struct weft_verdict *verdict, u64 now_ns);

struct packet {
	HOOK_CONTEXT *context;
	const void *data;
	const void *data_end;
	int code; // what the hook returns: where the packet goes
};

weft_inline const void *packet_at(const struct packet *p, u32 offset, u32 bytes)
{
	if (offset > WEFT_PARSE_BYTES || offset + bytes > WEFT_PARSE_BYTES)
		return NULL;
	const void *at = p->data + offset;
	return at + bytes <= p->data_end ? at : NULL;
}

weft_inline u32 packet_length(const struct packet *p);
weft_inline bool packet_tag(const struct packet *p, u16 *tpid, u16 *tci);

#include "datapath/pipeline/pipeline.h"
#include "ebpf/flow_cache.h"

// A global function: the verifier checks it once, by its types, and not again in every caller.
__noinline int weft_decide(struct weft_key *key, struct weft_verdict *verdict, u64 now_ns)
{
	if (!key || !verdict)
		return 0;
	decide(key, NULL, now_ns, verdict);
	return 0;
}

// The netdev of a port; 0: it has none.
weft_inline u32 device_of(u32 port)
{
	u32 *ifindex = bpf_map_lookup_elem(&weft_port_device, &port);
	return ifindex ? *ifindex : 0;
}

// The port of a netdev; 0: none. The array answers for nearly all, the hash for those that share a
// slot in it.
weft_inline u32 port_of(u32 ifindex)
{
	u32 index = ifindex & (WEFT_DEVICE_SLOTS - 1);
	struct weft_device_slot *slot = bpf_map_lookup_elem(&weft_device_slots, &index);
	if (slot && slot->ifindex == ifindex)
		return slot->port;
	u32 *port = bpf_map_lookup_elem(&weft_device, &ifindex);
	return port ? *port : 0;
}

// CLOCK_MONOTONIC by the tick. The helper costs 18 ns, a look at jiffies nothing: one packet per
// tick pays for all. Two CPUs may do it at once and write the same.
static volatile u64 clock_tick, clock_ns;

weft_inline u64 clock_now_ns(void)
{
	u64 tick = bpf_jiffies64();
	if (clock_tick != tick) {
		clock_ns = bpf_ktime_get_coarse_ns();
		clock_tick = tick;
	}
	return clock_ns;
}
