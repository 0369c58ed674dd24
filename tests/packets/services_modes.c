// SPDX-License-Identifier: BSD-2-Clause
// Modes dsr and host-dsr, in each family with each protocol: at the balancer, at the backend's host
// and where both are one. Who is where: services.c.
#include "tests/packets/services_rig.h"
#include "tests/packets/services_words.h"

#include <stdio.h>

static const struct flavour flavours[] = {
	{"IPv4 TCP", false, WEFT_IP_TCP, SERVICE_DSR, SERVICE_HOST_DSR_TCP},
	{"IPv4 UDP", false, WEFT_IP_UDP, SERVICE_DSR_UDP, SERVICE_HOST_DSR},
	{"IPv6 TCP", true, WEFT_IP_TCP, SERVICE_DSR6, SERVICE_HOST_DSR6},
	{"IPv6 UDP", true, WEFT_IP_UDP, SERVICE_DSR6_UDP, SERVICE_HOST_DSR6_UDP},
};

static void passes(u32 from, struct words in, u32 to, struct words out)
{
	goes(from, in.text, to, out.text);
}

static void thrice(u32 from, struct words in, u32 to, struct words out)
{
	for (int i = 0; i < 3; i++)
		goes(from, in.text, to, out.text);
}

static void as_it_is(u32 from, u32 to, struct words both)
{
	goes(from, both.text, to, both.text);
}

// --- where they are

struct mode_state {
	struct sequence_arena arena; // what start looks for
	const struct flavour *flavour;
	char name[64];
};

static void balancer(void **state)
{
	flavour = ((const struct mode_state *)*state)->flavour;
	start(state);
	knows("B", P1);
}

static void backends_host(void **state)
{
	balancer(state);
	knows("A", P1);
	knows("B", 13);
	knows("C", 13);
}

static void both(void **state)
{
	balancer(state);
	knows("B", 13);
	knows("C", 13);
}

// --- dsr: the backends own the service's address, and answers go their own way

static void dsr_here(void **state)
{
	both(state);
	thrice(12, plain("A>G", CLIENT, SERVICE, 4000, 81), 13,
		plain("A>B", CLIENT, SERVICE, 4000, 81));
	as_it_is(13, 12, plain("B>A", SERVICE, CLIENT, 81, 4000));
	assert_int_equal(connections(flavour->dsr), 1);
}

static void dsr_elsewhere(void **state)
{
	balancer(state);
	thrice(12, plain("A>G", CLIENT, SERVICE, 4000, 81), P1,
		plain("A>B", CLIENT, SERVICE, 4000, 81));
	as_it_is(P1, 12, plain("B>A", SERVICE, CLIENT, 81, 4000));
	assert_int_equal(connections(flavour->dsr), 1);
}

// Nothing is left to do there.
static void dsr_arrives(void **state)
{
	backends_host(state);
	as_it_is(P1, 13, plain("A>B", CLIENT, SERVICE, 4000, 81));
	as_it_is(13, P1, plain("B>A", SERVICE, CLIENT, 81, 4000));
	assert_int_equal(connections(flavour->dsr), 0);
}

static void dsr_fragments(void **state)
{
	balancer(state);
	drops(12, later("A>G", CLIENT, SERVICE, 9).text, WEFT_DROP_not_routed);
	passes(12, first("A>G", CLIENT, SERVICE, 4000, 81), P1,
		first("A>B", CLIENT, SERVICE, 4000, 81));
	passes(12, later("A>G", CLIENT, SERVICE, 9), P1, later("A>B", CLIENT, SERVICE, 9));
	drops(12, later("A>G", CLIENT, SERVICE, 10).text, WEFT_DROP_not_routed);
	as_it_is(P1, 12, first("B>A", SERVICE, CLIENT, 81, 4000));
	as_it_is(P1, 12, later("B>A", SERVICE, CLIENT, 9));
	assert_int_equal(connections(flavour->dsr), 1);
}

static void dsr_fragments_arrive(void **state)
{
	backends_host(state);
	as_it_is(P1, 13, first("A>B", CLIENT, SERVICE, 4000, 81));
	as_it_is(P1, 13, later("A>B", CLIENT, SERVICE, 9));
	as_it_is(13, P1, first("B>A", SERVICE, CLIENT, 81, 4000));
	as_it_is(13, P1, later("B>A", SERVICE, CLIENT, 9));
}

static void dsr_options(void **state)
{
	balancer(state);
	passes(12, optioned("A>G", CLIENT, SERVICE, 4000, 81), P1,
		optioned("A>B", CLIENT, SERVICE, 4000, 81));
	as_it_is(P1, 12, optioned("B>A", SERVICE, CLIENT, 81, 4000));
	backends_host(state);
	as_it_is(P1, 13, optioned("A>B", CLIENT, SERVICE, 4000, 81));
	as_it_is(13, P1, optioned("B>A", SERVICE, CLIENT, 81, 4000));
}

