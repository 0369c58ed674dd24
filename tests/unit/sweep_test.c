// SPDX-License-Identifier: BSD-2-Clause
// The sweep of the FDB: rows that belong to nothing go, counts that drifted are put right.

#include "tests/unit/expect.h"

#include <event2/event.h>

#include "daemon/fdb.h"
#include "daemon/names.h"
#include "daemon/network.h"
#include "daemon/port.h"
#include "daemon/sweep.h"

static u64 macs(struct rig *rig, u32 network)
{
	struct weft_index index = {network};
	struct weft_usage_row row;
	assert_int_equal(engine_get(&rig->weftd, network_usage, &index, &row), 0);
	return row.macs;
}

static void strays_go(void **state)
{
	struct rig *rig = *state;
	struct weft_fdb_key learned = {.network = 1, .mac = {{2, 0, 0, 0, 0, 1}}};
	struct weft_fdb_key fixed = {.network = 1, .mac = {{2, 0, 0, 0, 0, 2}}};
	struct weft_fdb_row row = {.port = 9, .kind = WEFT_FDB_LEARNED, .seen_ns = clock_ns()};
	struct weft_index index = {1};
	struct weft_usage_row usage = {.macs = 1, .moves = 5};
	rig_do(rig, "network add blue");
	engine_put(&rig->weftd, fdb, &learned, &row);
	row.kind = WEFT_FDB_STATIC;
	engine_put(&rig->weftd, fdb, &fixed, &row);
	engine_put(&rig->weftd, network_usage, &index, &usage);
	sweep_now(&rig->weftd);
	assert_int_not_equal(engine_get(&rig->weftd, fdb, &learned, &row), 0);
	assert_int_not_equal(engine_get(&rig->weftd, fdb, &fixed, &row), 0);
	assert_int_equal(macs(rig, 1), 0); // the learned one counted
}

static void drift_is_healed(void **state)
{
	struct rig *rig = *state;
	struct weft_index index = {1};
	struct weft_usage_row usage = {.macs = 7, .moves = 5};
	rig_do(rig, "network add blue");
	sweep_now(&rig->weftd);
	engine_put(&rig->weftd, network_usage, &index, &usage);
	sweep_now(&rig->weftd);
	assert_int_equal(macs(rig, 1), 7); // once is no proof
	sweep_now(&rig->weftd);
	assert_int_equal(macs(rig, 1), 0);
	assert_int_equal(engine_get(&rig->weftd, network_usage, &index, &usage), 0);
	assert_int_equal(usage.moves, 5);
	usage.macs = (u64)-3;
	engine_put(&rig->weftd, network_usage, &index, &usage);
	sweep_now(&rig->weftd);
	usage.macs = (u64)-2; // it moves: somebody is counting
	engine_put(&rig->weftd, network_usage, &index, &usage);
	sweep_now(&rig->weftd);
	assert_int_equal(macs(rig, 1), (u64)-2);
	sweep_now(&rig->weftd);
	assert_int_equal(macs(rig, 1), 0);
}

enum { MANY = 20000 };

static int count_row(const void *key, const void *row, void *context)
{
	u8 *seen = context;
	u32 number;
	(void)row;
	memcpy(&number, ((const struct weft_fdb_key *)key)->mac.byte, sizeof(number));
	seen[number]++;
	return 0;
}

static void parts_make_a_whole(void **state)
{
	struct rig *rig = *state;
	const struct engine_ops *ops = rig->weftd.engine_ops;
	struct weft_fdb_key key = {.network = 1};
	struct weft_fdb_row row = {.kind = WEFT_FDB_STATIC};
	u8 seen[MANY] = {0};
	u32 cursor = 0, parts = 0;
	for (u32 i = 0; i < MANY; i++) {
		memcpy(key.mac.byte, &i, sizeof(i));
		assert_int_equal(engine_put(&rig->weftd, fdb, &key, &row), 0);
	}
	do {
		assert_int_equal(ops->table_walk_part(rig->weftd.engine, WEFT_TABLE_fdb, &cursor,
					 count_row, seen),
			0);
		parts++;
	} while (cursor);
	assert_true(parts > 1);
	for (u32 i = 0; i < MANY; i++)
		assert_int_equal(seen[i], 1);
}

// Of a service that went while a packet was under way: also when it was the last one.
static void a_connection_of_nobody_goes(void **state)
{
	struct rig *rig = *state;
	struct weft_connection_key key = {.scope = 1, .src_port = 1, .dst_port = 2, .protocol = 6};
	struct weft_connection_row row = {.service = 9, .seen_ns = clock_ns()};
	u64 deadline_ns = clock_ns() + 10000000000ull;
	assert_int_equal(engine_put(&rig->weftd, connection, &key, &row), 0);
	while (!engine_get(&rig->weftd, connection, &key, &row) && clock_ns() < deadline_ns)
		event_base_loop(rig->weftd.base, EVLOOP_ONCE);
	assert_int_not_equal(engine_get(&rig->weftd, connection, &key, &row), 0);
}

static void tags(void **state)
{
	char network[64];
	u32 tag;
	(void)state;
	assert_true(port_tag_read("blue:10", network, &tag));
	assert_string_equal(network, "blue");
	assert_int_equal(tag, 10);
	assert_true(port_tag_read("blue:99999999999", network, &tag));
	assert_true(tag > 4094);
	assert_false(port_tag_read("blue", network, &tag));
	assert_false(port_tag_read(":10", network, &tag));
	assert_false(port_tag_read("blue:", network, &tag));
	assert_false(port_tag_read("blue:-1", network, &tag));
	assert_false(port_tag_read("blue:10x", network, &tag));
}

static void names(void **state)
{
	struct names list = {0};
	(void)state;
	names_add(&list, "a");
	assert_string_equal(names_text(&list), "a");
	for (int i = 0; i < 4; i++)
		names_add(&list, "b");
	assert_string_equal(names_text(&list), "a, b, b and 2 more");
	assert_string_equal(names_text(&list), "a, b, b and 2 more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(strays_go, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(drift_is_healed, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(parts_make_a_whole, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(
			a_connection_of_nobody_goes, rig_setup, rig_teardown),
		cmocka_unit_test(tags),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
