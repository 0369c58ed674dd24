// SPDX-License-Identifier: BSD-2-Clause
// What switching costs alone, in process: frames replayed from memory through a worker's bursts,
// from a port to a port that are no devices. One line of JSON; ns_per_packet is without the
// source's part.
#include <err.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "datapath/dpdk/attach.h"
#include "datapath/dpdk/eal.h"

extern const struct engine_ops *const engine_dpdk;

enum { FROM = 1, TO = 2, NETWORK = 1, FRAME_MOST = 2048, SLICES_MOST = 100000, PEER = 3 };

static struct {
	u32 flows, size, cpu;
	double seconds;
	bool vxlan;
} opt = {.flows = 1, .size = 64, .seconds = 2};

static const struct engine_ops *ops;
static struct engine *engine;
static u8 *frames; // of all flows, back to back
static u64 sent;

// --- a port that is nothing

static int null_open(struct dpdk_port *port, const struct engine_port *config, const char **why)
{
	(void)config, (void)why;
	port->tx_queues = 1;
	return 0;
}

static void null_close(struct dpdk_port *port)
{
	(void)port;
}

static u32 null_rx(struct dpdk_port *port, u32 queue, struct rte_mbuf **out, u32 capacity)
{
	(void)port, (void)queue, (void)out, (void)capacity;
	return 0;
}

static u32 null_tx(struct dpdk_port *port, u32 queue, struct rte_mbuf **out, u32 count)
{
	(void)port, (void)queue;
	rte_pktmbuf_free_bulk(out, count);
	sent += count;
	return count;
}

static bool null_arm(struct dpdk_port *port, u32 queue, bool on)
{
	(void)port, (void)queue, (void)on;
	return false;
}

static void null_state(struct dpdk_port *port, struct engine_port_state *out)
{
	(void)port, (void)out;
}

static const struct dpdk_driver null_driver = {
	"null", null_open, null_close, null_rx, null_tx, null_arm, null_state};

static struct dpdk_port *port_make(u32 id)
{
	struct dpdk_port *port = calloc(1, sizeof(*port));
	*port = (struct dpdk_port){.id = id,
		.slot = id,
		.engine = engine,
		.driver = &null_driver,
		.pool = eal_pool(),
		.tx_queues = 1};
	engine->ports[id] = port;
	return port;
}

// --- the world: one network, two ports, and with --vxlan a peer behind the second

static void put(enum weft_table table, const void *key, const void *row)
{
	if (ops->table_put(engine, table, key, row))
		errx(1, "cannot put a row");
}

static void world_overlay(void)
{
	struct weft_index zero = {0}, peer = {PEER}, hop = {PEER * WEFT_NEXTHOPS_PER_PEER};
	struct weft_host_row host = {.udp_port = 4789};
	struct weft_port_row row = {.flags = WEFT_PORT_PRESENT | WEFT_PORT_PEER, .nexthops = 1};
	struct weft_nexthop_row nexthop = {.mtu = 1600, .ifindex = 77, .dst = {{2, 0, 0, 0, 9, 9}}};
	const u8 mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
	memcpy(host.address, mapped, 16);
	memcpy(row.address, mapped, 16);
	put(WEFT_TABLE_host, &zero, &host);
	put(WEFT_TABLE_port, &peer, &row);
	put(WEFT_TABLE_nexthop, &hop, &nexthop);
	engine->ports[TO]->ifindex = nexthop.ifindex;
	engine->underlay[0] = TO;
}

static void world(void)
{
	struct weft_network_row network = {.flags = WEFT_NETWORK_PRESENT | WEFT_NETWORK_OWN,
		.mtu = 1500,
		.ageing_ns = 300000000000ull,
		.mac_limit = 1000,
		.vni = 100};
	struct weft_port_row port = {
		.flags = WEFT_PORT_PRESENT, .network = NETWORK, .mac_limit = 1000};
	struct weft_fdb_key to = {.network = NETWORK, .mac = {{2, 0, 0, 0, 0, 2}}};
	struct weft_fdb_row place = {.port = opt.vxlan ? PEER : TO, .kind = WEFT_FDB_STATIC};
	put(WEFT_TABLE_network, &(struct weft_index){NETWORK}, &network);
	put(WEFT_TABLE_port, &(struct weft_index){FROM}, &port);
	put(WEFT_TABLE_port, &(struct weft_index){TO}, &port);
	if (opt.vxlan)
		world_overlay();
	put(WEFT_TABLE_fdb, &to, &place);
}

