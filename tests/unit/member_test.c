// SPDX-License-Identifier: BSD-2-Clause
// Flood lists: what the engine's tables hold after every change, and when they are full.

#include "tests/unit/unit.h"

#include <errno.h>
#include "daemon/member.h"

enum { NETWORK = 3, MEMBERS_MAX = 6 };

struct fixture {
	struct weftd weftd;
	struct member_list list;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct engine_config config = {.capacity = {[WEFT_TABLE_member] = MEMBERS_MAX}};
	const char *why;
	f->weftd.engine_ops = &engine_sim;
	f->list.network = NETWORK;
	*state = f;
	return engine_sim.start(&f->weftd.engine, &config, &why);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	member_free(&f->list);
	engine_sim.stop(f->weftd.engine);
	free(f);
	return 0;
}

static int count_row(const void *key, const void *row, void *context)
{
	(void)key, (void)row;
	++*(u32 *)context;
	return 0;
}

// The list as a flood sees it: "1 2 7/10"; and not a row more.
static void expect(struct fixture *f, const char *wanted)
{
	struct weft_index index = {NETWORK};
	struct weft_network_row network;
	struct weft_member_row row;
	char got[128] = "";
	u32 rows = 0;
	assert_int_equal(engine_get(&f->weftd, network, &index, &network), 0);
	struct weft_member_key key = {NETWORK, network.member_epoch, 0};
	for (; key.index < network.member_count; key.index++) {
		size_t used = strlen(got);
		assert_int_equal(engine_get(&f->weftd, member, &key, &row), 0);
		snprintf(got + used, sizeof(got) - used, row.tag ? "%s%u/%u" : "%s%u",
			used ? " " : "", row.port, row.tag);
	}
	assert_string_equal(got, wanted);
	f->weftd.engine_ops->table_walk(f->weftd.engine, WEFT_TABLE_member, count_row, &rows);
	assert_int_equal(rows, network.member_count);
}

static int add(struct fixture *f, u32 port, u16 tag)
{
	return member_add(&f->weftd, &f->list, port, tag, NULL);
}

static void untagged_first(void **state)
{
	struct fixture *f = *state;
	expect(f, "");
	assert_int_equal(add(f, 1, 0), 0);
	assert_int_equal(add(f, 7, 10), 0);
	assert_int_equal(add(f, 2, 0), 0);
	expect(f, "1 2 7/10");
	assert_int_equal(add(f, 2, 0), 0); // there already
	expect(f, "1 2 7/10");
	member_del(&f->weftd, &f->list, 1, 0);
	expect(f, "2 7/10");
	member_del(&f->weftd, &f->list, 7, 11); // not there
	member_del(&f->weftd, &f->list, 7, 10);
	expect(f, "2");
	member_del(&f->weftd, &f->list, 2, 0);
	expect(f, "");
}

static void peers_last(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(add(f, 9, WEFT_MEMBER_PEER), 0);
	assert_int_equal(add(f, 7, 10), 0);
	assert_int_equal(add(f, 1, 0), 0);
	assert_int_equal(add(f, 8, WEFT_MEMBER_PEER), 0);
	assert_int_equal(f->list.count, 4);
	expect(f, "1 7/10 9/65535 8/65535");
}

// Members at the end come and go without another list: the epoch stays.
static void end_in_place(void **state)
{
	struct fixture *f = *state;
	for (u32 port = 1; port <= MEMBERS_MAX; port++)
		assert_int_equal(add(f, port, 0), 0);
	assert_int_equal(f->list.epoch, 0);
	expect(f, "1 2 3 4 5 6");
	assert_int_equal(add(f, 7, 0), -ENOSPC);
	expect(f, "1 2 3 4 5 6");
	member_del(&f->weftd, &f->list, 6, 0);
	assert_int_equal(f->list.epoch, 0);
	expect(f, "1 2 3 4 5");
}

// No room for a second list beside the first: an addition changes nothing, a deletion is done.
static void full_table(void **state)
{
	struct fixture *f = *state;
	for (u32 port = 1; port <= 4; port++)
		assert_int_equal(add(f, port, 10), 0);
	assert_int_equal(add(f, 9, 0), -ENOSPC);
	expect(f, "1/10 2/10 3/10 4/10");
	member_del(&f->weftd, &f->list, 2, 10);
	expect(f, "1/10 3/10 4/10");
	assert_int_equal(add(f, 9, 0), -ENOSPC); // needs 4 rows, has 3
	member_del(&f->weftd, &f->list, 1, 10);
	assert_int_equal(add(f, 9, 0), 0);
	expect(f, "9 3/10 4/10");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(untagged_first, setup, teardown),
		cmocka_unit_test_setup_teardown(peers_last, setup, teardown),
		cmocka_unit_test_setup_teardown(end_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(full_table, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
