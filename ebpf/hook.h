// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What both hooks share: the packet, the tables as BPF maps, decide as a subprogram, the clock.
//
// A hook defines HOOK_CONTEXT (its context struct) first, and afterwards writes packet_length,
// packet_tag and the apply functions of pipeline.h.
#pragma once

#include <weft/wire.h>
#include "datapath/pipeline/balance.h"
#define FLOW_HAS(frame, at, count) ((frame)->bytes + (at) + (count) <= (frame)->bytes_end)
#include "datapath/pipeline/flow_key.h"
#include "ebpf/observe.h"

// Steps of the pipeline as subprograms: each has a stack of its own, and the verifier looks at it
// once, by its types, not again for every way through the others.
#define PARSE(line, in_port) \
	weft_parse((line)->packet->context, (line)->packet->outer_bytes, (in_port), (line)->key, \
		(line)->layout)
#define DECIDE(line)           weft_decide((line)->key, (line)->verdict, (line)->now_ns)
#define COMMIT(line)           weft_commit((line)->key, (line)->verdict, (line)->now_ns)
#define BALANCE(line)          ((void)(line), balance_scratch())
#define REWRITE(line, bytes)   hook_rewrite(line)
#define PROBE_JUDGE(line, own) weft_probe_judge((line)->verdict, (own))
#define PROBE_ANSWER(line)     weft_probe_answer((line)->key->in_port)
#define PROBE(line) \
	weft_probe_valid((line)->packet->context, (line)->packet->outer_bytes, (line)->layout)

int weft_parse(HOOK_CONTEXT *context, u32 outer_bytes, u32 in_port, struct weft_key *key,
	struct weft_layout *layout);
int weft_decide(struct weft_key *key, struct weft_verdict *verdict, u64 now_ns);
int weft_commit(struct weft_key *key, struct weft_verdict *verdict, u64 now_ns);
u64 weft_identity(HOOK_CONTEXT *context, u32 outer_bytes, struct weft_key *key,
	struct weft_layout *layout, u64 identity_key);
int weft_probe_valid(HOOK_CONTEXT *context, u32 outer_bytes, struct weft_layout *layout);
int weft_probe_judge(struct weft_verdict *verdict, bool own);
int weft_rewrite(HOOK_CONTEXT *context, u32 outer_bytes, struct weft_key *key,
	struct weft_layout *layout, struct weft_rewrite *rewrite);

// What the flow cache knows of the packet in hand.
struct flow_look {
	struct flow_key key;
	u32 set, slot; // where: in their arrays
	u32 bits;      // of its word in the set
	u32 next;      // the cache's own: the slot that is taken next
	bool regular;  // else the rest means nothing
	bool known;    // the slot is its own
	bool hit;      // and holds
};

// Of the packet in hand: no stack of 512 bytes would hold them.
struct weft_line_row {
	struct balance balance; // first: no compiler can add to a pointer before it looks at it
	struct weft_key key;
	struct weft_layout layout;
	struct weft_verdict verdict;
	struct flow_look look;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct weft_line_row);
} weft_line SEC(".maps");

weft_inline struct balance *balance_scratch(void)
{
	u32 zero = 0;
	struct weft_line_row *row = bpf_map_lookup_elem(&weft_line, &zero);
	if (!row)
		return NULL;
	// Else clang 19 adds first and compares then, which Linux 6.1's verifier does not take.
	__asm__ volatile("" : "+r"(row));
	return &row->balance;
}
int weft_probe_answer(u32 port);

struct packet {
	HOOK_CONTEXT *context;
	const void *data; // outer headers, if there are any, are before it
	const void *data_end;
	u32 outer_bytes; // of them
	int code;        // what the hook returns: where the packet goes
	struct flow_look *look;
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

struct pipeline;
weft_inline enum weft_drop hook_rewrite(struct pipeline *line);

#include "datapath/pipeline/pipeline.h"
#include "ebpf/flow_cache.h"

enum { OWN_BYTES = OVERLAY4_BYTES }; // the outer headers that weft takes off or puts on itself

// What is too large for the stack of 512 bytes.
struct weft_scratch_row {
	struct reply reply;
	struct bpf_tunnel_key tunnel;
	struct observation seen;
	struct overlay outer;
	struct weft_key key; // of a packet that is looked at, not run
	struct weft_layout layout;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct weft_scratch_row);
} weft_scratch SEC(".maps");

