// SPDX-License-Identifier: BSD-2-Clause
// What becomes of frames whose other end takes less than they ask for; every byte is held against
// what frames.h computes the slow way.
#include "tests/dpdk/frames.h"
#include "datapath/dpdk/sum.h"

enum { ROOM = 2048, RANDOM_FRAMES = 6000 };

static struct frames frames;
static struct flat made, want;

static u32 needs(const struct flat *flat)
{
	if (!flat->segment_bytes)
		return flat->partial ? ENGINE_TAKES_CHECKSUM : 0;
	return ENGINE_TAKES_CHECKSUM | (flat->udp           ? ENGINE_TAKES_USO
					       : flat->ipv6 ? ENGINE_TAKES_TSO6
							    : ENGINE_TAKES_TSO4);
}

// `made`, laid into a chain as it is, becomes what `takes` allows.
static void expect_complete(u32 takes, u32 first, u32 most, u32 capacity)
{
	static struct rte_mbuf *out[4096];
	struct rte_mbuf *frame = flat_chain(&frames, &made, first, most);
	bool whole = !(needs(&made) & ~takes), keep = takes & ENGINE_TAKES_CHECKSUM;
	u32 count = whole || !made.segment_bytes ? 1 : flat_segments(&made);
	assert_true(capacity <= WEFT_ARRAY_SIZE(out));
	count = count <= capacity ? count : 0;
	assert_int_equal(dpdk_finish(frame, takes, out, capacity), count);
	if (whole)
		assert_ptr_equal(out[0], frame);
	for (u32 i = 0; i < count; i++) {
		const struct flat *expected = whole ? &made : &want;
		if (!whole && made.segment_bytes)
			flat_segment(&made, i, keep, &want);
		if (!whole && !made.segment_bytes) {
			memcpy(&want, &made, offsetof(struct flat, bytes) + made.length);
			flat_checksum(&want);
		}
		flat_expect(out[i], expected);
		rte_pktmbuf_free(out[i]);
	}
	frames_check(&frames);
}

static void test_sums(void **state)
{
	u8 from[600], to[600];
	(void)state;
	for (u32 i = 0; i < sizeof(from); i++)
		from[i] = (u8)(frames_random(4) ? 0xff : frames_random(256));
	for (u32 bytes = 0; bytes < 520; bytes++) {
		u32 at = frames_random(64);
		u16 sum = weft_hton16(add_words(0, from + at, bytes));
		assert_int_equal(sum_bytes(from + at, bytes), sum);
		memset(to, 0x11, sizeof(to));
		assert_int_equal(sum_copy(to + 1, from + at, bytes), sum);
		assert_memory_equal(to + 1, from + at, bytes);
		assert_int_equal(to[0], 0x11);
		assert_int_equal(to[bytes + 1], 0x11);
	}
}

static void test_nothing_to_do(void **state)
{
	(void)state;
	flat_make(&made, false, false, false, 100);
	flat_checksum(&made);
	expect_complete(0, ROOM, ROOM, 1);
	struct rte_mbuf *frame = flat_chain(&frames, &made, ROOM, ROOM), *out;
	assert_int_equal(dpdk_complete(frame, 0, &out, 1), 1); // without the short way
	assert_ptr_equal(out, frame);
	flat_expect(frame, &made);
	rte_pktmbuf_free(frame);
	flat_make(&made, false, false, false, 9000);
	made.segment_bytes = 1448;
	expect_complete(ENGINE_TAKES_ALL, ROOM, 777, 1);
}

static void test_checksum(void **state)
{
	(void)state;
	for (u32 i = 0; i < 64; i++) {
		flat_make(&made, i & 1, i & 2, i & 4, i & 8 ? 0 : 1 + frames_random(3000));
		expect_complete(i & 16 ? ENGINE_TAKES_TSO4 | ENGINE_TAKES_USO : 0,
			i & 32 ? 260 : ROOM, 701, 1);
	}
}

