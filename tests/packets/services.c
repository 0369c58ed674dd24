// SPDX-License-Identifier: BSD-2-Clause
// The services of network white, and what becomes of their packets, byte for byte, in every engine.
//
//   port 12 the client A 10.1.0.1, port 13 the backend B 10.1.0.2, C 10.1.0.3 behind peer P1;
//   port 14 an uplink with MAC U: from there come clients by the router D.
//   10.9.0.1 (and fd09::1) has a service per mode, with one backend each. Modes dsr and host-dsr:
//   services_modes.c, services_host_dsr.c.
#include "tests/packets/services_rig.h"

#include <stdio.h>
#include <string.h>

static void nat_inside(void **state)
{
	start(state);
	for (int i = 0; i < 3; i++)
		goes(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 data:9", 13,
			"A>B ip4:10.1.0.1,10.1.0.2,6 tcp:4000,8080 data:9");
	for (int i = 0; i < 3; i++)
		goes(13, "B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8080,4000 data:700", 12,
			"G>A ip4:10.9.0.1,10.1.0.1,6 tcp:80,4000 data:700");
	assert_int_equal(connections(SERVICE_NAT), 1);
	// what is no answer to it passes as it is
	goes(13, "B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8081,4000 data:7", 12,
		"B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8081,4000 data:7");
}

static void nat6_inside(void **state)
{
	start(state);
	for (int i = 0; i < 3; i++)
		goes(12, "A>G ip6:fd00::1,fd09::1,6 tcp:4000,80 data:9", 13,
			"A>B ip6:fd00::1,fd00::2,6 tcp:4000,8080 data:9");
	goes(13, "B>A ip6:fd00::2,fd00::1,6 tcp:8080,4000 data:7", 12,
		"G>A ip6:fd09::1,fd00::1,6 tcp:80,4000 data:7");
	// all ports of UDP: the request's own stays
	goes(12, "A>G ip6:fd00::1,fd09::1,17 udp:4000,777 data:9", 13,
		"A>B ip6:fd00::1,fd00::2,17 udp:4000,777 data:9");
	goes(13, "B>A ip6:fd00::2,fd00::1,17 udp:777,4000 data:7", 12,
		"G>A ip6:fd09::1,fd00::1,17 udp:777,4000 data:7");
}

static void a_datagram_without_checksum_has_none(void **state)
{
	start(state);
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,17 udp:4000,53 data:9 nocheck:0", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,17 udp:4000,53 data:9 nocheck:0");
}

// The client is nowhere in the network: its packets come from the gateway's address.
static void nat_from_outside(void **state)
{
	char out[160], in[160];
	start(state);
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,80 flags:02");
	u16 port = source_port();
	assert_in_range(port, 1024, 1279);
	snprintf(out, sizeof(out), "G>B ip4:10.1.0.254,10.1.0.2,6 tcp:%u,8080 flags:10 data:9",
		port);
	for (int i = 0; i < 3; i++)
		goes(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,80 flags:10 data:9", 13,
			out);
	snprintf(in, sizeof(in), "B>G ip4:10.1.0.2,10.1.0.254,6 tcp:8080,%u data:7", port);
	for (int i = 0; i < 3; i++)
		goes(13, in, UPLINK, "U>D ip4:10.9.0.1,198.51.100.7,6 tcp:80,4000 data:7");
	// another client with the same port has a port of its own
	enter(UPLINK, "D>U ip4:198.51.100.8,10.9.0.1,6 tcp:4000,80 flags:02");
	assert_int_not_equal(source_port(), port);
	enter(UPLINK, "D>U ip6:2001:db8::7,fd09::1,6 tcp:4000,80 flags:02");
	snprintf(in, sizeof(in), "B>G ip6:fd00::2,fd00::fe,6 tcp:8080,%u data:7", source_port());
	goes(13, in, UPLINK, "U>D ip6:fd09::1,2001:db8::7,6 tcp:80,4000 data:7");
}

static void what_is_not_served_is_the_hosts(void **state)
{
	static const char *const others[] = {
		"D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,99",
		"D>U ip4:198.51.100.7,10.9.0.2,6 tcp:4000,80",
		"D>E ip4:198.51.100.7,10.9.0.1,6 tcp:4000,80", // another station's
		"D>U ip4:198.51.100.7,10.9.0.2,1 echo:8,7",
		"D>* arp:1,192.0.2.9,10.9.0.2,Z",
	};
	start(state);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(others); i++) {
		enter(UPLINK, others[i]);
		if (is_xdp()) // TC gives it to the host
			assert_true(result.record.passed);
		else
			assert_int_equal(result.record.action, WEFT_ACTION_to_host);
	}
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,99", WEFT_DROP_not_routed);
}

