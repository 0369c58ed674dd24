// SPDX-License-Identifier: BSD-2-Clause
// What switching costs alone, in process: frames replayed from memory through a worker's bursts,
// from a port to a port that are no devices. One line of JSON; ns_per_packet is without the
// source's part.
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include "tests/dpdk/service_rig.h"

enum { SLICES_MOST = 100000 };

static struct {
	u32 flows, macs, size, cpu, sample;
	double seconds;
	bool vxlan, from_peer, uncached;
	const char *services; // a mode: nat, or dsr; NULL: switching alone
	const char *keep;     // where dynamic tables lie; NULL: in memory of its own
} opt = {.flows = 1, .macs = 1, .size = 64, .seconds = 2};

static u8 *frames;      // of all flows, back to back
static u32 frame_bytes; // of each, outer headers included

static void world(void)
{
	u32 outer = opt.from_peer ? RIG_OUTER_BYTES : 0;
	if (opt.vxlan || opt.from_peer)
		rig_overlay();
	if (opt.from_peer) {
		rig.engine->ports[RIG_FROM]->underlay = true;
		rig.engine->ports[RIG_FROM]->mac = (struct weft_mac){{2, 0, 0, 0, 9, 8}};
	}
	frame_bytes = outer + opt.size;
	for (u32 i = 0; i < opt.macs; i++)
		rig_put_place(2 + i, opt.vxlan ? RIG_PEER : RIG_TO);
	if (opt.services)
		rig_services(strcmp(opt.services, "nat") == 0, RIG_VIP);
	frames = malloc((size_t)opt.flows * frame_bytes);
	for (u32 i = 0; i < opt.flows; i++) {
		u8 *frame = frames + (size_t)i * frame_bytes + outer;
		if (outer)
			rig_outer(frame - outer, opt.size, i);
		rig_frame(frame, opt.size, opt.services ? 2 : 2 + i % opt.macs, i);
		if (opt.services)
			rig_to_service(frame);
	}
}

static void burst_make(struct rte_mbuf **burst, u32 *flow)
{
	if (rte_pktmbuf_alloc_bulk(eal_pool(), burst, DPDK_BURST))
		errx(1, "no frames left");
	for (u32 i = 0; i < DPDK_BURST; i++) {
		rte_memcpy(rte_pktmbuf_append(burst[i], (u16)frame_bytes),
			frames + (size_t)*flow * frame_bytes, frame_bytes);
		*flow = *flow + 1 == opt.flows ? 0 : *flow + 1;
	}
}

static void through_worker(struct rte_mbuf **burst)
{
	struct dpdk_worker *worker = dpdk_injector(rig.engine);
	worker->now_ns = worker_now(worker);
	worker_burst(worker, rig.engine->ports[RIG_FROM], burst, DPDK_BURST);
}

