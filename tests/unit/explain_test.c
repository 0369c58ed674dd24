// SPDX-License-Identifier: BSD-2-Clause
// explain and path over the sim engine: what is said, what is assumed, and that a capture may be
// anything.

#include "tests/unit/expect.h"

#include <weft/control.h>
#include "daemon/base64.h"
#include "daemon/fdb.h"
#include "daemon/object.h"
#include "daemon/service.h"

enum { BLUE = 1, WEB1 = 1, WEB2 = 2, H2 = 3 };

static int two_ports(void **state)
{
	struct rig *rig;
	if (rig_setup(state))
		return -1;
	rig = *state;
	rig_do(rig, "network add blue vni 100 gateway 10.1.0.254");
	rig_do(rig, "port add web1 type vhost-user network blue");
	rig_do(rig, "port add web2 type vhost-user network blue");
	return 0;
}

static void knows(struct rig *rig, u8 last, u32 port)
{
	struct weft_fdb_key place = {BLUE, {{2, 0, 0, 0, 0, last}}, 0};
	struct weft_fdb_row row = {.port = port, .seen_ns = clock_ns()};
	struct weft_neighbour_key key = {
		.network = BLUE, .ip = {[10] = 0xff, 0xff, 10, 1, 0, last}};
	struct weft_neighbour_row binding = {.mac = place.mac, .port = port, .seen_ns = clock_ns()};
	assert_int_equal(engine_put(&rig->weftd, fdb, &place, &row), 0);
	assert_int_equal(engine_put(&rig->weftd, neighbour, &key, &binding), 0);
}

// The value at `key`, in the answer's first object or in its member `within`.
static void says(
	struct rig *rig, const char *line, const char *within, const char *key, const char *wanted)
{
	json_t *result = rig_result(rig, line);
	json_t *object = json_array_get(result, 0);
	char *got =
		json_dumps(json_object_get(within ? json_object_get(object, within) : object, key),
			JSON_ENCODE_ANY | JSON_COMPACT);
	if (!got || strcmp(got, wanted) != 0)
		fail_msg("%s: %s is %s, not %s", line, key, got ? got : "(none)", wanted);
	free(got);
	json_decref(result);
}

static void what_is_left_open_is_known_or_assumed(void **state)
{
	struct rig *rig = *state;
	says(rig, "explain port web1 dst 02:00:00:00:00:02", NULL, "assumed", "[\"src\"]");
	says(rig, "explain port web1 dst 02:00:00:00:00:02", NULL, "verdict", "\"flood\"");
	knows(rig, 1, WEB1);
	knows(rig, 2, WEB2);
	says(rig, "explain port web1 dst 02:00:00:00:00:02", NULL, "assumed", "[]");
	says(rig, "explain port web1 dst 02:00:00:00:00:02", "frame", "src",
		"\"02:00:00:00:00:01\"");
	says(rig, "explain port web1 ip-dst 10.1.0.2", NULL, "to_port", "\"web2\"");
	says(rig, "explain port web1 ip-dst 10.1.0.2", "frame", "ip_src", "\"10.1.0.1\"");
	says(rig, "explain port web1 ip-dst 10.1.0.2 src 02:00:00:00:00:01", "frame", "ip_src",
		"\"10.1.0.1\"");
	says(rig, "explain port web1 ip-dst 224.0.0.5", "frame", "dst", "\"01:00:5e:00:00:05\"");
	says(rig, "explain port web1 ip-dst 10.1.0.254", NULL, "reply", "\"echo\"");
	says(rig, "explain port web1 proto arp ip-dst 10.1.0.2", NULL, "reply", "\"arp\"");
	says(rig, "explain port web1 proto nd ip-dst fd00::2", "frame", "dst",
		"\"33:33:ff:00:00:02\"");
	says(rig, "explain port web1 ip-dst 10.1.0.2 proto 47", "frame", "proto", "47");
}