static void an_address_answers(void **state)
{
	start(state);
	if (is_xdp())
		return; // TC answers
	goes(UPLINK, "D>* arp:1,192.0.2.9,10.9.0.1,Z", UPLINK, "U>D arp:2,10.9.0.1,192.0.2.9,D");
	goes(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,1 id:0 echo:8,7 data:5", UPLINK,
		"U>D ip4:10.9.0.1,198.51.100.7,1 id:0 echo:0,7 data:5");
	goes(12, "A>* arp:1,10.1.0.1,10.9.0.1,Z", 12, "G>A arp:2,10.9.0.1,10.1.0.1,A");
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,1 id:0 echo:8,7 data:5", 12,
		"G>A ip4:10.9.0.1,10.1.0.1,1 id:0 echo:0,7 data:5");
	enter(12, "A>S ip6:fd00::1,ff02::1:ff00:1,58 ns:fd09::1,A");
	assert_int_equal(result.record.action, WEFT_ACTION_reply);
}

// A backend that calls its own service must not answer itself behind the switch's back.
static void hairpin(void **state)
{
	char in[160], out[160];
	start(state);
	enter(13, "B>G ip4:10.1.0.2,10.9.0.1,6 tcp:4000,80 flags:02");
	u16 port = source_port();
	snprintf(out, sizeof(out), "G>B ip4:10.1.0.254,10.1.0.2,6 tcp:%u,8080 data:9", port);
	goes(13, "B>G ip4:10.1.0.2,10.9.0.1,6 tcp:4000,80 data:9", 13, out);
	snprintf(in, sizeof(in), "B>G ip4:10.1.0.2,10.1.0.254,6 tcp:8080,%u data:7", port);
	goes(13, in, 13, "G>B ip4:10.9.0.1,10.1.0.2,6 tcp:80,4000 data:7");
}

static void what_nobody_serves(void **state)
{
	start(state);
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,83", WEFT_DROP_no_backend);
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,84", WEFT_DROP_backend_unresolved);
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:04", WEFT_DROP_no_connection);
	// an answer to the gateway: ours and unknown, another host's, nobody's
	drops(13, "B>G ip4:10.1.0.2,10.1.0.254,6 tcp:8080,1100", WEFT_DROP_no_connection);
	goes(13, "B>G ip4:10.1.0.2,10.1.0.254,17 udp:8080,1300 data:9", P1,
		"B>G ip4:10.1.0.2,10.1.0.254,17 udp:8080,1300 data:9");
	drops(13, "B>G ip4:10.1.0.2,10.1.0.254,17 udp:8080,80", WEFT_DROP_no_connection);
	drops(P1, "C>G ip4:10.1.0.3,10.1.0.254,17 udp:8080,1300", WEFT_DROP_no_connection);
}

static void limits(void **state)
{
	struct weft_service_usage_row usage;
	u32 id = SERVICE_DSR;
	char words[96];
	start(state);
	for (int i = 0; i < 6; i++) {
		snprintf(words, sizeof(words), "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:%d,80 flags:02", i);
		enter(12, words);
		assert_string_equal(
			drop_name(result.record.reason), i < 4 ? "none" : "connection_limit");
	}
	assert_int_equal(connections(SERVICE_NAT), 4);
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:3,80 data:9", 13, // those that are in go on
		"A>B ip4:10.1.0.1,10.1.0.2,6 tcp:3,8080 data:9");
	for (int i = 0; i < 6; i++) { // without translation the hash alone serves
		snprintf(words, sizeof(words), "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:%d,81 flags:02", i);
		enter(12, words);
		left(13);
	}
	assert_int_equal(connections(SERVICE_DSR), 4);
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_service_usage, &id, &usage), 0);
	assert_int_equal(usage.connections_bypassed, 2);
	for (int i = 0; i < 3; i++) // what follows is no connection more
		enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:5,81 flags:10 data:9");
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_service_usage, &id, &usage), 0);
	assert_int_equal(usage.connections_bypassed, 2);
	assert_int_equal(usage.connections_refused, 0);
	id = SERVICE_NAT;
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_service_usage, &id, &usage), 0);
	assert_int_equal(usage.connections_refused, 2);
}

static void limit_network(u64 connection_limit)
{
	u32 id = WHITE;
	struct weft_network_row row;
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_network, &id, &row), 0);
	row.connection_limit = connection_limit;
	assert_int_equal(ops->table_put(engine, WEFT_TABLE_network, &id, &row), 0);
}