static void frame_build(u8 *at, u32 flow)
{
	static const u8 head[42] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0,
		0x40, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2};
	u32 ip = opt.size - 14, udp = ip - 20;
	memcpy(at, head, sizeof(head));
	at[16] = (u8)(ip >> 8), at[17] = (u8)ip;
	at[27] = (u8)(flow >> 28), at[28] = (u8)(flow >> 20); // beyond 2^20: other addresses
	at[34] = (u8)(flow >> 8), at[35] = (u8)flow;
	at[36] = (u8)(flow >> 16), at[37] = 80;
	at[38] = (u8)(udp >> 8), at[39] = (u8)udp;
}

// --- measure

static u64 now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

static void burst_make(struct rte_mbuf **burst, u32 *flow)
{
	if (rte_pktmbuf_alloc_bulk(eal_pool(), burst, DPDK_BURST))
		errx(1, "no frames left");
	for (u32 i = 0; i < DPDK_BURST; i++) {
		rte_memcpy(rte_pktmbuf_append(burst[i], (u16)opt.size),
			frames + (size_t)*flow * opt.size, opt.size);
		*flow = *flow + 1 == opt.flows ? 0 : *flow + 1;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

// The median of slices of 64 bursts: what somebody else took of the core is left out.
static double measure(bool through, struct dpdk_port *port)
{
	struct dpdk_worker *worker = dpdk_injector(engine);
	static double slice[SLICES_MOST];
	struct rte_mbuf *burst[DPDK_BURST];
	u64 end = now_ns() + (u64)(opt.seconds * 1e9);
	u32 count = 0, flow = 0;
	while (now_ns() < end && count < SLICES_MOST) {
		u64 from = now_ns();
		for (int i = 0; i < 64; i++) {
			burst_make(burst, &flow);
			if (through) {
				worker->now_ns = worker_now(worker);
				worker_burst(worker, port, burst, DPDK_BURST);
			} else {
				rte_pktmbuf_free_bulk(burst, DPDK_BURST);
			}
		}
		slice[count++] = (double)(now_ns() - from) / 64 / DPDK_BURST;
	}
	qsort(slice, count, sizeof(slice[0]), by_value);
	return slice[count / 2];
}

static void options(int argc, char **argv)
{
	static const struct option longs[] = {{"cpu", 1, NULL, 'c'}, {"flows", 1, NULL, 'f'},
		{"size", 1, NULL, 's'}, {"seconds", 1, NULL, 't'}, {"vxlan", 0, NULL, 'v'}, {0}};
	int c;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		u32 *number = c == 'c' ? &opt.cpu : c == 'f' ? &opt.flows : &opt.size;
		if (c == 'v')
			opt.vxlan = true;
		else if (c == 't')
			opt.seconds = atof(optarg);
		else if (c != '?')
			*number = (u32)strtoul(optarg, NULL, 10);
		else
			errx(2, "usage: worker_bench [--cpu N] [--flows N] [--size N] [--seconds "
				"S] [--vxlan]");
	}
	if (!opt.flows || opt.size < 60 || opt.size > FRAME_MOST || !isnormal(opt.seconds))
		errx(2, "flows from 1, size from 60 to %d, seconds above 0", FRAME_MOST);
}

int main(int argc, char **argv)
{
	struct engine_config config = {.dpdk.memory_mb = 64};
	const char *why = "";
	cpu_set_t cpus;
	options(argc, argv);
	for (u32 slots = 1 << 16; slots < 2 * opt.flows; slots *= 2)
		config.dpdk.flow_slots = 2 * slots;
	CPU_ZERO(&cpus);
	CPU_SET(opt.cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	ops = engine_dpdk;
	if (ops->start(&engine, &config, &why))
		errx(1, "the engine does not start: %s", why);
	struct dpdk_port *from = port_make(FROM);
	port_make(TO);
	world();
	frames = malloc((size_t)opt.flows * opt.size);
	for (u32 i = 0; i < opt.flows; i++)
		frame_build(frames + (size_t)i * opt.size, i);
	measure(true, from); // learns, fills the cache
	double source = measure(false, from), both = measure(true, from);
	printf("{\"bench\":\"worker\",\"flows\":%u,\"size\":%u,\"vxlan\":%s,\"sent\":%llu,"
	       "\"source_ns\":%.1f,\"ns_per_packet\":%.1f}\n",
		opt.flows, opt.size, opt.vxlan ? "true" : "false", (unsigned long long)sent, source,
		both - source);
	return 0;
}
