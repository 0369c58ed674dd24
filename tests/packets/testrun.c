// SPDX-License-Identifier: BSD-2-Clause
// The BPF programs by BPF_PROG_TEST_RUN alone, without ports: XDP as an engine for the golden
// packets (tables and inject only), and what one packet costs in either hook.
#include "tests/packets/testrun.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <weft/wire.h>

u32 testrun_flow_slots = WEFT_FLOW_SLOTS;
u32 testrun_capacity[WEFT_TABLE_count];

static int map_fd(const struct engine *engine, const char *name)
{
	return bpf_object__find_map_fd_by_name(engine->object, name);
}

// Sizes as the engine has them: the flow cache has one region per CPU.
static void size_tables(const struct bpf_object *object)
{
	static const char *const per_cpu[] = {"weft_flow", "weft_flow_ip6"};
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(per_cpu); i++)
		bpf_map__set_max_entries(bpf_object__find_map_by_name(object, per_cpu[i]),
			testrun_flow_slots * (u32)libbpf_num_possible_cpus());
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "weft_flow_set"),
		testrun_flow_slots / WEFT_FLOW_WAYS * (u32)libbpf_num_possible_cpus());
	for (u32 i = 0; i < WEFT_TABLE_count; i++) {
		char name[32] = "weft_";
		strcat(name, table_infos[i].name);
		if (testrun_capacity[i])
			bpf_map__set_max_entries(
				bpf_object__find_map_by_name(object, name), testrun_capacity[i]);
	}
}

static int load(struct engine *engine, bool xdp, bool record)
{
	int error;
	if (xdp) {
		engine->xdp = weft_xdp_bpf__open();
		if (!engine->xdp)
			return -errno;
		engine->xdp->rodata->weft_inject = record;
		engine->xdp->rodata->weft_flow_slots = testrun_flow_slots;
		engine->xdp->rodata->weft_decap_ipv6 = !old_kernel();
		size_tables(engine->xdp->obj);
		error = weft_xdp_bpf__load(engine->xdp);
		engine->object = engine->xdp->obj;
		engine->program = bpf_program__fd(engine->xdp->progs.weft_xdp);
	} else {
		engine->tc = weft_tc_bpf__open();
		if (!engine->tc)
			return -errno;
		engine->tc->rodata->weft_inject = record;
		engine->tc->rodata->weft_flow_slots = testrun_flow_slots;
		engine->tc->rodata->weft_decap_ipv6 = !old_kernel();
		size_tables(engine->tc->obj);
		error = weft_tc_bpf__load(engine->tc);
		engine->object = engine->tc->obj;
		engine->program = bpf_program__fd(engine->tc->progs.weft_tc);
	}
	return error;
}

// XDP sends by devices that have it.
static void let_send(const struct engine *engine, u32 ifindex)
{
	u32 index = ifindex & (WEFT_DEVICE_SLOTS - 1);
	struct weft_device_slot slot = {ifindex, WEFT_DEVICE_XDP};
	bpf_map_update_elem(map_fd(engine, "weft_device_slots"), &index, &slot, BPF_ANY);
}

int testrun_open(struct engine **out, bool xdp, bool record)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	int error = load(engine, xdp, record);
	if (error)
		return error;
	for (u32 i = 0; i < WEFT_TABLE_count; i++) {
		char name[32] = "weft_";
		strcat(name, table_infos[i].name);
		engine->fd[i] = map_fd(engine, name);
	}
	engine->cpus = libbpf_num_possible_cpus();
	// Any device will do as the destination: a test run sends nothing.
	for (u32 port = 1; port < PORTS; port++) { // peers have none
		struct weft_port_device_row row = {.ifindex = 1000 + port};
		bpf_map_update_elem(map_fd(engine, "weft_port_device"), &port, &row, 0);
		let_send(engine, row.ifindex);
	}
	let_send(engine, world_underlay);
	*out = engine;
	return 0;
}

static int testrun_start(struct engine **out, const struct engine_config *config, const char **why)
{
	memcpy(testrun_capacity, config->capacity, sizeof(testrun_capacity));
	*why = "the XDP program does not load";
	return testrun_open(out, true, true);
}

void testrun_stop(struct engine *engine)
{
	weft_xdp_bpf__destroy(engine->xdp);
	weft_tc_bpf__destroy(engine->tc);
	free(engine);
}

