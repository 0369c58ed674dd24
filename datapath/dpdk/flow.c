// SPDX-License-Identifier: BSD-2-Clause
// The memory of a worker's flow cache.
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