// A UDP checksum that comes out as zero is sent as ones; a TCP one is not.
static void test_checksum_zero(void **state)
{
	(void)state;
	for (u32 i = 0; i < 4; i++) {
		flat_make(&made, i & 1, i & 2, false, 64);
		u8 *last = made.bytes + made.length - 2;
		put16(last, 0);
		flat_checksum(&made);
		put16(last, get16(field(&made)));
		flat_partial(&made, made.length - made.l2 - made.l3);
		memcpy(&want, &made, offsetof(struct flat, bytes) + made.length);
		flat_checksum(&want);
		assert_int_equal(get16(field(&want)), made.udp ? 0xffff : 0);
		expect_complete(0, ROOM, ROOM, 1);
		if (made.udp) // the same as a segment
			made.segment_bytes = 100, expect_complete(0, ROOM, ROOM, 1);
	}
}

static void test_superpackets(void **state)
{
	static const u32 sizes[] = {0, 1, 1447, 1448, 1449, 2896, 9000, 65000};
	(void)state;
	for (u32 kind = 0; kind < 8; kind++)
		for (u32 i = 0; i < WEFT_ARRAY_SIZE(sizes); i++)
			for (u32 takes = 0; takes <= ENGINE_TAKES_ALL; takes += 5) {
				flat_make(&made, kind & 1, kind & 2, kind & 4, sizes[i]);
				made.segment_bytes = 1448;
				expect_complete(takes, 300, 1999, DPDK_SEGMENTS);
			}
}

// The sequence number, the ID and a sum may wrap; flags go where they belong.
static void test_tcp_fields(void **state)
{
	(void)state;
	flat_make(&made, false, false, false, 5000);
	made.segment_bytes = 1000;
	u8 *l3 = made.bytes + made.l2, *l4 = l3 + made.l3;
	memset(l4 + 4, 0xff, 4);
	l4[13] = 0xff;
	put16(l3 + 4, 0xfffe);
	flat_lengths(&made);
	expect_complete(0, ROOM, ROOM, 8);
	expect_complete(ENGINE_TAKES_CHECKSUM, ROOM, ROOM, 8);
}

// Some guests sum the pseudo header of a superpacket without its length.
static void test_pseudo_header_without_length(void **state)
{
	(void)state;
	for (u32 kind = 0; kind < 4; kind++)
		for (u32 takes = 0; takes < 2; takes++) {
			flat_make(&made, kind & 1, kind & 2, false, 1 + frames_random(4000));
			made.segment_bytes = 1400;
			flat_partial(&made, 0);
			expect_complete(takes, ROOM, ROOM, 8);
		}
}

static void test_extension_headers(void **state)
{
	(void)state;
	for (u32 i = 0; i < 16; i++) {
		flat_make(&made, true, i & 1, false, i & 2 ? 8000 : 300);
		flat_add_extensions(&made, i & 4);
		made.segment_bytes = i & 8 ? 0 : 1300;
		expect_complete(0, ROOM, 500, 16);
		expect_complete(ENGINE_TAKES_CHECKSUM, ROOM, 500, 16);
	}
}

// A driver that breaks the contract does not break what comes out.
static void test_headers_in_pieces(void **state)
{
	(void)state;
	for (u32 i = 0; i < 64; i++) {
		flat_make(&made, i & 1, i & 2, false, 3000);
		made.segment_bytes = 1000;
		expect_complete(i & 4 ? ENGINE_TAKES_CHECKSUM : 0,
			i & 8 ? made.l2 + made.l3 + (made.udp ? 8 : 20) : 20, 40, 4);
	}
}

static void test_jumbo_segments(void **state)
{
	(void)state;
	flat_make(&made, true, false, true, 60000);
	made.segment_bytes = 8900;
	expect_complete(0, ROOM, 1777, 16);
	expect_complete(ENGINE_TAKES_CHECKSUM | ENGINE_TAKES_TSO4, ROOM, 1777, 16);
}

