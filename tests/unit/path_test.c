// SPDX-License-Identifier: BSD-2-Clause
// What weftctl makes of the points that hosts tell: one way of clocks that differ, the questions
// that belong to answers, and who names what is typed.
#include "unit.h"

#include <math.h>
#include "ctl/path/result.h"
#include "ctl/path/way.h"
#include "daemon/target.h"

static const int64_t OFF_NS = -86400000012345; // a clock may be anything off

static void see(struct walk *walk, const char *host, const char *packet, const char *point,
	int64_t ns, const char *ends)
{
	char src[32] = "", dst[32] = "", proto[8] = "", echo[12] = "";
	json_t *line;

	if (ends)
		assert_true(sscanf(ends, "%31s %31s %7s %11s", src, dst, proto, echo) >= 3);
	line = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:i}", "packet", packet, "point",
		point, "time_ns", (json_int_t)ns, "port", host, "src", src, "dst", dst, "proto",
		proto, "echo", echo, "payload_bytes", 10);
	walk_add(walk, line, host);
	json_decref(line);
}

// Of TCP: flags "S" and no bytes, or bytes.
static void see_tcp(struct walk *walk, const char *packet, const char *point, int64_t ns,
	const char *src, const char *dst, const char *flags)
{
	json_t *line = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:i}", "packet", packet,
		"point", point, "time_ns", (json_int_t)ns, "port", "h1", "src", src, "dst", dst,
		"proto", "tcp", "flags", flags, "payload_bytes", *flags ? 0 : 10);

	walk_add(walk, line, "h1");
	json_decref(line);
}

// From that port: asked, and answered by the guest after so long.
static void exchange(struct walk *walk, int port, int64_t at, int64_t guest_ns, const char *flags)
{
	char q[17], r[17], client[32];

	snprintf(q, sizeof(q), "q%d%s", port, flags);
	snprintf(r, sizeof(r), "r%d%s", port, flags);
	snprintf(client, sizeof(client), "10.1.0.1:%d", port);
	see_tcp(walk, q, "P0", at, client, "10.1.0.2:80", flags);
	see_tcp(walk, q, "P5", at + 10, client, "10.1.0.2:80", flags);
	see_tcp(walk, r, "P0", at + 10 + guest_ns, "10.1.0.2:80", client, flags);
	see_tcp(walk, r, "P5", at + 20 + guest_ns, "10.1.0.2:80", client, flags);
}

// A ping from h1 to h2 and back, sent then; delays each way, as no clock sees them.
static void ping(
	struct walk *walk, int number, int64_t at, int64_t there, int64_t back, int64_t off)
{
	char q[17], r[17], asks[64], answers[64];

	snprintf(q, sizeof(q), "q%d", number);
	snprintf(r, sizeof(r), "r%d", number);
	snprintf(asks, sizeof(asks), "10.1.0.1 10.1.0.2 icmp 7.%d", number);
	snprintf(answers, sizeof(answers), "10.1.0.2 10.1.0.1 icmp 7.%d", number);
	// the other host's lines may come first
	see(walk, "h2", q, "P3", at + 10 + there + off, asks);
	see(walk, "h2", q, "P5", at + 20 + there + off, NULL);
	see(walk, "h2", r, "P0", at + 60 + there + off, answers);
	see(walk, "h2", r, "P2", at + 70 + there + off, NULL);
	see(walk, "h1", q, "P0", at, asks);
	see(walk, "h1", q, "P2", at + 10, NULL);
	see(walk, "h1", r, "P3", at + 70 + there + back, answers);
	see(walk, "h1", r, "P5", at + 80 + there + back, NULL);
}

static struct walk *hosts(uint32_t other_clock)
{
	struct walk *walk = walk_new();

	walk_host(walk, "h2", other_clock, false);
	walk_host(walk, "h1", 1, true);
	return walk;
}

static const struct way_step *step(const struct way *way, const char *host, const char *what)
{
	for (size_t i = 0; i < way->count; i++)
		if (!strcmp(way->steps[i].host, host) && !strcmp(way->steps[i].what, what))
			return &way->steps[i];
	fail_msg("no step %s: %s", host, what);
	return NULL;
}

static void clocks_are_brought_together(void **state)
{
	struct walk *walk = hosts(2);
	struct walk_clock clock;
	struct way way;

	(void)state;
	for (int i = 0; i < 99; i++)
		ping(walk, i, 1000000 + i * 10000, 300 + i % 49, 200 + i % 49 * 2, OFF_NS);
	clock = walk_align(walk);
	way = way_find(walk, &(struct way_aim){.from = "", .to = "10.1.0.2"});
	assert_false(clock.one);
	assert_int_equal(clock.error_ns, (300 + 200) / 2);
	assert_int_equal(way.requests, 99);
	assert_int_equal(way.count, 7);
	// both ways together are exact, each is right within the error
	double there = step(&way, "h1 > h2", "underlay")->took.p50_ns;
	double back = step(&way, "h2 > h1", "underlay")->took.p50_ns;
	assert_true(there + back == 324 + 248);
	assert_true(there >= 324 - 250 && there <= 324 + 250);
	assert_true(step(&way, "h2", "guest and its queue")->took.p50_ns == 40);
	way_free(&way);
	walk_free(walk);
}

