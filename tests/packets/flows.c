// SPDX-License-Identifier: BSD-2-Clause
// The flow cache of the BPF programs: who is in it, stays in it.
#include "tests/packets/testrun.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { UDP_AT = 34 }; // where the ports are

static void run_flow(const struct engine *engine, struct frame *in, u32 flow)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in->bytes, .data_size_in = in->length,
		.repeat = 1);
	in->bytes[UDP_AT] = (u8)(flow >> 8);
	in->bytes[UDP_AT + 1] = (u8)flow;
	assert_int_equal(bpf_prog_test_run_opts(engine->program, &options), 0);
}

// Slots that some flow has had.
static u32 slots_used(const struct engine *engine)
{
	static const u8 none[64];
	const struct bpf_map *map = bpf_object__find_map_by_name(engine->object, "weft_flow");
	u8 *slot = malloc(bpf_map__value_size(map));
	u32 used = 0;
	for (u32 i = 0; i < bpf_map__max_entries(map); i++) {
		assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(map), &i, slot), 0);
		used += memcmp(slot, none, sizeof(none)) != 0;
	}
	free(slot);
	return used;
}

// A quarter of the slots is wanted. Some sets are full, whose flows take another slot with each
// packet if they have no other set.
static void flows_have_room(void **state)
{
	enum { FLOWS = WEFT_FLOW_SLOTS / 4, PASSES = 5 };
	const struct packet_case *c = &packet_cases[0];
	struct engine *engine;
	struct frame in = frame_build(c->in);
	cpu_set_t before, one;
	sched_getaffinity(0, sizeof(before), &before);
	CPU_ZERO(&one); // each CPU has a cache of its own
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	assert_int_equal(testrun_open(&engine, *(const bool *)*state, false), 0);
	world_configure(&engine_xdp, engine);
	world_before(&engine_xdp, engine, c, world_now_ns());
	testrun_come_in_by(engine, c->port);
	for (u32 i = 0; i < FLOWS * PASSES; i++)
		run_flow(engine, &in, 1 + i % FLOWS);
	assert_int_equal(slots_used(engine), FLOWS);
	testrun_stop(engine);
	sched_setaffinity(0, sizeof(before), &before);
}

int testrun_flows(void)
{
	static bool tc = false, xdp = true;
	const struct CMUnitTest tests[] = {
		{"tc flows have room", flows_have_room, NULL, NULL, &tc},
		{"xdp flows have room", flows_have_room, NULL, NULL, &xdp},
	};
	return cmocka_run_group_tests_name("flow caches in test runs", tests, NULL, NULL);
}
