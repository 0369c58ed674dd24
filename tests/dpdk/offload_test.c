// SPDX-License-Identifier: BSD-2-Clause
// What becomes of frames whose other end takes less than they ask for; every byte is held against
// what frames.h computes the slow way.
#include "tests/dpdk/frames.h"
#include "datapath/dpdk/sum.h"

#include <weft/verdict.h>

enum { ROOM = 2048, RANDOM_FRAMES = 6000, HOSTILE_FRAMES = 60000 };

static struct frames frames;
static struct flat made, want;
static u8 got[FLAT_BYTES];

static u32 needs(const struct flat *flat)
{
	if (!flat->segment_bytes)
		return flat->partial ? DPDK_TAKES_CHECKSUM : 0;
	return DPDK_TAKES_CHECKSUM | (flat->udp           ? DPDK_TAKES_USO
					     : flat->ipv6 ? DPDK_TAKES_TSO6
							  : DPDK_TAKES_TSO4);
}

static void expect_frame(const struct rte_mbuf *frame, const struct flat *flat)
{
	u64 flags = 0;
	u32 length = flat_read(frame, got);
	assert_int_equal(length, flat->length);
	assert_true(frame->data_len >= RTE_MIN(length, (u32)WEFT_PARSE_BYTES));
	for (u32 i = 0; i < length; i++)
		if (got[i] != flat->bytes[i])
			fail_msg("byte %u of %u: %02x, not %02x (seed %llu)", i, length, got[i],
				flat->bytes[i], (unsigned long long)frames_seed);
	if (flat->partial)
		flags = flat->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	else
		flat_verify(got, length, flat->l2);
	if (flat->segment_bytes)
		flags |= flat->udp ? RTE_MBUF_F_TX_UDP_SEG : RTE_MBUF_F_TX_TCP_SEG;
	assert_int_equal(frame->ol_flags, flags);
	if (!flags)
		return;
	assert_int_equal(frame->l2_len, flat->l2);
	assert_int_equal(frame->l3_len, flat->l3);
	assert_int_equal(frame->l4_len, flat->l4);
	assert_int_equal(frame->tso_segsz, flat->segment_bytes);
}

// `made`, laid into a chain as it is, becomes what `takes` allows.
static void expect_complete(u32 takes, u32 first, u32 most, u32 capacity)
{
	static struct rte_mbuf *out[4096];
	struct rte_mbuf *frame = flat_chain(&frames, &made, first, most);
	bool whole = !(needs(&made) & ~takes), keep = takes & DPDK_TAKES_CHECKSUM;
	u32 count = whole || !made.segment_bytes ? 1 : flat_segments(&made);
	assert_true(capacity <= WEFT_ARRAY_SIZE(out));
	assert_int_equal(dpdk_finish(frame, takes, out, capacity), RTE_MIN(count, capacity));
	if (whole)
		assert_ptr_equal(out[0], frame);
	for (u32 i = 0; i < count && i < capacity; i++) {
		const struct flat *expected = whole ? &made : &want;
		if (!whole && made.segment_bytes)
			flat_segment(&made, i, keep, &want);
		if (!whole && !made.segment_bytes) {
			memcpy(&want, &made, offsetof(struct flat, bytes) + made.length);
			flat_checksum(&want);
		}
		expect_frame(out[i], expected);
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
	flat_make(&made, false, false, false, 9000);
	made.segment_bytes = 1448;
	expect_complete(DPDK_TAKES_ALL, ROOM, 777, 1);
}

static void test_checksum(void **state)
{
	(void)state;
	for (u32 i = 0; i < 64; i++) {
		flat_make(&made, i & 1, i & 2, i & 4, i & 8 ? 0 : 1 + frames_random(3000));
		expect_complete(
			i & 16 ? DPDK_TAKES_TSO4 | DPDK_TAKES_USO : 0, i & 32 ? 260 : ROOM, 701, 1);
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
			for (u32 takes = 0; takes <= DPDK_TAKES_ALL; takes += 5) {
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
	expect_complete(DPDK_TAKES_CHECKSUM, ROOM, ROOM, 8);
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
		expect_complete(DPDK_TAKES_CHECKSUM, ROOM, 500, 16);
	}
}

// A driver that breaks the contract does not break what comes out.
static void test_headers_in_pieces(void **state)
{
	(void)state;
	for (u32 i = 0; i < 64; i++) {
		flat_make(&made, i & 1, i & 2, false, 3000);
		made.segment_bytes = 1000;
		expect_complete(i & 4 ? DPDK_TAKES_CHECKSUM : 0,
			i & 8 ? made.l2 + made.l3 + (made.udp ? 8 : 20) : 20, 40, 4);
	}
}

static void test_jumbo_segments(void **state)
{
	(void)state;
	flat_make(&made, true, false, true, 60000);
	made.segment_bytes = 8900;
	expect_complete(0, ROOM, 1777, 16);
	expect_complete(DPDK_TAKES_CHECKSUM | DPDK_TAKES_TSO4, ROOM, 1777, 16);
}

static void test_capacity(void **state)
{
	(void)state;
	flat_make(&made, false, false, false, 65000);
	made.segment_bytes = 1;
	expect_complete(0, ROOM, 2048, DPDK_SEGMENTS);
	made.segment_bytes = 1448;
	expect_complete(0, ROOM, 2048, 7);
	expect_complete(DPDK_TAKES_CHECKSUM, ROOM, 2048, 0);
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
		expect_complete(i & DPDK_TAKES_ALL, first, most, 4096);
	}
}

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
	expect_frame(frame, &made);
	rte_pktmbuf_free_bulk(held, count);
	rte_pktmbuf_free(frame);
	frames_check(&frames);
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
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_checksum_beyond_the_end),
		cmocka_unit_test(test_no_segment_longer_than_ip_can_say),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_pull),
		cmocka_unit_test(test_push_outer),
		cmocka_unit_test(test_push_outer_without_memory),
	};
	frames_start();
	frames_setup(&frames, 4095, ROOM);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	frames_teardown(&frames);
	rte_eal_cleanup();
	return failed;
}
