// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The flow cache (pipeline/flow.h) in BPF: slots, taken in turn, and sets of four words that say by
// the hash where a flow's slot is: one region of each array per CPU. A slot is one cache line, and
// one more where addresses change. Taken in turn, slots of few flows are few pages, whatever the
// hash: what the kernel gives maps is mapped by small pages, and to miss one's address costs as
// much as to miss the line.
#pragma once

#include "datapath/pipeline/flow_rewrite.h"

enum { FLOW_UNIT_SHIFT = 22 }; // time in units of 2^22 ns, the tick's order

struct flow_slot {
	u64 dst_src, src_l4, ips, place; // struct flow_key
	u32 rest;
	u32 decided;    // when
	u32 generation; // then: that of the configuration and the network's, which only grow, added
	u32 network;
	u32 port;
	u32 max_bytes;
	u32 vni;
	u16 tag;
	u8 action;
	u8 flags; // enum weft_verdict_flag
	// Holds if they say so, and then all of it: what does not change is as it was.
	struct flow_rewrite rewrite;
	u32 reserved;
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct flow_slot, rewrite) == 64, "one cache line");
_Static_assert(sizeof(struct flow_slot) == 128, "two cache lines");

const volatile u32 weft_flow_slots = WEFT_FLOW_SLOTS;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEFT_FLOW_SLOTS); // times the CPUs, set by the user half
	__type(key, u32);
	__type(value, struct flow_slot);
} weft_flow SEC(".maps");

struct flow_ip6 {
	u64 word[4];
};

// Of IPv6 flows, by the same index: the addresses.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEFT_FLOW_SLOTS); // times the CPUs, set by the user half
	__type(key, u32);
	__type(value, struct flow_ip6);
} weft_flow_ip6 SEC(".maps");

struct flow_set {
	u32 word[WEFT_FLOW_WAYS]; // a slot of this CPU, the rest are bits of its flow's hash; 0:
				  // none
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries,
		WEFT_FLOW_SLOTS / WEFT_FLOW_WAYS); // times the CPUs, set by the user half
	__type(key, u32);
	__type(value, struct flow_set);
} weft_flow_set SEC(".maps");

// The slot of the word with these bits; if there is none, or a stale one, it is another flow's,
// whose key tells so. Without branches, of which a core would guess every other wrong.
weft_inline u32 flow_among(const struct flow_set *set, u32 bits, u32 slots)
{
	u64 slot = 0;
	for (u32 way = 0; way < WEFT_FLOW_WAYS; way++) {
		u64 x = set->word[way] ^ bits, other = x - slots;
		__asm__ volatile("" : "+r"(other)); // else the compiler makes one
		slot |= x & (u64)((__s64)other >> 63);
	}
	return (u32)slot & (slots - 1);
}

weft_inline void flow_seek(struct flow_look *look)
{
	u64 hash = flow_hash(&look->key);
	u32 slots = weft_flow_slots, sets = slots / WEFT_FLOW_WAYS;
	look->set = bpf_get_smp_processor_id() * sets + ((u32)(hash >> 24) & (sets - 1));
	look->bits = ((u32)(hash >> 32) & ~(slots - 1)) | slots; // never 0
}

// A flow has two sets, or who is in a full one would be decided over and over; of the other one
// this is the other, too.
weft_inline u32 flow_other_set(const struct flow_look *look)
{
	u32 apart = look->bits * 0x9e3779b1u >> 12 | 1;
	return look->set ^ (apart & (weft_flow_slots / WEFT_FLOW_WAYS - 1));
}

// Where the flow's slot is, or whose is in its place.
weft_inline struct flow_slot *flow_place(struct flow_look *look)
{
	const struct flow_set *row = bpf_map_lookup_elem(&weft_flow_set, &look->set);
	u32 slots = weft_flow_slots;
	if (!row)
		return NULL;
	look->slot = bpf_get_smp_processor_id() * slots + flow_among(row, look->bits, slots);
	return bpf_map_lookup_elem(&weft_flow, &look->slot);
}

// In the flow's set: what looks alike, or is free; WEFT_FLOW_WAYS: none.
weft_inline u32 flow_room(const struct flow_set *set, u32 bits)
{
	u32 free = WEFT_FLOW_WAYS, alike = WEFT_FLOW_WAYS;
	for (u32 way = 0; way < WEFT_FLOW_WAYS; way++) {
		if (!set->word[way])
			free = way;
		else if ((set->word[way] ^ bits) < weft_flow_slots)
			alike = way;
	}
	return alike < WEFT_FLOW_WAYS ? alike : free;
}

// A slot for a flow that has none: the next, whoever has had it. In a set without room it takes
// the place of any.
weft_inline void flow_take(struct flow_look *look)
{
	struct flow_set *set = bpf_map_lookup_elem(&weft_flow_set, &look->set);
	u32 slot = look->next++ & (weft_flow_slots - 1), way;
	if (!set)
		return;
	way = flow_room(set, look->bits);
	if (way == WEFT_FLOW_WAYS) {
		look->set = flow_other_set(look);
		set = bpf_map_lookup_elem(&weft_flow_set, &look->set);
		if (!set)
			return;
		way = flow_room(set, look->bits);
	}
	if (way == WEFT_FLOW_WAYS)
		way = slot;
	set->word[way & (WEFT_FLOW_WAYS - 1)] = look->bits | slot;
	look->slot = bpf_get_smp_processor_id() * weft_flow_slots + slot;
}