static void bump_generation(struct engine *engine)
{
	u32 all = 0;
	struct weft_generation_row row;
	bpf_map_lookup_elem(engine->fd[WEFT_TABLE_generation], &all, &row);
	row.value++;
	bpf_map_update_elem(engine->fd[WEFT_TABLE_generation], &all, &row, BPF_ANY);
}

static int testrun_put(
	struct engine *engine, enum weft_table table, const void *key, const void *row)
{
	int error = bpf_map_update_elem(engine->fd[table], key, row, BPF_ANY);
	bump_generation(engine);
	return error;
}

static int testrun_get(struct engine *engine, enum weft_table table, const void *key, void *row)
{
	if (table_infos[table].kind != WEFT_TABLE_PER_CPU)
		return bpf_map_lookup_elem(engine->fd[table], key, row);
	u32 words = table_infos[table].row_bytes / 8;
	u64 *sum = row, *values = calloc((size_t)engine->cpus * words, 8);
	int error = bpf_map_lookup_elem(engine->fd[table], key, values);
	memset(row, 0, table_infos[table].row_bytes);
	for (u32 i = 0; i < words * (u32)engine->cpus; i++)
		sum[i % words] += values[i];
	free(values);
	return error;
}

static void *testrun_at(struct engine *engine, enum weft_table table, u32 index)
{
	size_t stride = (table_infos[table].row_bytes + 7) & ~7u;
	u8 **mapped = &engine->mapped[table];
	if (!*mapped) // until the end of the program
		*mapped = mmap(NULL, table_rows(table, testrun_capacity[table]) * stride,
			PROT_READ | PROT_WRITE, MAP_SHARED, engine->fd[table], 0);
	return *mapped == MAP_FAILED ? NULL : *mapped + index * stride;
}

static int testrun_del(struct engine *engine, enum weft_table table, const void *key, void *row)
{
	(void)row;
	int error = bpf_map_delete_elem(engine->fd[table], key);
	bump_generation(engine);
	return error;
}

// The callback may delete the row that it is given: the next one is asked for before.
static int testrun_walk(
	struct engine *engine, enum weft_table table, engine_walk_fn *fn, void *context)
{
	u8 key[64], next[64], row[256];
	bool more = bpf_map_get_next_key(engine->fd[table], NULL, next) == 0;
	int stopped = 0;
	while (more && !stopped) {
		memcpy(key, next, sizeof(key));
		more = bpf_map_get_next_key(engine->fd[table], key, next) == 0;
		if (bpf_map_lookup_elem(engine->fd[table], key, row) == 0)
			stopped = fn(key, row, context);
	}
	return stopped;
}

// A test run comes in by the loopback device: for this packet that is the port.
void testrun_come_in_by(struct engine *engine, u32 port)
{
	u32 loopback = 1;
	struct weft_device_slot slot = {loopback, port ? port : WEFT_DEVICE_UNDERLAY};
	bpf_map_update_elem(map_fd(engine, "weft_device_slots"), &loopback, &slot, BPF_ANY);
}

static int testrun_inject(struct engine *engine, const struct engine_packet *packet, u64 now_ns,
	struct engine_result *result)
{
	u32 zero = 0;
	(void)now_ns;
	testrun_come_in_by(engine, packet->port);
	memset(result, 0, sizeof(*result));
	bpf_map_update_elem(map_fd(engine, "weft_record"), &zero, &result->record, BPF_ANY);
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->bytes,
		.data_size_in = packet->length, .data_out = result->output[0].bytes,
		.data_size_out = ENGINE_FRAME_BYTES, .repeat = 1);
	int error = bpf_prog_test_run_opts(engine->program, &options);
	if (error)
		return error;
	bpf_map_lookup_elem(map_fd(engine, "weft_record"), &zero, &result->record);
	result->output[0].length = options.data_size_out;
	result->output[0].port = result->record.verdict.port;
	result->outputs = options.retval == 4 /* XDP_REDIRECT */ ||
			  (options.retval == 2 /* XDP_PASS */ && result->record.passed);
	return 0;
}

const struct engine_ops engine_xdp = {
	.name = "xdp",
	.start = testrun_start,
	.stop = testrun_stop,
	.table_put = testrun_put,
	.table_get = testrun_get,
	.table_del = testrun_del,
	.table_walk = testrun_walk,
	.table_at = testrun_at,
	.inject = testrun_inject,
};