// A clock that is set meanwhile: most packets seem to come before they were sent.
static void below_zero_stays_below_zero(void **state)
{
	struct walk *walk = hosts(2);
	struct walk_clock clock;
	struct way way;

	(void)state;
	for (int i = 0; i < 10; i++)
		ping(walk, i, 1000000 + i * 10000, 10, 10, i < 6 ? OFF_NS : OFF_NS + 5000);
	clock = walk_align(walk);
	way = way_find(walk, &(struct way_aim){.from = "", .to = "10.1.0.2"});
	assert_int_equal(way.requests, 10);
	assert_true(step(&way, "h1 > h2", "underlay")->took.p50_ns == 10 - 2500);
	assert_true(step(&way, "h1 > h2", "underlay")->between);
	assert_true(clock.error_ns >= 2500);
	way_free(&way);
	walk_free(walk);
}

static void one_clock_is_left_alone(void **state)
{
	struct walk *walk = hosts(1);
	struct walk_clock clock;
	struct way way;

	(void)state;
	ping(walk, 1, 1000, 300, 200, 0);
	clock = walk_align(walk);
	way = way_find(walk, &(struct way_aim){.from = "", .to = "10.1.0.2"});
	assert_true(clock.one);
	assert_int_equal(clock.error_ns, 0);
	assert_true(step(&way, "h1 > h2", "underlay")->took.p50_ns == 300);
	assert_true(step(&way, "h2 > h1", "underlay")->took.p50_ns == 200);
	assert_true(way.took.p50_ns == 580);
	way_free(&way);
	walk_free(walk);
}

// Many at once, one lost: each answer belongs to its own question.
static void answers_find_their_questions(void **state)
{
	struct walk *walk = hosts(1);
	struct way way;

	(void)state;
	for (int i = 0; i < 20; i++) // the next is sent before the last is answered
		ping(walk, i, 1000000 + i * 50, 300, 200, 0);
	see(walk, "h1", "lost", "P0", 1000001, "10.1.0.1 10.1.0.2 icmp 7.99");
	see(walk, "h1", "arp", "P0", 1000002, "10.1.0.1 10.1.0.2 arp");
	see(walk, "h1", "other", "P0", 1000003, "10.1.0.1 10.1.0.20 icmp 7.1");
	walk_align(walk);
	way = way_find(walk, &(struct way_aim){.from = "", .to = "10.1.0.2"});
	assert_int_equal(way.requests, 20);
	assert_int_equal(way.others, 0);
	assert_true(way.took.p50_ns == 580 && way.took.p99_ns == 580);
	way_free(&way);
	walk_free(walk);
}

static void a_target_is_read(void **state)
{
	static const struct {
		const char *text, *name;
		unsigned port;
		bool v6;
	} good[] = {{"10.1.0.2", "10.1.0.2", 0, false}, {"10.1.0.2:80", "10.1.0.2", 80, false},
		{"fd00::2", "fd00::2", 0, true}, {"[fd00::2]:80", "fd00::2", 80, true},
		{"[fd00::2]", "fd00::2", 0, true}, {"web1:65535", "web1", 65535, false}};
	static const char *const bad[] = {"", ":80", "10.1.0.2:", "10.1.0.2:0", "10.1.0.2:65536",
		"10.1.0.2:+80", "10.1.0.2:80x", "[fd00::2", "[fd00::2]80", "[]:80",
		"a-name-that-is-longer-than-any-that-there-can-be-0123456789012345"};
	struct target target;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(target_read(good[i].text, &target));
		assert_string_equal(target.name, good[i].name);
		assert_int_equal(target.port, good[i].port);
		assert_int_equal(target.v6, good[i].v6);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (target_read(bad[i], &target))
			fail_msg("'%s' was taken", bad[i]);
}

// Sent again, or alike: nobody can tell whose the points are.
static void what_comes_again_is_left_out(void **state)
{
	struct walk *walk = hosts(1);
	struct way way;

	(void)state;
	for (int i = 0; i < 5; i++)
		ping(walk, i, 1000000 + i * 10000, 300, 200, 0);
	see(walk, "h1", "q2", "P0", 5000000, "10.1.0.1 10.1.0.2 icmp 7.2");
	see(walk, "h2", "q2", "P3", 5000310, "10.1.0.1 10.1.0.2 icmp 7.2");
	walk_align(walk);
	way = way_find(walk, &(struct way_aim){.from = "", .to = "10.1.0.2"});
	assert_int_equal(way.again, 1);
	assert_int_equal(way.requests, 4);
	assert_int_equal(way.others, 0);
	way_free(&way);
	walk_free(walk);
}