// A port is taken again while its last connection still has its row: refused, that row counts on.
static void what_is_refused_leaves_the_count(void **state)
{
	start(state);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:02");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4001,80 flags:02");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:04");
	limit_network(1);
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:02", WEFT_DROP_connection_limit);
	assert_int_equal(connections(SERVICE_NAT), 2);
	limit_network(2);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:02"); // it takes its own place
	left(13);
	assert_int_equal(connections(SERVICE_NAT), 2);
	limit_network(16);
}

static void fragments_follow_their_first(void **state)
{
	start(state);
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,17 frag:2001 id:9 data:16", WEFT_DROP_not_routed);
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,17 frag:2000 id:9 udp:4000,53 data:16", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,17 frag:2000 id:9 udp:4000,53 data:16");
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,17 frag:0003 id:9 data:16", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,17 frag:0003 id:9 data:16");
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,17 frag:0003 id:10 data:16", WEFT_DROP_not_routed);
	goes(13, "B>A ip4:10.1.0.2,10.1.0.1,17 frag:2000 id:4 udp:53,4000 data:16", 12,
		"G>A ip4:10.9.0.1,10.1.0.1,17 frag:2000 id:4 udp:53,4000 data:16");
	goes(13, "B>A ip4:10.1.0.2,10.1.0.1,17 frag:0003 id:4 data:16", 12,
		"G>A ip4:10.9.0.1,10.1.0.1,17 frag:0003 id:4 data:16");
}

// A network's pieces under way leave others theirs: those beyond its part have no later ones.
static void fragments_have_a_limit(void **state)
{
	u32 id = WHITE;
	struct weft_network_row row;
	struct weft_usage_row usage;
	start(state);
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_network, &id, &row), 0);
	row.fragment_limit = 1;
	PUT(network, &id, &row);
	for (int i = 0; i < 2; i++)
		goes(12, "A>G ip4:10.1.0.1,10.9.0.1,17 frag:2000 id:9 udp:4000,53 data:16", 13,
			"A>B ip4:10.1.0.1,10.1.0.2,17 frag:2000 id:9 udp:4000,53 data:16");
	goes(13, "B>A ip4:10.1.0.2,10.1.0.1,17 frag:2000 id:4 udp:53,4000 data:16", 12,
		"G>A ip4:10.9.0.1,10.1.0.1,17 frag:2000 id:4 udp:53,4000 data:16");
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,17 frag:0003 id:9 data:16", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,17 frag:0003 id:9 data:16");
	goes(13, "B>A ip4:10.1.0.2,10.1.0.1,17 frag:0003 id:4 data:16", 12,
		"B>A ip4:10.1.0.2,10.1.0.1,17 frag:0003 id:4 data:16");
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_network_usage, &id, &usage), 0);
	assert_int_equal(usage.fragments, 1);
	assert_int_equal(usage.fragments_refused, 1);
}

static void options_pass(void **state)
{
	start(state);
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,6 opt:2 tcp:4000,80 data:9", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,6 opt:2 tcp:4000,8080 data:9");
	goes(12, "A>G ip6:fd00::1,fd09::1,6 ext:60 tcp:4000,80 data:9", 13,
		"A>B ip6:fd00::1,fd00::2,6 ext:60 tcp:4000,8080 data:9");
}

// The client's "port unreachable" reaches the backend, the backend's or a router's the client: each
// with the packet that its receiver has sent.
static void errors_find_their_way(void **state)
{
	start(state);
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,17 udp:4000,53 data:9", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,17 udp:4000,53 data:9");
	goes(13, "B>A ip4:10.1.0.2,10.1.0.1,1 error:3,3 quote:10.1.0.1,10.1.0.2,4000,53", 12,
		"G>A ip4:10.9.0.1,10.1.0.1,1 error:3,3 quote:10.1.0.1,10.9.0.1,4000,53");
	goes(13, "B>A ip4:10.1.0.77,10.1.0.1,1 error:11,0 quote:10.1.0.1,10.1.0.2,4000,53", 12,
		"G>A ip4:10.1.0.77,10.1.0.1,1 error:11,0 quote:10.1.0.1,10.9.0.1,4000,53");
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,1 error:3,3 quote:10.9.0.1,10.1.0.1,53,4000", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,1 error:3,3 quote:10.1.0.2,10.1.0.1,53,4000");
	goes(12, "A>G ip6:fd00::1,fd09::1,17 udp:4000,777 data:9", 13,
		"A>B ip6:fd00::1,fd00::2,17 udp:4000,777 data:9");
	goes(13, "B>A ip6:fd00::2,fd00::1,58 error:1,4 quote:fd00::1,fd00::2,4000,777", 12,
		"G>A ip6:fd09::1,fd00::1,58 error:1,4 quote:fd00::1,fd09::1,4000,777");
	goes(13, "B>A ip6:fd00::2,fd00::1,58 error:2,0 quotefrag:fd00::1,fd00::2,4000,777", 12,
		"G>A ip6:fd09::1,fd00::1,58 error:2,0 quotefrag:fd00::1,fd09::1,4000,777");
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,1 error:3,3 quote:10.9.0.1,10.1.0.1,53,4001",
		WEFT_DROP_no_connection);
}

