// SPDX-License-Identifier: BSD-2-Clause
// What tests of the vhost-user driver share: DPDK, a pool, a port, frames.
#pragma once

#include "tests/unit/unit.h"

#include "tests/dpdk/frontend.h"
#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include "datapath/dpdk/port_vhost.h"
#include "datapath/dpdk/vnet.h"

struct rig {
	struct dpdk_port port;
	struct frontend guest;
	char path[64];
	u32 changes; // of the port's state
	u32 lost[WEFT_DROP_count];
};

static struct rte_mempool *rig_pool;

static inline void rig_changed(struct dpdk_port *port)
{
	__atomic_add_fetch(&((struct rig *)port)->changes, 1, __ATOMIC_SEQ_CST);
}

static inline void rig_has_lost(struct dpdk_port *port, enum weft_drop reason, u32 frames)
{
	((struct rig *)port)->lost[reason] += frames;
}

static inline int rig_open(struct rig *rig, bool client, u32 queues, const char **why)
{
	struct engine_port config = {.id = 1,
		.name = "test",
		.kind = ENGINE_PORT_VHOST_USER,
		.path = rig->path,
		.client = client,
		.queues = queues};
	rig->port = (struct dpdk_port){.id = 1,
		.name = "test",
		.driver = &dpdk_vhost,
		.pool = rig_pool,
		.changed = rig_changed,
		.lost = rig_has_lost};
	return dpdk_vhost.open(&rig->port, &config, why);
}

static inline int rig_start(void **state)
{
	char prefix[32];
	char *arguments[] = {"vhost_test", "--no-huge", "-m", "128", "--no-pci", "--no-shconf",
		"--no-telemetry", "--lcores", "0@(0-1)", "--file-prefix", prefix, "--log-level",
		"error"};
	(void)state;
	snprintf(prefix, sizeof(prefix), "vhost_test_%d", getpid());
	if (rte_eal_init(RTE_DIM(arguments), arguments) < 0)
		return -1;
	rig_pool = rte_pktmbuf_pool_create(
		"frames", 8191, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return rig_pool ? 0 : -1;
}

static inline int rig_stop(void **state)
{
	(void)state;
	u32 lost = rte_mempool_in_use_count(rig_pool);
	if (lost)
		fprintf(stderr, "%u frames were lost\n", lost);
	rte_eal_cleanup();
	return lost ? -1 : 0;
}

static inline struct rig *rig_new(const char *name)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	snprintf(rig->path, sizeof(rig->path), "/tmp/vhost_test_%d_%s", getpid(), name);
	frontend_init(&rig->guest);
	return rig;
}

// A port that listens, and a guest whose driver runs.
static inline struct rig *rig_ready(const char *name, u64 features, u32 pairs)
{
	struct rig *rig = rig_new(name);
	const char *why;
	assert_int_equal(rig_open(rig, false, FRONTEND_PAIRS, &why), 0);
	frontend_connect(&rig->guest, rig->path);
	assert_int_equal(frontend_start(&rig->guest, features, pairs), 0);
	for (u32 i = 0; i < pairs; i++)
		frontend_fill(&rig->guest, i);
	assert_int_equal(rig->port.rx_queues, pairs);
	assert_int_equal(rig->port.tx_queues, pairs);
	return rig;
}

static inline void rig_free(struct rig *rig)
{
	frontend_free(&rig->guest);
	if (rig->port.driver_state)
		dpdk_vhost.close(&rig->port);
	unlink(rig->path);
	free(rig);
}

// Polls until the condition holds.
#define rig_until(condition) \
	do { \
		u64 deadline_ = frontend_now_ms() + FRONTEND_DEADLINE_MS; \
		while (!(condition)) { \
			assert_true(frontend_now_ms() < deadline_); \
			sched_yield(); \
		} \
	} while (0)

static inline void rig_gone(struct rig *rig)
{
	const struct vhost_port *vhost = rig->port.driver_state;
	rig_until(!__atomic_load_n(&vhost->connections, __ATOMIC_ACQUIRE));
}

static inline void rig_expect(struct rig *rig, u32 queues, const char *why)
{
	struct engine_port_state state;
	dpdk_vhost.state(&rig->port, &state);
	assert_int_equal(state.queues, queues);
	assert_int_equal(state.carrier, queues > 0);
	if (why)
		assert_string_equal(state.why, why);
}

// xorshift: the same numbers every time.
static inline u32 rig_number(void)
{
	static u32 x = 2463534242;
	x ^= x << 13, x ^= x >> 17, x ^= x << 5;
	return x;
}

// What port.h promises of a frame.
static inline void rig_check(const struct rte_mbuf *m)
{
	const u64 known = RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG |
			  RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6;
	u64 checksum = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	u32 headers = m->l2_len + m->l3_len + m->l4_len;
	assert_int_equal(rte_mbuf_check(m, 1, NULL), 0);
	assert_true(m->pkt_len >= 14 && m->data_len >= RTE_MIN(m->pkt_len, 256u));
	assert_int_equal(m->data_off, RTE_PKTMBUF_HEADROOM);
	assert_int_equal(m->ol_flags & ~known, 0);
	if (!m->ol_flags)
		return;
	assert_true(checksum == RTE_MBUF_F_TX_TCP_CKSUM || checksum == RTE_MBUF_F_TX_UDP_CKSUM);
	assert_true(headers <= m->data_len && m->l2_len >= 14 && m->l3_len >= 20);
	assert_true(m->l4_len >= (checksum == RTE_MBUF_F_TX_TCP_CKSUM ? 20 : 8));
	if (m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG))
		assert_true(m->pkt_len - headers > m->tso_segsz &&
			    m->pkt_len - headers <= m->tso_segsz * 1024u);
	const u8 *ip = rte_pktmbuf_mtod_offset(m, u8 *, m->l2_len);
	u32 length = ip[0] >> 4 == 4 ? ip[2] << 8 | ip[3] : (ip[4] << 8 | ip[5]) + 40;
	assert_true(length <= m->pkt_len - m->l2_len && length >= (u32)m->l3_len + m->l4_len);
}

