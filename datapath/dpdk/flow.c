// SPDX-License-Identifier: BSD-2-Clause
// The memory of a worker's flow cache; what is kept in it, and where.
#include "datapath/dpdk/flow.h"

#include <sys/mman.h>

// Zeroed, on hugepages where the kernel has some.
static void *pages_new(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

u64 flows_bytes(u32 slots)
{
	const struct flow_table *flows = NULL;
	return slots * (sizeof(*flows->pairs) + sizeof(*flows->ip6)) +
	       slots / FLOW_WAYS * sizeof(*flows->sets);
}

bool flows_new(struct flow_table *flows, u32 slots)
{
	flows->mask = slots / FLOW_WAYS - 1;
	flows->pairs = pages_new(slots * sizeof(*flows->pairs));
	flows->ip6 = pages_new(slots * sizeof(*flows->ip6));
	flows->sets = pages_new(slots / FLOW_WAYS * sizeof(*flows->sets));
	return flows->pairs && flows->ip6 && flows->sets;
}

void flows_free(struct flow_table *flows)
{
	size_t sets = (size_t)flows->mask + 1;
	if (flows->pairs)
		munmap(flows->pairs, sets * FLOW_WAYS * sizeof(*flows->pairs));
	if (flows->ip6)
		munmap(flows->ip6, sets * FLOW_WAYS * sizeof(*flows->ip6));
	if (flows->sets)
		munmap(flows->sets, sets * sizeof(*flows->sets));
}

static struct flow_pair *first_of(const struct flow_table *flows, const struct flow_set *set)
{
	return &flows->pairs[(size_t)(set - flows->sets) * FLOW_WAYS];
}

// Its own slot, else an empty one, else that which would have ended first.
static struct flow_slot *room_for(const struct flow_table *flows, u64 hash, u32 now)
{
	u16 signature = flow_signature(hash);
	const struct flow_set *set = flow_set_of(flows, hash);
	const struct flow_set *sets[] = {set, flow_other_set(flows, set, signature)};
	const u16 wanted[] = {signature, 0};
	for (u32 i = 0; i < 4; i++) {
		u32 ways = flow_ways(sets[i % 2], wanted[i / 2]);
		if (ways)
			return flow_way(flows, sets[i % 2], ways);
	}
	struct flow_pair *pairs[] = {first_of(flows, sets[0]), first_of(flows, sets[1])};
	u64 oldest = 0; // its age and number: no branches, which nobody could foresee
	for (u32 i = 0; i < 2 * FLOW_WAYS; i++) {
		u64 age = (u64)(now - pairs[i % 2][i / 2].slot.decided) << 8 | i;
		oldest = age > oldest ? age : oldest;
	}
	return &pairs[oldest % 2][(oldest & 0xff) / 2].slot;
}

static void sign(const struct flow_table *flows, const struct flow_slot *slot, u16 signature)
{
	size_t index = flow_index_of(flows, slot);
	flows->sets[index / FLOW_WAYS].signature[index % FLOW_WAYS] = signature;
}

struct flow_slot *flow_store(const struct flow_table *flows, const struct flow_key *key,
	const struct flow_slot *row, const u8 *ip6)
{
	u64 hash = flow_hash(key);
	struct flow_slot *slot = room_for(flows, hash, row->decided);
	*slot = *row;
	slot->dst_src = key->dst_src;
	slot->src_l4 = key->src_l4;
	slot->ips = key->ips;
	slot->place = key->place;
	slot->rest = key->rest;
	sign(flows, slot, flow_signature(hash));
	if ((key->rest & (FLOW_IP6 | FLOW_HEAD)) == FLOW_IP6)
		memcpy(flow_ip6_of(flows, slot), ip6, sizeof(struct flow_ip6));
	return slot;
}

void flow_forget(const struct flow_table *flows, const struct flow_key *key)
{
	u64 hash = flow_hash(key);
	struct flow_slot *slot =
		flow_slot_of(flows, flow_set_of(flows, hash), flow_signature(hash));
	if (!flow_equal(slot, key))
		return;
	*slot = (struct flow_slot){0};
	sign(flows, slot, 0);
}