static void wrong_words(void **state)
{
	struct rig *rig = *state;
	static const char *const lines[] = {"", " port web1", " port web1 proto tcp",
		" port web1 ip-dst 10.1.0.2 ethertype 0x88cc", " port web1 dport 80",
		" port web1 vni 5 ip-dst 10.1.0.2", " port web1 ip-src fd00::1 ip-dst 10.1.0.2",
		" port web1 ip-dst 10.1.0.2 tcp-flags all", " port web1 dst x",
		" port web1 ip-dst 10.1.0.2 proto 256",
		" port web1 dst 02:00:00:00:00:01 length 13"};
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(lines); i++) {
		char line[128];
		snprintf(line, sizeof(line), "explain%s", lines[i]);
		json_t *answer = rig_run(rig, false, line, NULL);
		if (json_integer_value(json_object_get(answer, "exit")) != WEFT_EXIT_WORDS)
			fail_msg("%s: %s", line, rig_error(answer, "message"));
		json_decref(answer);
	}
}

static void base64(void **state)
{
	static const struct {
		const char *text, *bytes;
	} some[] = {
		{"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYmE=", "fooba"}};
	static const char *const none[] = {"Z", "Zg=", "Zg=a", "Zm 9", "====", "Zm9v\n"};
	size_t size;
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(some); i++) {
		unsigned char *bytes = base64_read(some[i].text, &size);
		assert_non_null(bytes);
		assert_int_equal(size, strlen(some[i].bytes));
		assert_memory_equal(bytes, some[i].bytes, size);
		free(bytes);
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(none); i++)
		if (base64_read(none[i], &size))
			fail_msg("'%s' was read", none[i]);
}

static void a_capture_may_be_anything(void **state)
{
	struct rig *rig = *state;
	static const struct {
		const char *content, *sentence;
		int status;
	} files[] = {{"!", "did not come as base64", 2}, {"", "it is empty", 1},
		{"Zm9vYmE=", "no capture file", 1},
		// A file header for Ethernet, for raw IP, and one with half a packet header.
		{"1MOyoQIABAAAAAAAAAAAAP//AAABAAAA", "has no packets", 1},
		{"1MOyoQIABAAAAAAAAAAAAP//AABlAAAA", "is of RAW", 1},
		{"1MOyoQIABAAAAAAAAAAAAP//AAABAAAAAAAAAAAA", "is broken behind packet 0", 1}};
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(files); i++) {
		json_t *answer = rig_run(
			rig, false, "explain port web1 pcap x", rig_files("x", files[i].content));
		assert_int_equal(
			json_integer_value(json_object_get(answer, "exit")), files[i].status);
		if (!strstr(rig_error(answer, "message"), files[i].sentence))
			fail_msg("'%s': %s", files[i].content, rig_error(answer, "message"));
		json_decref(answer);
	}
}

static void a_path_is_steps(void **state)
{
	struct rig *rig = *state;
	says(rig, "path web1 10.1.0.2:80", NULL, "verdict", "\"flood\"");
	knows(rig, 1, WEB1);
	knows(rig, 2, WEB2);
	says(rig, "path web1 10.1.0.2:80", NULL, "verdict", "\"reply\"");
	says(rig, "path web1 web2", NULL, "verdict", "\"reply\"");
	says(rig, "path web1 [fd00::1]:80", NULL, "what", "\"ND: who has it?\"");
	rig_refused(rig, "path web1 10.1.0.2:99999", 1, "not_found", "no address");
	rig_refused(rig, "path web9 web1", 1, "not_found", "'web9' is no port, and no address");
}

