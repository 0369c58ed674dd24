// SPDX-License-Identifier: BSD-2-Clause
// The netdev driver and its claims, against real taps and veths in a namespace of its own (root).
// --bench: what a frame costs in the driver; a word: only tests whose names match, as in
// '*claims*'.
#include "tests/dpdk/netdev_rig.h"

#include <arpa/inet.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash_crc.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include "datapath/dpdk/claim.h"

#define TCP   WEFT_IP_TCP
#define UDP   WEFT_IP_UDP
#define TAG   WEFT_ETH_8021Q
#define STAG  WEFT_ETH_8021AD
#define SUPER (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)

static struct frame sent, got;

struct end {
	int guest;
	struct dpdk_port port;
};

static void end_open(struct end *end, const char *name, unsigned long offloads)
{
	end->guest = guest_open(name, offloads);
	port_open(&end->port, name);
}

static void end_close(struct end *end)
{
	dpdk_netdev.close(&end->port);
	close(end->guest);
}

// From one guest through both drivers to the other, as it was.
static void assert_passes(struct end *from, struct end *to, const struct shape *shape)
{
	if (!shape_exists(shape))
		return;
	build(&sent, shape);
	assert_true(guest_write(from->guest, &sent));
	struct rte_mbuf *frame = port_read(&from->port);
	assert_bytes(frame, &sent);
	port_write(&to->port, frame);
	guest_read(to->guest, &got);
	assert_int_equal(got.length, sent.length);
	assert_memory_equal(got.bytes, sent.bytes, sent.length);
	assert_int_equal(got.vnet.hdr.gso_type, sent.vnet.hdr.gso_type);
	assert_int_equal(got.vnet.hdr.gso_size, sent.vnet.hdr.gso_size);
	if (!shape->partial)
		return;
	assert_int_equal(got.vnet.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(got.vnet.hdr.csum_start, sent.vnet.hdr.csum_start);
	assert_int_equal(got.vnet.hdr.csum_offset, sent.vnet.hdr.csum_offset);
}

static const struct shape shapes[] = {
	{0, false, UDP, 18, false, 0},
	{0, false, TCP, 1460, false, 0},
	{0, true, TCP, 1440, false, 0},
	{TAG, false, UDP, 18, false, 0},
	{TAG, true, TCP, 1440, false, 0},
	{STAG, false, TCP, 1400, false, 0},
	{0, false, UDP, 100, true, 0},
	{0, false, TCP, 1, true, 0},
	{0, true, UDP, 99, true, 0},
	{0, true, TCP, 1000, true, 0},
	{TAG, false, TCP, 1000, true, 0},
	{TAG, true, UDP, 1000, true, 0},
	{0, false, TCP, 65480, true, 1448},
	{0, true, TCP, 65000, true, 1428},
	{0, false, UDP, 65490, true, 1472},
	{0, true, UDP, 60000, true, 1452},
	{TAG, false, TCP, 65000, true, 1448},
	{TAG, true, TCP, 65000, true, 1428},
	{TAG, false, UDP, 60000, true, 1472},
	{0, false, TCP, 1900, true, 1000}, // a superpacket that fits a slot
	{0, false, TCP, 2000, true, 1448}, // and some about as long as one
	{TAG, false, TCP, 1990, true, 1448},
};

static void test_frames_pass_whole(void **state)
{
	struct end a, b;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	end_open(&b, "b", OFFLOADS_ALL);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(shapes); i++) {
		assert_passes(&a, &b, &shapes[i]);
		assert_passes(&b, &a, &shapes[i]);
	}
	for (u32 payload = 0; payload <= 1472; payload += 13)
		assert_passes(&a, &b, &(struct shape){0, false, UDP, payload, false, 0});
	end_close(&a);
	end_close(&b);
}

