// SPDX-License-Identifier: BSD-2-Clause
// The vhost-user driver against a guest that behaves: sockets, frames, offloads, queues.

#include "tests/dpdk/vhost_rig.h"

#include <fcntl.h>
#include <sys/stat.h>

static void sockets(void **state)
{
	(void)state;
	struct rig *rig = rig_new("sockets"), *other = rig_new("sockets");
	const char *why;
	struct stat status;
	close(frontend_listen(rig->path)); // stale
	assert_int_equal(rig_open(rig, false, 1, &why), 0);
	assert_int_equal(stat(rig->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(rig_open(other, false, 1, &why), -EADDRINUSE);
	assert_non_null(strstr(why, "another port"));
	dpdk_vhost.close(&rig->port);
	assert_int_equal(stat(rig->path, &status), -1);

	int listener = frontend_listen(rig->path);
	assert_int_equal(rig_open(rig, false, 1, &why), -EADDRINUSE);
	assert_non_null(strstr(why, "listens"));
	assert_int_equal(stat(rig->path, &status), 0);
	close(listener);
	unlink(rig->path);

	close(open(rig->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(rig_open(rig, false, 1, &why), -EEXIST);
	unlink(rig->path);
	assert_int_equal(rig_open(rig, false, DPDK_QUEUES + 1, &why), -EINVAL);
	strcat(rig->path, "/none");
	assert_int_equal(rig_open(rig, false, 1, &why), -ENOENT);
	rig_free(rig);
	rig_free(other);
}

static void both_ways(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("both", FRONTEND_ALL, 1);
	u8 bytes[1514], got[2048];
	struct virtio_net_hdr_mrg_rxbuf header;
	for (u32 i = 0; i < 3000; i++) {
		u32 length = 14 + i % 1500;
		memset(bytes, i, sizeof(bytes));
		assert_true(frontend_send(&rig->guest, 0, NULL, bytes, length));
		struct rte_mbuf *frame = rig_receive(rig, 0);
		rig_equal(frame, bytes, length);
		assert_int_equal(dpdk_vhost.tx(&rig->port, 0, &frame, 1), 1);
		assert_int_equal(
			frontend_receive(&rig->guest, 0, &header, got, sizeof(got)), length);
		assert_memory_equal(got, bytes, length);
		assert_int_equal(header.hdr.flags, 0);
		frontend_fill(&rig->guest, 0);
	}
	// A runt is not delivered, what comes behind it is.
	frontend_send(&rig->guest, 0, NULL, bytes, 13);
	frontend_send(&rig->guest, 0, NULL, bytes, 14);
	struct rte_mbuf *frame = rig_receive(rig, 0);
	assert_int_equal(frame->pkt_len, 14);
	rte_pktmbuf_free(frame);
	rig_free(rig);
}

static const u64 uso = FRONTEND_BIT(VIRTIO_NET_F_HOST_USO) | FRONTEND_BIT(VIRTIO_NET_F_GUEST_USO4) |
		       FRONTEND_BIT(VIRTIO_NET_F_GUEST_USO6);

static void from_guest(
	struct rig *rig, bool tagged, u32 version, u8 protocol, u32 payload, u16 segment)
{
	static struct rig_frame sent;
	rig_build(&sent, tagged, version, protocol, payload);
	if (segment)
		rig_segment(&sent, segment);
	assert_true(frontend_send(&rig->guest, 0, &sent.header, sent.bytes, sent.length));
	struct rte_mbuf *m = rig_receive(rig, 0);
	rig_equal(m, sent.bytes, sent.length);
	u64 flags = version == 4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	flags |= protocol == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (segment)
		flags |= protocol == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
	assert_int_equal(m->ol_flags, flags);
	assert_int_equal(m->l2_len, sent.l2);
	assert_int_equal(m->l3_len, sent.l3);
	assert_int_equal(m->l4_len, sent.l4);
	assert_int_equal(m->tso_segsz, segment);
	// And back: the guest is told what it told.
	struct virtio_net_hdr_mrg_rxbuf header;
	static u8 got[1 << 17];
	assert_int_equal(dpdk_vhost.tx(&rig->port, 0, &m, 1), 1);
	assert_int_equal(frontend_receive(&rig->guest, 0, &header, got, sizeof(got)), sent.length);
	assert_memory_equal(got, sent.bytes, sent.length);
	sent.header.hdr_len = header.hdr.hdr_len;
	assert_memory_equal(&header.hdr, &sent.header, sizeof(sent.header));
	frontend_fill(&rig->guest, 0);
}

static void offloads(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("offloads", FRONTEND_ALL | uso, 1);
	static const u32 versions[] = {4, 6};
	for (u32 i = 0; i < 4; i++) {
		bool tagged = i & 1;
		u32 version = versions[i / 2];
		from_guest(rig, tagged, version, IPPROTO_TCP, 500, 0);
		from_guest(rig, tagged, version, IPPROTO_UDP, 500, 0);
		from_guest(rig, tagged, version, IPPROTO_TCP, 5000, 1400);
		from_guest(rig, tagged, version, IPPROTO_TCP, 65535 - 60, 1400);
		from_guest(rig, tagged, version, IPPROTO_UDP, 5000, 1400);
		from_guest(rig, tagged, version, IPPROTO_UDP, 65535 - 48, 1200);
	}
	rig_free(rig);
}

static void expect_takes(u64 features, u32 takes)
{
	struct rig *rig = rig_ready("takes", features, 1);
	assert_int_equal(rig->port.takes, takes);
	rig_free(rig);
}

static void takes(void **state)
{
	(void)state;
	const u64 checksum = FRONTEND_PLAIN | FRONTEND_BIT(VIRTIO_NET_F_GUEST_CSUM);
	expect_takes(FRONTEND_ALL, ENGINE_TAKES_CHECKSUM | ENGINE_TAKES_TSO4 | ENGINE_TAKES_TSO6);
	expect_takes(FRONTEND_ALL | uso, ENGINE_TAKES_ALL);
	expect_takes(FRONTEND_ALL | FRONTEND_BIT(VIRTIO_NET_F_GUEST_USO4),
		ENGINE_TAKES_CHECKSUM | ENGINE_TAKES_TSO4 | ENGINE_TAKES_TSO6);
	expect_takes(FRONTEND_PLAIN, 0);
	expect_takes(checksum, ENGINE_TAKES_CHECKSUM);
	expect_takes(checksum | FRONTEND_BIT(VIRTIO_NET_F_GUEST_TSO6),
		ENGINE_TAKES_CHECKSUM | ENGINE_TAKES_TSO6);
}

// The flags of other drivers say no IP version. A frame that is not taken is as it was.
static void full_ring(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("full", FRONTEND_ALL, 1);
	static struct rig_frame built;
	static u8 got[1 << 17];
	struct virtio_net_hdr_mrg_rxbuf header;
	struct rte_mbuf *frames[20];
	u32 sent = 0;
	rig_build(&built, false, 4, IPPROTO_TCP, 60000);
	for (u32 i = 0; i < RTE_DIM(frames); i++) {
		frames[i] = rig_mbuf(built.bytes, built.length);
		frames[i]->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG;
		frames[i]->l2_len = 14, frames[i]->l3_len = frames[i]->l4_len = 20;
		frames[i]->tso_segsz = 1400;
	}
	sent = dpdk_vhost.tx(&rig->port, 0, frames, RTE_DIM(frames));
	assert_int_equal(sent, FRONTEND_SLOTS / (60066 / FRONTEND_BUFFER + 1));
	for (u32 i = sent; i < RTE_DIM(frames); i++) {
		rig_equal(frames[i], built.bytes, built.length);
		rig_check(frames[i]);
		rte_pktmbuf_free(frames[i]);
	}
	for (u32 i = 0; i < sent; i++) {
		assert_int_equal(
			frontend_receive(&rig->guest, 0, &header, got, sizeof(got)), built.length);
		assert_memory_equal(got, built.bytes, built.length);
		assert_int_equal(header.hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	}
	rig_free(rig);
}

static void queues(void **state)
{
	(void)state;
	struct rig *rig = rig_ready("queues", FRONTEND_ALL, FRONTEND_PAIRS);
	u8 bytes[64] = {0}, got[2048];
	struct virtio_net_hdr_mrg_rxbuf header;
	rig_expect(rig, FRONTEND_PAIRS, NULL);
	for (u32 i = 0; i < FRONTEND_PAIRS; i++) {
		bytes[0] = i;
		assert_true(frontend_send(&rig->guest, i, NULL, bytes, sizeof(bytes)));
	}
	for (u32 i = 0; i < FRONTEND_PAIRS; i++) {
		struct rte_mbuf *frame = rig_receive(rig, i);
		assert_int_equal(*rte_pktmbuf_mtod(frame, u8 *), i);
		assert_int_equal(dpdk_vhost.tx(&rig->port, i, &frame, 1), 1);
		assert_int_equal(frontend_receive(&rig->guest, i, &header, got, sizeof(got)), 64);
		assert_int_equal(got[0], i);
	}
	u32 changes = rig->changes;
	frontend_enable(&rig->guest, 2, false); // queues are contiguous: 3 goes with it
	rig_expect(rig, 2, NULL);
	assert_true(rig->changes > changes);
	frontend_enable(&rig->guest, 0, false);
	rig_expect(rig, 0, "the guest's driver has disabled its queues");
	frontend_enable(&rig->guest, 0, true);
	frontend_enable(&rig->guest, 2, true);
	rig_expect(rig, FRONTEND_PAIRS, NULL);
	assert_int_equal(rig->port.rx_queues, FRONTEND_PAIRS);
	rig_free(rig);
	// A guest without MQ has one pair.
	rig = rig_ready("queues", FRONTEND_PLAIN, 1);
	frontend_set_ring(&rig->guest, 2);
	frontend_set_ring(&rig->guest, 3);
	frontend_enable(&rig->guest, 1, true);
	rig_expect(rig, 1, NULL);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(offloads),
		cmocka_unit_test(takes),
		cmocka_unit_test(full_ring),
		cmocka_unit_test(queues),
	};
	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