weft_inline u32 flow_time(u64 now_ns)
{
	return (u32)(now_ns >> FLOW_UNIT_SHIFT);
}

weft_inline u64 flow_generation(u32 index)
{
	u64 *row = bpf_map_lookup_elem(&weft_generation, &index);
	return row ? *row : 0;
}

weft_inline bool flow_fresh(const struct flow_slot *slot, const struct pipeline *line)
{
	u32 generation = (u32)(line->configuration + flow_generation(slot->network));
	__s32 age = (__s32)(flow_time(line->now_ns) - slot->decided);
	return slot->generation == generation &&
	       age <= (__s32)(flow_life_ns(slot->flags) >> FLOW_UNIT_SHIFT);
}

weft_inline bool flow_equal(
	const struct flow_slot *slot, const struct flow_look *look, const struct flow_frame *f)
{
	const struct flow_key *key = &look->key;
	if ((slot->dst_src ^ key->dst_src) | (slot->src_l4 ^ key->src_l4) | (slot->ips ^ key->ips) |
		(slot->place ^ key->place) | (slot->rest ^ key->rest))
		return false;
	if (!f->ip6)
		return true;
	const struct flow_ip6 *ip6 = bpf_map_lookup_elem(&weft_flow_ip6, &look->slot);
	return ip6 && flow_ip6_equal(ip6->word, f->ip6);
}

// The slot of the packet's flow; NULL: it is not known. Fills in *f and packet->look.
weft_inline struct flow_slot *flow_look(struct pipeline *line, struct flow_frame *f, u32 in_port)
{
	struct packet *p = line->packet;
	struct flow_look *look = p->look;
	u16 tpid = 0, tci = 0;
	look->regular = look->known = look->hit = false;
	f->bytes = p->data;
	f->bytes_end = p->data_end;
	f->readable = ~0u;
	f->length = packet_length(p);
	f->tagged = packet_tag(p, &tpid, &tci);
	f->vid = tci & WEFT_VID_MASK;
	if ((f->tagged && tpid != WEFT_ETH_8021Q) || !flow_read(f, in_port, line->vni, &look->key))
		return NULL;
	flow_seek(look);
	look->regular = true;
	line->configuration = flow_generation(0);
	struct flow_slot *slot = flow_place(look);
	if (!slot || !flow_equal(slot, look, f)) {
		look->set = flow_other_set(look);
		slot = flow_place(look);
		if (!slot || !flow_equal(slot, look, f)) {
			look->set = flow_other_set(look);
			return NULL;
		}
	}
	look->known = true;
	look->hit = flow_fresh(slot, line);
	return look->hit ? slot : NULL;
}

weft_inline void flow_verdict(const struct flow_slot *slot, struct weft_verdict *v)
{
	v->action = slot->action;
	v->flags = slot->flags;
	v->vni = slot->vni;
	v->network = slot->network;
	v->port = slot->port;
	v->tag = slot->tag;
	v->max_bytes = slot->max_bytes;
}

// flow_look has found it, if anybody has.
weft_inline bool flow_find(struct pipeline *line)
{
	const struct flow_look *look = line->packet->look;
	struct flow_slot *slot = look->hit ? bpf_map_lookup_elem(&weft_flow, &look->slot) : NULL;
	if (!slot)
		return false;
	flow_verdict(slot, line->verdict);
	line->rewrite = &slot->rewrite.to;
	return true;
}

// Generations are those from before decide: a change in between leaves a stale slot, never a wrong
// one. A stack frame of its own: the program's is below decide's, and both must fit.
static __noinline void flow_keep(struct pipeline *line)
{
	const struct weft_verdict *v = line->verdict;
	struct flow_look *look = line->packet->look;
	const struct flow_key *key = &look->key;
	bool rewrite = v->flags & WEFT_VERDICT_REWRITE;
	const struct weft_rewrite *wanted = rewrite ? line->rewrite : NULL;
	if (!look->regular || !flow_keepable(v) || (rewrite && !wanted))
		return;
	// For the compiler `rewrite` says the same as `wanted`; Linux 6.1's verifier needs the
	// latter.
	asm volatile("" : "+r"(wanted));
	if (!look->known)
		flow_take(look);
	struct flow_slot *slot = bpf_map_lookup_elem(&weft_flow, &look->slot);
	if (!slot)
		return;
	slot->place = 0; // nobody's, until all of it holds
	if (line->key->ethertype == WEFT_ETH_IPV6) {
		struct weft_ip *ip6 = bpf_map_lookup_elem(&weft_flow_ip6, &look->slot);
		if (!ip6)
			return;
		ip6[0] = line->key->ip_src;
		ip6[1] = line->key->ip_dst;
	}
	if (wanted)
		flow_work_out(&slot->rewrite, line->key, wanted);
	slot->dst_src = key->dst_src;
	slot->src_l4 = key->src_l4;
	slot->ips = key->ips;
	slot->rest = key->rest;
	slot->decided = flow_time(line->now_ns);
	slot->generation = (u32)(line->configuration + v->generation);
	slot->network = v->network;
	slot->port = v->port;
	slot->max_bytes = v->max_bytes;
	slot->vni = v->vni;
	slot->tag = v->tag;
	slot->action = (u8)v->action;
	slot->flags = v->flags;
	__asm__ volatile("" : : : "memory");
	slot->place = key->place;
}