static void an_error_from_outside(void **state)
{
	char out[160];
	start(state);
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,17 udp:4000,53 data:9");
	snprintf(out, sizeof(out),
		"G>B ip4:192.0.2.77,10.1.0.2,1 error:3,4 quote:10.1.0.2,10.1.0.254,53,%u",
		source_port());
	goes(UPLINK, "D>U ip4:192.0.2.77,10.9.0.1,1 error:3,4 quote:10.9.0.1,198.51.100.7,53,4000",
		13, out);
}

static void a_closed_connection_ends(void **state)
{
	start(state);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:02");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:11");
	assert_int_equal(connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).flags, WEFT_CONNECTION_FIN);
	enter(13, "B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8080,4000 flags:11");
	assert_true(connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).flags & WEFT_CONNECTION_CLOSED);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:02");            // the port again
	assert_int_equal(connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).flags, 0); // known to answer
	assert_int_equal(connections(SERVICE_NAT), 1);
	enter(13, "B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8080,4000 flags:04");
	assert_true(connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).flags & WEFT_CONNECTION_CLOSED);
}

// A client takes its port again: what is cached of the connection before must hold, or be gone.
static void a_port_that_is_taken_again(void **state)
{
	char out[160];
	start(state);
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,80 flags:02");
	u16 port = source_port();
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,80 flags:10");
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,80 flags:18 data:9");
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,80 flags:11");
	snprintf(out, sizeof(out), "B>G ip4:10.1.0.2,10.1.0.254,6 tcp:8080,%u flags:11", port);
	enter(13, out);
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,80 flags:02");
	assert_int_equal(source_port(), port);
	assert_int_equal(connections(SERVICE_NAT), 1);
	enter(UPLINK, "D>U ip4:198.51.100.7,10.9.0.1,6 tcp:4000,80 flags:18 data:9");
	assert_int_equal(source_port(), port);
}

// As if that time had gone by since the last packet from the client.
static void age_connection(const char *src, u16 sport, u16 dport, u64 ns)
{
	struct weft_connection_key key = connection_key(src, sport, dport, WEFT_IP_TCP);
	struct weft_connection_row row = connection(src, sport, dport, WEFT_IP_TCP);
	row.seen_ns -= ns;
	PUT(connection, &key, &row);
}

// Nobody knows the window here: who goes on has not believed it.
static void a_reset_that_nobody_believes(void **state)
{
	const char *data = "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:18 data:9";
	start(state);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:02");
	enter(12, data);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:04");
	assert_true(connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).flags & WEFT_CONNECTION_CLOSED);
	enter(12, data); // may have been under way
	assert_true(connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).flags & WEFT_CONNECTION_CLOSED);
	age_connection("10.1.0.1", 4000, 80, WEFT_REFRESH_NS + 1);
	enter(12, data);
	assert_int_equal(connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).flags, 0);
	// after two FINs it is over, whatever is sent again
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:11");
	enter(13, "B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8080,4000 flags:11");
	age_connection("10.1.0.1", 4000, 80, WEFT_REFRESH_NS + 1);
	enter(12, data);
	assert_true(connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).flags & WEFT_CONNECTION_CLOSED);
}

// The backend of a connection in mode dsr may have more to say after the client's FIN.
static void a_half_closed_connection_stays(void **state)
{
	const char *more = "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,81 flags:10";
	start(state);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,81 flags:02");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,81 flags:11");
	assert_int_equal(connection("10.1.0.1", 4000, 81, WEFT_IP_TCP).flags,
		WEFT_CONNECTION_FIN | WEFT_CONNECTION_ALONE);
	nobody_serves(SERVICE_DSR); // new ones
	age_connection("10.1.0.1", 4000, 81, WEFT_HALF_CLOSED_NS - 1000000000);
	goes(12, more, 13, "A>B ip4:10.1.0.1,10.9.0.1,6 tcp:4000,81 flags:10");
	age_connection("10.1.0.1", 4000, 81, WEFT_HALF_CLOSED_NS + 1);
	drops(12, more, WEFT_DROP_no_backend);
	// a port that is taken again is a new connection
	start(state);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,81 flags:02");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,81 flags:11");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,81 flags:02");
	assert_false(connection("10.1.0.1", 4000, 81, WEFT_IP_TCP).flags & WEFT_CONNECTION_FIN);
	assert_int_equal(connections(SERVICE_DSR), 1);
}

