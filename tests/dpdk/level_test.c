// SPDX-License-Identifier: BSD-2-Clause
// The two levels of the flow cache. What a worker runs is built here once more, with a stage that
// reads ports in the way a balancer will, and counts what is decided.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <weft/stages.h>
#undef WEFT_STAGES
#define WEFT_STAGES(X) X(admit) X(learn) X(resolve) X(ports) X(forward)
#define worker_burst   level_burst
#define worker_flush   level_flush
#define worker_inject  level_inject
#define worker_enter   level_enter
#include "datapath/dpdk/burst.c"
#include "tests/dpdk/worker_rig.h"

enum { REFUSED = 7 }; // the port that the stage refuses

static bool by_ports;
static u32 decided;

weft_inline bool stage_ports(struct decide *d)
{
	decided++;
	return by_ports && decide_whole(d)->l4_src == REFUSED &&
	       decide_drop(d, WEFT_DROP_not_routed);
}

static int setup(void **state)
{
	(void)state;
	rig_start(&(struct engine_config){.dpdk = {.memory_mb = 64, .flow_slots = 4096}});
	dpdk_injector(rig.engine)->now_ns = 1000000000000ull;
	rig_put_place(2, RIG_TO);
	rig_put_place(1, RIG_FROM);
	by_ports = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop();
	return 0;
}

static void generation_bump(u32 index)
{
	struct weft_generation_row row;
	assert_int_equal(shared_get(rig.engine, WEFT_TABLE_generation, &index, &row), 0);
	row.value++;
	rig_put(WEFT_TABLE_generation, &index, &row);
}

static void pass(u32 ms)
{
	dpdk_injector(rig.engine)->now_ns += ms * 1000000ull;
}

// A burst of flows first, first + 1, ... that all leave, but for the refused. Returns how often
// decide was asked.
static u32 run(u32 first, u32 count, bool ip6)
{
	struct rte_mbuf *burst[DPDK_BURST];
	u32 before = decided, lost = 0;
	u64 sent = rig.sent[RIG_TO];
	for (u32 i = 0; i < count; i++) {
		u8 bytes[82] = {0};
		rig_frame(bytes, 62, 2, first + i);
		if (ip6) { // the same ports, behind longer addresses
			memmove(bytes + 54, bytes + 34, 28);
			memset(bytes + 14, 0, 40);
			bytes[12] = 0x86, bytes[13] = 0xdd, bytes[14] = 0x60;
			bytes[19] = 28, bytes[20] = 17, bytes[22] = bytes[38] = 0xfd;
		}
		lost += by_ports && first + i == REFUSED;
		burst[i] = rig_mbuf(bytes, ip6 ? 82 : 62);
	}
	level_burst(dpdk_injector(rig.engine), rig.engine->ports[RIG_FROM], burst, count);
	assert_int_equal(rig.sent[RIG_TO] - sent, count - lost);
	return decided - before;
}

static void one_verdict_for_all_flows(void **state)
{
	(void)state;
	assert_int_equal(run(100, 1, false), 1);
	for (u32 flow = 0; flow < 1000; flow += 20)
		assert_int_equal(run(flow, 20, false), 0);
	assert_int_equal(run(0, 5, true), 1); // IPv6 is another head
	pass(400);
	assert_int_equal(run(0, 5, false), 0);
	pass(200);
	assert_int_equal(run(0, 5, false), 1); // which refreshes the FDB
	generation_bump(0);
	assert_int_equal(run(0, 5, false), 1);
	generation_bump(RIG_NETWORK);
	assert_int_equal(run(0, 5, false), 1);
	assert_int_equal(run(0, 5, false), 0);
}

static void deep_verdicts_stand_for_one_flow(void **state)
{
	(void)state;
	bool ip6 = *state != NULL;
	by_ports = true;
	assert_int_equal(run(100, 20, ip6), 20);
	assert_int_equal(run(100, 20, ip6), 0);
	assert_int_equal(run(100, 20, ip6), 0); // looked for ahead
	assert_int_equal(run(0, 20, ip6), 20);
	assert_int_equal(run(0, 20, ip6), 1); // the refused one is never kept
	pass(400);
	assert_int_equal(run(100, 20, ip6), 0);
	pass(200);
	assert_int_equal(run(100, 20, ip6), 20);
	generation_bump(0);
	assert_int_equal(run(100, 20, ip6), 20);
	generation_bump(RIG_NETWORK);
	assert_int_equal(run(100, 20, ip6), 20);
	assert_int_equal(run(100, 20, ip6), 0);
}

