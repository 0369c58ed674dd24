// SPDX-License-Identifier: BSD-2-Clause
// Packets that a mode treats alike in each family with each protocol.
#pragma once

#include "tests/packets/services_rig.h"
#include "tests/packets/services_words.h"

struct mode_test {
	const char *name;
	CMUnitTestFunction function;
};

#define MODE_TEST(test) \
	{ \
		.name = #test, .function = test \
	}

extern const struct mode_test host_dsr_tests[];
extern const size_t host_dsr_test_count;

// Where this host is.
void balancer(void **state);
void backends_host(void **state);
void both(void **state); // the balancer has the backends

void passes(u32 from, struct words in, u32 to, struct words out);
void thrice(u32 from, struct words in, u32 to, struct words out);
void as_it_is(u32 from, u32 to, struct words both);
