// SPDX-License-Identifier: BSD-2-Clause
// What takes more than one packet: limits, moves, and the end of cached verdicts. Every engine
// alike.
#include "tests/packets/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define UDP4 "ip4:10.1.0.1,10.1.0.2,17 udp:1000,2000 data:20"

enum { METER = 1 };

static const struct engine_ops *ops;
static struct engine *engine;
static u64 now_ns;

static void start(void **state)
{
	const struct sequence_arena *arena = *state;
	ops = arena->ops;
	engine = arena->engine;
	now_ns = world_begin(ops, engine);
}

// One packet, and where it went: out_port 0 is "not compared".
static void step(
	u32 port, const char *in, enum weft_action action, enum weft_drop reason, u32 out_port)
{
	static struct engine_result result;
	struct frame frame = frame_build(in);
	struct engine_packet packet = {port, frame.bytes, frame.length};
	struct explained explained;
	explain_before(ops, engine, port, 0, &frame, ops == &engine_sim ? now_ns : world_now_ns(),
		&explained);
	assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
	explain_check(ops, &explained, &result);
	assert_string_equal(drop_name(result.record.reason), drop_name(reason));
	assert_int_equal(result.record.action, action);
	if (out_port) {
		assert_int_equal(result.outputs, 1);
		assert_int_equal(result.output[0].port, out_port);
	}
}

static void floods(u32 port, const char *in)
{
	step(port, in, WEFT_ACTION_flood, WEFT_DROP_none, 0);
}

static void forwards(u32 port, const char *in, u32 to)
{
	step(port, in, WEFT_ACTION_forward, WEFT_DROP_none, to);
}

static void drops(u32 port, const char *in, enum weft_drop reason)
{
	step(port, in, WEFT_ACTION_drop, reason, 0);
}

static struct weft_usage_row usage(enum weft_table table, u32 id)
{
	struct weft_usage_row row;
	assert_int_equal(ops->table_get(engine, table, &id, &row), 0);
	return row;
}

// So slow that nothing comes back during the test: `units` packets pass, then none.
static void put_meter(u64 units)
{
	u32 id = METER;
	struct weft_meter_row row = {
		.cost_ns = 1000000000000ull, .burst_ns = units * 1000000000000ull};
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_meter, &id, &row), 0);
}

static void change_port(u32 id, u32 mac_limit, u32 storm_meter, u32 network)
{
	struct weft_port_row row;
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_port, &id, &row), 0);
	row.mac_limit = mac_limit;
	row.storm_meter = storm_meter;
	row.network = network;
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_port, &id, &row), 0);
}

static void change_network(u32 mac_limit, u32 move_meter)
{
	u32 id = BLUE;
	struct weft_network_row row;
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_network, &id, &row), 0);
	row.mac_limit = mac_limit;
	row.move_meter = move_meter;
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_network, &id, &row), 0);
}

static void storm_limit(void **state)
{
	start(state);
	put_meter(2);
	change_port(1, 16, METER, BLUE);
	floods(2, "B>* " UDP4); // another port's flood spends nothing of this meter
	floods(1, "A>* " UDP4);
	floods(1, "A>M " UDP4);
	drops(1, "A>* " UDP4, WEFT_DROP_storm);
	drops(1, "A>C " UDP4, WEFT_DROP_storm); // unknown unicast is a flood
	forwards(1, "A>B " UDP4, 2);            // what is no flood is not limited
}

static void limit_per_port(void **state)
{
	start(state);
	change_port(1, 2, 0, BLUE);
	floods(1, "A>* " UDP4);
	floods(1, "B>* " UDP4);
	floods(1, "C>* " UDP4);
	floods(1, "C>* " UDP4);
	assert_int_equal(usage(WEFT_TABLE_port_usage, 1).macs, 2);
	assert_int_equal(usage(WEFT_TABLE_port_usage, 1).learn_refused, 2);
	assert_int_equal(usage(WEFT_TABLE_network_usage, BLUE).macs, 2);
	forwards(2, "D>A " UDP4, 1);
	floods(2, "D>C " UDP4);
}