static void test_jumbo_frames_pass_whole(void **state)
{
	struct end a, b;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	end_open(&b, "b", OFFLOADS_ALL);
	run("/sbin/ip link set dev a mtu 9000; /sbin/ip link set dev b mtu 9000");
	assert_passes(&a, &b, &(struct shape){0, false, TCP, 8960, false, 0});
	assert_passes(&a, &b, &(struct shape){TAG, true, TCP, 8940, true, 0});
	end_close(&a);
	end_close(&b);
}

// Tap, port a, port v1, veth, port v2, port b, tap: a container's traffic looks like this.
static void test_veth(void **state)
{
	struct end a, b;
	struct dpdk_port v1, v2;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	end_open(&b, "b", OFFLOADS_ALL);
	run("/sbin/ip link add v1 type veth peer v2 && /sbin/ip link set v1 up && /sbin/ip link "
	    "set v2 up");
	port_open(&v1, "v1");
	port_open(&v2, "v2");
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(shapes); i++) {
		if (!shape_exists(&shapes[i]))
			continue;
		build(&sent, &shapes[i]);
		assert_true(guest_write(a.guest, &sent));
		port_write(&v1, port_read(&a.port));
		struct rte_mbuf *frame = port_read(&v2);
		assert_bytes(frame, &sent);
		port_write(&b.port, frame);
		guest_read(b.guest, &got);
		assert_int_equal(got.length, sent.length);
		assert_memory_equal(got.bytes, sent.bytes, sent.length);
		assert_int_equal(got.vnet.hdr.gso_size, sent.vnet.hdr.gso_size);
		assert_int_equal(got.vnet.hdr.csum_start, sent.vnet.hdr.csum_start);
	}
	dpdk_netdev.close(&v1);
	dpdk_netdev.close(&v2);
	run("/sbin/ip link del v1");
	end_close(&a);
	end_close(&b);
}

static void test_own_frames_do_not_come_back(void **state)
{
	struct end a;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	build(&sent, &shapes[0]);
	port_write(&a.port, to_mbuf(&sent));
	guest_read(a.guest, &got);
	build(&sent, &shapes[1]);
	assert_true(guest_write(a.guest, &sent));
	struct rte_mbuf *frame = port_read(&a.port);
	assert_bytes(frame, &sent);
	rte_pktmbuf_free(frame);
	end_close(&a);
}