static void what_was_not_seen_is_no_guest(void **state)
{
	struct walk *walk = hosts(1);
	struct way way;

	(void)state;
	see(walk, "h1", "q", "P0", 1000, "10.1.0.1 10.1.0.2 icmp 7.1");
	see(walk, "h2", "q", "P3", 1100, "10.1.0.1 10.1.0.2 icmp 7.1");
	see(walk, "h2", "q", "P5", 1200, NULL);
	see(walk, "h1", "r", "P3", 2000, "10.1.0.2 10.1.0.1 icmp 7.1");
	walk_align(walk);
	way = way_find(walk, &(struct way_aim){.from = "", .to = "10.1.0.2"});
	assert_true(step(&way, "h2", "guest, and what was not observed")->took.p50_ns == 800);
	way_free(&way);
	walk_free(walk);
}

// Of a client that asks for more than what is meant, the requests are known by their ports.
static void other_requests_are_not_meant(void **state)
{
	static const unsigned ports[] = {4001, 4003};
	struct walk *walk = hosts(1);
	struct way way;

	(void)state;
	for (int i = 1; i < 4; i++) {
		char asks[64], answers[64], q[8], r[8];

		snprintf(q, sizeof(q), "q%d", i);
		snprintf(r, sizeof(r), "r%d", i);
		snprintf(asks, sizeof(asks), "10.1.0.1:400%d 10.1.0.2:80 udp", i);
		snprintf(answers, sizeof(answers), "10.1.0.2:80 10.1.0.1:400%d udp", i);
		see(walk, "h1", q, "P0", i * 1000, asks);
		see(walk, "h1", r, "P5", i * 1000 + 500, answers);
	}
	walk_align(walk);
	way = way_find(walk,
		&(struct way_aim){
			.from = "10.1.0.1", .to = "10.1.0.2:80", .ports = ports, .port_count = 2});
	assert_int_equal(way.requests, 2);
	way_free(&way);
	walk_free(walk);
}

static struct way_step service_of(struct walk *walk)
{
	struct way_aim aim = {.from = "", .to = "10.1.0.2:80"};
	struct requests_seen none = {0};
	struct path_result path = {0};
	struct way way, connect;
	struct way_step service = {0};

	walk_align(walk);
	way = way_find(walk, &aim);
	aim.connect = true;
	connect = way_find(walk, &aim);
	path_make(&path, &way, &connect, &none);
	for (size_t i = 0; i < path.count; i++)
		if (!strcmp(path.steps[i].what, "service"))
			service = path.steps[i];
	free(path.steps);
	way_free(&way);
	way_free(&connect);
	walk_free(walk);
	return service;
}

// Each request is held against its own connection; one without: all against all.
static void a_service_takes_what_its_kernel_does_not(void **state)
{
	static const int64_t kernel_ns[] = {10, 30, 60}, all_ns[] = {110, 330, 170};
	struct way_step service;

	(void)state;
	for (int missing = 0; missing < 2; missing++) {
		struct walk *walk = hosts(1);

		for (int i = 0; i < 3; i++) {
			if (!missing || i)
				exchange(walk, 4003 - i, 1000000 + i * 10000, kernel_ns[i], "S");
			exchange(walk, 4003 - i, 1005000 + i * 10000, all_ns[i], "");
		}
		service = service_of(walk);
		assert_true(service.took.p50_ns == (missing ? 170 - 60 : 110));
		if (missing)
			assert_true(isnan(service.took.p99_ns));
		else
			assert_true(service.took.p99_ns == 300);
	}
}

// The third ping's answer was lost on the client's wire: it is in the hosts' steps alone.
static void a_client_is_held_against_its_own_requests(void **state)
{
	double first[] = {200, 5100}, none[2][2] = {{0}};
	unsigned numbers[] = {1, 2};
	struct requests_seen seen = {.connect = none[0],
		.first = first,
		.total = none[1],
		.numbers = numbers,
		.count = 2};
	struct path_result path = {.from = "c1"};
	struct walk *walk = hosts(1);
	struct way connect = {0};
	struct way way;

	(void)state;
	ping(walk, 1, 1000000, 100, 0, 0);
	ping(walk, 2, 1100000, 5000, 0, 0);
	ping(walk, 3, 1200000, 200, 0, 0);
	walk_align(walk);
	way = way_find(walk, &(struct way_aim){.from = "", .to = "10.1.0.2"});
	path_make(&path, &way, &connect, &seen);
	assert_string_equal(path.steps[0].what, "client and its wire");
	assert_true(path.steps[0].took.p50_ns == 20 && path.steps[0].took.mean_ns == 20);
	free(path.steps);
	way_free(&way);
	walk_free(walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_again_is_left_out),
		cmocka_unit_test(what_was_not_seen_is_no_guest),
		cmocka_unit_test(other_requests_are_not_meant),
		cmocka_unit_test(a_service_takes_what_its_kernel_does_not),
		cmocka_unit_test(a_client_is_held_against_its_own_requests),
		cmocka_unit_test(clocks_are_brought_together),
		cmocka_unit_test(below_zero_stays_below_zero),
		cmocka_unit_test(one_clock_is_left_alone),
		cmocka_unit_test(answers_find_their_questions),
		cmocka_unit_test(a_target_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
