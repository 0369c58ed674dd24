// SPDX-License-Identifier: BSD-2-Clause
// A burst of floods to many ports: all copies of it are more than there are mbufs. They arrive all
// the same, others are left some to receive with, and a copy that cannot be made is counted.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/dpdk/worker_rig.h"

enum {
	MEMBERS = RIG_PORTS - 1,
	PARTS = 8, // mbufs of a frame
	BYTES = 1500,
	LEFT_LEAST = 2000, // mbufs, while copies wait to leave
};

static u32 least;

static u32 watch_tx(struct dpdk_port *port, u32 queue, struct rte_mbuf **out, u32 count)
{
	least = RTE_MIN(least, rte_mempool_avail_count(eal_pool()));
	return rig_tx(port, queue, out, count);
}

static void world(void)
{
	static struct dpdk_driver driver;
	struct weft_network_row network;
	u32 id = RIG_NETWORK;
	rig_start(&(struct engine_config){.dpdk = {.memory_mb = 64}});
	driver = rig_driver;
	driver.tx = watch_tx;
	assert_int_equal(shared_get(rig.engine, WEFT_TABLE_network, &id, &network), 0);
	network.member_count = MEMBERS;
	network.mtu = 60000;
	rig_put(WEFT_TABLE_network, &id, &network);
	for (u32 port = 1; port <= MEMBERS; port++) {
		struct weft_member_key key = {.network = RIG_NETWORK, .index = port - 1};
		struct weft_member_row row = {.port = port};
		rig_put(WEFT_TABLE_member, &key, &row);
		if (port > RIG_TO) {
			rig_port(port);
			rig_put_port(port, 0);
		}
		rig.engine->ports[port]->driver = &driver;
	}
}

// To a station that nobody knows.
static void flood(u32 count, u32 parts)
{
	struct rte_mbuf *frames[DPDK_BURST];
	u8 bytes[BYTES];
	for (u32 i = 0; i < count; i++) {
		rig_frame(bytes, BYTES, 99, i);
		bytes[16] = (u8)((parts * BYTES - 14) >> 8), bytes[17] = (u8)(parts * BYTES - 14);
		bytes[38] = (u8)((parts * BYTES - 34) >> 8), bytes[39] = (u8)(parts * BYTES - 34);
		frames[i] = rig_mbuf(bytes, BYTES);
		for (u32 part = 1; part < parts; part++)
			assert_int_equal(rte_pktmbuf_chain(frames[i], rig_mbuf(bytes, BYTES)), 0);
	}
	struct dpdk_worker *worker = dpdk_injector(rig.engine);
	worker->now_ns = 1000000000000ull;
	worker_burst(worker, rig.engine->ports[RIG_FROM], frames, count);
}

static u64 dropped(void)
{
	struct weft_index index = {RIG_FROM * WEFT_DROPS_PER_PORT + WEFT_DROP_rewrite_failed};
	struct weft_drop_row row;
	assert_int_equal(engine_dpdk->table_get(rig.engine, WEFT_TABLE_drop, &index, &row), 0);
	return row.packets;
}

static void test_all_copies_arrive(void **state)
{
	(void)state;
	static struct rte_mbuf *held[1 << 16];
	u32 count = 0;
	world();
	// A pool's size is the engine's: what is left of it is what this test is about.
	while (rte_mempool_avail_count(eal_pool()) > 4000)
		held[count++] = rte_pktmbuf_alloc(eal_pool());
	least = UINT32_MAX;
	flood(DPDK_BURST, PARTS);
	for (u32 port = 2; port <= MEMBERS; port++)
		assert_int_equal(rig.sent[port], DPDK_BURST);
	assert_int_equal(dropped(), 0);
	assert_true(least > LEFT_LEAST);
	rte_pktmbuf_free_bulk(held, count);
	rig_stop();
}

static void test_lost_copies_are_counted(void **state)
{
	(void)state;
	static struct rte_mbuf *held[1 << 16];
	u32 count = 0;
	u64 arrived = 0;
	world();
	while (rte_mempool_avail_count(eal_pool()) > 20)
		held[count++] = rte_pktmbuf_alloc(eal_pool());
	flood(1, 1);
	for (u32 port = 2; port <= MEMBERS; port++)
		arrived += rig.sent[port];
	assert_true(arrived > 0 && dropped() > 0);
	assert_int_equal(arrived + dropped(), MEMBERS - 1);
	rte_pktmbuf_free_bulk(held, count);
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_copies_arrive),
		cmocka_unit_test(test_lost_copies_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
