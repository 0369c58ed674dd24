// SPDX-License-Identifier: BSD-2-Clause
// Frames of a service's known flows, which a worker changes by their bytes: they leave as those
// before them did, for which the pipeline was asked.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/dpdk/service_rig.h"

static const u8 VIP6[16] = {0xfd};

struct way {
	const char *name;
	bool nat, overlay, ip6, no_checksum;
};

static struct engine_counts {
	u64 backend_packets, backend_bytes, rx_packets, tx_packets, tx_bytes;
} counted(u32 out)
{
	struct dpdk_worker *worker = dpdk_injector(rig.engine);
	struct engine_counts sum = {0};
	for (u32 i = 1; i <= RIG_BACKENDS; i++) {
		struct weft_backend_count_row *row = table_at(worker->tables.backend_count, i);
		sum.backend_packets += row->packets;
		sum.backend_bytes += row->bytes;
	}
	sum.rx_packets = worker->counts[RIG_FROM].rx_packets;
	sum.tx_packets = worker->counts[out].tx_packets;
	sum.tx_bytes = worker->counts[out].tx_bytes;
	return sum;
}

static u32 frame_make(const struct way *way, u8 *bytes)
{
	rig_frame(bytes, 62, 2, 7);
	rig_to_service(bytes);
	if (way->no_checksum)
		memset(bytes + 40, 0, 2);
	if (!way->ip6)
		return 62;
	memmove(bytes + 54, bytes + 34, 28); // the same datagram, behind longer addresses
	memset(bytes + 14, 0, 40);
	bytes[12] = 0x86, bytes[13] = 0xdd, bytes[14] = 0x60;
	bytes[19] = 28, bytes[20] = 17, bytes[21] = 64;
	bytes[22] = 0xfd, bytes[37] = 9, bytes[38] = 0xfd;
	return 82;
}

static void leaves_as_before(void **state)
{
	const struct way *way = *state;
	struct dpdk_worker *worker;
	u8 bytes[82], first[RIG_FRAME_MOST] = {0};
	u32 length = frame_make(way, bytes), left = 0, out = way->overlay ? RIG_PEER : RIG_TO;
	rig_start(&(struct engine_config){.dpdk = {.memory_mb = 64, .flow_slots = 4096}});
	if (way->overlay)
		rig_overlay();
	for (u32 i = 0; i < RIG_BACKENDS; i++)
		rig_put_place(2 + i, out);
	rig_services(way->nat, way->ip6 ? VIP6 : RIG_VIP);
	worker = dpdk_injector(rig.engine);
	worker->now_ns = 1000000000000ull;
	for (u32 i = 1; i <= 6; i++) { // opened; decided and kept; found; ...
		struct rte_mbuf *frame = rig_mbuf(bytes, length);
		rig.kept_bytes = 0;
		worker_burst(worker, rig.engine->ports[RIG_FROM], &frame, 1);
		assert_true(rig.kept_bytes);
		if (i == 1) {
			left = rig.kept_bytes;
			memcpy(first, rig.kept, left);
		}
		assert_int_equal(rig.kept_bytes, left);
		assert_memory_equal(rig.kept, first, left);
		struct engine_counts counts = counted(out);
		assert_int_equal(counts.backend_packets, i);
		assert_int_equal(counts.backend_bytes, i * length);
		assert_int_equal(counts.rx_packets, i);
		assert_int_equal(counts.tx_packets, i);
		assert_int_equal(counts.tx_bytes, i * length);
		assert_int_equal(worker->cpu.misses, i < 3 ? i : 2);
	}
	assert_memory_not_equal(first + (way->overlay ? left - length : 0), bytes, 6); // the MAC
	rig_stop();
}

// There is no room in front of the frame for outer headers, and no memory for them elsewhere: it is
// lost, and that is counted.
static void is_counted_without_memory(void **state)
{
	const struct way *way = *state;
	static struct rte_mbuf *held[1 << 16];
	struct weft_index drop = {RIG_FROM * WEFT_DROPS_PER_PORT + WEFT_DROP_rewrite_failed};
	struct weft_drop_row dropped;
	u8 bytes[82];
	u32 length = frame_make(way, bytes), count = 0;
	rig_start(&(struct engine_config){.dpdk = {.memory_mb = 64, .flow_slots = 4096}});
	rig_overlay();
	for (u32 i = 0; i < RIG_BACKENDS; i++)
		rig_put_place(2 + i, RIG_PEER);
	if (way->nat)
		rig_services(true, RIG_VIP);
	else
		rig_frame(bytes, length, 2, 7);
	struct dpdk_worker *worker = dpdk_injector(rig.engine);
	worker->now_ns = 1000000000000ull;
	for (u32 i = 1; i <= 4; i++) {
		struct rte_mbuf *frame = rig_mbuf(bytes, length);
		if (i == 4) {
			memmove(frame->buf_addr, bytes, length);
			frame->data_off = 0;
			while ((held[count] = rte_pktmbuf_alloc(eal_pool())))
				count++;
		}
		worker_burst(worker, rig.engine->ports[RIG_FROM], &frame, 1);
	}
	held[count] = rte_pktmbuf_alloc(eal_pool());
	assert_non_null(held[count]); // the frame's
	rte_pktmbuf_free_bulk(held, count + 1);
	assert_int_equal(rig.sent[RIG_TO], 3);
	assert_int_equal(counted(RIG_PEER).rx_packets, 4);
	assert_int_equal(engine_dpdk->table_get(rig.engine, WEFT_TABLE_drop, &drop, &dropped), 0);
	assert_int_equal(dropped.packets, 1);
	rig_stop();
}

int main(void)
{
	static const struct way ways[] = {{"nat", true}, {"dsr"}, {"nat, IPv6", true, .ip6 = true},
		{"dsr, IPv6", .ip6 = true}, {"nat, no checksum", true, .no_checksum = true},
		{"nat, to a peer", true, true}, {"nat, to a peer, IPv6", true, true, true},
		{"dsr, to a peer", false, true}};
	static const struct way lost[] = {{"nat, without memory", true}, {"without memory"}};
	struct CMUnitTest tests[WEFT_ARRAY_SIZE(ways) + WEFT_ARRAY_SIZE(lost)];
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(tests); i++) {
		const struct way *way =
			i < WEFT_ARRAY_SIZE(ways) ? &ways[i] : &lost[i - WEFT_ARRAY_SIZE(ways)];
		tests[i] = (struct CMUnitTest){.name = way->name,
			.test_func = i < WEFT_ARRAY_SIZE(ways) ? leaves_as_before
							       : is_counted_without_memory,
			.initial_state = (void *)way};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
