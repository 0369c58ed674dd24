// SPDX-License-Identifier: BSD-2-Clause
// Whose line it is, where packets are alike: several hosts' lines, in any order.

#include "tests/unit/expect.h"

#include "ctl/trace_packet.h"

enum { CLOCK = 7, A = 0, B = 1 };
#define US 1000
#define MS 1000000

static struct packets packets;

static struct packet *told(size_t host, const char *point, int64_t ns)
{
	json_t *line = json_pack("{s:s, s:s, s:I}", "packet", "alike", "point", point, "time_ns",
		(json_int_t)(ns ? MS + ns : 0));
	struct packet *packet = packets_find(&packets, host, line, CLOCK);
	struct packet_clock *clock = &packet->clocks[packet_clock(packet, CLOCK)];

	if (ns && (!clock->first_ns || MS + ns < clock->first_ns)) // as who holds the points does
		clock->first_ns = MS + ns;
	json_decref(line);
	return packet;
}

static int forget_all(void **state)
{
	(void)state;
	while (packets.list)
		packets_forget(&packets, packets.list);
	return 0;
}

static void test_a_burst_keeps_its_order(void **state)
{
	struct packet *first = told(A, "P0", 10 * US), *second = told(A, "P0", 40 * US);

	(void)state;
	assert_ptr_not_equal(first, second);
	// both had left the guest when the first one arrived
	assert_ptr_equal(told(B, "P3", 60 * US), first);
	assert_ptr_equal(told(B, "P4", 61 * US), first);
	assert_ptr_equal(told(B, "P3", 90 * US), second);
	assert_ptr_equal(told(B, "P4", 91 * US), second);
	assert_ptr_equal(told(B, "P6", 95 * US), first);
	assert_ptr_equal(told(B, "P6", 99 * US), second);
}

static void test_what_was_lost_takes_no_other_arrival(void **state)
{
	struct packet *second;

	(void)state;
	told(A, "P0", 10 * US); // and never again
	second = told(A, "P0", 300ll * MS);
	assert_ptr_equal(told(B, "P3", 300ll * MS + 50 * US), second);
}

static void test_an_arrival_told_first_waits_for_its_packet(void **state)
{
	struct packet *first = told(B, "P3", 60 * US), *second = told(B, "P3", 90 * US);

	(void)state;
	assert_ptr_equal(told(A, "P0", 10 * US), first);
	assert_ptr_equal(told(A, "P0", 40 * US), second);
	assert_ptr_not_equal(told(A, "P0", 100 * US), second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_a_burst_keeps_its_order, forget_all),
		cmocka_unit_test_teardown(test_what_was_lost_takes_no_other_arrival, forget_all),
		cmocka_unit_test_teardown(
			test_an_arrival_told_first_waits_for_its_packet, forget_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
