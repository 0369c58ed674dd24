// SPDX-License-Identifier: BSD-2-Clause
// Mode host-dsr: who translates is where the backend is. Who is where: services.c.
#include "datapath/pipeline/balance.h"
#include "tests/packets/services_modes.h"

#include <string.h>

static void host_dsr_here(void **state)
{
	both(state);
	thrice(12, plain("A>G", CLIENT, SERVICE, 4000, 82), 13,
		plain("A>C", CLIENT, BACKEND, 4000, 8082));
	thrice(13, plain("C>A", BACKEND, CLIENT, 8082, 4000), 12,
		plain("G>A", SERVICE, CLIENT, 82, 4000));
	thrice(UPLINK, plain("D>U", OUTSIDE, SERVICE, 4000, 82), 13,
		plain("G>C", OUTSIDE, BACKEND, 4000, 8082));
	thrice(13, plain("C>G", BACKEND, OUTSIDE, 8082, 4000), UPLINK,
		plain("U>D", SERVICE, OUTSIDE, 82, 4000));
	assert_int_equal(connections(flavour->host_dsr), 2);
}

static void host_dsr_elsewhere(void **state)
{
	balancer(state);
	thrice(12, plain("A>G", CLIENT, SERVICE, 4000, 82), P1,
		plain("a>C", CLIENT, SERVICE, 4000, 82));
	as_it_is(P1, 12, plain("C>A", SERVICE, CLIENT, 82, 4000));
	// from outside the answer comes back here, and goes out as it came in
	thrice(UPLINK, plain("D>U", OUTSIDE, SERVICE, 4000, 82), P1,
		plain("g>C", OUTSIDE, SERVICE, 4000, 82));
	thrice(P1, plain("C>G", SERVICE, OUTSIDE, 82, 4000), UPLINK,
		plain("U>D", SERVICE, OUTSIDE, 82, 4000));
	assert_int_equal(connections(flavour->host_dsr), 2);
}

// This host has the backend: a balancer elsewhere has chosen it.
static void host_dsr_arrives(void **state)
{
	backends_host(state);
	thrice(P1, plain("a>C", CLIENT, SERVICE, 4000, 82), 13,
		plain("A>C", CLIENT, BACKEND, 4000, 8082));
	thrice(13, plain("C>A", BACKEND, CLIENT, 8082, 4000), P1,
		plain("C>A", SERVICE, CLIENT, 82, 4000));
	thrice(P1, plain("g>C", OUTSIDE, SERVICE, 4000, 82), 13,
		plain("G>C", OUTSIDE, BACKEND, 4000, 8082));
	thrice(13, plain("C>G", BACKEND, OUTSIDE, 8082, 4000), P1,
		plain("C>G", SERVICE, OUTSIDE, 82, 4000));
	assert_int_equal(connections(flavour->host_dsr), 2);
}

// The client's way to the address changed, perhaps because the other balancer is dead.
static void host_dsr_moves_to_another_balancer(void **state)
{
	struct weft_tag_key tag = {.port = P2, .tag = WHITE_VNI};
	struct weft_tag_row white = {.network = WHITE};
	backends_host(state);
	PUT(tag, &tag, &white);
	for (int i = 0; i < 3; i++) {
		u32 peer = i % 2 ? P2 : P1, other = i % 2 ? P1 : P2;
		PUT(tag, &tag,
			&white); // the answer's cached way lives for a second, or until this
		for (int k = 0; k < 2; k++)
			passes(peer, plain("g>C", OUTSIDE, SERVICE, 4000, 82), 13,
				plain("G>C", OUTSIDE, BACKEND, 4000, 8082));
		passes(other, error("g>C", ROUTER, SERVICE, OUTSIDE, 82, 4000), 13, // by any
			error("G>C", ROUTER, BACKEND, OUTSIDE, 8082, 4000));
		passes(13, plain("C>G", BACKEND, OUTSIDE, 8082, 4000), peer,
			plain("C>G", SERVICE, OUTSIDE, 82, 4000));
		assert_int_equal(connections(flavour->host_dsr), 1);
	}
	ops->table_del(engine, WEFT_TABLE_tag, &tag, NULL);
}

