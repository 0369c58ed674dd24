// SPDX-License-Identifier: BSD-2-Clause
// What a packet of a service costs in either hook, by BPF_PROG_TEST_RUN: address and port
// rewritten, connections kept. What a run without the program costs is taken off.
#include "tests/packets/testrun.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "replay.skel.h"
#include <weft/wire.h>
#include "tests/packets/bpf/replay.h"

enum { RING = 4093, RUNS = 7, BACKENDS_MOST = 4096, SERVICES_MOST = 4096 };

struct load {
	const char *name;
	u32 services, backends, flows; // flows 0: each packet is of a new one
	bool udp, dsr;                 // dsr: nothing but the MAC changes
	u32 repeat;
};

static const struct load loads[] = {
	{"1 flow", 1, 10, 1, false, false, 1000000},
	{"1k flows", 1, 10, 1000, false, false, 1000000},
	{"64k flows", 1, 10, 65536, false, false, 1000000},
	{"1M flows", 1, 10, 1 << 20, false, false, 2500000},
	{"1 flow, UDP", 1, 10, 1, true, false, 1000000},
	{"1k flows, UDP", 1, 10, 1000, true, false, 1000000},
	{"64k flows, UDP", 1, 10, 65536, true, false, 1000000},
	{"1k flows, 512 services", 512, 10, 1000, false, false, 1000000},
	{"1k flows, 4096 services", 4096, 10, 4096, false, false, 1000000},
	{"1k flows, 4096 backends", 1, 4096, 1000, false, false, 1000000},
	{"1k flows, dsr", 1, 10, 1000, false, true, 1000000},
	{"64k flows, dsr", 1, 10, 65536, false, true, 1000000},
	{"new flows", 1, 10, 0, false, false, 100000},
	{"new flows, dsr", 1, 10, 0, false, true, 100000},
};

static void put(struct engine *engine, enum weft_table table, const void *key, const void *row)
{
	if (bpf_map_update_elem(engine->fd[table], key, row, BPF_ANY))
		perror(table_infos[table].name), exit(1);
}

static void address(u8 *out, u32 ip)
{
	be32 wire = weft_hton32(ip);
	memset(out, 0, 16);
	out[10] = out[11] = 0xff;
	memcpy(out + 12, &wire, 4);
}

// All services share the backends' ids: each has as many as are asked for of its own, or the same.
static void configure(struct engine *engine, const struct load *load)
{
	u8 protocol = load->udp ? WEFT_IP_UDP : WEFT_IP_TCP;
	struct weft_mac mac;
	memcpy(&mac, frame_build("B>B").bytes, sizeof(mac));
	for (u32 service = 0; service < load->services; service++) {
		u32 id = service + 1;
		struct weft_service_row row = {
			.id = id,
			.flags = load->dsr ? WEFT_SERVICE_DSR : WEFT_SERVICE_NAT,
			.network = WHITE,
			.ring = service * (load->services > 1 ? 1 : RING),
			.ring_size = load->services > 1 ? 1 : RING,
			.connection_limit = 1 << 30,
			.idle_ns = 3600 * 1000000000ull,
		};
		struct weft_service_key key = {.scope = WHITE, .port = 80, .protocol = protocol};
		address(key.address, REPLAY_VIP + service);
		put(engine, WEFT_TABLE_service, &key, &row);
	}
	for (u32 i = 0; i < (load->services > 1 ? load->services : load->backends); i++) {
		u32 id = i + 1;
		struct weft_backend_row row = {
			.flags = WEFT_BACKEND_PRESENT,
			.service = load->services > 1 ? id : 1,
			.port = 8080,
			.mac = mac,
		};
		address(row.address, 0x0a010002);
		put(engine, WEFT_TABLE_backend, &id, &row);
	}
	for (u32 i = 0; i < RING; i++) {
		struct weft_ring_row row = {
			load->services > 1 ? i % load->services + 1 : i % load->backends + 1};
		put(engine, WEFT_TABLE_ring, &i, &row);
	}
	u32 white = WHITE;
	struct weft_network_row network;
	bpf_map_lookup_elem(engine->fd[WEFT_TABLE_network], &white, &network);
	network.connection_limit = 1 << 30;
	put(engine, WEFT_TABLE_network, &white, &network);
	struct weft_fdb_key place = {.network = WHITE, .mac = mac};
	struct weft_fdb_row row = {.port = 13, .kind = WEFT_FDB_STATIC};
	put(engine, WEFT_TABLE_fdb, &place, &row);
}

