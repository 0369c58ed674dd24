// SPDX-License-Identifier: BSD-2-Clause
// Maglev's lookup table against the bounds of the paper: shares, weights, disruption, one for all.
#include "tests/unit/unit.h"

#include "daemon/address.h"
#include "daemon/maglev.h"
#include "datapath/pipeline/balance.h"

enum { SIZE = 65537, BACKENDS = 100, IDS = 1024, SEED = 7 };

static const u32 sizes[] = {251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65537, 131071};

// Ids from `first`; addresses 10.0.x.y by number.
static void make(struct maglev_backend *backends, u32 count, u32 first)
{
	for (u32 i = 0; i < count; i++)
		backends[i] = (struct maglev_backend){
			.address = {.byte = {[10] = 0xff,
					    [11] = 0xff,
					    [12] = 10,
					    [14] = (u8)(i >> 8),
					    [15] = (u8)i}},
			.port = 80,
			.weight = 1,
			.id = first + i,
		};
}

static u32 *fill(u32 size, u32 seed, struct maglev_backend *backends, u32 count)
{
	u32 *table = calloc(size, sizeof(*table));
	assert_true(maglev_fill(table, size, seed, backends, count));
	return table;
}

static void count_slots(const u32 *table, u32 size, u32 slots[IDS])
{
	memset(slots, 0, IDS * sizeof(*slots));
	for (u32 i = 0; i < size; i++) {
		assert_in_range(table[i], 1, IDS - 1);
		slots[table[i]]++;
	}
}

// Every turn takes one slot: shares differ by one, whatever the hash.
static void every_size_is_shared_evenly(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(sizes); i++) {
		struct maglev_backend backends[BACKENDS];
		u32 slots[IDS];
		make(backends, BACKENDS, 1);
		u32 *table = fill(sizes[i], SEED, backends, BACKENDS);
		count_slots(table, sizes[i], slots);
		for (u32 id = 1; id <= BACKENDS; id++)
			assert_in_range(slots[id], sizes[i] / BACKENDS, sizes[i] / BACKENDS + 1);
		free(table);
	}
}

static void shares_follow_weights(void **state)
{
	static const u32 weights[] = {1, 2, 10, 100, 0, 3};
	struct maglev_backend backends[6];
	u32 slots[IDS], sum = 116;
	(void)state;
	make(backends, 6, 1);
	for (u32 i = 0; i < 6; i++)
		backends[i].weight = weights[i];
	u32 *table = fill(SIZE, SEED, backends, 6);
	count_slots(table, SIZE, slots);
	for (u32 i = 0; i < 6; i++) {
		u32 share = (u32)((u64)SIZE * weights[i] / sum);
		assert_in_range(slots[i + 1], share - (share ? 2 : 0), share + (share ? 2 : 0));
	}
	free(table);
}

static u32 moved(const u32 *before, const u32 *after, u32 size, u32 id)
{
	u32 count = 0;
	for (u32 i = 0; i < size; i++)
		count += before[i] != after[i] && before[i] != id && after[i] != id;
	return count;
}

// One of a hundred goes (or comes): at most 1 % of the other flows move. So for a changed weight.
static void one_that_goes_moves_few(void **state)
{
	struct maglev_backend backends[BACKENDS];
	(void)state;
	for (u32 gone = 0; gone < BACKENDS; gone += 9) {
		make(backends, BACKENDS, 1);
		u32 *before = fill(SIZE, SEED, backends, BACKENDS);
		make(backends, BACKENDS, 1);
		backends[gone].weight = 0;
		u32 *after = fill(SIZE, SEED, backends, BACKENDS);
		assert_in_range(moved(before, after, SIZE, gone + 1), 0, SIZE / 100);
		free(before);
		free(after);
	}
}

