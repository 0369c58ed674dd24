// SPDX-License-Identifier: BSD-2-Clause
// The vhost-user driver under guests that lie: headers, rings, messages.

#include "tests/dpdk/vhost_rig.h"

enum { FUZZ_FRAMES = 30000 };

static u64 malformed(struct rig *rig)
{
	const struct vhost_port *vhost = rig->port.driver_state;
	const u64 *faults = vhost->rings[1].faults;
	u64 count = 0;
	for (u32 i = 0; i < VRING_FAULTS; i++)
		count += faults[i];
	return count;
}

// Guests' lies about one frame.

static struct rig_frame frame;

static void expect_dropped(struct rig *rig)
{
	u64 before = malformed(rig);
	assert_true(frontend_send(&rig->guest, 0, &frame.header, frame.bytes, frame.length));
	rig_pass(rig);
	assert_int_equal(malformed(rig), before + 1);
	assert_int_equal(rig->lost[WEFT_DROP_rx_malformed], before + 1);
}

// Delivered without any claim.
static void expect_plain(struct rig *rig)
{
	assert_true(frontend_send(&rig->guest, 0, &frame.header, frame.bytes, frame.length));
	struct rte_mbuf *m = rig_receive(rig, 0);
	rig_equal(m, frame.bytes, frame.length);
	assert_int_equal(m->ol_flags, 0);
	assert_int_equal(m->tx_offload, 0);
	rte_pktmbuf_free(m);
}

// Delivered with the checksum that the guest left to be done, wherever it wanted it.
static void expect_completed(struct rig *rig)
{
	u32 start = frame.header.csum_start;
	u16 sum = ~rte_raw_cksum(frame.bytes + start, frame.length - start);
	assert_true(frontend_send(&rig->guest, 0, &frame.header, frame.bytes, frame.length));
	struct rte_mbuf *m = rig_receive(rig, 0);
	assert_int_equal(m->ol_flags, 0);
	memcpy(frame.bytes + start + frame.header.csum_offset, &sum, sizeof(sum));
	rig_equal(m, frame.bytes, frame.length);
	rte_pktmbuf_free(m);
}

static void tcp4(u32 payload, u16 segment)
{
	rig_build(&frame, false, 4, IPPROTO_TCP, payload);
	if (segment)
		rig_segment(&frame, segment);
}

static void lying_headers(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("lies", FRONTEND_ALL, 1);
	tcp4(100, 0);
	frame.header.csum_start = 60000;
	expect_dropped(rig);
	tcp4(100, 0);
	frame.header.csum_offset = 60000;
	expect_dropped(rig);
	tcp4(0, 0);
	frame.length = 14 + 20 + 4; // no checksum in it
	expect_dropped(rig);
	tcp4(100, 0);
	frame.header.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	expect_plain(rig);
	tcp4(100, 0);
	frame.bytes[14 + 9] = IPPROTO_ICMP;
	expect_completed(rig);
	tcp4(100, 0);
	frame.bytes[14] = 0x41; // IP header of 4 bytes
	frame.header.csum_start = 14 + 4;
	expect_completed(rig);
	tcp4(100, 0);
	frame.bytes[14 + 20 + 12] = 0x40; // TCP header of 16
	expect_completed(rig);
	tcp4(0, 0);
	frame.bytes[14 + 20 + 12] = 0xf0; // TCP header behind the end
	expect_completed(rig);
	tcp4(100, 0);
	frame.bytes[14 + 2] = 0xff; // total length
	expect_dropped(rig);
	tcp4(100, 0);
	frame.bytes[14 + 3] = 30;
	expect_dropped(rig);
	tcp4(100, 0);
	frame.bytes[14 + 6] = 0x20; // a fragment
	expect_completed(rig);
	rig_build(&frame, false, 6, IPPROTO_UDP, 100);
	frame.bytes[14 + 4] = 0xff; // payload length
	expect_dropped(rig);
	tcp4(9000, 1);
	expect_dropped(rig);
	tcp4(9000, 0);
	rig_segment(&frame, 1400);
	frame.header.flags = 0; // segments without a checksum
	expect_dropped(rig);
	rig_build(&frame, false, 4, IPPROTO_UDP, 9000);
	rig_segment(&frame, 1400);
	frame.header.gso_type = VIRTIO_NET_HDR_GSO_UDP; // not on offer
	expect_dropped(rig);
	rig_free(rig);
}