// A guest that moves: the balancer's host has it now, and translates itself.
static void host_dsr_comes_here(void **state)
{
	balancer(state);
	passes(12, plain("A>G", CLIENT, SERVICE, 4000, 82), P1,
		plain("a>C", CLIENT, SERVICE, 4000, 82));
	knows("C", 13);
	thrice(12, plain("A>G", CLIENT, SERVICE, 4000, 82), 13,
		plain("A>C", CLIENT, BACKEND, 4000, 8082));
	passes(13, plain("C>A", BACKEND, CLIENT, 8082, 4000), 12,
		plain("G>A", SERVICE, CLIENT, 82, 4000));
	assert_int_equal(connections(flavour->host_dsr), 1);
}

static void host_dsr_fragments(void **state)
{
	balancer(state);
	drops(12, later("A>G", CLIENT, SERVICE, 9).text, WEFT_DROP_not_routed);
	passes(12, first("A>G", CLIENT, SERVICE, 4000, 82), P1,
		first("a>C", CLIENT, SERVICE, 4000, 82));
	passes(12, later("A>G", CLIENT, SERVICE, 9), P1, later("a>C", CLIENT, SERVICE, 9));
	drops(12, later("A>G", CLIENT, SERVICE, 10).text, WEFT_DROP_not_routed);
	as_it_is(P1, 12, first("C>A", SERVICE, CLIENT, 82, 4000));
	as_it_is(P1, 12, later("C>A", SERVICE, CLIENT, 9));
	passes(UPLINK, first("D>U", OUTSIDE, SERVICE, 4000, 82), P1,
		first("g>C", OUTSIDE, SERVICE, 4000, 82));
	passes(UPLINK, later("D>U", OUTSIDE, SERVICE, 9), P1, later("g>C", OUTSIDE, SERVICE, 9));
	passes(P1, first("C>G", SERVICE, OUTSIDE, 82, 4000), UPLINK,
		first("U>D", SERVICE, OUTSIDE, 82, 4000));
	passes(P1, later("C>G", SERVICE, OUTSIDE, 9), UPLINK, later("U>D", SERVICE, OUTSIDE, 9));
}

static void host_dsr_fragments_arrive(void **state)
{
	backends_host(state);
	drops(P1, later("a>C", CLIENT, SERVICE, 9).text, WEFT_DROP_no_service);
	passes(P1, first("a>C", CLIENT, SERVICE, 4000, 82), 13,
		first("A>C", CLIENT, BACKEND, 4000, 8082));
	passes(P1, later("a>C", CLIENT, SERVICE, 9), 13, later("A>C", CLIENT, BACKEND, 9));
	passes(13, first("C>A", BACKEND, CLIENT, 8082, 4000), P1,
		first("C>A", SERVICE, CLIENT, 82, 4000));
	passes(13, later("C>A", BACKEND, CLIENT, 9), P1, later("C>A", SERVICE, CLIENT, 9));
	passes(P1, first("g>C", OUTSIDE, SERVICE, 4000, 82), 13,
		first("G>C", OUTSIDE, BACKEND, 4000, 8082));
	passes(P1, later("g>C", OUTSIDE, SERVICE, 9), 13, later("G>C", OUTSIDE, BACKEND, 9));
	passes(13, first("C>G", BACKEND, OUTSIDE, 8082, 4000), P1,
		first("C>G", SERVICE, OUTSIDE, 82, 4000));
	passes(13, later("C>G", BACKEND, OUTSIDE, 9), P1, later("C>G", SERVICE, OUTSIDE, 9));
}

static void host_dsr_fragments_here(void **state)
{
	both(state);
	passes(12, first("A>G", CLIENT, SERVICE, 4000, 82), 13,
		first("A>C", CLIENT, BACKEND, 4000, 8082));
	passes(12, later("A>G", CLIENT, SERVICE, 9), 13, later("A>C", CLIENT, BACKEND, 9));
	passes(13, first("C>A", BACKEND, CLIENT, 8082, 4000), 12,
		first("G>A", SERVICE, CLIENT, 82, 4000));
	passes(13, later("C>A", BACKEND, CLIENT, 9), 12, later("G>A", SERVICE, CLIENT, 9));
}