// What is behind a peer, only its host knows.
static void a_path_ends_at_a_peer(void **state)
{
	struct rig *rig = *state;
	struct weft_index index = {H2}, way = {H2 * WEFT_NEXTHOPS_PER_PEER};
	struct weft_nexthop_row nexthop = {.ifindex = 1, .mtu = 1500};
	struct weft_port_row row;
	rig->ops.own_overlay = true; // no carrier, as with dpdk
	rig_do(rig, "host set address 192.0.2.1");
	rig_do(rig, "peer add h2 address 192.0.2.2");
	knows(rig, 1, WEB1);
	knows(rig, 3, H2);
	says(rig, "explain port web1 ip-dst 10.1.0.3", NULL, "reason", "\"port_absent\"");
	assert_int_equal(engine_get(&rig->weftd, port, &index, &row), 0);
	row.nexthops = 1;
	assert_int_equal(engine_put(&rig->weftd, port, &index, &row), 0);
	assert_int_equal(engine_put(&rig->weftd, nexthop, &way, &nexthop), 0);
	json_t *steps = rig_result(rig, "path web1 10.1.0.3:80");
	const json_t *last = json_array_get(steps, json_array_size(steps) - 1);
	assert_int_equal(json_array_size(steps), 3);
	assert_string_equal(spec_text(json_array_get(steps, 1), "verdict", ""), "encap");
	assert_string_equal(spec_text(last, "host", ""), "h2");
	assert_non_null(strstr(spec_text(last, "why", ""),
		"explain peer unit vni 100 src 02:00:00:00:00:01 dst 02:00:00:00:00:03 ip-src "
		"10.1.0.1 ip-dst 10.1.0.3 proto tcp sport 49152 dport 80`"));
	json_decref(steps);
	// a service's, as it comes there
	rig_do(rig, "service add shop vip 10.1.0.100 port 80 proto tcp network blue mode nat");
	rig_do(rig, "backend add shop address 10.1.0.3 port 8080 mac 02:00:00:00:00:03");
	balancer_settle(&rig->weftd);
	steps = rig_result(rig, "path web1 10.1.0.100:80");
	last = json_array_get(steps, json_array_size(steps) - 1);
	if (!strstr(spec_text(last, "why", ""), "dst 02:00:00:00:00:03 ip-src 10.1.0.1 ip-dst "
						"10.1.0.3 proto tcp sport 49152 dport 8080`"))
		fail_msg("%s", spec_text(last, "why", ""));
	json_decref(steps);
}

static void says_why(struct rig *rig, const char *line, const char *part)
{
	json_t *shown = rig_result(rig, line);
	const char *why = spec_text(json_array_get(shown, 0), "why", "");
	if (!strstr(why, part))
		fail_msg("%s: \"%s\" is not in \"%s\"", line, part, why);
	json_decref(shown);
}

static void a_service_is_named(void **state)
{
	const char *asks = "explain port web1 ip-dst 10.1.0.100 proto tcp dport 80 sport 4000";
	struct rig *rig = *state;
	knows(rig, 1, WEB1);
	knows(rig, 2, WEB2);
	rig_do(rig, "service add shop vip 10.1.0.100 port 80 proto tcp network blue mode nat");
	says(rig, asks, NULL, "reason", "\"no_backend\"");
	says(rig, asks, NULL, "verdict", "\"drop\"");
	rig_do(rig, "service set shop on-empty reject");
	says(rig, asks, NULL, "reason", "\"no_backend\"");
	says(rig, asks, NULL, "verdict", "\"reply\"");
	says(rig, asks, NULL, "reply", "\"reset\"");
	says(rig, asks, NULL, "service", "\"shop\"");
	says(rig, asks, NULL, "stage", "\"balance\"");
	says_why(rig, asks,
		"lost, no_backend: no backend of the service may serve; answered by weft");
	rig_do(rig, "backend add shop address 10.1.0.2 port 8080 mac 02:00:00:00:00:02");
	balancer_settle(&rig->weftd);
	says(rig, asks, NULL, "service", "\"shop\"");
	says(rig, asks, NULL, "backend", "\"backend 10.1.0.2:8080\"");
	says(rig, asks, NULL, "to_port", "\"web2\"");
	says(rig, asks, "becomes", "ip_dst", "\"10.1.0.2\"");
	says(rig, asks, "becomes", "dport", "8080");
	says(rig, asks, "becomes", "dst", "\"02:00:00:00:00:02\"");
	says_why(rig, asks,
		"service shop, to backend 10.1.0.2:8080: destination becomes 10.1.0.2 port 8080");
	says(rig, "explain port web1 ip-dst 10.1.0.100 dport 81", NULL, "reason", "\"not_routed\"");
	says(rig, "explain port web1 ip-dst 10.1.0.100 dport 81", NULL, "service", "null");
}

int main(void)
{
	bool own = rig_own_netns();

#define TEST(function) cmocka_unit_test_setup_teardown(function, two_ports, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_left_open_is_known_or_assumed), TEST(wrong_words),
		cmocka_unit_test(base64), TEST(a_capture_may_be_anything), TEST(a_path_is_steps),
		TEST(a_service_is_named),
		TEST(a_path_ends_at_a_peer), // the last: it needs a network namespace
	};
	return _cmocka_run_group_tests("explain", tests, WEFT_ARRAY_SIZE(tests) - !own, NULL, NULL);
}
