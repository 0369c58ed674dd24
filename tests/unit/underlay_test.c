// SPDX-License-Identifier: BSD-2-Clause
// Rows of next hops: as many as the weights say, and never a count that covers a row which is not
// there.

#include "tests/unit/unit.h"

#include <errno.h>
#include "daemon/underlay_parts.h"

enum { PEER = 7, ROWS_MAX = 3 };

struct fixture {
	struct weftd weftd;
	struct engine_ops ops; // those of sim, watched
	struct underlay underlay;
	struct underlay_peer peer;
	struct underlay_neighbour neighbour[2];
};

static struct weft_port_row *port_row(struct engine *engine)
{
	return engine_sim.table_at(engine, WEFT_TABLE_port, PEER);
}

// The last bytes of the MACs that the datapath may read now: "1 1 2".
static void read_rows(struct engine *engine, char text[128])
{
	text[0] = '\0';
	for (u32 i = 0; i < port_row(engine)->nexthops; i++) {
		struct weft_index key = {PEER * WEFT_NEXTHOPS_PER_PEER + i};
		struct weft_nexthop_row row;
		size_t used = strlen(text);
		assert_int_equal(engine_sim.table_get(engine, WEFT_TABLE_nexthop, &key, &row), 0);
		snprintf(text + used, 128 - used, used ? " %u" : "%u", row.dst.byte[5]);
	}
}

static int watched_put(
	struct engine *engine, enum weft_table table, const void *key, const void *row)
{
	char text[128];
	int error = engine_sim.table_put(engine, table, key, row);
	read_rows(engine, text);
	return error;
}

static int watched_del(struct engine *engine, enum weft_table table, const void *key, void *row)
{
	char text[128];
	int error = engine_sim.table_del(engine, table, key, row);
	read_rows(engine, text);
	return error;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct engine_config config = {
		.capacity = {[WEFT_TABLE_nexthop] = PEER * WEFT_NEXTHOPS_PER_PEER + ROWS_MAX}};
	const char *why;
	f->ops = engine_sim;
	f->ops.table_put = watched_put;
	f->ops.table_del = watched_del;
	f->weftd.engine_ops = &f->ops;
	f->underlay.weftd = &f->weftd;
	f->peer.id = PEER;
	f->peer.count = 2;
	for (u32 i = 0; i < 2; i++) {
		f->neighbour[i].mac.byte[5] = (u8)(i + 1);
		f->peer.way[i].weight = 1;
		f->peer.way[i].ifindex = i + 1;
		f->peer.way[i].neighbour = &f->neighbour[i];
	}
	*state = f;
	int error = engine_sim.start(&f->weftd.engine, &config, &why);
	if (!error)
		port_row(f->weftd.engine)->flags = WEFT_PORT_PRESENT | WEFT_PORT_PEER;
	return error;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	engine_sim.stop(f->weftd.engine);
	free(f);
	return 0;
}

static int count_row(const void *key, const void *row, void *context)
{
	(void)key;
	*(u32 *)context += ((const struct weft_nexthop_row *)row)->ifindex != 0;
	return 0;
}

// What the datapath reads, and not a row more in the table.
static void expect_rows(struct fixture *f, const char *wanted)
{
	u32 rows = 0;
	char text[128];
	read_rows(f->weftd.engine, text);
	assert_string_equal(text, wanted);
	engine_sim.table_walk(f->weftd.engine, WEFT_TABLE_nexthop, count_row, &rows);
	assert_int_equal(rows, port_row(f->weftd.engine)->nexthops);
}

static void expect(struct fixture *f, const char *wanted)
{
	underlay_rows_write(&f->underlay, &f->peer);
	expect_rows(f, wanted);
}

static void rows_follow(void **state)
{
	struct fixture *f = *state;
	expect(f, ""); // no MAC is known
	f->neighbour[1].valid = true;
	expect(f, "2");
	f->neighbour[0].valid = true;
	expect(f, "1 2");
	f->neighbour[0].mac.byte[5] = 9;
	expect(f, "9 2");
	port_row(f->weftd.engine)->nexthops = 0; // somebody put the whole row
	expect(f, "9 2");
	f->neighbour[0].valid = false;
	expect(f, "2");
	f->peer.way[1].neighbour = NULL; // a route through a tunnel now
	expect(f, "");
}

static void weights(void **state)
{
	struct fixture *f = *state;
	f->neighbour[0].valid = f->neighbour[1].valid = true;
	f->peer.way[0].weight = 10;
	f->peer.way[1].weight = 5;
	expect(f, "1 1 2");
}

// The table has room for three.
static void full(void **state)
{
	struct fixture *f = *state;
	f->neighbour[0].valid = f->neighbour[1].valid = true;
	f->peer.way[0].weight = 3;
	underlay_rows_write(&f->underlay, &f->peer);
	assert_int_equal(port_row(f->weftd.engine)->nexthops, ROWS_MAX);
	f->peer.way[0].weight = 1;
	expect(f, "1 2");
}

// The id is a port's by now.
static void no_peer(void **state)
{
	struct fixture *f = *state;
	f->neighbour[0].valid = true;
	expect(f, "1");
	*port_row(f->weftd.engine) = (struct weft_port_row){.flags = WEFT_PORT_PRESENT};
	underlay_rows_delete(&f->underlay, &f->peer);
	expect_rows(f, "");
	underlay_rows_write(&f->underlay, &f->peer);
	assert_int_equal(port_row(f->weftd.engine)->nexthops, 0);
}

static void shares(void **state)
{
	u32 weight[UNDERLAY_WAYS], share[UNDERLAY_WAYS], sum = 0;
	(void)state;
	underlay_shares((u32[]){256, 256}, 2, share);
	assert_int_equal(share[0] + share[1] * 100, 101);
	underlay_shares((u32[]){9, 6}, 2, share);
	assert_int_equal(share[0] + share[1] * 100, 203);
	underlay_shares((u32[]){1, 1000}, 2, share);
	assert_int_equal(share[0] + share[1] * 100, 1401);
	for (u32 i = 0; i < UNDERLAY_WAYS; i++)
		weight[i] = i + 1;
	underlay_shares(weight, UNDERLAY_WAYS, share);
	for (u32 i = 0; i < UNDERLAY_WAYS; i++) {
		assert_int_equal(share[i], 1);
		sum += share[i];
	}
	assert_int_equal(sum, UNDERLAY_ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(weights, setup, teardown),
		cmocka_unit_test_setup_teardown(full, setup, teardown),
		cmocka_unit_test_setup_teardown(no_peer, setup, teardown),
		cmocka_unit_test(shares),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
