// SPDX-License-Identifier: BSD-2-Clause
// Services whose backends are dead or gone: who is told, and how many. XDP leaves it to TC.
#include "tests/packets/services_rig.h"

#define DATA86 "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,86 flags:18 seq:7 ack:9 data:9"

// RFC 9293 section 3.10.7.1, and the connection is closed as by any reset.
static void a_dead_backend_resets(void **state)
{
	const char *reset = "G>A ip4:10.9.0.1,10.1.0.1,6 id:0 frag:4000 tcp:86,4000 flags:04 seq:9";
	start(state);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,86 flags:02");
	for (int i = 0; i < 3; i++)
		goes(12, DATA86, 13,
			"A>B ip4:10.1.0.1,10.1.0.2,6 tcp:4000,8086 flags:18 seq:7 ack:9 data:9");
	nobody_serves(SERVICE_RESET);
	refuses(12, DATA86, WEFT_DROP_backend_dead, reset);
	assert_true(connection("10.1.0.1", 4000, 86, WEFT_IP_TCP).flags & WEFT_CONNECTION_CLOSED);
	assert_int_equal(connections(SERVICE_RESET), 1);
	refuses(12, DATA86, WEFT_DROP_backend_dead, reset); // what was on its way
	// errors and resets are the backend's; so is what it says
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,86 flags:04", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,6 tcp:4000,8086 flags:04");
	goes(13, "B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8086,4000 flags:10", 12,
		"G>A ip4:10.9.0.1,10.1.0.1,6 tcp:86,4000 flags:10");
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,86 flags:02", WEFT_DROP_no_backend);
	put_backend(SERVICE_RESET, WEFT_BACKEND_PRESENT);
	struct weft_ring_row ring = {SERVICE_RESET};
	u32 index = SERVICE_RESET;
	PUT(ring, &index, &ring);
	// the port again, of a client that has answered before
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,86 flags:02");
	assert_int_equal(connection("10.1.0.1", 4000, 86, WEFT_IP_TCP).flags, 0);
}

static void a_dead_backend_resets_from_outside(void **state)
{
	start(state);
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,86 flags:02");
	enter(UPLINK, "D>U ip6:2001:db8::7,fd09::1,6 tcp:4000,86 flags:02");
	nobody_serves(SERVICE_RESET);
	nobody_serves(SERVICE_RESET6);
	refuses(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,86 flags:10 seq:7 ack:9",
		WEFT_DROP_backend_dead,
		"U>D ip4:10.9.0.1,198.51.100.7,6 id:0 frag:4000 tcp:86,4000 flags:04 seq:9");
	refuses(UPLINK, "D>U ip6:2001:db8::7,fd09::1,6 tcp:4000,86 flags:11 seq:7 ack:9 data:5",
		WEFT_DROP_backend_dead,
		"U>D ip6:fd09::1,2001:db8::7,6 tcp:86,4000 flags:04 seq:9 set:21=40");
}

// At its own host: the reset goes the way that the packet came, to a client or another's balancer.
static void a_dead_backend_resets_at_its_host(void **state)
{
	start(state);
	knows("A", P1);
	knows("C", 13);
	enter(P1, "a>C ip4:10.1.0.1,10.9.0.1,6 tcp:4000,87 flags:02");
	enter(P1, "g>C ip4:198.51.100.7,10.9.0.1,6 tcp:4000,87 flags:02");
	nobody_serves(SERVICE_RESET_DSR);
	refuses(P1, "a>C ip4:10.1.0.1,10.9.0.1,6 tcp:4000,87 flags:10 ack:9",
		WEFT_DROP_backend_dead,
		"C>A ip4:10.9.0.1,10.1.0.1,6 id:0 frag:4000 tcp:87,4000 flags:04 seq:9");
	refuses(P1, "g>C ip4:198.51.100.7,10.9.0.1,6 tcp:4000,87 flags:10 ack:9",
		WEFT_DROP_backend_dead,
		"C>G ip4:10.9.0.1,198.51.100.7,6 id:0 frag:4000 tcp:87,4000 flags:04 seq:9");
}

// The reset that another host sends comes back by the balancer, as any answer does.
static void a_reset_from_elsewhere(void **state)
{
	start(state);
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,87 flags:02");
	goes(P1, "C>G ip4:10.9.0.1,198.51.100.7,6 tcp:87,4000 flags:04 seq:9", UPLINK,
		"U>D ip4:10.9.0.1,198.51.100.7,6 tcp:87,4000 flags:04 seq:9");
}

// As weftd leaves the row of a backend that was deleted.
static void a_gone_backend_resets(void **state)
{
	struct weft_connection_key key = connection_key("10.1.0.1", 4000, 86, WEFT_IP_TCP);
	start(state);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,86 flags:02");
	struct weft_connection_row row = connection("10.1.0.1", 4000, 86, WEFT_IP_TCP);
	row.rewrite.backend = row.partner_scope = 0;
	PUT(connection, &key, &row);
	refuses(12, DATA86, WEFT_DROP_backend_dead,
		"G>A ip4:10.9.0.1,10.1.0.1,6 id:0 frag:4000 tcp:86,4000 flags:04 seq:9");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,86 flags:02");
	assert_int_equal(
		connection("10.1.0.1", 4000, 86, WEFT_IP_TCP).rewrite.backend, SERVICE_RESET);
	assert_int_equal(connections(SERVICE_RESET), 1);
}

// Each is lost; the answers are as many as the meter of the port has.
static void not_all_are_told(void **state)
{
	struct weft_port_row port;
	struct weft_meter_row meter = {.cost_ns = 1000000000000, .burst_ns = 2000000000000};
	u32 id = 12, one = 1;
	start(state);
	PUT(meter, &one, &meter);
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_port, &id, &port), 0);
	port.error_meter = 1;
	PUT(port, &id, &port);
	for (u32 i = 0; i < 4; i++) {
		enter(12, i % 2 ? "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,85 flags:02"
				: "A>G ip4:10.1.0.1,10.9.0.1,17 udp:4000,85");
		assert_string_equal(drop_name(result.record.reason), "no_backend");
		assert_int_equal(result.record.answered, i < 2);
		assert_int_equal(result.outputs, i < 2);
	}
}

int refusals_run(struct sequence_arena *arena)
{
#define TEST(function) cmocka_unit_test_prestate(function, arena)
	const struct CMUnitTest tests[] = {
		TEST(a_dead_backend_resets),
		TEST(a_dead_backend_resets_from_outside),
		TEST(a_dead_backend_resets_at_its_host),
		TEST(a_reset_from_elsewhere),
		TEST(a_gone_backend_resets),
		TEST(not_all_are_told),
	};
	return _cmocka_run_group_tests(arena->name, tests, WEFT_ARRAY_SIZE(tests), NULL, NULL);
}