// The hash says whom they are for, whether or not there is such a connection.
static void dsr_errors(void **state)
{
	balancer(state);
	for (int known = 0; known < 2; known++) {
		passes(12, error("A>G", CLIENT, SERVICE, CLIENT, 81, 4000), P1,
			error("A>B", CLIENT, SERVICE, CLIENT, 81, 4000));
		passes(12, error("A>G", ROUTER, SERVICE, CLIENT, 81, 4000), P1,
			error("A>B", ROUTER, SERVICE, CLIENT, 81, 4000));
		assert_int_equal(connections(flavour->dsr), known);
		enter(12, plain("A>G", CLIENT, SERVICE, 4000, 81).text);
	}
	as_it_is(P1, 12, error("B>A", SERVICE, CLIENT, SERVICE, 4000, 81));
	as_it_is(P1, 12, error("B>A", ROUTER, CLIENT, SERVICE, 4000, 81));
	backends_host(state);
	as_it_is(P1, 13, error("A>B", CLIENT, SERVICE, CLIENT, 81, 4000));
	as_it_is(P1, 13, error("A>B", ROUTER, SERVICE, CLIENT, 81, 4000));
	as_it_is(13, P1, error("B>A", SERVICE, CLIENT, SERVICE, 4000, 81));
	as_it_is(13, P1, error("B>A", ROUTER, CLIENT, SERVICE, 4000, 81));
}

// --- host-dsr: who translates is where the backend is

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

// ICMPv6, about a fragment: IPv6's alone have a header of their own.
static void errors_about_fragments(void **state)
{
	start(state);
	goes(12, "A>G ip6:fd00::1,fd09::1,58 error:2,0 quotefrag:fd09::1,fd00::1,81,4000", 13,
		"A>B ip6:fd00::1,fd09::1,58 error:2,0 quotefrag:fd09::1,fd00::1,81,4000");
	goes(12, "A>G ip6:fd00::1,fd09::1,58 error:2,0 quotefrag:fd09::1,fd00::1,82,4000", P1,
		"a>C ip6:fd00::1,fd09::1,58 error:2,0 quotefrag:fd09::1,fd00::1,82,4000");
	knows("A", P1);
	knows("C", 13);
	enter(P1, "a>C ip6:fd00::1,fd09::1,17 udp:4000,82 data:9");
	goes(P1, "a>C ip6:fd00::1,fd09::1,58 error:2,0 quotefrag:fd09::1,fd00::1,82,4000", 13,
		"A>C ip6:fd00::1,fd00::3,58 error:2,0 quotefrag:fd00::3,fd00::1,8082,4000");
	goes(13, "C>A ip6:fd00::3,fd00::1,58 error:2,0 quotefrag:fd00::1,fd00::3,4000,8082", P1,
		"C>A ip6:fd09::1,fd00::1,58 error:2,0 quotefrag:fd00::1,fd09::1,4000,82");
}

static const struct {
	const char *name;
	CMUnitTestFunction function;
} each[] = {
#define TEST(function) \
	{ \
#function, function \
	}
	TEST(dsr_here),
	TEST(dsr_elsewhere),
	TEST(dsr_arrives),
	TEST(dsr_fragments),
	TEST(dsr_fragments_arrive),
	TEST(dsr_options),
	TEST(dsr_errors),
	TEST(host_dsr_here),
	TEST(host_dsr_elsewhere),
	TEST(host_dsr_arrives),
	TEST(host_dsr_moves_to_another_balancer),
	TEST(host_dsr_comes_here),
	TEST(host_dsr_fragments),
	TEST(host_dsr_fragments_arrive),
	TEST(host_dsr_fragments_here),
	TEST(host_dsr_options),
	TEST(host_dsr_errors),
	TEST(host_dsr_errors_arrive),
	TEST(host_dsr_errors_here),
};

int services_modes_run(struct sequence_arena *arena)
{
	enum { FLAVOURS = WEFT_ARRAY_SIZE(flavours), EACH = WEFT_ARRAY_SIZE(each) };
	static struct mode_state states[EACH * FLAVOURS];
	struct CMUnitTest tests[EACH * FLAVOURS + 1] = {
		cmocka_unit_test_prestate(errors_about_fragments, arena)};
	for (u32 i = 0; i < EACH * FLAVOURS; i++) {
		struct mode_state *state = &states[i];
		*state = (struct mode_state){.arena = *arena, .flavour = &flavours[i % FLAVOURS]};
		snprintf(state->name, sizeof(state->name), "%s, %s", each[i / FLAVOURS].name,
			state->flavour->name);
		tests[i + 1] = (struct CMUnitTest){.name = state->name,
			.test_func = each[i / FLAVOURS].function,
			.initial_state = state};
	}
	return _cmocka_run_group_tests(arena->name, tests, WEFT_ARRAY_SIZE(tests), NULL, NULL);
}