static void order_and_ids_do_not_matter(void **state)
{
	struct maglev_backend backends[BACKENDS], turned[BACKENDS];
	(void)state;
	make(backends, BACKENDS, 1);
	for (u32 i = 0; i < BACKENDS; i++) {
		turned[i] = backends[(i * 37 + 5) % BACKENDS];
		turned[i].id += 500;
	}
	u32 *one = fill(SIZE, SEED, backends, BACKENDS);
	u32 *other = fill(SIZE, SEED, turned, BACKENDS);
	for (u32 i = 0; i < SIZE; i++)
		assert_int_equal(one[i] + 500, other[i]);
	free(one);
	free(other);
}

static void seeds_and_ports_tell_tables_apart(void **state)
{
	struct maglev_backend backends[BACKENDS];
	u32 seed_moved = 0, port_moved = 0;
	(void)state;
	make(backends, BACKENDS, 1);
	u32 *one = fill(SIZE, SEED, backends, BACKENDS);
	u32 *seeded = fill(SIZE, SEED + 1, backends, BACKENDS);
	for (u32 i = 0; i < BACKENDS; i++)
		backends[i].port = 81;
	u32 *other = fill(SIZE, SEED, backends, BACKENDS);
	for (u32 i = 0; i < SIZE; i++) {
		seed_moved += one[i] != seeded[i];
		port_moved += one[i] != other[i];
	}
	assert_in_range(seed_moved, SIZE / 10 * 9, SIZE);
	assert_in_range(port_moved, SIZE / 10 * 9, SIZE);
	free(one);
	free(seeded);
	free(other);
}

// A table that other hosts have made must not change with weft's version.
static void this_is_the_table(void **state)
{
	struct maglev_backend backends[3];
	u64 sum = 0;
	(void)state;
	make(backends, 3, 1);
	u32 *table = fill(251, 1, backends, 3);
	for (u32 i = 0; i < 251; i++)
		sum = sum * 31 + table[i];
	assert_int_equal(sum, 0xab2fab8f66d94f67);
	free(table);
}

static void nobody_serves_without_weight(void **state)
{
	struct maglev_backend backends[2];
	u32 table[251] = {9};
	(void)state;
	make(backends, 2, 1);
	backends[0].weight = backends[1].weight = 0;
	assert_false(maglev_fill(table, 251, SEED, backends, 2));
	assert_false(maglev_fill(table, 251, SEED, backends, 0));
	assert_int_equal(table[0], 9);
}

// A client takes one port after the other. Of thirty connections to three backends each gets some:
// by chance a backend gets none once in 64,000 times.
static void every_backend_gets_some_of_a_client(void **state)
{
	enum { AT_ONCE = 30, PORT_FIRST = 32768, PORT_END = 60998 };
	struct weft_ip client = address_read("fd00::14"), vip = address_read("fd00::100");
	struct weft_connection_key key = {.dst_port = 80, .protocol = 6};
	struct maglev_backend backends[3];
	u32 missed = 0;
	(void)state;
	for (u32 i = 0; i < 3; i++) {
		backends[i] = (struct maglev_backend){address_read("fd00::11"), 8080, 1, i + 1};
		backends[i].address.byte[15] = (u8)(0x11 + i);
	}
	memcpy(key.src, client.byte, sizeof(key.src));
	memcpy(key.dst, vip.byte, sizeof(key.dst));
	u32 *table = fill(SIZE, 0, backends, 3);
	for (u32 first = PORT_FIRST; first + 2 * AT_ONCE < PORT_END; first++) {
		u32 got[4] = {0};
		for (u32 n = 0; n < AT_ONCE; n++) {
			key.src_port = (u16)(first + 2 * n);
			u64 hash = balance_hash(&key, 0, false);
			got[table[(u32)(hash >> 32) % SIZE]]++;
		}
		missed += !got[1] || !got[2] || !got[3];
	}
	assert_in_range(missed, 0, 20);
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_is_shared_evenly),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(one_that_goes_moves_few),
		cmocka_unit_test(order_and_ids_do_not_matter),
		cmocka_unit_test(seeds_and_ports_tell_tables_apart),
		cmocka_unit_test(this_is_the_table),
		cmocka_unit_test(nobody_serves_without_weight),
		cmocka_unit_test(every_backend_gets_some_of_a_client),
	};
	return cmocka_run_group_tests_name("maglev", tests, NULL, NULL);
}
