// SPDX-License-Identifier: BSD-2-Clause
// Modes dsr (here) and host-dsr (services_host_dsr.c), in each family with each protocol: at the
// balancer, at the backend's host and where both are one. Who is where: services.c.
#include "tests/packets/services_modes.h"

#include <stdio.h>
#include <stdlib.h>

static const struct flavour flavours[] = {
	{"IPv4 TCP", false, WEFT_IP_TCP, SERVICE_DSR, SERVICE_HOST_DSR_TCP},
	{"IPv4 UDP", false, WEFT_IP_UDP, SERVICE_DSR_UDP, SERVICE_HOST_DSR},
	{"IPv6 TCP", true, WEFT_IP_TCP, SERVICE_DSR6, SERVICE_HOST_DSR6},
	{"IPv6 UDP", true, WEFT_IP_UDP, SERVICE_DSR6_UDP, SERVICE_HOST_DSR6_UDP},
};

void passes(u32 from, struct words in, u32 to, struct words out)
{
	goes(from, in.text, to, out.text);
}

void thrice(u32 from, struct words in, u32 to, struct words out)
{
	for (int i = 0; i < 3; i++)
		goes(from, in.text, to, out.text);
}

void as_it_is(u32 from, u32 to, struct words both)
{
	goes(from, both.text, to, both.text);
}

// --- where they are

struct mode_state {
	struct sequence_arena arena; // what start looks for
	const struct flavour *flavour;
	char name[64];
};

void balancer(void **state)
{
	flavour = ((const struct mode_state *)*state)->flavour;
	start(state);
	knows("B", P1);
}

void backends_host(void **state)
{
	balancer(state);
	knows("A", P1);
	knows("B", 13);
	knows("C", 13);
}

void both(void **state)
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

static const struct mode_test dsr_tests[] = {
	MODE_TEST(dsr_here),
	MODE_TEST(dsr_elsewhere),
	MODE_TEST(dsr_arrives),
	MODE_TEST(dsr_fragments),
	MODE_TEST(dsr_fragments_arrive),
	MODE_TEST(dsr_options),
	MODE_TEST(dsr_errors),
};

// Each of them in each family with each protocol.
static int run_each(struct sequence_arena *arena, const struct mode_test *each, size_t count)
{
	enum { FLAVOURS = WEFT_ARRAY_SIZE(flavours) };
	struct mode_state *states = calloc(count * FLAVOURS, sizeof(*states));
	struct CMUnitTest *tests = calloc(count * FLAVOURS, sizeof(*tests));
	if (!states || !tests)
		abort();
	for (size_t i = 0; i < count * FLAVOURS; i++) {
		struct mode_state *state = &states[i];
		const struct mode_test *test = &each[i / FLAVOURS];
		*state = (struct mode_state){.arena = *arena, .flavour = &flavours[i % FLAVOURS]};
		snprintf(state->name, sizeof(state->name), "%s, %s", test->name,
			state->flavour->name);
		tests[i] = (struct CMUnitTest){
			.name = state->name, .test_func = test->function, .initial_state = state};
	}
	int failed = _cmocka_run_group_tests(arena->name, tests, count * FLAVOURS, NULL, NULL);
	free(tests);
	free(states);
	return failed;
}

int services_modes_run(struct sequence_arena *arena)
{
	const struct CMUnitTest once[] = {cmocka_unit_test_prestate(errors_about_fragments, arena)};
	return _cmocka_run_group_tests(arena->name, once, WEFT_ARRAY_SIZE(once), NULL, NULL) +
	       run_each(arena, dsr_tests, WEFT_ARRAY_SIZE(dsr_tests)) +
	       run_each(arena, host_dsr_tests, host_dsr_test_count);
}
