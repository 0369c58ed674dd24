// SPDX-License-Identifier: BSD-2-Clause
// Headers put in front of a frame, and headers made contiguous.
#include "tests/dpdk/frames.h"

enum { ROOM = 2048 };

static struct frames frames;
static struct flat made;
static u8 got[FLAT_BYTES];

static void test_pull(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3000; i++) {
		flat_make(&made, false, false, false, 60 + frames_random(2500));
		u32 first = 100 + frames_random(300), adjust = i & 1 ? 50 : 70;
		struct rte_mbuf *frame = flat_chain(&frames, &made, first, 1 + frames_random(200));
		u32 bytes = i & 2 ? WEFT_PARSE_BYTES : frames_random(2100);
		assert_non_null(rte_pktmbuf_adj(frame, (u16)adjust));
		u32 before = frame->nb_segs, length = frame->pkt_len;
		bool fits = RTE_MIN(bytes, length) + RTE_PKTMBUF_HEADROOM <= frame->buf_len;
		assert_int_equal(dpdk_pull(frame, bytes), fits);
		assert_int_equal(flat_read(frame, got), length);
		assert_memory_equal(got, made.bytes + adjust, length);
		assert_true(!fits || frame->data_len >= RTE_MIN(bytes, length));
		assert_true(frame->data_off >= RTE_PKTMBUF_HEADROOM && frame->nb_segs <= before);
		rte_pktmbuf_free(frame);
		frames_check(&frames);
	}
}

static void test_trim(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3000; i++) {
		flat_make(&made, false, false, false, 60 + frames_random(2500));
		struct rte_mbuf *frame =
			flat_chain(&frames, &made, 1 + frames_random(300), 1 + frames_random(200));
		u32 bytes = i & 1 ? 1 + frames_random(made.length) : made.length;
		dpdk_trim(frame, bytes);
		assert_int_equal(flat_read(frame, got), bytes);
		assert_memory_equal(got, made.bytes, bytes);
		rte_pktmbuf_free(frame);
		frames_check(&frames);
	}
}

static void outer_make(u8 *outer, bool ipv6, u32 inner)
{
	u32 l3 = ipv6 ? 40 : 20;
	for (u32 i = 0; i < 14 + l3 + 16; i++)
		outer[i] = (u8)frames_random(256);
	outer[14] = ipv6 ? 0x60 : 0x45;
	outer[ipv6 ? 20 : 23] = 17;
	put16(outer + 14 + (ipv6 ? 4 : 2), inner + 16 + (ipv6 ? 0 : 20));
	put16(outer + 14 + l3 + 4, inner + 16);
	put16(outer + 14 + l3 + 6, 0);
}

// The bytes are outer, then inner; over IPv6 the sum holds. With and without room in front.
static void test_push_outer(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3000; i++) {
		u8 outer[70];
		bool ipv6 = i & 1;
		u32 bytes = ipv6 ? 70 : 50;
		flat_make(&made, i & 2, i & 4, false, frames_random(3000));
		flat_checksum(&made);
		struct rte_mbuf *frame = flat_chain(&frames, &made,
			i & 8 ? ROOM : 1 + frames_random(300), 1 + frames_random(999));
		u32 moved = frame->data_len + 128 < ROOM && i & 16 ? frames_random(65) * 2 : 0;
		memmove(rte_pktmbuf_mtod(frame, u8 *) - moved, rte_pktmbuf_mtod(frame, u8 *),
			frame->data_len);
		frame->data_off = (u16)(frame->data_off - moved);
		outer_make(outer, ipv6, made.length);
		assert_true(dpdk_push_outer(&frame, outer, bytes));
		assert_int_equal(flat_read(frame, got), bytes + made.length);
		assert_memory_equal(got + bytes, made.bytes, made.length);
		if (ipv6)
			flat_verify(got, bytes + made.length, 14);
		memcpy(outer + bytes - 10, got + bytes - 10, ipv6 ? 2 : 0);
		assert_memory_equal(got, outer, bytes);
		if (moved + bytes > 128)
			assert_true(
				frame->data_len >= RTE_MIN((u32)WEFT_PARSE_BYTES, frame->pkt_len));
		rte_pktmbuf_free(frame);
		frames_check(&frames);
	}
}

static void test_push_outer_without_memory(void **state)
{
	static struct rte_mbuf *held[4096];
	u8 outer[50] = {0};
	(void)state;
	flat_make(&made, false, false, false, 300);
	flat_checksum(&made);
	struct rte_mbuf *frame = flat_chain(&frames, &made, ROOM, ROOM), *before = frame;
	u32 count = rte_mempool_avail_count(frames.pool);
	assert_int_equal(rte_pktmbuf_alloc_bulk(frames.pool, held, count), 0);
	memmove(frame->buf_addr, rte_pktmbuf_mtod(frame, u8 *), frame->data_len);
	frame->data_off = 0;
	assert_false(dpdk_push_outer(&frame, outer, 50));
	assert_ptr_equal(frame, before);
	assert_int_equal(rte_mempool_in_use_count(frames.pool), count + 1); // not freed
	flat_expect(frame, &made);
	rte_pktmbuf_free_bulk(held, count);
	rte_pktmbuf_free(frame);
	frames_check(&frames);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pull),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_push_outer),
		cmocka_unit_test(test_push_outer_without_memory),
	};
	frames_start();
	frames_setup(&frames, 4095, ROOM);
	return frames_end(&frames, cmocka_run_group_tests(tests, NULL, NULL));
}