static void limit_per_network(void **state)
{
	start(state);
	change_network(2, 0);
	floods(1, "A>* " UDP4);
	floods(2, "B>* " UDP4);
	floods(3, "C>* tag:10 " UDP4);
	assert_int_equal(usage(WEFT_TABLE_network_usage, BLUE).macs, 2);
	assert_int_equal(usage(WEFT_TABLE_network_usage, BLUE).learn_refused, 1);
	assert_int_equal(
		usage(WEFT_TABLE_port_usage, 3).macs, 0); // the reserved place is given back
	floods(4, "C>* " UDP4);                           // another network has its own
	assert_int_equal(usage(WEFT_TABLE_port_usage, 4).macs, 1);
}

static void move_limit(void **state)
{
	start(state);
	put_meter(1);
	change_network(16, METER);
	floods(1, "A>* " UDP4);
	floods(2, "A>* " UDP4);
	floods(1, "A>* " UDP4);
	struct weft_usage_row row = usage(WEFT_TABLE_network_usage, BLUE);
	assert_int_equal(row.moves, 1);
	assert_int_equal(row.moves_refused, 1);
	assert_int_equal(row.macs, 1);
	assert_int_equal(usage(WEFT_TABLE_port_usage, 1).macs, 0);
	assert_int_equal(usage(WEFT_TABLE_port_usage, 2).macs, 1);
	forwards(8, "D>A " UDP4, 2);
}

static void move_to_a_full_port(void **state)
{
	start(state);
	change_port(2, 1, 0, BLUE);
	floods(2, "B>* " UDP4);
	floods(1, "A>* " UDP4);
	floods(2, "A>* " UDP4); // no place behind port 2: it stays where it was
	assert_int_equal(usage(WEFT_TABLE_port_usage, 1).macs, 1);
	assert_int_equal(usage(WEFT_TABLE_port_usage, 2).macs, 1);
	forwards(8, "D>A " UDP4, 1);
}

// What follows would come out of the flow cache, did nobody end it.
static void a_move_ends_cached_verdicts(void **state)
{
	start(state);
	floods(1, "A>* " UDP4);
	floods(2, "B>* " UDP4);
	for (int i = 0; i < 3; i++)
		forwards(1, "A>B " UDP4, 2);
	floods(3, "B>* tag:10 " UDP4);
	forwards(1, "A>B " UDP4, 3);
	forwards(1, "A>B " UDP4, 3);
}

static void a_deleted_row_ends_cached_verdicts(void **state)
{
	start(state);
	floods(2, "B>* " UDP4);
	for (int i = 0; i < 3; i++)
		forwards(1, "A>B " UDP4, 2);
	struct frame frame = frame_build("B>B");
	struct weft_fdb_key key = {.network = BLUE};
	memcpy(&key.mac, frame.bytes, 6);
	assert_int_equal(ops->table_del(engine, WEFT_TABLE_fdb, &key, NULL), 0);
	floods(1, "A>B " UDP4);
}

static void configuration_ends_cached_verdicts(void **state)
{
	start(state);
	floods(2, "B>* " UDP4);
	for (int i = 0; i < 3; i++)
		forwards(1, "A>B " UDP4, 2);
	change_port(1, 16, 0, 2); // now in red, where nobody knows B
	floods(1, "A>B " UDP4);
}

static void bindings_have_a_limit(void **state)
{
	char words[64];
	start(state);
	change_port(9, 1, 0, YELLOW);
	for (int i = 1; i <= WEFT_BINDINGS_PER_MAC + 2; i++) {
		snprintf(words, sizeof(words), "A>* arp:1,10.1.0.%d,10.1.0.99,Z", i);
		floods(9, words);
	}
	assert_int_equal(usage(WEFT_TABLE_port_usage, 9).bindings, WEFT_BINDINGS_PER_MAC);
	assert_int_equal(usage(WEFT_TABLE_port_usage, 9).bindings_refused, 2);
	assert_int_equal(usage(WEFT_TABLE_network_usage, YELLOW).bindings, WEFT_BINDINGS_PER_MAC);
}