static void host_dsr_options(void **state)
{
	balancer(state);
	passes(12, optioned("A>G", CLIENT, SERVICE, 4000, 82), P1,
		optioned("a>C", CLIENT, SERVICE, 4000, 82));
	as_it_is(P1, 12, optioned("C>A", SERVICE, CLIENT, 82, 4000));
	passes(UPLINK, optioned("D>U", OUTSIDE, SERVICE, 4000, 82), P1,
		optioned("g>C", OUTSIDE, SERVICE, 4000, 82));
	passes(P1, optioned("C>G", SERVICE, OUTSIDE, 82, 4000), UPLINK,
		optioned("U>D", SERVICE, OUTSIDE, 82, 4000));
	backends_host(state);
	passes(P1, optioned("a>C", CLIENT, SERVICE, 4000, 82), 13,
		optioned("A>C", CLIENT, BACKEND, 4000, 8082));
	passes(13, optioned("C>A", BACKEND, CLIENT, 8082, 4000), P1,
		optioned("C>A", SERVICE, CLIENT, 82, 4000));
}

// The balancer knows by the hash whom an error is for: the backend's host, whether there is such a
// connection.
static void host_dsr_errors(void **state)
{
	balancer(state);
	for (int known = 0; known < 2; known++) {
		passes(12, error("A>G", CLIENT, SERVICE, CLIENT, 82, 4000), P1,
			error("a>C", CLIENT, SERVICE, CLIENT, 82, 4000));
		passes(UPLINK, error("D>U", ROUTER, SERVICE, OUTSIDE, 82, 4000), P1,
			error("g>C", ROUTER, SERVICE, OUTSIDE, 82, 4000));
		assert_int_equal(connections(flavour->host_dsr), known * 2);
		enter(12, plain("A>G", CLIENT, SERVICE, 4000, 82).text);
		enter(UPLINK, plain("D>U", OUTSIDE, SERVICE, 4000, 82).text);
	}
	as_it_is(P1, 12, error("C>A", SERVICE, CLIENT, SERVICE, 4000, 82));
	passes(P1, error("C>G", SERVICE, OUTSIDE, SERVICE, 4000, 82), UPLINK,
		error("U>D", SERVICE, OUTSIDE, SERVICE, 4000, 82));
	passes(P1, error("C>G", ROUTER, OUTSIDE, SERVICE, 4000, 82), UPLINK,
		error("U>D", ROUTER, OUTSIDE, SERVICE, 4000, 82));
}

static void host_dsr_errors_arrive(void **state)
{
	backends_host(state);
	drops(P1, error("a>C", CLIENT, SERVICE, CLIENT, 82, 4000).text, WEFT_DROP_no_connection);
	drops(P1, error("g>C", ROUTER, SERVICE, OUTSIDE, 82, 4000).text, WEFT_DROP_no_connection);
	enter(P1, plain("a>C", CLIENT, SERVICE, 4000, 82).text);
	enter(P1, plain("g>C", OUTSIDE, SERVICE, 4000, 82).text);
	passes(P1, error("a>C", CLIENT, SERVICE, CLIENT, 82, 4000), 13,
		error("A>C", CLIENT, BACKEND, CLIENT, 8082, 4000));
	passes(P1, error("a>C", ROUTER, SERVICE, CLIENT, 82, 4000), 13,
		error("A>C", ROUTER, BACKEND, CLIENT, 8082, 4000));
	passes(P1, error("g>C", ROUTER, SERVICE, OUTSIDE, 82, 4000), 13,
		error("G>C", ROUTER, BACKEND, OUTSIDE, 8082, 4000));
	passes(13, error("C>A", BACKEND, CLIENT, BACKEND, 4000, 8082), P1,
		error("C>A", SERVICE, CLIENT, SERVICE, 4000, 82));
	passes(13, error("C>A", ROUTER, CLIENT, BACKEND, 4000, 8082), P1,
		error("C>A", ROUTER, CLIENT, SERVICE, 4000, 82));
	passes(13, error("C>G", BACKEND, OUTSIDE, BACKEND, 4000, 8082), P1,
		error("C>G", SERVICE, OUTSIDE, SERVICE, 4000, 82));
	drops(P1, error("a>C", CLIENT, SERVICE, CLIENT, 82, 4001).text, WEFT_DROP_no_connection);
	assert_int_equal(connections(flavour->host_dsr), 2);
}

