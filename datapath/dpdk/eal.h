// SPDX-License-Identifier: BSD-2-Clause
// DPDK's environment: one per process, from the first start of the engine to the process's end.
#pragma once

#include <rte_mbuf.h>
#include "datapath/engine.h"

// For frames goes about a third of the memory.
enum { EAL_FRAMES_PER_MB = 128, EAL_CACHE = 256 };

// Frames that ports of all kinds need, beside what NICs hold: a burst of superpackets and what it
// becomes, and what may lie in the caches of workers and of weftd's thread.
static inline u32 eal_least(u32 workers)
{
	return 1280 + (workers + 1) * EAL_CACHE * 3 / 2;
}

// Takes hugepages or ordinary memory as config->pages says. After an error *why is a sentence;
// static memory. Once it has worked it is a no-op.
int eal_open(const struct engine_dpdk_config *config, const char **why);

// Is config->memory_mb enough for so many workers? After an error *why is a sentence; static
// memory.
int eal_check(const struct engine_dpdk_config *config, u32 workers, const char **why);

// Bytes of ordinary memory that it takes: none on hugepages.
u64 eal_bytes(const struct engine_dpdk_config *config);

// Frames for everybody. Only after eal_open.
struct rte_mempool *eal_pool(void);
bool eal_has_pci(void); // config->pci was on
