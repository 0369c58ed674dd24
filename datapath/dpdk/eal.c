// SPDX-License-Identifier: BSD-2-Clause
// Starts DPDK's environment: memory, hugepages or none, the pool of mbufs.
#include "datapath/dpdk/eal.h"
#include "datapath/dpdk/taken.h"

#include <errno.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_mempool.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weft/log.h>

LOG_MODULE(dpdk);

enum {
	EAL_MEMORY_MB = 64, // most ports copy: frames wait in bursts, not in rings
	HUGE_MB = 2,
};

static struct rte_mempool *pool;
static bool pci; // it may look for NICs

static u32 huge_free_mb(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned pages = 0;
	if (!file)
		return 0;
	if (fscanf(file, "%u", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * HUGE_MB;
}

// True: hugepages. After an error *why is set.
static int choose_pages(
	const struct engine_dpdk_config *config, u32 memory_mb, bool *huge, const char **why)
{
	static char message[256];
	u32 free_mb = huge_free_mb();
	bool wanted = config->pages && !strcmp(config->pages, "huge");
	*huge = free_mb >= memory_mb && !(config->pages && !strcmp(config->pages, "small"));
	if (*huge || !wanted)
		return 0;
	snprintf(message, sizeof(message),
		"%u hugepages of 2 MiB are needed and %u are free; reserve them: sysctl -w "
		"vm.nr_hugepages=N, or take `pages: small`",
		(memory_mb + HUGE_MB - 1) / HUGE_MB, free_mb / HUGE_MB);
	*why = message;
	return -ENOMEM;
}

// Ordinary memory in transparent hugepages where the kernel gives them: fewer TLB misses.
static int advise(const struct rte_memseg_list *list, const struct rte_memseg *segment, void *arg)
{
	(void)list, (void)arg;
	madvise(segment->addr, segment->len, MADV_HUGEPAGE);
	return 0;
}

// Without NICs to drive DPDK must not even look: it would take those of this machine. With some it
// may look, and takes the one that a port names: the list of those that it takes by itself names
// none.
static void choose_devices(bool allowed, char *words[2])
{
	words[0] = allowed ? "--allow" : "--no-pci";
	words[1] = allowed ? "ffff:ff:1f.7" : NULL;
}

static int eal_start(
	const struct engine_dpdk_config *config, u32 memory_mb, bool huge, const char **why)
{
	char memory[16], prefix[32], lcores[32];
	// The calling thread stays where it was: DPDK would pin it to a core.
	cpu_set_t cpus;
	pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	snprintf(memory, sizeof(memory), "%u", memory_mb);
	snprintf(prefix, sizeof(prefix), "weft-%d", getpid());
	snprintf(lcores, sizeof(lcores), "0@0");
	char *arguments[] = {"weftd", "--no-telemetry", "--no-shconf", "--lcores", lcores,
		"--file-prefix", prefix, "--log-level", "error", "-m", memory,
		huge ? "--in-memory" : "--no-huge", NULL, NULL, NULL};
	int count = (int)WEFT_ARRAY_SIZE(arguments) - (config->pci ? 1 : 2);
	choose_devices(config->pci, &arguments[WEFT_ARRAY_SIZE(arguments) - 3]);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &cpus))
			continue;
		snprintf(lcores, sizeof(lcores), "0@%d", cpu);
		break;
	}
	int status = rte_eal_init(count, arguments);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	if (status >= 0)
		return 0;
	*why = rte_strerror(rte_errno);
	return -rte_errno;
}

static u32 memory_of(const struct engine_dpdk_config *config)
{
	return config->memory_mb ? config->memory_mb : EAL_MEMORY_MB;
}

int eal_check(const struct engine_dpdk_config *config, u32 workers, const char **why)
{
	static char message[128];
	u32 least_mb = (eal_least(workers) + EAL_FRAMES_PER_MB - 1) / EAL_FRAMES_PER_MB;
	if (memory_of(config) >= least_mb)
		return 0;
	snprintf(message, sizeof(message),
		"%u MiB are too few for %u workers: dpdk.memory_mb must be at least %u",
		memory_of(config), workers, least_mb);
	*why = message;
	return -EINVAL;
}

u64 eal_bytes(const struct engine_dpdk_config *config)
{
	const char *unread;
	bool huge = false;
	int error = choose_pages(config, memory_of(config), &huge, &unread);
	return error || huge ? 0 : (u64)memory_of(config) << 20;
}

int eal_open(const struct engine_dpdk_config *config, const char **why)
{
	u32 memory_mb = memory_of(config);
	bool huge = false;
	if (pool)
		return 0;
	int error = choose_pages(config, memory_mb, &huge, why);
	if (!error)
		error = eal_start(config, memory_mb, huge, why);
	if (error)
		return error;
	if (!huge)
		rte_memseg_walk(advise, NULL);
	pool = rte_pktmbuf_pool_create("weft", memory_mb * EAL_FRAMES_PER_MB, EAL_CACHE, 0,
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool) {
		*why = "there is not memory enough for frames; raise dpdk.memory_mb";
		return -ENOMEM;
	}
	if (taken_fields()) {
		*why = "DPDK has no room for fields of frames";
		return -ENOMEM;
	}
	pci = config->pci;
	log_info("DPDK is up memory_mb=%u pages=%s", memory_mb, huge ? "huge" : "small");
	return 0;
}

struct rte_mempool *eal_pool(void)
{
	return pool;
}

bool eal_has_pci(void)
{
	return pci;
}