// The ports' packets, one of so many; 0: none.
static void sample_ports(struct engine *engine, u32 one_in)
{
	for (u32 port = 1; port < PORTS; port++) {
		struct weft_port_row row;
		bpf_map_lookup_elem(engine->fd[WEFT_TABLE_port], &port, &row);
		row.sample_below = weft_sample_below(one_in);
		row.flags |= WEFT_PORT_TAP;
		bpf_map_update_elem(engine->fd[WEFT_TABLE_port], &port, &row, BPF_ANY);
	}
}

// --- either hook observes what it sends

static int keep_card(void *context, void *data, size_t bytes)
{
	assert_int_equal(bytes, sizeof(struct weft_postcard));
	memcpy(context, data, bytes);
	return 0;
}

static u64 spans(struct engine *engine, u32 from, u32 to, enum weft_span span)
{
	struct weft_latency_key key = {from, to, span, 0};
	static struct weft_latency_row row;
	u64 count = 0;
	for (; key.cpu < WEFT_LATENCY_CPUS; key.cpu++)
		if (!bpf_map_lookup_elem(engine->fd[WEFT_TABLE_latency], &key, &row))
			count += row.count;
	return count;
}

static void observe_all(struct engine *engine)
{
	u32 zero = 0;
	struct weft_host_row host;
	sample_ports(engine, 1);
	bpf_map_lookup_elem(engine->fd[WEFT_TABLE_host], &zero, &host);
	host.trace_until_ns = world_now_ns() + 60000000000ull;
	host.trace_below = ~0u;
	bpf_map_update_elem(engine->fd[WEFT_TABLE_host], &zero, &host, BPF_ANY);
}

static void observes(void **state)
{
	const struct packet_case *c = &packet_cases[0]; // from port 1 to port 2
	bool xdp = *(const bool *)*state;
	struct engine *engine;
	struct weft_postcard card = {0};
	struct frame in = frame_build(c->in);
	u8 out[ENGINE_FRAME_BYTES];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.bytes, .data_size_in = in.length,
		.data_out = out, .data_size_out = sizeof(out), .repeat = 1);
	assert_int_equal(testrun_open(&engine, xdp, false), 0);
	world_configure(&engine_xdp, engine);
	world_before(&engine_xdp, engine, c, world_now_ns());
	testrun_come_in_by(engine, c->port);
	observe_all(engine);
	assert_int_equal(bpf_prog_test_run_opts(engine->program, &options), 0);
	assert_int_equal(spans(engine, 1, 2, WEFT_SPAN_decide), 1);
	assert_int_equal(spans(engine, 1, 2, WEFT_SPAN_residence), 1);
	struct ring_buffer *ring =
		ring_buffer__new(map_fd(engine, "weft_postcards"), keep_card, &card, NULL);
	assert_int_equal(ring_buffer__consume(ring), 1);
	ring_buffer__free(ring);
	assert_true(card.identity && card.in_ns && card.in_ns <= card.decided_ns &&
		    card.decided_ns <= card.out_ns);
	assert_int_equal(card.from * 10 + card.to, 12);
	assert_int_equal(card.in_point * 10 + card.out_point, 5);
	assert_int_equal(card.bytes, in.length);
	assert_int_equal(card.captured, in.length);
	assert_memory_equal(card.frame, in.bytes, in.length);
	testrun_stop(engine);
}

// A guest that owes an answer is not listened to for ever.
static void hears_so_much(void **state)
{
	const struct packet_case *c = &packet_cases[0];
	bool xdp = *(const bool *)*state;
	struct engine *engine;
	struct frame in = frame_build(c->in);
	struct weft_guest_row guest = {.out_ns = world_now_ns(), .protocol = WEFT_IP_UDP};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.bytes, .data_size_in = in.length,
		.repeat = 1000);
	assert_int_equal(testrun_open(&engine, xdp, false), 0);
	world_configure(&engine_xdp, engine);
	world_before(&engine_xdp, engine, c, world_now_ns());
	testrun_come_in_by(engine, c->port);
	sample_ports(engine, 1 << 30);
	bpf_map_update_elem(engine->fd[WEFT_TABLE_guest], &c->port, &guest, BPF_ANY);
	assert_int_equal(bpf_prog_test_run_opts(engine->program, &options), 0);
	bpf_map_lookup_elem(engine->fd[WEFT_TABLE_guest], &c->port, &guest);
	assert_int_equal(guest.heard, 256);
	assert_int_not_equal(guest.out_ns, 0);
	testrun_stop(engine);
}

