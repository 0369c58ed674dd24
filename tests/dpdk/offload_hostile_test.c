// SPDX-License-Identifier: BSD-2-Clause
// Whatever is said of a frame, and whatever its headers say: nothing is lost, nothing outside of it
// touched.
#include "tests/dpdk/frames.h"

enum { ROOM = 2048, HOSTILE_FRAMES = 60000 };

static struct frames frames;
static struct flat made;
static u8 got[FLAT_BYTES];

// What was said of a superpacket and what its headers say. Every row is a lie.
static void test_lies(void **state)
{
	static const struct {
		const char *name;
		bool ipv6, udp;
		int l2, l3, segment, version, ihl, protocol, offset; // changes
	} lies[] = {
		{"no segment size", .segment = -1448},
		{"L3 one word early", .l2 = -2},
		{"L3 at an odd byte", .l2 = -1},
		{"L3 beyond the end", .l2 = 100},
		{"L4 early", .l3 = -4},
		{"L4 late", .l3 = 4},
		{"L4 beyond the end", .l3 = 400},
		{"L4 beyond the end, IPv6", .ipv6 = true, .l3 = 400},
		{"no L3", .l3 = -20},
		{"not IP", .version = 1},
		{"IPv6 as IPv4", .ipv6 = true, .version = -2},
		{"IPv4 as IPv6", .version = 2},
		{"short IHL", .ihl = -1},
		{"long IHL", .ihl = 2},
		{"IHL and L3 agree below the least", .l3 = -4, .ihl = -1},
		{"UDP as TCP", .protocol = 11},
		{"TCP as UDP", .udp = true, .protocol = -11},
		{"extension header not there", .ipv6 = true, .protocol = -6},
		{"a fragment header", .ipv6 = true, .protocol = 44 - 6},
		{"data offset below the least", .offset = -1},
		{"data offset beyond the end", .offset = 10},
	};
	struct rte_mbuf *out[DPDK_SEGMENTS];
	(void)state;
	for (u32 i = 0; i < WEFT_ARRAY_SIZE(lies); i++) {
		do
			flat_make(&made, lies[i].ipv6, lies[i].udp, false, 12);
		while (made.l4 > 20 || made.l3 == 24 || (!made.ipv6 && made.l3 != 20));
		u8 *l3 = made.bytes + made.l2, *l4 = l3 + made.l3;
		l3[0] = (u8)(l3[0] + lies[i].version * 16 + lies[i].ihl);
		l3[made.ipv6 ? 6 : 9] = (u8)(l3[made.ipv6 ? 6 : 9] + lies[i].protocol);
		l4[12] = (u8)(l4[12] + lies[i].offset * 16);
		made.segment_bytes = 1448;
		struct rte_mbuf *frame = flat_chain(&frames, &made, ROOM, ROOM);
		frame->l2_len = made.l2 + lies[i].l2;
		frame->l3_len = made.l3 + lies[i].l3;
		frame->tso_segsz = (u16)(1448 + lies[i].segment);
		if (dpdk_complete(frame, 0, out, DPDK_SEGMENTS))
			fail_msg("%s was believed", lies[i].name);
		frames_check(&frames);
	}
}

static void test_checksum_beyond_the_end(void **state)
{
	struct rte_mbuf *out[1];
	(void)state;
	for (u32 i = 0; i < 60; i++) {
		flat_make(&made, false, i & 1, false, 0);
		struct rte_mbuf *frame = flat_chain(&frames, &made, ROOM, ROOM);
		u32 at = made.udp ? 6 : 16;
		u32 start = made.length - at - 2 + i / 2;
		frame->l2_len = 14;
		frame->l3_len = start - 14;
		u32 count = dpdk_complete(frame, 0, out, 1);
		assert_int_equal(count, i / 2 == 0);
		if (count)
			rte_pktmbuf_free(out[0]);
		frames_check(&frames);
	}
}

static void test_no_segment_longer_than_ip_can_say(void **state)
{
	struct rte_mbuf *out[4];
	(void)state;
	flat_make(&made, true, true, false, 66000);
	made.segment_bytes = 65535;
	assert_int_equal(
		dpdk_complete(flat_chain(&frames, &made, ROOM, ROOM), 0, out, WEFT_ARRAY_SIZE(out)),
		0);
	frames_check(&frames);
}

// Anything may be said of anything: no byte beyond a buffer, no mbuf lost, no more than asked for.
static void test_hostile(void **state)
{
	static struct rte_mbuf *out[DPDK_SEGMENTS];
	(void)state;
	for (u32 i = 0; i < HOSTILE_FRAMES; i++) {
		u32 capacity = frames_random(DPDK_SEGMENTS + 1);
		flat_make(&made, i & 1, i & 2, i & 4, frames_random(i & 8 ? 100 : 3000));
		made.segment_bytes = frames_random(2) * (1 + frames_random(2000));
		if (!frames_random(4))
			made.length = 1 + frames_random(made.length);
		for (u32 flips = frames_random(6); flips; flips--)
			made.bytes[frames_random(RTE_MIN(made.length, 90u))] ^=
				(u8)(1 + frames_random(255));
		struct rte_mbuf *frame =
			flat_chain(&frames, &made, 1 + frames_random(300), 1 + frames_random(1500));
		if (!frames_random(3))
			frame->l2_len = frames_random(128);
		if (!frames_random(3))
			frame->l3_len = frames_random(512);
		if (!frames_random(3))
			frame->l4_len = frames_random(256);
		if (!frames_random(3))
			frame->tso_segsz = (u16)frames_random(65536);
		if (!frames_random(6))
			frame->ol_flags = (u64)frames_random(1u << 16) << 42;
		u32 count = dpdk_finish(frame, frames_random(16), out, capacity);
		assert_true(count <= capacity);
		for (u32 k = 0; k < count; k++) {
			flat_read(out[k], got);
			rte_pktmbuf_free(out[k]);
		}
		assert_int_equal(rte_mempool_in_use_count(frames.pool), 0);
		assert_int_equal(rte_mempool_in_use_count(frames.chain_pool), 0);
		if (i % 1000 == 0)
			frames_check(&frames);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_checksum_beyond_the_end),
		cmocka_unit_test(test_no_segment_longer_than_ip_can_say),
		cmocka_unit_test(test_hostile),
	};
	frames_start();
	frames_setup(&frames, 4095, ROOM);
	return frames_end(&frames, cmocka_run_group_tests(tests, NULL, NULL));
}