static double one_run(int program, u32 repeat, u8 *frame)
{
	u8 out[ENGINE_FRAME_BYTES];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = REPLAY_BYTES,
		.data_out = out, .data_size_out = sizeof(out), .repeat = (int)repeat);
	if (bpf_prog_test_run_opts(program, &options))
		perror("test run"), exit(1);
	return options.duration;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(bool xdp, const struct load *load)
{
	struct engine *engine;
	struct replay_bpf *replay = replay_bpf__open();
	double with[RUNS], without[RUNS];
	u32 zero = 0;
	if (!replay || testrun_open(&engine, xdp, false))
		perror("the programs do not load"), exit(1);
	world_configure(&engine_xdp, engine);
	configure(engine, load);
	testrun_come_in_by(engine, 12);
	struct frame frame =
		frame_build(load->udp ? "A>G ip4:10.1.0.1,10.9.0.1,17 udp:1,80 data:22"
				      : "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:1,80 flags:10 data:10");
	replay->rodata->replay_flows = load->flows;
	replay->rodata->replay_services = load->services;
	memcpy(replay->bss->replay_frame, frame.bytes, REPLAY_BYTES);
	if (replay_bpf__load(replay))
		perror("replay"), exit(1);
	int program = bpf_program__fd(xdp ? replay->progs.replay_xdp : replay->progs.replay_tc);
	int next = bpf_map__fd(xdp ? replay->maps.replay_next_xdp : replay->maps.replay_next_tc);
	for (int run = 0; run < RUNS; run++) {
		bpf_map_delete_elem(next, &zero);
		replay->bss->replay_mixed = load->flows > 0;
		without[run] = one_run(program, load->repeat, frame.bytes);
		bpf_map_update_elem(next, &zero, &engine->program, BPF_ANY);
		if (!run && load->flows) { // all of them are known, and nobody's first second is it
			replay->bss->replay_mixed = false;
			one_run(program, load->flows + 1, frame.bytes);
			replay->bss->replay_mixed = true;
		}
		with[run] = one_run(program, load->repeat, frame.bytes) - without[run];
	}
	qsort(with, RUNS, sizeof(with[0]), by_size);
	printf("{\"bench\":\"services\",\"switch\":\"weft\",\"hook\":\"%s\",\"case\":\"%s\","
	       "\"metric\":\"ns_per_packet\",\"median\":%.0f,\"min\":%.0f,\"max\":%.0f}\n",
		xdp ? "xdp" : "tc", load->name, with[RUNS / 2], with[0], with[RUNS - 1]);
	fflush(stdout);
	replay_bpf__destroy(replay);
	testrun_stop(engine);
}

int services_bench(const char *hook, const char *name)
{
	testrun_flow_slots = 1 << 18;
	testrun_capacity[WEFT_TABLE_ring] = RING;
	testrun_capacity[WEFT_TABLE_backend] = BACKENDS_MOST + 1;
	testrun_capacity[WEFT_TABLE_connection] = 1 << 22;
	for (int xdp = 1; xdp >= 0; xdp--)
		for (size_t i = 0; i < WEFT_ARRAY_SIZE(loads); i++)
			if ((!hook || !strcmp(hook, xdp ? "xdp" : "tc")) &&
				(!name || !strcmp(name, loads[i].name)))
				measure(xdp, &loads[i]);
	return 0;
}