static void levels_follow_the_configuration(void **state)
{
	(void)state;
	assert_int_equal(run(0, 20, false), 1);
	by_ports = true; // as when a service is added
	generation_bump(0);
	assert_int_equal(run(0, 20, false), 20);
	assert_int_equal(run(0, 20, false), 1);
	by_ports = false;
	generation_bump(0);
	assert_in_range(run(0, 20, false), 1, 20); // what was looked for ahead is decided
	assert_int_equal(run(0, 20, false), 0);
}

// What was kept and is no longer to be: gone, and not found as something else.
static void forgotten_verdicts_are_decided_again(void **state)
{
	(void)state;
	assert_int_equal(run(0, 5, false), 1);
	rig_put_place(2, RIG_FROM); // a hairpin
	generation_bump(0);
	u64 sent = rig.sent[RIG_TO];
	u32 before = decided;
	for (u32 i = 0; i < 3; i++) {
		u8 bytes[62];
		rig_frame(bytes, 62, 2, i);
		struct rte_mbuf *frame = rig_mbuf(bytes, 62);
		level_burst(dpdk_injector(rig.engine), rig.engine->ports[RIG_FROM], &frame, 1);
	}
	assert_int_equal(decided - before, 3);
	assert_int_equal(rig.sent[RIG_TO], sent);
}

static u32 run_all(u32 first, u32 count)
{
	u32 asked = 0;
	for (u32 i = 0; i < count; i += 20)
		asked += run(first + i, 20, false);
	return asked;
}

// No set is full before many are: 1,600 flows in 4,096 slots, eight to a set, are three to a set,
// but in some they would be nine.
static void flows_have_room(void **state)
{
	(void)state;
	by_ports = true;
	assert_int_equal(run_all(100, 1600), 1600);
	assert_int_equal(run_all(100, 1600), 0);
	assert_int_equal(run_all(100, 1600), 0);
}

// Those that have ended, not those that go on.
static void who_has_ended_makes_room(void **state)
{
	(void)state;
	by_ports = true;
	run_all(20000, 16000); // all slots are taken
	pass(600);
	assert_int_equal(run_all(100, 1600), 1600);
	assert_int_equal(run_all(100, 1600), 0);
}

// The FDB hears of a station through whatever flow comes by, within a second.
static void stations_stay_young(void **state)
{
	(void)state;
	struct weft_fdb_key key = {.network = RIG_NETWORK, .mac = {{2, 0, 0, 0, 0, 1}}};
	struct weft_fdb_row row = {.port = RIG_FROM, .kind = WEFT_FDB_LEARNED};
	const struct dpdk_worker *worker = dpdk_injector(rig.engine);
	row.seen_ns = worker->now_ns;
	rig_put(WEFT_TABLE_fdb, &key, &row);
	for (u32 i = 0; i < 100; i++) {
		run(i, 1, false);
		pass(100);
		assert_int_equal(shared_get(rig.engine, WEFT_TABLE_fdb, &key, &row), 0);
		assert_in_range(worker->now_ns - row.seen_ns, 0, 1200000000);
	}
}

static u8 left[2][200]; // a frame that was sent
static u32 left_bytes[2], turn;

static u32 keep_tx(struct dpdk_port *port, u32 queue, struct rte_mbuf **out, u32 count)
{
	(void)port, (void)queue;
	assert_int_equal(count, 1);
	left_bytes[turn] = out[0]->pkt_len;
	assert_true(left_bytes[turn] <= sizeof(left[0]));
	const void *bytes = rte_pktmbuf_read(out[0], 0, left_bytes[turn], left[turn]);
	if (bytes != left[turn])
		memcpy(left[turn], bytes, left_bytes[turn]);
	rte_pktmbuf_free_bulk(out, count);
	return count;
}

static u32 random_word(void)
{
	static u32 state = 1;
	state = state * 1664525 + 1013904223;
	return state >> 8;
}