// A small MSS: more than 128 segments, and all of them.
static void test_many_segments(void **state)
{
	static const u32 shapes[][2] = {{25800, 200}, {60000, 200}, {65000, 64}};
	(void)state;
	for (u32 i = 0; i < 4 * RTE_DIM(shapes); i++) {
		flat_make(&made, i & 1, i & 2, false, shapes[i / 4][0]);
		made.segment_bytes = shapes[i / 4][1];
		assert_in_range(flat_segments(&made), 129, DPDK_SEGMENTS);
		expect_complete(0, 300, 1999, DPDK_SEGMENTS);
	}
}

static void test_capacity(void **state)
{
	(void)state;
	flat_make(&made, false, false, false, 65000);
	made.segment_bytes = 1;
	expect_complete(0, ROOM, 2048, DPDK_SEGMENTS);
	made.segment_bytes = 1448;
	expect_complete(0, ROOM, 2048, 7);
	expect_complete(ENGINE_TAKES_CHECKSUM, ROOM, 2048, 0);
	made.segment_bytes = 0;
	expect_complete(0, ROOM, 2048, 0);
}

static void test_random(void **state)
{
	(void)state;
	for (u32 i = 0; i < RANDOM_FRAMES; i++) {
		u32 kind = frames_random(8), shape = frames_random(4);
		u32 payload = frames_random(shape ? 4000 : 65000);
		flat_make(&made, kind & 1, kind & 2, kind & 4, payload);
		if (made.ipv6 && !frames_random(4))
			flat_add_extensions(&made, frames_random(2));
		if (frames_random(4))
			made.segment_bytes = 1 + frames_random(shape > 1 ? 1500 : 9000);
		else if (!frames_random(4))
			flat_checksum(&made);
		if (made.segment_bytes && flat_segments(&made) > 3000)
			continue;
		u32 first = RTE_MAX((u32)WEFT_PARSE_BYTES, made.l2 + made.l3 + made.l4);
		first += frames_random(ROOM - first + 1);
		u32 most = payload > 20000 ? 1 + frames_random(1900) : 1 + frames_random(90);
		most = RTE_MAX(most, payload / 400 + 1);
		expect_complete(i & ENGINE_TAKES_ALL, first, most, 4096);
	}
}

static void test_no_memory(void **state)
{
	static struct rte_mbuf *held[4096], *out[DPDK_SEGMENTS];
	u32 count = rte_mempool_avail_count(frames.pool);
	(void)state;
	flat_make(&made, false, false, false, 59000);
	for (u32 left = 0; left < 40; left++) {
		made.segment_bytes = left & 1 ? 1448 : 8000;
		struct rte_mbuf *frame = flat_chain(&frames, &made, ROOM, ROOM);
		assert_int_equal(rte_pktmbuf_alloc_bulk(frames.pool, held, count - 1 - left), 0);
		u32 made_count = dpdk_complete(frame, 0, out, DPDK_SEGMENTS);
		rte_pktmbuf_free_bulk(held, count - 1 - left);
		rte_pktmbuf_free_bulk(out, made_count);
		assert_int_equal(made_count, left >= 30 && !(left & 1) ? 8 : 0);
		frames_check(&frames);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_checksum_zero),
		cmocka_unit_test(test_superpackets),
		cmocka_unit_test(test_tcp_fields),
		cmocka_unit_test(test_pseudo_header_without_length),
		cmocka_unit_test(test_extension_headers),
		cmocka_unit_test(test_headers_in_pieces),
		cmocka_unit_test(test_jumbo_segments),
		cmocka_unit_test(test_many_segments),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_no_memory),
	};
	frames_start();
	frames_setup(&frames, 4095, ROOM);
	return frames_end(&frames, cmocka_run_group_tests(tests, NULL, NULL));
}