// What is not opened is forgotten soon, however often the backend repeats its SYN.
static void a_handshake_that_stays_open(void **state)
{
	start(state);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:02");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4001,80 flags:02");
	enter(13, "B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8080,4000 flags:12");
	enter(13, "B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8080,4001 flags:12");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4001,80 flags:10"); // this one is opened
	assert_int_equal(
		connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).flags, WEFT_CONNECTION_OPENING);
	assert_int_equal(connection("10.1.0.1", 4001, 80, WEFT_IP_TCP).flags, 0);
	age_connection("10.1.0.1", 4000, 80, WEFT_CLOSED_NS + 1);
	age_connection("10.1.0.1", 4001, 80, WEFT_CLOSED_NS + 1);
	u64 seen_ns = connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).seen_ns;
	enter(13, "B>A ip4:10.1.0.2,10.1.0.1,6 tcp:8080,4000 flags:12");
	assert_true(connection("10.1.0.1", 4000, 80, WEFT_IP_TCP).seen_ns == seen_ns);
	struct weft_ring_row ring = {SERVICE_DSR}; // nobody of this service
	u32 index = SERVICE_NAT;
	PUT(ring, &index, &ring);
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:10", WEFT_DROP_no_backend);
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4001,80 flags:10 data:9", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,6 tcp:4001,8080 flags:10 data:9");
}

// UDP leaves a dead backend at once, TCP stays until it is closed.
static void a_dead_backend(void **state)
{
	start(state);
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,17 udp:4000,53 data:9");
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:02");
	put_backend(SERVICE_UDP, WEFT_BACKEND_PRESENT | WEFT_BACKEND_DEAD);
	put_backend(SERVICE_NAT, WEFT_BACKEND_PRESENT | WEFT_BACKEND_DEAD);
	struct weft_ring_row ring = {SERVICE_DSR}; // nobody of this service
	u32 index = SERVICE_UDP;
	PUT(ring, &index, &ring);
	index = SERVICE_NAT;
	PUT(ring, &index, &ring);
	drops(12, "A>G ip4:10.1.0.1,10.9.0.1,17 udp:4000,53 data:9", WEFT_DROP_no_backend);
	goes(12, "A>G ip4:10.1.0.1,10.9.0.1,6 tcp:4000,80 flags:10 data:9", 13,
		"A>B ip4:10.1.0.1,10.1.0.2,6 tcp:4000,8080 flags:10 data:9");
}

static void too_big_is_told(void **state)
{
	start(state);
	if (is_xdp())
		return; // TC answers
	enter(12, "A>G ip4:10.1.0.1,10.9.0.1,17 udp:4000,53 data:1423");
	assert_string_equal(drop_name(result.record.reason), "too_big");
	assert_int_equal(result.outputs, 1);
	assert_int_equal(connections(SERVICE_UDP), 1);
}

int services_run(struct sequence_arena *arena)
{
#define TEST(function) cmocka_unit_test_prestate(function, arena)
	const struct CMUnitTest tests[] = {
		TEST(nat_inside),
		TEST(nat6_inside),
		TEST(a_datagram_without_checksum_has_none),
		TEST(nat_from_outside),
		TEST(what_is_not_served_is_the_hosts),
		TEST(an_address_answers),
		TEST(hairpin),
		TEST(what_nobody_serves),
		TEST(limits),
		TEST(what_is_refused_leaves_the_count),
		TEST(fragments_follow_their_first),
		TEST(fragments_have_a_limit),
		TEST(options_pass),
		TEST(errors_find_their_way),
		TEST(an_error_from_outside),
		TEST(a_closed_connection_ends),
		TEST(a_reset_that_nobody_believes),
		TEST(a_half_closed_connection_stays),
		TEST(a_handshake_that_stays_open),
		TEST(a_port_that_is_taken_again),
		TEST(a_dead_backend),
		TEST(too_big_is_told),
	};
	return _cmocka_run_group_tests(arena->name, tests, WEFT_ARRAY_SIZE(tests), NULL, NULL);
}