// TCP or UDP over either, with whatever addresses, ports and TOS.
static u32 regular_frame(u8 bytes[82])
{
	bool ip6 = random_word() & 1, tcp = random_word() & 1;
	rig_frame(bytes, 62, 2, random_word());
	if (ip6) {
		memmove(bytes + 54, bytes + 34, 28);
		memset(bytes + 14, 0, 40);
		bytes[12] = 0x86, bytes[13] = 0xdd;
		bytes[14] = (u8)(0x60 | (random_word() & 15)), bytes[15] = (u8)random_word();
		bytes[19] = 28;
		for (u32 i = 22; i < 54; i++)
			bytes[i] = (u8)random_word();
		bytes[22] = bytes[38] = 0xfd;
	} else {
		bytes[15] = (u8)random_word();
	}
	bytes[ip6 ? 20 : 23] = tcp ? WEFT_IP_TCP : WEFT_IP_UDP;
	u32 l4 = ip6 ? 54 : 34;
	bytes[l4] = (u8)random_word(), bytes[l4 + 2] = (u8)random_word();
	if (tcp)
		bytes[l4 + 12] = 0x50, bytes[l4 + 13] = 0x10;
	return ip6 ? 82 : 62;
}

static void peers_behind(u32 port, bool ip6)
{
	static struct dpdk_driver keeper;
	struct weft_port_row row = {.flags = WEFT_PORT_PRESENT | WEFT_PORT_PEER, .nexthops = 4};
	struct weft_host_row host = {.udp_port = 4789};
	const u8 mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1}, six[16] = {0xfd, [15] = 1};
	memcpy(host.address, ip6 ? six : mapped, 16);
	memcpy(row.address, ip6 ? six : mapped, 16);
	rig_put(WEFT_TABLE_host, &(struct weft_index){0}, &host);
	rig_put(WEFT_TABLE_port, &(struct weft_index){port}, &row);
	for (u32 i = 0; i < row.nexthops; i++) {
		struct weft_nexthop_row hop = {
			.mtu = 1600, .ifindex = 77, .dst = {{2, 0, 0, 0, 9, (u8)i}}};
		rig_put(WEFT_TABLE_nexthop, &(struct weft_index){port * WEFT_NEXTHOPS_PER_PEER + i},
			&hop);
	}
	rig_put_place(2, port);
	keeper = rig_driver;
	keeper.tx = keep_tx;
	rig.engine->ports[RIG_TO]->driver = &keeper;
	rig.engine->ports[RIG_TO]->ifindex = 77;
	rig.engine->underlay[0] = RIG_TO;
}

// A frame that is decided goes the long way, the next of its flow the short one.
static void peers_get_the_same_by_either_way(void **state)
{
	enum { PEER = 3 };
	struct weft_port_count_row count;
	(void)state;
	for (u32 i = 0; i < 2000; i++) {
		u8 bytes[82] = {0};
		if (i % 1000 == 0)
			peers_behind(PEER, i != 0);
		u32 length = regular_frame(bytes), before = decided;
		generation_bump(0);
		memset(left, 0, sizeof(left));
		for (turn = 0; turn < 2; turn++) {
			struct rte_mbuf *frame = rig_mbuf(bytes, length);
			left_bytes[turn] = 0;
			level_burst(
				dpdk_injector(rig.engine), rig.engine->ports[RIG_FROM], &frame, 1);
		}
		assert_int_equal(decided - before, 1);
		assert_int_equal(left_bytes[0], length + (i < 1000 ? 50 : 70));
		assert_int_equal(left_bytes[1], left_bytes[0]);
		assert_memory_equal(left[1], left[0], left_bytes[0]);
	}
	shared_get(rig.engine, WEFT_TABLE_port_count, &(struct weft_index){PEER}, &count);
	assert_int_equal(count.tx_packets, 4000);
	shared_get(rig.engine, WEFT_TABLE_port_count, &(struct weft_index){RIG_FROM}, &count);
	assert_int_equal(count.rx_packets, 4000);
}

int main(void)
{
	static bool ip6 = true;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_verdict_for_all_flows, setup, teardown),
		cmocka_unit_test_setup_teardown(deep_verdicts_stand_for_one_flow, setup, teardown),
		{"deep_verdicts_stand_for_one_ipv6_flow", deep_verdicts_stand_for_one_flow, setup,
			teardown, &ip6},
		cmocka_unit_test_setup_teardown(levels_follow_the_configuration, setup, teardown),
		cmocka_unit_test_setup_teardown(
			forgotten_verdicts_are_decided_again, setup, teardown),
		cmocka_unit_test_setup_teardown(flows_have_room, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_ended_makes_room, setup, teardown),
		cmocka_unit_test_setup_teardown(stations_stay_young, setup, teardown),
		cmocka_unit_test_setup_teardown(peers_get_the_same_by_either_way, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
