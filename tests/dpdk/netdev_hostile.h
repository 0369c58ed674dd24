// SPDX-License-Identifier: BSD-2-Clause
// Virtio headers and frames that no honest guest writes, and checksums that mbufs have no flag for.
#pragma once

#include "tests/dpdk/netdev_rig.h"

// What a guest may write beside a frame. Most the kernel refuses; what it lets through must become
// frames that keep the contract, or none.
static void test_hostile_headers(void **state)
{
	static const struct virtio_net_hdr bad[] = {
		{1, 0, 0, 0, 0, 0},
		{1, 0, 0, 0, 0, 16},
		{1, 0, 0, 0, 12, 0},
		{1, 0, 0, 0, 14, 6},
		{1, 0, 0, 0, 34, 17},
		{1, 0, 0, 0, 38, 16},
		{1, 0, 0, 0, 34, 8},
		{1, 0, 0, 0, 34, 0xfffe},
		{1, 0, 0, 0, 0xfffe, 0xfffe},
		{1, 0, 0, 0, 60, 0},
		{1, 1, 54, 0, 34, 16},
		{1, 1, 54, 1, 34, 16},
		{1, 1, 54, 0xffff, 34, 16},
		{1, 1, 0, 100, 14, 16},
		{1, 1, 74, 100, 54, 16},
		{1, 4, 54, 100, 34, 16},
		{1, 5, 54, 100, 34, 16},
		{1, 5, 42, 100, 34, 6},
		{1, 3, 42, 100, 34, 6},
		{0, 3, 42, 100, 0, 0},
		{0, 1, 54, 100, 0, 0},
		{0, 5, 42, 100, 0, 0},
		{1, 0x81, 54, 100, 34, 16},
		{1, 0x83, 54, 100, 34, 16},
		{1, 7, 54, 100, 34, 16},
		{0xff, 0xff, 0xffff, 0xffff, 0xffff, 0xffff},
	};
	struct end a, b;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	end_open(&b, "b", OFFLOADS_ALL);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(bad) * WEFT_ARRAY_SIZE(shapes); i++) {
		build(&sent, &shapes[i % WEFT_ARRAY_SIZE(shapes)]);
		sent.vnet.hdr = bad[i / WEFT_ARRAY_SIZE(shapes)];
		u32 end = sent.length;
		bool super = sent.vnet.hdr.gso_type && sent.vnet.hdr.gso_size && end > 3000;
		(void)!guest_write(a.guest, &sent);
		build(&sent, &(struct shape){0, false, UDP, 3, false, 0});
		assert_true(guest_write(a.guest, &sent));
		struct rte_mbuf *frame = port_read(&a.port);
		assert_contract(frame);
		if (frame->pkt_len == end && end != sent.length) {
			assert_true(!super || frame->ol_flags & SUPER);
			(void)dpdk_netdev.tx(&b.port, 0, &frame, 1);
			frame = port_read(&a.port);
		}
		assert_bytes(frame, &sent);
		rte_pktmbuf_free(frame);
		while (readable(b.guest, 0))
			guest_read(b.guest, &got);
	}
	end_close(&a);
	end_close(&b);
}

// Cut short anywhere, and with any one byte of its headers wrong.
static void test_hostile_bytes(void **state)
{
	struct end a;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(shapes); i++) {
		for (u32 at = 0; at < 96; at++) {
			build(&sent, &shapes[i]);
			if (sent.length <= at || !shapes[i].partial)
				continue;
			sent.bytes[at == 11 ? 10 : at] ^= 0xff;
			(void)!guest_write(a.guest, &sent);
			sent.length = at;
			(void)!guest_write(a.guest, &sent);
			build(&sent, &(struct shape){0, false, UDP, 3, false, 0});
			assert_true(guest_write(a.guest, &sent));
			for (bool last = false; !last;) {
				struct rte_mbuf *frame = port_read(&a.port);
				assert_contract(frame);
				last = frame->pkt_len == sent.length &&
				       !memcmp(rte_pktmbuf_mtod(frame, void *), sent.bytes,
					       sent.length);
				rte_pktmbuf_free(frame);
			}
		}
	}
	end_close(&a);
}