// The first packet of each flow, ns.
static double insert(void)
{
	struct rte_mbuf *burst[DPDK_BURST];
	u64 from = rig_now_ns();
	for (u32 i = 0, flow = 0; i < opt.flows; i += DPDK_BURST) {
		burst_make(burst, &flow);
		through_worker(burst);
	}
	return (double)(rig_now_ns() - from) / opt.flows;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

// The median of slices of 64 bursts: what somebody else took of the core is left out.
static double measure(bool through)
{
	static double slice[SLICES_MOST];
	struct rte_mbuf *burst[DPDK_BURST];
	u64 end = rig_now_ns() + (u64)(opt.seconds * 1e9);
	u32 count = 0, flow = 0;
	while (rig_now_ns() < end && count < SLICES_MOST) {
		u64 from = rig_now_ns();
		for (int i = 0; i < 64; i++) {
			burst_make(burst, &flow);
			if (through)
				through_worker(burst);
			else
				rte_pktmbuf_free_bulk(burst, DPDK_BURST);
		}
		slice[count++] = (double)(rig_now_ns() - from) / 64 / DPDK_BURST;
	}
	qsort(slice, count, sizeof(slice[0]), by_value);
	return slice[count / 2];
}

static void options(int argc, char **argv)
{
	static const struct option longs[] = {{"cpu", 1, NULL, 'c'}, {"flows", 1, NULL, 'f'},
		{"macs", 1, NULL, 'm'}, {"size", 1, NULL, 's'}, {"seconds", 1, NULL, 't'},
		{"sample", 1, NULL, 'n'}, {"vxlan", 0, NULL, 'v'}, {"from-peer", 0, NULL, 'p'},
		{"services", 1, NULL, 'S'}, {"uncached", 0, NULL, 'u'}, {"keep", 1, NULL, 'k'},
		{0}};
	int c;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		u32 *number = c == 'c'   ? &opt.cpu
			      : c == 'f' ? &opt.flows
			      : c == 'm' ? &opt.macs
			      : c == 'n' ? &opt.sample
					 : &opt.size;
		if (c == 'v')
			opt.vxlan = true;
		else if (c == 'p')
			opt.from_peer = true;
		else if (c == 'S')
			opt.services = optarg;
		else if (c == 'u')
			opt.uncached = true;
		else if (c == 'k')
			opt.keep = optarg;
		else if (c == 't')
			opt.seconds = atof(optarg);
		else if (c != '?')
			*number = (u32)strtoul(optarg, NULL, 10);
		else
			errx(2, "usage: worker_bench [--cpu N] [--flows N] [--macs N] [--size N] "
				"[--seconds S] [--sample N] [--vxlan|--from-peer] [--services "
				"nat|dsr] "
				"[--uncached] [--keep DIR]");
	}
	if (opt.services && strcmp(opt.services, "nat") != 0 && strcmp(opt.services, "dsr") != 0)
		errx(2, "services: nat or dsr");
	if (opt.services)
		opt.macs = RIG_BACKENDS;
	if (!opt.flows || !opt.macs || opt.size < 60 || opt.size > RIG_FRAME_MOST ||
		!isnormal(opt.seconds))
		errx(2, "flows and macs from 1, size from 60 to %d, seconds above 0",
			RIG_FRAME_MOST);
}

// One of opt.sample packets is timed, or none; in turns, or what changes meanwhile would count.
static void sampling(double source)
{
	enum { TURNS = 9 };
	struct weft_port_row *port = table_at(rig.engine->tables.port, RIG_FROM);
	double off[TURNS], on[TURNS];
	for (u32 i = 0; i < TURNS; i++) {
		port->sample_below = 0;
		off[i] = measure(true) - source;
		port->sample_below = weft_sample_below(opt.sample);
		on[i] = measure(true) - source;
	}
	port->sample_below = 0;
	qsort(off, TURNS, sizeof(off[0]), by_value);
	qsort(on, TURNS, sizeof(on[0]), by_value);
	printf("{\"bench\":\"sampling\",\"flows\":%u,\"sample\":%u,\"off_ns\":%.2f,"
	       "\"on_ns\":%.2f}\n",
		opt.flows, opt.sample, off[TURNS / 2], on[TURNS / 2]);
}

int main(int argc, char **argv)
{
	struct engine_config config = {.dpdk.memory_mb = 64};
	cpu_set_t cpus;
	options(argc, argv);
	for (u32 slots = 1 << 16; slots < 2 * opt.flows; slots *= 2)
		config.dpdk.flow_slots = 2 * slots;
	if (opt.uncached) // the cache holds no flow for long: each packet is decided
		config.dpdk.flow_slots = 64;
	config.capacity[WEFT_TABLE_connection] = 4 * opt.flows + 1024;
	config.keep_dir = opt.keep;
	config.owner = "worker_bench";
	CPU_ZERO(&cpus);
	CPU_SET(opt.cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	rig_start(&config);
	world();
	double first = insert(); // learns, fills the cache
	measure(true);
	double source = measure(false);
	if (opt.sample) {
		sampling(source);
		return 0;
	}
	double both = measure(true);
	printf("{\"bench\":\"worker\",\"flows\":%u,\"macs\":%u,\"size\":%u,\"vxlan\":\"%s\","
	       "\"services\":\"%s\",\"sent\":%llu,\"source_ns\":%.1f,\"first_ns\":%.1f,"
	       "\"ns_per_packet\":%.1f}\n",
		opt.flows, opt.macs, opt.size,
		opt.vxlan       ? "out"
		: opt.from_peer ? "in"
				: "no",
		opt.services ? opt.services : "none", (unsigned long long)rig.sent[RIG_TO], source,
		first - source, both - source);
	if (opt.keep)
		engine_dpdk->purge(rig.engine);
	return 0;
}