static void a_binding_moves_with_its_station(void **state)
{
	start(state);
	floods(9, "B>* arp:1,10.1.0.2,10.1.0.99,Z");
	floods(10, "B>* tag:50 arp:1,10.1.0.2,10.1.0.99,Z");
	assert_int_equal(usage(WEFT_TABLE_port_usage, 9).bindings, 0);
	assert_int_equal(usage(WEFT_TABLE_port_usage, 10).bindings, 1);
	assert_int_equal(usage(WEFT_TABLE_network_usage, YELLOW).bindings, 1);
	step(9, "A>* arp:1,10.1.0.1,10.1.0.2,Z", WEFT_ACTION_reply, WEFT_DROP_none, 9);
	step(9, "A>* arp:1,10.1.0.1,10.1.0.2,Z", WEFT_ACTION_reply, WEFT_DROP_none, 9);
	assert_int_equal(usage(WEFT_TABLE_network_usage, YELLOW).suppressed, 2);
}

static void asks(u32 port, const char *in, u32 answered_to)
{
	enum weft_action action = answered_to ? WEFT_ACTION_reply : WEFT_ACTION_flood;
	step(port, in, action, WEFT_DROP_none, answered_to);
}

// B has 10.1.0.2 and lives; C claims it. Nobody is answered for until the claims end.
static void a_claimed_address_is_asked_for(void **state)
{
	start(state);
	floods(10, "B>* tag:50 arp:1,10.1.0.2,10.1.0.99,Z");
	asks(9, "A>* arp:1,10.1.0.1,10.1.0.2,Z", 9);
	floods(9, "C>* arp:1,10.1.0.2,10.1.0.2,Z");
	asks(9, "A>* arp:1,10.1.0.1,10.1.0.2,Z", 0);
	asks(10, "B>* tag:50 arp:1,10.1.0.2,10.1.0.98,Z", 0); // B speaks: contradicts again
	asks(9, "A>* arp:1,10.1.0.1,10.1.0.2,Z", 0);
	struct weft_neighbour_key key = {.network = YELLOW, .ip = {[10] = 0xff, 0xff, 10, 1, 0, 2}};
	struct weft_neighbour_row row;
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_neighbour, &key, &row), 0);
	assert_int_equal(row.flags, WEFT_NEIGHBOUR_CONTESTED);
	row.seen_ns = now_ns - 31 * 1000000000ull; // C has been silent since
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_neighbour, &key, &row), 0);
	floods(10, "B>* tag:50 arp:1,10.1.0.2,10.1.0.97,Z");
	asks(9, "A>* arp:1,10.1.0.1,10.1.0.2,Z", 9);
	assert_int_equal(usage(WEFT_TABLE_port_usage, 9).bindings, 1);
	assert_int_equal(usage(WEFT_TABLE_port_usage, 10).bindings, 1);
}

// The frame is dropped each time; the answers are as many as the meter has.
static void too_big_is_not_always_answered(void **state)
{
	const char *big = "A>B ip4:10.1.0.1,10.1.0.2,17 udp:1,2 data:1473";
	static struct engine_result result;
	struct weft_port_row row;
	u32 id = 1;
	start(state);
	put_meter(2);
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_port, &id, &row), 0);
	row.error_meter = METER;
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_port, &id, &row), 0);
	floods(2, "B>* " UDP4);
	for (u32 i = 0; i < 4; i++) {
		struct frame frame = frame_build(big);
		struct engine_packet packet = {1, frame.bytes, frame.length};
		assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
		assert_string_equal(drop_name(result.record.reason), "too_big");
		assert_int_equal(result.outputs, i < 2);
	}
}

// The flow cache must not know a frame of one VNI for that of another.
static void the_vni_is_part_of_the_flow(void **state)
{
	start(state);
	floods(9, "B>* " UDP4);
	for (int i = 0; i < 3; i++) {
		static struct engine_result result;
		struct frame inner = frame_build("A>B " UDP4);
		struct frame yellow = tunnel_wrap(P1, YELLOW_VNI, &inner, NULL);
		struct frame other = tunnel_wrap(P1, 999, &inner, NULL);
		struct engine_packet packet = {0, yellow.bytes, yellow.length};
		assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
		assert_int_equal(result.record.action, WEFT_ACTION_forward);
		packet.bytes = other.bytes;
		assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
		assert_string_equal(drop_name(result.record.reason), "vni_unknown");
	}
}

