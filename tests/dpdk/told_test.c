// SPDX-License-Identifier: BSD-2-Clause
// What a worker tells of a frame that leaves as many: once, whatever leaves with it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/dpdk/service_rig.h"

enum { SEGMENT = 1000, SEGMENTS = 2 * DPDK_BURST + 9, HEADERS = 54 };

// TCP over IPv4, from station 1 to station 2, with a payload of SEGMENTS segments.
static struct rte_mbuf *superpacket(void)
{
	u8 head[HEADERS] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, [22] = 64, 6, 0, 0, 10,
		1, 0, 1, 10, 1, 0, 2, [34] = 4, 1, 0, 80, [46] = 0x50, 0x10};
	static const u8 payload[SEGMENT];
	u32 bytes = HEADERS - 14 + SEGMENTS * SEGMENT;
	head[16] = (u8)(bytes >> 8), head[17] = (u8)bytes;
	struct rte_mbuf *frame = rig_mbuf(head, sizeof(head));
	for (u32 i = 0; i < SEGMENTS; i++)
		assert_int_equal(rte_pktmbuf_chain(frame, rig_mbuf(payload, SEGMENT)), 0);
	frame->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4;
	frame->l2_len = 14, frame->l3_len = 20, frame->l4_len = 20;
	frame->tso_segsz = SEGMENT;
	return frame;
}

static void count_card(const struct weft_postcard *card, void *context)
{
	assert_true(card->identity && card->in_ns && card->out_ns);
	++*(u32 *)context;
}

static void superpackets_are_told_once(void **state)
{
	struct weft_latency_key key = {RIG_FROM, RIG_PEER, WEFT_SPAN_residence, 0};
	struct weft_latency_row row;
	struct dpdk_worker *worker;
	u32 cards = 0;
	(void)state;
	rig_start(&(struct engine_config){.dpdk = {.memory_mb = 64, .flow_slots = 4096}});
	rig_overlay();
	rig_put_place(1, RIG_FROM);
	rig_put_place(2, RIG_PEER);
	worker = dpdk_injector(rig.engine);
	worker->now_ns = worker_now(worker);
	struct weft_host_row *host = table_at(rig.engine->tables.host, 0);
	struct weft_port_row *port = table_at(rig.engine->tables.port, RIG_FROM);
	host->trace_until_ns = worker->now_ns + 60000000000ull;
	host->trace_below = UINT32_MAX;
	port->sample_below = UINT32_MAX;
	struct rte_mbuf *frame = superpacket();
	worker_burst(worker, rig.engine->ports[RIG_FROM], &frame, 1);
	assert_in_range(rig.sent[RIG_TO], SEGMENTS, 2 * SEGMENTS);
	engine_dpdk->cards(rig.engine, count_card, &cards);
	assert_int_equal(cards, 1);
	key.cpu = worker->index % WEFT_LATENCY_CPUS;
	assert_int_equal(engine_dpdk->table_get(rig.engine, WEFT_TABLE_latency, &key, &row), 0);
	assert_int_equal(row.count, 1);
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(superpackets_are_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