// One frame of a queue, checked.
static inline struct rte_mbuf *rig_receive(struct rig *rig, u32 queue)
{
	struct rte_mbuf *frame;
	rig_until(dpdk_vhost.rx(&rig->port, queue, &frame, 1) == 1);
	rig_check(frame);
	return frame;
}

// A guest's frames pass, both ways.
static inline void rig_pass(struct rig *rig)
{
	u8 bytes[64] = {1}, got[2048];
	struct virtio_net_hdr_mrg_rxbuf header;
	assert_true(frontend_send(&rig->guest, 0, NULL, bytes, sizeof(bytes)));
	struct rte_mbuf *frame = rig_receive(rig, 0);
	assert_int_equal(dpdk_vhost.tx(&rig->port, 0, &frame, 1), 1);
	assert_int_equal(frontend_receive(&rig->guest, 0, &header, got, sizeof(got)), 64);
	frontend_fill(&rig->guest, 0);
}

// A TCP or UDP frame as guests build it: the checksum's field holds the pseudo header's sum.
struct rig_frame {
	u8 bytes[65600];
	u32 length;
	u32 l2, l3, l4;
	struct virtio_net_hdr header;
};

static inline void rig_build(
	struct rig_frame *frame, bool tagged, u32 version, u8 protocol, u32 payload)
{
	u8 *at = frame->bytes;
	memset(frame, 0, sizeof(*frame));
	frame->l2 = tagged ? 18 : 14;
	frame->l3 = version == 4 ? 20 : 40;
	frame->l4 = protocol == IPPROTO_TCP ? 20 : 8;
	frame->length = frame->l2 + frame->l3 + frame->l4 + payload;
	memcpy(at, "\x02\0\0\0\0\1\x02\0\0\0\0\2\x81\0\0\7", 16);
	memcpy(at + frame->l2 - 2, version == 4 ? "\x08\x00" : "\x86\xdd", 2);
	for (u32 i = frame->l2 + frame->l3 + frame->l4; i < frame->length; i++)
		at[i] = i * 7 + (i >> 8);
	void *l3 = at + frame->l2, *l4 = at + frame->l2 + frame->l3;
	struct rte_ipv4_hdr *v4 = l3;
	struct rte_ipv6_hdr *v6 = l3;
	struct rte_tcp_hdr *tcp = l4;
	struct rte_udp_hdr *udp = l4;
	if (version == 4) {
		*v4 = (struct rte_ipv4_hdr){.version_ihl = 0x45,
			.time_to_live = 64,
			.next_proto_id = protocol,
			.src_addr = 0x0100000a,
			.dst_addr = 0x0200000a,
			.total_length = weft_hton16(frame->length - frame->l2)};
		v4->hdr_checksum = rte_ipv4_cksum(v4);
	} else {
		*v6 = (struct rte_ipv6_hdr){.vtc_flow = 0x60,
			.proto = protocol,
			.hop_limits = 64,
			.payload_len = weft_hton16(frame->l4 + payload)};
	}
	u16 sum = version == 4 ? rte_ipv4_phdr_cksum(v4, 0) : rte_ipv6_phdr_cksum(v6, 0);
	if (protocol == IPPROTO_TCP)
		*tcp = (struct rte_tcp_hdr){.data_off = 0x50, .cksum = sum};
	else
		*udp = (struct rte_udp_hdr){
			.dgram_len = weft_hton16(8 + payload), .dgram_cksum = sum};
	frame->header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	frame->header.csum_start = frame->l2 + frame->l3;
	frame->header.csum_offset = protocol == IPPROTO_TCP ? 16 : 6;
}

static inline void rig_segment(struct rig_frame *frame, u16 size)
{
	frame->header.gso_type = frame->l4 == 8    ? VIRTIO_NET_HDR_GSO_UDP_L4
				 : frame->l3 == 20 ? VIRTIO_NET_HDR_GSO_TCPV4
						   : VIRTIO_NET_HDR_GSO_TCPV6;
	frame->header.gso_size = size;
	frame->header.hdr_len = frame->l2 + frame->l3 + frame->l4;
}

static inline void rig_equal(const struct rte_mbuf *m, const void *bytes, u32 length)
{
	static u8 copy[1 << 17];
	assert_int_equal(m->pkt_len, length);
	assert_memory_equal(rte_pktmbuf_read(m, 0, length, copy), bytes, length);
}

// The bytes in an mbuf, in as many pieces as they need.
static inline struct rte_mbuf *rig_mbuf(const u8 *bytes, u32 length)
{
	struct rte_mbuf *head = NULL, *last = NULL;
	for (u32 at = 0; at < length;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig_pool);
		assert_non_null(m);
		u32 piece = RTE_MIN(length - at, (u32)rte_pktmbuf_tailroom(m));
		memcpy(rte_pktmbuf_append(m, piece), bytes + at, piece);
		at += piece;
		if (!head) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += piece;
		}
		last = m;
	}
	return head;
}