// What is only odd is put right.
static void odd_headers(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("odd", FRONTEND_ALL, 1);
	tcp4(9000, 1400);
	struct rte_ipv4_hdr *ip = (void *)(frame.bytes + 14);
	u16 length = ip->total_length;
	ip->total_length = 0;
	frontend_send(&rig->guest, 0, &frame.header, frame.bytes, frame.length);
	struct rte_mbuf *m = rig_receive(rig, 0);
	ip = rte_pktmbuf_mtod_offset(m, void *, 14);
	assert_int_equal(ip->total_length, length);
	assert_int_equal(rte_raw_cksum(ip, 20), 0xffff);
	rte_pktmbuf_free(m);
	tcp4(100, 1400); // one segment
	frontend_send(&rig->guest, 0, &frame.header, frame.bytes, frame.length);
	m = rig_receive(rig, 0);
	assert_int_equal(m->ol_flags, RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4);
	assert_int_equal(m->tso_segsz, 0);
	rte_pktmbuf_free(m);
	rig_free(rig);
}

static void fuzzed_headers(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("fuzz", FRONTEND_ALL, 1);
	struct rte_mbuf *m;
	u32 with_flags = 0;
	for (u32 i = 0; i < FUZZ_FRAMES; i++) {
		rig_build(&frame, rig_number() & 1, rig_number() & 1 ? 4 : 6,
			rig_number() & 1 ? IPPROTO_TCP : IPPROTO_UDP, rig_number() % 1200);
		if (rig_number() & 1)
			rig_segment(&frame, rig_number() % 2000);
		for (u32 flips = rig_number() % 4; flips; flips--)
			frame.bytes[12 + rig_number() % 60] = rig_number();
		if (!(rig_number() % 4))
			((u8 *)&frame.header)[rig_number() % sizeof(frame.header)] = rig_number();
		if (!(rig_number() % 8))
			frame.length = 1 + rig_number() % frame.length;
		frontend_send(&rig->guest, 0, &frame.header, frame.bytes, frame.length);
		if (!dpdk_vhost.rx(&rig->port, 0, &m, 1))
			continue;
		rig_check(m);
		with_flags += m->ol_flags != 0;
		// A guest that is sent such a frame: its headers are read again.
		if (!dpdk_vhost.tx(&rig->port, 0, &m, 1))
			rte_pktmbuf_free(m);
		rig->guest.ring[0].used = rig->guest.ring[0].vring.used->idx;
		frontend_fill(&rig->guest, 0);
	}
	assert_true(with_flags > FUZZ_FRAMES / 4 && malformed(rig) > FUZZ_FRAMES / 20);
	rig_pass(rig);
	rig_free(rig);
}

// Guests' rings. Each case is a new guest: what it broke stays broken.

static void ring_index(struct frontend *f, struct frontend_ring *ring)
{
	frontend_offer(f, ring, 60000);
}

static void ring_loop(struct frontend *f, struct frontend_ring *ring)
{
	frontend_describe(ring, 0, ring->base, 64, VRING_DESC_F_NEXT, 0);
	frontend_offer(f, ring, 0);
}

static void ring_next(struct frontend *f, struct frontend_ring *ring)
{
	frontend_describe(ring, 0, ring->base, 64, VRING_DESC_F_NEXT, 50000);
	frontend_offer(f, ring, 0);
}

static void ring_address(struct frontend *f, struct frontend_ring *ring)
{
	frontend_describe(ring, 0, FRONTEND_MEMORY - 8, 64, 0, 0);
	frontend_offer(f, ring, 0);
}

static void ring_wrap(struct frontend *f, struct frontend_ring *ring)
{
	frontend_describe(ring, 0, -16ull, 64, 0, 0);
	frontend_offer(f, ring, 0);
}

static void ring_length(struct frontend *f, struct frontend_ring *ring)
{
	frontend_describe(ring, 0, ring->base, 0xffffffff, 0, 0);
	frontend_offer(f, ring, 0);
}

static void ring_indirect(struct frontend *f, struct frontend_ring *ring)
{
	frontend_describe(ring, 0, ring->base, 4096, VRING_DESC_F_INDIRECT, 0);
	frontend_offer(f, ring, 0); // the table is this table, and again indirect
	frontend_describe(ring, 1, FRONTEND_MEMORY - 16, 4096, VRING_DESC_F_INDIRECT, 0);
	frontend_offer(f, ring, 1);
	frontend_describe(ring, 2, ring->base, 0xfffffff0, VRING_DESC_F_INDIRECT, 0);
	frontend_offer(f, ring, 2);
}

static void ring_avail(struct frontend *f, struct frontend_ring *ring)
{
	ring->avail += 60000;
	frontend_offer(f, ring, 0);
}

static void ring_small(struct frontend *f, struct frontend_ring *ring)
{
	for (u32 i = 0; i < 5; i++) // the header in pieces, and nothing behind it
		frontend_describe(ring, i, ring->base, i & 1, i < 4 ? VRING_DESC_F_NEXT : 0, i + 1);
	frontend_offer(f, ring, 0);
}