int testrun_observe(void)
{
	static bool tc = false, xdp = true;
	const struct CMUnitTest tests[] = {
		{"tc observes", observes, NULL, NULL, &tc},
		{"xdp observes", observes, NULL, NULL, &xdp},
		{"tc hears so much", hears_so_much, NULL, NULL, &tc},
		{"xdp hears so much", hears_so_much, NULL, NULL, &xdp},
	};
	return cmocka_run_group_tests_name("observation in test runs", tests, NULL, NULL);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

// Nanoseconds per packet: the median of 9 runs, and their spread. Drops and forwards only: they
// leave the frame as it came, so that it can be run again.
static void bench_case(struct engine *engine, const char *hook, const struct packet_case *c)
{
	enum { RUNS = 9, REPEAT = 500000 };
	double ns[RUNS];
	struct frame in = frame_build(c->in);
	world_before(&engine_xdp, engine, c, world_now_ns());
	testrun_come_in_by(engine, c->port);
	for (int run = 0; run < RUNS; run++) {
		u8 out[ENGINE_FRAME_BYTES];
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.bytes,
			.data_size_in = in.length, .data_out = out, .data_size_out = sizeof(out),
			.repeat = REPEAT);
		if (bpf_prog_test_run_opts(engine->program, &options))
			return;
		ns[run] = options.duration;
	}
	qsort(ns, RUNS, sizeof(ns[0]), compare_doubles);
	printf("{\"bench\":\"decide\",\"switch\":\"weft\",\"hook\":\"%s\",\"case\":\"%s\","
	       "\"metric\":\"ns_per_packet\",\"median\":%.0f,\"min\":%.0f,\"max\":%.0f}\n",
		hook, c->name, ns[RUNS / 2], ns[0], ns[RUNS - 1]);
}

// What it costs to time packets: in turns, for the machine is another one every second.
static void bench_sampling(struct engine *engine, const struct packet_case *c)
{
	static const u32 one_in[] = {0, 1024, 1};
	enum { TURNS = 31, REPEAT = 100000, KINDS = WEFT_ARRAY_SIZE(one_in) };
	double ns[KINDS][TURNS];
	struct frame in = frame_build(c->in);
	world_before(&engine_xdp, engine, c, world_now_ns());
	testrun_come_in_by(engine, c->port);
	for (int i = 0; i < TURNS * KINDS; i++) {
		u8 out[ENGINE_FRAME_BYTES];
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.bytes,
			.data_size_in = in.length, .data_out = out, .data_size_out = sizeof(out),
			.repeat = REPEAT);
		sample_ports(engine, one_in[i % KINDS]);
		if (bpf_prog_test_run_opts(engine->program, &options))
			return;
		ns[i % KINDS][i / KINDS] = options.duration;
	}
	for (int kind = 0; kind < KINDS; kind++) {
		qsort(ns[kind], TURNS, sizeof(double), compare_doubles);
		printf("{\"bench\":\"observe\",\"switch\":\"weft\",\"hook\":\"tc\",\"sample\":%u,"
		       "\"metric\":\"ns_per_packet\",\"median\":%.0f,\"min\":%.0f,\"max\":%.0f}\n",
			one_in[kind], ns[kind][TURNS / 2], ns[kind][0], ns[kind][TURNS - 1]);
	}
}

static void bench_size(const struct engine *engine, const char *hook)
{
	struct bpf_prog_info info = {0};
	u32 bytes = sizeof(info);
	if (bpf_obj_get_info_by_fd(engine->program, &info, &bytes))
		return;
	printf("{\"bench\":\"decide\",\"switch\":\"weft\",\"hook\":\"%s\",\"case\":\"program\","
	       "\"instructions\":%u,\"jited_bytes\":%u,\"verifier_instructions\":%u}\n",
		hook, info.xlated_prog_len / 8, info.jited_prog_len, info.verified_insns);
}

int testrun_bench(void)
{
	for (int xdp = 0; xdp < 2; xdp++) {
		struct engine *engine;
		if (testrun_open(&engine, xdp, false)) {
			fprintf(stderr, "the programs do not load; run as root\n");
			return 1;
		}
		const char *hook = xdp ? "xdp" : "tc";
		world_configure(&engine_xdp, engine);
		bench_size(engine, hook);
		for (size_t i = 0; i < packet_case_count; i++)
			if (packet_cases[i].in_bench)
				bench_case(engine, hook, &packet_cases[i]);
		for (size_t i = 0; !xdp && i < packet_case_count; i++)
			if (!strcmp(packet_cases[i].name, "unicast, access to access"))
				bench_sampling(engine, &packet_cases[i]);
		testrun_stop(engine);
	}
	return 0;
}