// The underlay's kernel would not take these for its own: nor does weft. Where nobody comes behind
// it, weft counts.
static void outer_headers_must_be_ours(void **state)
{
	static struct engine_result result;
	start(state);
	floods(9, "B>* " UDP4);
	struct frame inner = frame_build("A>B " UDP4);
	struct frame frame = tunnel_wrap(P1, YELLOW_VNI, &inner, NULL);
	struct engine_packet packet = {0, frame.bytes, frame.length};
	assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
	assert_int_equal(result.record.action, WEFT_ACTION_forward);
	frame.bytes[24] ^= 1; // the IP checksum
	assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
	if (ops == &engine_ebpf || ops == &engine_xdp)
		assert_true(result.record.passed);
	else
		assert_string_equal(drop_name(result.record.reason), "bad_vxlan");
	frame.bytes[24] ^= 1;
	if (ops != &engine_ebpf) // sim has no MAC of its own
		return;
	frame.bytes[5] ^= 0x40; // another station's MAC
	memset(&result, 0, sizeof(result));
	assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
	assert_int_equal(result.outputs, 0);
}

// An underlay device that is a port, too: VXLAN of others, TCP inside, is a frame of its network.
static void an_underlay_still_switches(void **state)
{
	static struct engine_result result;
	struct engine_overlay overlay = {
		.carrier = live_carrier(), .underlay = {live_ifindex(0), 0}, .underlays = 2};
	start(state);
	if (ops != &engine_ebpf) // the only one with devices
		return;
	overlay.underlay[1] = live_ifindex(4);
	assert_int_equal(ops->overlay_set(engine, &overlay, NULL), 0);
	struct frame inner = frame_build("A>B ip4:10.1.0.1,10.1.0.2,6 tcp:1,2 data:5");
	struct frame frame = tunnel_wrap(P1, YELLOW_VNI, &inner, NULL);
	struct engine_packet packet = {4, frame.bytes, frame.length};
	assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
	assert_int_equal(result.record.action, WEFT_ACTION_flood); // another station's MAC
	overlay.underlays = 1;
	assert_int_equal(ops->overlay_set(engine, &overlay, NULL), 0);
}

// Next hops that nobody looks after are not believed: the carrier takes the frame.
static void stale_next_hops_are_not_used(void **state)
{
	static struct engine_result result;
	struct weft_host_row row;
	u32 zero = 0;
	start(state);
	floods(10, "B>* tag:50 " UDP4);
	struct frame frame = frame_build("A>B " UDP4);
	struct weft_fdb_key key = {.network = YELLOW};
	struct weft_fdb_row place = {.port = P1, .kind = WEFT_FDB_STATIC};
	memcpy(&key.mac, frame.bytes, 6);
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_fdb, &key, &place), 0);
	struct engine_packet packet = {9, frame.bytes, frame.length};
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_host, &zero, &row), 0);
	for (int stale = 0; stale < 2; stale++) {
		row.alive_ns = world_now_ns() - (stale ? 6 : 1) * 1000000000ull;
		assert_int_equal(ops->table_put(engine, WEFT_TABLE_host, &zero, &row), 0);
		assert_int_equal(ops->inject(engine, &packet, now_ns, &result), 0);
		assert_int_equal(result.record.action, WEFT_ACTION_encap);
		assert_int_equal(result.output[0].inner, ops == &engine_ebpf && stale);
	}
	row.alive_ns = 0;
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_host, &zero, &row), 0);
}

int sequence_run(struct sequence_arena *arena)
{
#define TEST(function) cmocka_unit_test_prestate(function, arena)
	const struct CMUnitTest tests[] = {
		TEST(storm_limit),
		TEST(limit_per_port),
		TEST(limit_per_network),
		TEST(move_limit),
		TEST(move_to_a_full_port),
		TEST(a_move_ends_cached_verdicts),
		TEST(a_deleted_row_ends_cached_verdicts),
		TEST(configuration_ends_cached_verdicts),
		TEST(bindings_have_a_limit),
		TEST(a_binding_moves_with_its_station),
		TEST(a_claimed_address_is_asked_for),
		TEST(too_big_is_not_always_answered),
		TEST(outer_headers_must_be_ours),
		TEST(an_underlay_still_switches),
		TEST(stale_next_hops_are_not_used),
		TEST(the_vni_is_part_of_the_flow),
	};
	return _cmocka_run_group_tests(arena->name, tests, WEFT_ARRAY_SIZE(tests), NULL, NULL);
}