// librte_vhost (22.11 and later) would write behind the second, wherever that ends.
static void ring_split(struct frontend *f, struct frontend_ring *ring)
{
	u16 flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT;
	frontend_describe(ring, 0, FRONTEND_MEMORY - 2, 1, flags, 1);
	frontend_describe(ring, 1, FRONTEND_MEMORY - 1, 1, flags, 2);
	frontend_describe(ring, 2, ring->base + FRONTEND_BIG_AT, 2000, VRING_DESC_F_WRITE, 0);
	frontend_offer(f, ring, 0);
}

// Longer than all frames of the pool.
static void ring_huge(struct frontend *f, struct frontend_ring *ring)
{
	for (u32 i = 0; i < 100; i++)
		frontend_describe(
			ring, i, 0, FRONTEND_MEMORY, i < 99 ? VRING_DESC_F_NEXT : 0, i + 1);
	frontend_offer(f, ring, 0);
}

static void (*const ring_cases[])(struct frontend *f, struct frontend_ring *ring) = {
	ring_index,
	ring_loop,
	ring_next,
	ring_address,
	ring_wrap,
	ring_length,
	ring_indirect,
	ring_avail,
	ring_small,
	ring_split,
	ring_huge,
};

// The worker of a ring that gives nothing is let go to sleep.
static void expect_sleep(struct rig *rig)
{
	struct rte_mbuf *frames[DPDK_BURST];
	u32 count;
	bool busy = true;
	rig_until(!busy || ({
		count = dpdk_vhost.rx(&rig->port, 0, frames, DPDK_BURST);
		rte_pktmbuf_free_bulk(frames, count);
		busy = dpdk_vhost.arm(&rig->port, 0, true);
		!busy;
	}));
	dpdk_vhost.arm(&rig->port, 0, false);
}

static void hostile_rings(void **state)
{
	(void)state;
	struct rig *good = rig_ready("good", FRONTEND_ALL, 1), *bad = rig_new("bad");
	const char *why;
	u8 bytes[100] = {1};
	assert_int_equal(rig_open(bad, false, 1, &why), 0);
	for (u32 i = 0; i < 2 * RTE_DIM(ring_cases); i++) {
		u32 index = i & 1; // what it receives on, what it sends on
		struct rte_mbuf *m = rig_mbuf(bytes, sizeof(bytes));
		frontend_connect(&bad->guest, bad->path);
		frontend_start(&bad->guest, FRONTEND_ALL, 1);
		ring_cases[i / 2](&bad->guest, &bad->guest.ring[index]);
		rig_pass(good);
		if (!dpdk_vhost.tx(&bad->port, 0, &m, 1))
			rte_pktmbuf_free(m);
		expect_sleep(bad);
		rig_pass(good);
		frontend_free(&bad->guest);
		rig_gone(bad);
		frontend_init(&bad->guest);
	}
	rig_free(bad);
	rig_free(good);
}

static void hostile_messages(void **state)
{
	(void)state;
	struct rig *good = rig_ready("good", FRONTEND_ALL, 1);
	struct rig *bad = rig_new("bad");
	const char *why;
	assert_int_equal(rig_open(bad, false, 2, &why), 0);
	for (u32 i = 0; i < 300; i++) {
		frontend_connect(&bad->guest, bad->path);
		if (rig_number() & 1)
			frontend_start(&bad->guest, FRONTEND_ALL, 1);
		for (u32 j = 0; j < 5; j++) {
			struct frontend_message m = {.request = rig_number() % 45};
			// The front half of a payload decides: indices, counts.
			m.number = rig_number() & 1 ? rig_number() % 8
						    : (u64)rig_number() << 32 | rig_number();
			frontend_tell(&bad->guest, &m, rig_number() & 1 ? 8 : sizeof(m) - 12,
				rig_number() & 1 ? -1 : bad->guest.ring[0].kick);
		}
		frontend_hang_up(&bad->guest);
		rig_pass(good);
	}
	// An honest one gets in when those before it are through.
	rig_until(({
		frontend_connect(&bad->guest, bad->path);
		int refused = frontend_start(&bad->guest, FRONTEND_ALL, 1);
		if (refused)
			frontend_hang_up(&bad->guest);
		!refused;
	}));
	rig_until(bad->port.rx_queues == 1);
	frontend_fill(&bad->guest, 0);
	rig_pass(bad);
	rig_free(bad);
	rig_free(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lying_headers),
		cmocka_unit_test(odd_headers),
		cmocka_unit_test(fuzzed_headers),
		cmocka_unit_test(hostile_rings),
		cmocka_unit_test(hostile_messages),
	};
	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
