// SPDX-License-Identifier: BSD-2-Clause
// What is said of another machine's clock: exchanges between two simulated clocks, whose truth is
// known here, held against the offset, its bound and the delays that probe_show makes of them.

#include "tests/unit/unit.h"

#include <jansson.h>
#include "daemon/probe.h"

enum { EXCHANGES = 64 };
#define START_NS 1000000000000ull
#define US       1000

struct world { // the other clock: this one's, and
	s64 offset_ns;
	s64 drift_ppm;
	struct probe_one ones[EXCHANGES];
	struct probe_result result;
};

static u64 other_ns(const struct world *w, u64 now_ns)
{
	return now_ns + (u64)(w->offset_ns + (s64)(now_ns - START_NS) * w->drift_ppm / 1000000);
}

static void exchange(struct world *w, u64 at_ns, u64 there_ns, u64 back_ns)
{
	struct probe_one *one = &w->ones[w->result.sent++];
	u64 arrived = at_ns + there_ns, answered = arrived + 30000, left = answered + 5000;
	*one = (struct probe_one){
		.sent_ns = at_ns - 1000,
		.in_ns = at_ns,
		.out_ns = at_ns + 1,
		.there_ns = other_ns(w, arrived),
		.back_sent_ns = other_ns(w, answered),
		.back_late_ns = other_ns(w, left) - other_ns(w, answered),
		.back_ns = left + back_ns,
		.answers = 1,
		.late = true,
	};
	w->result.ones = w->ones;
	w->result.received++;
}

static s64 value(const json_t *shown, const char *part, const char *key)
{
	const json_t *object = part ? json_object_get(shown, part) : shown;
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

// Every claim is held against the truth. least, most: of the true delays there.
static json_t *check(const struct world *w, s64 least, s64 most)
{
	json_t *shown = probe_show(&w->result);
	s64 error = value(shown, NULL, "clock_error_ns");
	assert_true(llabs(value(shown, NULL, "clock_offset_ns") - w->offset_ns) <= error);
	assert_true(llabs(value(shown, "forward", "min_ns") - least) <= error);
	assert_true(llabs(value(shown, "forward", "max_ns") - most) <= error);
	return shown;
}

static void one_clock_needs_no_estimate(void **state)
{
	struct world w = {.result.one_clock = true};
	(void)state;
	exchange(&w, START_NS, 10 * US, 90 * US);
	json_t *shown = check(&w, 10 * US, 10 * US);
	assert_int_equal(value(shown, NULL, "clock_error_ns"), 0);
	assert_int_equal(value(shown, "back", "max_ns"), 90 * US);
	json_decref(shown);
}

static void the_shortest_round_trip_tells_the_offset(void **state)
{
	(void)state;
	for (s64 offset = -7000000000; offset <= 7000000000; offset += 3500000000) {
		struct world w = {.offset_ns = offset};
		for (u32 i = 0; i < EXCHANGES; i++) // queues, now on one way, now on the other
			exchange(&w, START_NS, 20 * US + (i * 37 % 64) * US,
				20 * US + (i * 11 % 64) * US);
		json_t *shown = check(&w, 20 * US, 83 * US);
		assert_int_equal(value(shown, NULL, "clock_offset_ns"), offset);
		assert_int_equal(value(shown, NULL, "clock_error_ns"), 20 * US);
		assert_int_equal(value(shown, "forward", "min_ns"), 20 * US);
		json_decref(shown);
	}
}

// An asymmetry that is always there cannot be seen: it is what the bound is for.
static void asymmetry_stays_within_the_bound(void **state)
{
	struct world w = {.offset_ns = -123456789};
	(void)state;
	for (u32 i = 0; i < EXCHANGES; i++)
		exchange(&w, START_NS, 10 * US, 90 * US + i);
	json_t *shown = check(&w, 10 * US, 10 * US);
	assert_int_equal(value(shown, NULL, "clock_error_ns"), 50 * US);
	assert_int_equal(value(shown, "forward", "p50_ns"), 50 * US); // wrong by 40, and says so
	assert_int_equal(value(shown, "rtt", "min_ns"), 100 * US);
	json_decref(shown);
}

static void a_delay_below_zero_is_shown(void **state)
{
	struct world w = {.offset_ns = 5000000000};
	(void)state;
	exchange(&w, START_NS, 90 * US, 10 * US);
	exchange(&w, START_NS, 10 * US, 200 * US);
	json_t *shown = check(&w, 10 * US, 90 * US);
	assert_int_equal(value(shown, "forward", "min_ns"), -30 * US);
	assert_int_equal(value(shown, "back", "max_ns"), 240 * US);
	char *text = probe_text(shown);
	assert_non_null(strstr(text, "-30.0"));
	assert_non_null(strstr(text, "two clocks: the other is +5000040.0 us off, within 50.0 us"));
	free(text);
	json_decref(shown);
}

// A probe a second, for a minute: the clocks drift apart meanwhile, and the bound knows.
static void drift_is_in_the_bound(void **state)
{
	struct world w = {.offset_ns = 1000000000, .drift_ppm = 15};
	(void)state;
	for (u32 i = 0; i < EXCHANGES; i++)
		exchange(&w, START_NS + i * 1000000000ull, 20 * US + (i ? 1 : 0), 20 * US);
	json_t *shown = check(&w, 20 * US, 20 * US + 1);
	assert_true(value(shown, "forward", "max_ns") > 900 * US); // 63 s at 15 ppm
	json_decref(shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_clock_needs_no_estimate),
		cmocka_unit_test(the_shortest_round_trip_tells_the_offset),
		cmocka_unit_test(asymmetry_stays_within_the_bound),
		cmocka_unit_test(a_delay_below_zero_is_shown),
		cmocka_unit_test(drift_is_in_the_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