static void test_sctp_is_completed(void **state)
{
	struct end a;
	const u32 l4 = 34, bytes = 1001;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	build(&sent, &(struct shape){0, false, UDP, bytes - 8, false, 0});
	sent.bytes[23] = 132;
	sent.vnet.hdr = (struct virtio_net_hdr){1, 0, 0, 0, (u16)l4, 8};
	assert_true(guest_write(a.guest, &sent));
	struct rte_mbuf *frame = port_read(&a.port);
	assert_int_equal(frame->ol_flags, 0);
	memset(sent.bytes + l4 + 8, 0, 4);
	u32 crc = ~0u;
	for (u32 i = 0; i < bytes; i++)
		crc = rte_hash_crc_1byte(sent.bytes[l4 + i], crc);
	crc = ~crc;
	memcpy(sent.bytes + l4 + 8, &crc, 4);
	assert_bytes(frame, &sent);
	rte_pktmbuf_free(frame);
	end_close(&a);
}

// A checksum that is neither TCP's nor UDP's: of the first of two fragments, say.
static void test_odd_checksum_is_completed(void **state)
{
	struct end a;
	struct shape shape = {0, false, UDP, 1001, true, 0};
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	build(&sent, &shape);
	sent.bytes[20] = 0x20; // more fragments
	assert_true(guest_write(a.guest, &sent));
	struct rte_mbuf *frame = port_read(&a.port);
	assert_int_equal(frame->ol_flags, 0);
	got.length = frame->pkt_len;
	memcpy(got.bytes, rte_pktmbuf_mtod(frame, void *), frame->pkt_len);
	assert_true(checksum_right(&got, &shape));
	rte_pktmbuf_free(frame);
	end_close(&a);
}

// A frame that the device never takes does not stand in the way of others.
static void test_a_frame_too_long_is_dropped_alone(void **state)
{
	struct end a;
	struct rte_mbuf *burst[3];
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	for (u32 i = 0; i < 3; i++) {
		build(&sent, &(struct shape){0, false, UDP, i == 1 ? 1900 : 100 + i, false, 0});
		burst[i] = to_mbuf(&sent);
	}
	assert_int_equal(dpdk_netdev.tx(&a.port, 0, burst, 3), 3);
	assert_int_equal(rig_lost[WEFT_DROP_device_dropped], 1);
	guest_read(a.guest, &got);
	assert_int_equal(got.length, 14 + 28 + 100);
	guest_read(a.guest, &got);
	assert_int_equal(got.length, 14 + 28 + 102);
	end_close(&a);
}

// Nor does one that a filter drops between the socket and the device, nor a dozen of them.
static void test_filtered_frames_are_dropped_alone(void **state)
{
	struct end a;
	struct rte_mbuf *burst[DPDK_BURST];
	u32 filtered = 0;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	run("/usr/sbin/nft 'add table netdev t; add chain netdev t c { type filter hook egress "
	    "device a priority 0; }; add rule netdev t c udp dport 9 drop'");
	for (u32 i = 0; i < DPDK_BURST; i++) {
		bool drop = i % 4 == 1 || (i > 8 && i < 20);
		build(&sent, &(struct shape){0, false, UDP, 100 + i, false, 0});
		put16(sent.bytes + 36, drop ? 9 : 10);
		filtered += drop;
		burst[i] = to_mbuf(&sent);
	}
	assert_int_equal(dpdk_netdev.tx(&a.port, 0, burst, DPDK_BURST), DPDK_BURST);
	assert_int_equal(rig_lost[WEFT_DROP_device_dropped], filtered);
	for (u32 i = 0; i < DPDK_BURST; i++) {
		if (i % 4 == 1 || (i > 8 && i < 20))
			continue;
		guest_read(a.guest, &got);
		assert_int_equal(got.length, 14 + 28 + 100 + i);
	}
	run("/usr/sbin/nft delete table netdev t");
	end_close(&a);
}
