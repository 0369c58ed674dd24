// SPDX-License-Identifier: BSD-2-Clause
// start.h - for the DPDK test tools: an EAL that touches no device of the machine, and simple ports
#pragma once

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "tests/tools/tool.h"

#define BURST     32
#define PORTS     2
#define START_ARG 16

/* Without huge pages DPDK takes its memory from a memfd, which a vhost-user peer can map as well.
 */
struct start {
	const char *name;
	char *vdev[PORTS];
	unsigned int cpu;
	bool no_huge;
};

static inline void start_eal(const struct start *start)
{
	char cpu[16];
	char *argv[START_ARG] = {
		(char *)start->name, "--no-pci", "--no-telemetry", "--log-level=error", "-l", cpu};
	int argc = 6, i;

	snprintf(cpu, sizeof(cpu), "%u", start->cpu);
	if (start->no_huge) {
		argv[argc++] = "--no-huge";
		argv[argc++] = "--no-shconf";
		argv[argc++] = "-m";
		argv[argc++] = "128";
	} else {
		argv[argc++] = "--in-memory";
		argv[argc++] = "--single-file-segments"; /* vhost-user shares 8 regions at most */
	}
	for (i = 0; i < PORTS; i++)
		if (asprintf(&argv[argc++], "--vdev=%s", start->vdev[i]) < 0)
			err(EXIT_BROKEN, "vdev");
	if (rte_eal_init(argc, argv) < 0)
		errx(EXIT_BROKEN, "EAL does not start: %s", rte_strerror(rte_errno));
	if (rte_eth_dev_count_avail() != PORTS)
		errx(EXIT_BROKEN, "%u ports instead of %d", rte_eth_dev_count_avail(), PORTS);
}

/* Both bursts of a core come from its cache: the pools are small enough for the L2. */
static inline struct rte_mempool *start_pool(const char *name, unsigned int count)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		name, count, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	if (!pool)
		errx(EXIT_BROKEN, "pool %s: %s", name, rte_strerror(rte_errno));
	return pool;
}

static inline void start_port(uint16_t port, struct rte_mempool *pool, uint16_t queue_size)
{
	struct rte_eth_conf conf = {0};
	int error = rte_eth_dev_configure(port, 1, 1, &conf);

	if (!error)
		error = rte_eth_rx_queue_setup(port, 0, queue_size, 0, NULL, pool);
	if (!error)
		error = rte_eth_tx_queue_setup(port, 0, queue_size, 0, NULL);
	if (!error)
		error = rte_eth_dev_start(port);
	if (error)
		errx(EXIT_BROKEN, "port %u: %s", port, rte_strerror(-error));
}