// A reader without offloads: frames of the segment's size, every checksum complete.
static void assert_segmented(struct end *end, const struct shape *shape)
{
	u32 payload = 0, segments = 0;
	build(&sent, shape);
	port_write(&end->port, to_mbuf(&sent));
	u32 headers = shape_l2(shape) + shape_l3(shape) + shape_l4(shape);
	while (payload < shape->payload) {
		guest_read(end->guest, &got);
		assert_int_equal(got.vnet.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		assert_int_equal(got.vnet.hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_true(checksum_right(&got, shape));
		assert_memory_equal(
			got.bytes + headers, sent.bytes + headers + payload, got.length - headers);
		payload += got.length - headers;
		segments++;
	}
	u32 most = shape->segment ? shape->segment : shape->payload;
	assert_int_equal(segments, (shape->payload + most - 1) / most);
}

static void test_reader_without_offloads(void **state)
{
	struct end a;
	(void)state;
	end_open(&a, "a", OFFLOADS_NONE);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(shapes); i++)
		if (shapes[i].partial && shape_exists(&shapes[i]))
			assert_segmented(&a, &shapes[i]);
	end_close(&a);
}

static void test_writes_into_a_full_tap_take_fewer(void **state)
{
	struct end a;
	struct rte_mbuf *burst[DPDK_BURST];
	u32 taken = DPDK_BURST, rounds = 0;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	run("/sbin/tc qdisc replace dev a root noqueue"); // as weftd has it; a queue would hide it
	build(&sent, &shapes[0]);
	for (; taken == DPDK_BURST && rounds < 1000; rounds++) {
		for (u32 i = 0; i < DPDK_BURST; i++)
			burst[i] = to_mbuf(&sent);
		taken = dpdk_netdev.tx(&a.port, 0, burst, DPDK_BURST);
	}
	assert_true(taken < DPDK_BURST);
	rte_pktmbuf_free_bulk(burst + taken, DPDK_BURST - taken);
	while (readable(a.guest, 0))
		guest_read(a.guest, &got);
	port_write(&a.port, to_mbuf(&sent));
	guest_read(a.guest, &got);
	end_close(&a);
}

static void test_wakes_when_armed(void **state)
{
	struct end a;
	struct rte_mbuf *frames[DPDK_BURST];
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	while (dpdk_netdev.rx(&a.port, 0, frames, DPDK_BURST))
		;
	assert_false(dpdk_netdev.arm(&a.port, 0, true));
	assert_false(readable(a.port.wake_fd[0], 0));
	for (u32 i = 0; i < 100; i++) {
		build(&sent, &(struct shape){0, false, UDP, i, false, 0});
		assert_true(guest_write(a.guest, &sent));
	}
	assert_true(readable(a.port.wake_fd[0], DEADLINE_MS));
	assert_true(dpdk_netdev.arm(&a.port, 0, true));
	u32 count = 0, got_now;
	while ((got_now = dpdk_netdev.rx(&a.port, 0, frames, DPDK_BURST))) {
		for (u32 i = 0; i < got_now; i++, count++)
			assert_int_equal(frames[i]->pkt_len, 42 + count);
		rte_pktmbuf_free_bulk(frames, got_now);
	}
	assert_int_equal(count, 100);
	assert_false(dpdk_netdev.arm(&a.port, 0, true));
	assert_false(readable(a.port.wake_fd[0], 0));
	end_close(&a);
}

// More than the ring holds: the rest is lost and counted, what came is in order, and it goes on.
static void test_ring_overflow(void **state)
{
	struct end a;
	u32 last = 0, count = 0;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	for (u32 i = 0; i < 1200; i++) {
		build(&sent, i % 5 ? &shapes[0] : &shapes[12]);
		put16(sent.bytes + 40 + (i % 5 ? 2 : 14), i);
		assert_true(guest_write(a.guest, &sent));
	}
	for (struct rte_mbuf *frame; dpdk_netdev.rx(&a.port, 0, &frame, 1); count++) {
		const u8 *bytes = rte_pktmbuf_mtod(frame, u8 *);
		u32 at = 40 + (frame->nb_segs == 1 ? 2 : 14);
		u32 index = (u32)bytes[at] << 8 | bytes[at + 1];
		assert_true(!count || index > last);
		last = index;
		rte_pktmbuf_free(frame);
	}
	assert_in_range(count, 300, 1024);
	dpdk_netdev.arm(&a.port, 0, true); // what was lost behind the last slot
	assert_int_equal(rig_lost[WEFT_DROP_rx_overrun], 1200 - count);
	build(&sent, &shapes[12]);
	assert_true(guest_write(a.guest, &sent));
	struct rte_mbuf *frame = port_read(&a.port);
	assert_bytes(frame, &sent);
	rte_pktmbuf_free(frame);
	end_close(&a);
}

static void assert_quiet(struct dpdk_port *port)
{
	struct rte_mbuf *frame;
	dpdk_netdev.arm(port, 0, true);
	while (dpdk_netdev.rx(port, 0, &frame, 1))
		rte_pktmbuf_free(frame);
	assert_false(dpdk_netdev.arm(port, 0, true));
	assert_false(readable(port->wake_fd[0], 0)); // a worker sleeps
	build(&sent, &shapes[0]);
	frame = to_mbuf(&sent);
	assert_int_equal(dpdk_netdev.tx(port, 0, &frame, 1), 0);
	rte_pktmbuf_free(frame);
}

static void test_down_and_up(void **state)
{
	struct end a, b;
	struct engine_port_state now;
	(void)state;
	end_open(&a, "a", OFFLOADS_ALL);
	end_open(&b, "b", OFFLOADS_ALL);
	dpdk_netdev.state(&a.port, &now);
	assert_true(now.carrier);
	assert_int_equal(now.mtu, 1500);
	assert_false(dpdk_netdev.arm(&a.port, 0, true));
	run("/sbin/ip link set dev a down");
	assert_true(readable(a.port.wake_fd[0], 0));
	assert_quiet(&a.port);
	dpdk_netdev.state(&a.port, &now);
	assert_false(now.carrier);
	run("/sbin/ip link set dev a up");
	assert_passes(&a, &b, &shapes[0]);
	assert_passes(&b, &a, &shapes[12]);
	end_close(&a);
	end_close(&b);
}

static void test_device_deleted(void **state)
{
	struct dpdk_port port;
	struct engine_port_state now;
	(void)state;
	run("/sbin/ip link add v1 type veth peer v2 && /sbin/ip link set v1 up && /sbin/ip link "
	    "set v2 up");
	port_open(&port, "v1");
	run("/sbin/ip link del v1");
	assert_quiet(&port);
	dpdk_netdev.state(&port, &now);
	assert_false(now.carrier);
	assert_non_null(now.why);
	dpdk_netdev.close(&port);
}

#include "tests/dpdk/netdev_claim.h"
#include "tests/dpdk/netdev_hostile.h"
#include "tests/dpdk/netdev_bench.h"

static int rig_start(char *program)
{
	char prefix[32];
	snprintf(prefix, sizeof(prefix), "netdev-test-%d", getpid());
	char *words[] = {program, "--no-huge", "-m", "128", "--no-pci", "--no-shconf",
		"--no-telemetry", "--lcores", "0@(0-1)", "--log-level", "error", "--file-prefix",
		prefix};
	if (unshare(CLONE_NEWNET) || rte_eal_init(WEFT_ARRAY_SIZE(words), words) < 0)
		return printf("EAL: %s\n", rte_strerror(rte_errno));
	rig_pool = rte_pktmbuf_pool_create(
		"rig", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!rig_pool || taken_fields())
		return printf("pool: %s\n", rte_strerror(rte_errno));
	return system("/sbin/ip link set lo up; cd /proc/sys/net/ipv6/conf && "
		      "echo 1 >all/disable_ipv6 && echo 1 >default/disable_ipv6");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_pass_whole),
		cmocka_unit_test(test_jumbo_frames_pass_whole),
		cmocka_unit_test(test_veth),
		cmocka_unit_test(test_own_frames_do_not_come_back),
		cmocka_unit_test(test_reader_without_offloads),
		cmocka_unit_test(test_writes_into_a_full_tap_take_fewer),
		cmocka_unit_test(test_a_frame_too_long_is_dropped_alone),
		cmocka_unit_test(test_filtered_frames_are_dropped_alone),
		cmocka_unit_test(test_hostile_headers),
		cmocka_unit_test(test_hostile_bytes),
		cmocka_unit_test(test_sctp_is_completed),
		cmocka_unit_test(test_odd_checksum_is_completed),
		cmocka_unit_test(test_wakes_when_armed),
		cmocka_unit_test(test_ring_overflow),
		cmocka_unit_test(test_down_and_up),
		cmocka_unit_test(test_device_deleted),
		cmocka_unit_test(test_claims_all),
		cmocka_unit_test(test_claims_networks),
		cmocka_unit_test(test_claims_underlay),
		cmocka_unit_test(test_claims_nothing_after_death),
		cmocka_unit_test(test_underlay_gets_vxlan_only),
	};
	if (argc > 2 && !strcmp(argv[1], "--hold-claim"))
		return hold_claim(argv[2], argc > 3);
	if (geteuid()) {
		printf("netdev_test: skipped: needs root\n");
		return 0;
	}
	if (rig_start(argv[0]))
		return 1;
	if (argc > 1 && !strcmp(argv[1], "--bench"))
		return bench();
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
