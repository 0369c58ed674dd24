// SPDX-License-Identifier: BSD-2-Clause
// The vhost-user driver alone: bursts from one port to the other, nothing looked at. Its options,
// guests and last line are those of vuforward, which does the same over DPDK's own driver.
#include "tests/tools/histogram.h"
#include "tests/dpdk/tools/start.h"

#include <rte_cycles.h>
#include <signal.h>
#include "datapath/dpdk/port.h"

enum { POOL_SIZE = 8191, SLICE_MS = 10 };

static volatile sig_atomic_t ended;
static struct dpdk_port ports[PORTS];
static u64 received_cycles, sent_cycles, received, bursts;

static void on_signal(int signal)
{
	(void)signal;
	ended = 1;
}

static u32 forward(struct dpdk_port *from, struct dpdk_port *to)
{
	struct rte_mbuf *burst[BURST];
	u64 begin = rte_rdtsc();
	u32 got = dpdk_vhost.rx(from, 0, burst, BURST);
	if (!got)
		return 0;
	u64 middle = rte_rdtsc();
	u32 sent = dpdk_vhost.tx(to, 0, burst, got);
	sent_cycles += rte_rdtsc() - middle;
	received_cycles += middle - begin;
	received += got;
	bursts++;
	if (sent < got)
		rte_pktmbuf_free_bulk(burst + sent, got - sent);
	return sent;
}

static u64 forward_slice(struct histogram *cost)
{
	u64 begin = rte_rdtsc(), slice = rte_get_tsc_hz() / 1000 * SLICE_MS, sent = 0, now;
	do {
		sent += forward(&ports[0], &ports[1]) + forward(&ports[1], &ports[0]);
		now = rte_rdtsc();
	} while (now - begin < slice);
	if (sent)
		histogram_add(cost, (now - begin) * 1000 / sent);
	return sent;
}

static void open_port(struct dpdk_port *port, const char *path, struct rte_mempool *pool)
{
	struct engine_port config = {.id = 1,
		.name = "bench",
		.kind = ENGINE_PORT_VHOST_USER,
		.path = path,
		.queues = 1};
	const char *why;
	*port = (struct dpdk_port){.id = 1, .driver = &dpdk_vhost, .pool = pool};
	snprintf(port->name, sizeof(port->name), "bench");
	if (dpdk_vhost.open(port, &config, &why))
		errx(EXIT_BROKEN, "%s: %s", path, why);
}

static int start_memory(bool huge)
{
	static char *with[] = {"vhost_bench", "--no-pci", "--no-telemetry", "--log-level=error",
		"-l", "0", "--in-memory", "--single-file-segments"};
	static char *without[] = {"vhost_bench", "--no-pci", "--no-telemetry", "--log-level=error",
		"-l", "0", "--no-huge", "--no-shconf", "-m", "128"};
	return huge ? rte_eal_init(RTE_DIM(with), with) : rte_eal_init(RTE_DIM(without), without);
}

int main(int argc, char **argv)
{
	static struct histogram cost;
	bool huge = argc < 2 || strcmp(argv[1], "--no-huge") != 0;
	char **sockets = argv + (huge ? 1 : 2);
	u64 sent = 0;
	if (argc - (huge ? 1 : 2) != PORTS)
		errx(EXIT_BROKEN, "usage: vhost_bench [--no-huge] SOCKET SOCKET");
	if (start_memory(huge) < 0)
		errx(EXIT_BROKEN, "EAL does not start");
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	struct rte_mempool *pool = start_pool("frames", POOL_SIZE);
	for (u32 i = 0; i < PORTS; i++)
		open_port(&ports[i], sockets[i], pool);
	puts("ready");
	fflush(stdout);
	while (!ended)
		sent += forward_slice(&cost);
	double ns = 1e9 / (double)rte_get_tsc_hz() / (double)RTE_MAX(received, 1u);
	printf("{\"forwarded\": %llu, \"ns_per_packet\": %.2f, \"receive_ns\": %.2f, "
	       "\"send_ns\": %.2f, \"burst\": %.1f}\n",
		sent, (double)histogram_quantile(&cost, 0.5) * 1e6 / (double)rte_get_tsc_hz(),
		(double)received_cycles * ns, (double)sent_cycles * ns,
		(double)received / (double)RTE_MAX(bursts, 1u));
	for (u32 i = 0; i < PORTS; i++)
		dpdk_vhost.close(&ports[i]);
	rte_eal_cleanup();
	return 0;
}