static void host_dsr_errors_here(void **state)
{
	both(state);
	drops(12, error("A>G", CLIENT, SERVICE, CLIENT, 82, 4000).text, WEFT_DROP_no_connection);
	enter(12, plain("A>G", CLIENT, SERVICE, 4000, 82).text);
	passes(12, error("A>G", CLIENT, SERVICE, CLIENT, 82, 4000), 13,
		error("A>C", CLIENT, BACKEND, CLIENT, 8082, 4000));
	passes(13, error("C>A", BACKEND, CLIENT, BACKEND, 4000, 8082), 12,
		error("G>A", SERVICE, CLIENT, SERVICE, 4000, 82));
	passes(13, error("C>A", ROUTER, CLIENT, BACKEND, 4000, 8082), 12,
		error("G>A", ROUTER, CLIENT, SERVICE, 4000, 82));
}

// From the gateway's address, as with nat: else it would answer itself, past the translation.
static void host_dsr_asks_itself(void **state)
{
	both(state);
	enter(13, plain("C>G", BACKEND, SERVICE, 4000, 82).text);
	u16 port = source_port();
	assert_in_range(port, 1024, 1279);
	thrice(13, plain("C>G", BACKEND, SERVICE, 4000, 82), 13,
		plain("G>C", GATEWAY, BACKEND, port, 8082));
	thrice(13, plain("C>G", BACKEND, GATEWAY, 8082, port), 13,
		plain("G>C", SERVICE, BACKEND, 82, 4000));
	assert_int_equal(connections(flavour->host_dsr), 1);
}

// Two backends on one machine: its host tells them apart by the hash, as the balancer did.
static void host_dsr_twins(void **state)
{
	struct weft_backend_row backend;
	struct weft_service_row row;
	backends_host(state);
	u32 first = 40, id = flavour->host_dsr, twin = 40, slots[] = {id, twin}, seen[2] = {0, 0};
	struct weft_service_key at = {.scope = WHITE, .port = 82, .protocol = flavour->protocol};
	services_address(words_address(SERVICE), at.address);
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_backend, &id, &backend), 0);
	backend.port = 8083;
	PUT(backend, &twin, &backend);
	for (u32 i = 0; i < 2; i++) {
		u32 slot = first + i;
		PUT(ring, &slot, &slots[i]);
	}
	assert_int_equal(ops->table_get(engine, WEFT_TABLE_service, &at, &row), 0);
	row.ring = first;
	row.ring_size = 2;
	PUT(service, &at, &row);
	for (u16 port = 4000; seen[0] < 2 || seen[1] < 2; port++) {
		struct weft_connection_key key =
			connection_key(words_address(CLIENT), port, 82, flavour->protocol);
		u32 slot = (u32)(balance_hash(&key, row.seed, false) >> 32) % 2;
		u16 to = (u16)(8082 + slot);
		if (seen[slot]++ >= 2)
			continue; // the service's limit
		passes(P1, plain("a>C", CLIENT, SERVICE, port, 82), 13,
			plain("A>C", CLIENT, BACKEND, port, to));
		passes(13, plain("C>A", BACKEND, CLIENT, to, port), P1,
			plain("C>A", SERVICE, CLIENT, 82, port));
	}
	memset(&backend, 0, sizeof(backend));
	PUT(backend, &twin, &backend);
}

const struct mode_test host_dsr_tests[] = {
	MODE_TEST(host_dsr_here),
	MODE_TEST(host_dsr_elsewhere),
	MODE_TEST(host_dsr_arrives),
	MODE_TEST(host_dsr_moves_to_another_balancer),
	MODE_TEST(host_dsr_comes_here),
	MODE_TEST(host_dsr_fragments),
	MODE_TEST(host_dsr_fragments_arrive),
	MODE_TEST(host_dsr_fragments_here),
	MODE_TEST(host_dsr_options),
	MODE_TEST(host_dsr_errors),
	MODE_TEST(host_dsr_errors_arrive),
	MODE_TEST(host_dsr_errors_here),
	MODE_TEST(host_dsr_asks_itself),
	MODE_TEST(host_dsr_twins),
};
const size_t host_dsr_test_count = WEFT_ARRAY_SIZE(host_dsr_tests);
