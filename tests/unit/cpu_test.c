// SPDX-License-Identifier: BSD-2-Clause
// cpu show: what an engine with workers says, as people and scripts read it.

#include "tests/unit/expect.h"

#include <errno.h>
#include <weft/control.h>

static int fake_cpu(struct engine *engine, u32 worker, struct engine_cpu *out)
{
	static const struct engine_cpu workers[] = {
		{
			.cores_first = 1,
			.cores_last = 2,
			.busy_ns = 250,
			.idle_ns = 125,
			.sleep_ns = 625,
			.packets = 10,
			.bursts = 3,
			.receive_ns = 50,
			.decide_ns = 120,
			.send_ns = 79,
			.hits = 9,
			.misses = 1,
			.sleeps = 4,
			.wake_p50_ns = 4000,
			.wake_p99_ns = 61000,
		},
		{.cores_first = 3, .cores_last = 3, .busy_ns = 750, .idle_ns = 250},
	};
	(void)engine;
	if (worker >= WEFT_ARRAY_SIZE(workers))
		return -ENOENT;
	*out = workers[worker];
	return 0;
}

static int fake_port_cpu(struct engine *engine, u32 port_id, struct engine_port_cpu *out)
{
	(void)engine;
	*out = (struct engine_port_cpu){port_id, 10 * port_id, 100 * port_id * port_id};
	return port_id == 3 ? -ENOENT : 0; // deleted, as far as workers know
}

static void is(const json_t *rows, size_t row, const char *key, const char *wanted)
{
	const json_t *value = json_object_get(json_array_get(rows, row), key);
	char *got = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
	if (!got || strcmp(got, wanted) != 0)
		fail_msg("%s of row %zu is %s, wanted %s", key, row, got ? got : "absent", wanted);
	free(got);
}

static void workers(void **state)
{
	struct rig *rig = *state;
	rig->ops.cpu = fake_cpu;
	json_t *rows = rig_result(rig, "cpu show");
	assert_int_equal(json_array_size(rows), 2);
	is(rows, 0, "worker", "0");
	is(rows, 0, "cores", "\"1-2\"");
	is(rows, 0, "busy_percent", "25.0");
	is(rows, 0, "idle_percent", "12.5");
	is(rows, 0, "sleep_percent", "62.5");
	is(rows, 0, "packets", "10");
	is(rows, 0, "packets_per_burst", "3");
	is(rows, 0, "receive_ns", "5");
	is(rows, 0, "decide_ns", "12");
	is(rows, 0, "send_ns", "7");
	is(rows, 0, "hit_percent", "90.0");
	is(rows, 0, "sleeps", "4");
	is(rows, 0, "wake_p50_ns", "4000");
	is(rows, 0, "wake_p99_ns", "61000");
	is(rows, 1, "cores", "\"3\"");
	is(rows, 1, "busy_percent", "75.0");
	is(rows, 1, "receive_ns", "null");
	is(rows, 1, "hit_percent", "null");
	is(rows, 1, "wake_p50_ns", "null");
	json_decref(rows);
}

static void for_people(void **state)
{
	struct rig *rig = *state;
	rig->ops.cpu = fake_cpu;
	rig_text_is(rig, "cpu",
		"WORKER  CORES  BUSY_PERCENT  IDLE_PERCENT  SLEEP_PERCENT  PACKETS  RECEIVE_NS  "
		"DECIDE_NS  SEND_NS  HIT_PERCENT  WAKE_P50_NS  WAKE_P99_NS\n"
		"0       1-2    25            12.5          62.5           10       5           "
		"12         7        90           4000         61000\n"
		"1       3      75            25            0              0        -           "
		"-          -        -            -            -\n");
}

static void ports(void **state)
{
	struct rig *rig = *state;
	rig->ops.cpu = fake_cpu;
	rig->ops.port_cpu = fake_port_cpu;
	rig_do(rig, "network add blue");
	rig_do(rig, "port add quiet type vhost-user network blue");
	rig_do(rig, "port add noisy type vhost-user network blue");
	rig_do(rig, "port add new type vhost-user network blue");
	json_t *rows = rig_result(rig, "cpu show ports");
	assert_int_equal(json_array_size(rows), 2);
	is(rows, 0, "port", "\"noisy\"");
	is(rows, 0, "peer", "null");
	is(rows, 0, "packets", "20");
	is(rows, 0, "ns_per_packet", "20");
	is(rows, 0, "share_percent", "80.0");
	is(rows, 1, "port", "\"quiet\"");
	is(rows, 1, "share_percent", "20.0");
	json_decref(rows);
}

static void no_workers(void **state)
{
	struct rig *rig = *state;
	rig_refused(rig, "cpu show", WEFT_EXIT_REFUSED, "wrong_engine",
		"the sim engine has no workers of its own");
	rig_refused(rig, "cpu show ports", WEFT_EXIT_REFUSED, "wrong_engine",
		"ebpf engine works in the kernel's context");
	rig_refused(rig, "cpu show prots", WEFT_EXIT_WORDS, "bad_value", "ports");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(workers, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(for_people, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(ports, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(no_workers, rig_setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