// False: never.
weft_inline bool pipeline_open(struct pipeline *line)
{
	u32 zero = 0;
	struct weft_line_row *row = bpf_map_lookup_elem(&weft_line, &zero);
	if (!row)
		return false;
	line->key = &row->key;
	line->layout = &row->layout;
	line->verdict = &row->verdict;
	line->packet->look = &row->look;
	return true;
}

// Fills in where the packet's bytes are, without its outer headers.
weft_inline bool packet_open(struct packet *p, HOOK_CONTEXT *context, u32 outer_bytes)
{
	p->context = context;
	p->outer_bytes = outer_bytes;
	p->data = (void *)(long)context->data;
	p->data_end = (void *)(long)context->data_end;
	if (!outer_bytes)
		return true;
	if (outer_bytes == OVERLAY6_BYTES) { // only looked at
		p->outer_bytes = OVERLAY6_BYTES;
		p->data += OVERLAY6_BYTES;
		return p->data <= p->data_end;
	}
	p->outer_bytes = OWN_BYTES;
	if (p->data + OWN_BYTES > p->data_end)
		return false;
	p->data += OWN_BYTES;
	return true;
}

// The bytes may be elsewhere afterwards.
weft_inline enum weft_drop hook_rewrite(struct pipeline *line)
{
	struct packet *p = line->packet;
	int drop = weft_rewrite(p->context, p->outer_bytes, line->key, line->layout, line->rewrite);
	if (drop || !packet_open(p, p->context, p->outer_bytes))
		return WEFT_DROP_rewrite_failed;
	return WEFT_DROP_none;
}

__noinline int weft_parse(HOOK_CONTEXT *context, u32 outer_bytes, u32 in_port, struct weft_key *key,
	struct weft_layout *layout)
{
	struct packet p = {0};
	if (!key || !layout || !packet_open(&p, context, outer_bytes))
		return WEFT_DROP_truncated;
	return parse(&p, in_port, key, layout);
}

__noinline int weft_decide(struct weft_key *key, struct weft_verdict *verdict, u64 now_ns)
{
	struct balance *balance = balance_scratch();
	if (key && verdict && balance)
		decide(key, NULL, now_ns, verdict, balance);
	return 0;
}

__noinline int weft_commit(struct weft_key *key, struct weft_verdict *verdict, u64 now_ns)
{
	struct balance *balance = balance_scratch();
	if (key && verdict && balance)
		commit(NULL, key, verdict, balance, now_ns);
	return 0;
}

__noinline u64 weft_identity(HOOK_CONTEXT *context, u32 outer_bytes, struct weft_key *key,
	struct weft_layout *layout, u64 identity_key)
{
	struct packet p = {0};
	if (!key || !layout || !packet_open(&p, context, outer_bytes))
		return 1;
	return packet_identity(&p, key, layout, identity_key);
}

__noinline int weft_probe_valid(HOOK_CONTEXT *context, u32 outer_bytes, struct weft_layout *layout)
{
	struct packet p = {0};
	if (!layout || !packet_open(&p, context, outer_bytes))
		return false;
	return probe_valid(&p, NULL, layout);
}

__noinline int weft_rewrite(HOOK_CONTEXT *context, u32 outer_bytes, struct weft_key *key,
	struct weft_layout *layout, struct weft_rewrite *rewrite)
{
	struct packet p = {0};
	if (!key || !layout || !rewrite || !packet_open(&p, context, outer_bytes))
		return WEFT_DROP_rewrite_failed;
	u32 bytes = packet_length(&p) - packet_tag_bytes(layout);
	return packet_rewrite(&p, NULL, key, layout, rewrite, bytes);
}

__noinline int weft_probe_judge(struct weft_verdict *verdict, bool own)
{
	if (verdict)
		probe_judge(verdict, own);
	return 0;
}

__noinline int weft_probe_answer(u32 port)
{
	return probe_answer(NULL, port);
}

// The netdev of a port (of port 0: the carrier); 0: it has none.
weft_inline u32 device_of(u32 port)
{
	const struct weft_port_device_row *row = bpf_map_lookup_elem(&weft_port_device, &port);
	return row ? row->ifindex : 0;
}

// The port and the roles of a netdev; 0: none. The array answers for nearly all, the hash for those
// that share a slot in it.
weft_inline u32 device_at(u32 ifindex)
{
	u32 index = ifindex & (WEFT_DEVICE_SLOTS - 1);
	struct weft_device_slot *slot = bpf_map_lookup_elem(&weft_device_slots, &index);
	if (slot && slot->ifindex == ifindex)
		return slot->device;
	u32 *device = bpf_map_lookup_elem(&weft_device, &ifindex);
	return device ? *device : 0;
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
