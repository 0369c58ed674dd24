// SPDX-License-Identifier: BSD-2-Clause
// Guests on taps, a port of the netdev driver and frames, for netdev_test.c.
#pragma once

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <rte_ip.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <weft/wire.h>
#include "datapath/dpdk/port.h"
#include "datapath/dpdk/taken.h"
#include "datapath/dpdk/vnet.h"

enum {
	DEADLINE_MS = 5000,
	RIG_BYTES = 66000,
	MARK = 0xaa, // last byte of a frame's source: not the host's own
	OFFLOADS_NONE = 0,
	OFFLOADS_ALL = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
	OFFLOADS_USO = 0x20 | 0x40, // beside those, where the kernel has them
};

// As a guest writes or reads it.
struct frame {
	struct virtio_net_hdr_mrg_rxbuf vnet;
	u8 bytes[RIG_BYTES];
	u32 length;
};

static struct rte_mempool *rig_pool;
static u32 rig_lost[WEFT_DROP_count]; // what drivers have said, by reason

static void __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
	char command[256];
	va_list list;
	va_start(list, format);
	vsnprintf(command, sizeof(command), format, list);
	va_end(list);
	if (system(command))
		fail_msg("%s", command);
}

static int guest_open(const char *name, unsigned long offloads)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int bytes = sizeof(struct virtio_net_hdr_mrg_rxbuf);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	assert_int_equal(ioctl(fd, TUNSETVNETHDRSZ, &bytes), 0);
	if (offloads && vnet_has_uso())
		offloads |= OFFLOADS_USO;
	assert_int_equal(ioctl(fd, TUNSETOFFLOAD, offloads), 0);
	run("/sbin/ip link set dev %s up", name);
	return fd;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	return poll(&wait, 1, timeout_ms) == 1;
}

static bool guest_write(int fd, const struct frame *frame)
{
	struct iovec vector[] = {
		{(void *)&frame->vnet, sizeof(frame->vnet)}, {(void *)frame->bytes, frame->length}};
	return writev(fd, vector, 2) == (ssize_t)(sizeof(frame->vnet) + frame->length);
}

// The next frame that a test sent.
static void guest_read(int fd, struct frame *frame)
{
	struct iovec vector[] = {
		{&frame->vnet, sizeof(frame->vnet)}, {frame->bytes, sizeof(frame->bytes)}};
	do {
		assert_true(readable(fd, DEADLINE_MS));
		ssize_t bytes = readv(fd, vector, 2);
		assert_true(bytes > (ssize_t)sizeof(frame->vnet));
		frame->length = (u32)bytes - sizeof(frame->vnet);
	} while (frame->bytes[11] != MARK);
}

static void count_lost(struct dpdk_port *port, enum weft_drop reason, u32 frames)
{
	(void)port;
	rig_lost[reason] += frames;
}

static void port_open_as(struct dpdk_port *port, const char *name, bool underlay)
{
	const char *why = "";
	struct engine_port config = {.id = 1, .ifindex = if_nametoindex(name), .name = name};
	memset(rig_lost, 0, sizeof(rig_lost));
	*port = (struct dpdk_port){.id = underlay ? 0 : 1,
		.lost = count_lost,
		.driver = &dpdk_netdev,
		.pool = rig_pool,
		.underlay = underlay};
	int error = dpdk_netdev.open(port, &config, &why);
	if (error)
		fail_msg("%s: %s", why, strerror(-error));
}

static void port_open(struct dpdk_port *port, const char *name)
{
	port_open_as(port, name, false);
}

// The next frame that a test sent, as a worker gets it: armed, woken, polled.
static struct rte_mbuf *port_read(struct dpdk_port *port)
{
	for (;;) {
		struct rte_mbuf *frame;
		if (!dpdk_netdev.arm(port, 0, true))
			assert_true(readable(port->wake_fd[0], DEADLINE_MS));
		dpdk_netdev.arm(port, 0, false);
		if (!dpdk_netdev.rx(port, 0, &frame, 1))
			continue;
		if (rte_pktmbuf_mtod(frame, u8 *)[11] == MARK)
			return frame;
		rte_pktmbuf_free(frame);
	}
}

static void port_write(struct dpdk_port *port, struct rte_mbuf *frame)
{
	assert_int_equal(dpdk_netdev.tx(port, 0, &frame, 1), 1);
}

// What the contract says of every received frame.
static void assert_contract(const struct rte_mbuf *frame)
{
	u32 bytes = 0, segments = 0;
	for (const struct rte_mbuf *at = frame; at; at = at->next, segments++)
		bytes += at->data_len;
	assert_int_equal(bytes, frame->pkt_len);
	assert_int_equal(segments, frame->nb_segs);
	assert_true(frame->data_len >= RTE_MIN(256u, frame->pkt_len));
	assert_true(rte_pktmbuf_headroom(frame) >= RTE_PKTMBUF_HEADROOM);
	assert_int_equal(rte_mbuf_refcnt_read(frame), 1);
	bool super = frame->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG);
	assert_true(!super || frame->tso_segsz);
	if (frame->ol_flags)
		assert_true(frame->l2_len + frame->l3_len + frame->l4_len <= frame->data_len);
}

static void assert_bytes(const struct rte_mbuf *frame, const struct frame *sent)
{
	static u8 bytes[RIG_BYTES];
	assert_contract(frame);
	assert_int_equal(frame->pkt_len, sent->length);
	const u8 *flat = rte_pktmbuf_read(frame, 0, frame->pkt_len, bytes);
	assert_memory_equal(flat, sent->bytes, sent->length);
}

// Frames: `head` bytes of Ethernet (14, or 18 with a tag), IPv4 or IPv6, TCP or UDP.
struct shape {
	u16 tpid; // 0: no tag
	bool ipv6;
	u8 protocol;
	u32 payload;
	bool partial;
	u16 segment; // 0: no superpacket
};

static bool shape_exists(const struct shape *shape)
{
	return !shape->segment || shape->protocol != WEFT_IP_UDP || vnet_has_uso();
}

static u32 shape_l2(const struct shape *shape)
{
	return shape->tpid ? 18 : 14;
}

static u32 shape_l3(const struct shape *shape)
{
	return shape->ipv6 ? 40 : 20;
}

static u32 shape_l4(const struct shape *shape)
{
	return shape->protocol == WEFT_IP_TCP ? 20 : 8;
}

static void put16(u8 *at, u32 value)
{
	at[0] = (u8)(value >> 8);
	at[1] = (u8)value;
}

static u16 fold(u64 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

static u64 sum_bytes(const u8 *at, u32 bytes)
{
	u64 sum = 0;
	for (u32 i = 0; i < bytes; i++)
		sum += i & 1 ? at[i] : (u32)at[i] << 8;
	return sum;
}

static u16 pseudo(const struct shape *shape, const u8 *l3, u32 bytes)
{
	return fold(sum_bytes(l3 + (shape->ipv6 ? 8 : 12), shape->ipv6 ? 32 : 8) + shape->protocol +
		    bytes);
}

static void build_l3(const struct shape *shape, u8 *l3, u32 l4_bytes)
{
	static const u8 ip4[] = {
		0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 0, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1};
	static const u8 ip6[40] = {0x60, [7] = 64, [8] = 0xfd, [23] = 2, [24] = 0xfd, [39] = 1};
	memcpy(l3, shape->ipv6 ? ip6 : ip4, shape_l3(shape));
	if (shape->ipv6) {
		put16(l3 + 4, l4_bytes);
		l3[6] = shape->protocol;
		return;
	}
	put16(l3 + 2, 20 + l4_bytes);
	l3[9] = shape->protocol;
	put16(l3 + 10, (u16)~fold(sum_bytes(l3, 20)));
}

static void build(struct frame *frame, const struct shape *shape)
{
	u32 l2 = shape_l2(shape), l4_at = l2 + shape_l3(shape);
	u32 l4_bytes = shape_l4(shape) + shape->payload;
	u32 checksum = shape->protocol == WEFT_IP_TCP ? 16 : 6;
	u8 *bytes = frame->bytes, *l4 = bytes + l4_at;
	memset(&frame->vnet, 0, sizeof(frame->vnet));
	memset(bytes, 0, l4_at + shape_l4(shape));
	memset(bytes, 0xff, 6);
	memcpy(bytes + 6, (u8[]){2, 0, 0, 0, 0, MARK}, 6);
	if (shape->tpid) {
		put16(bytes + 12, shape->tpid);
		put16(bytes + 14, 0xa123); // priority 5, VID 0x123
	}
	put16(bytes + l2 - 2, shape->ipv6 ? 0x86dd : 0x0800);
	build_l3(shape, bytes + l2, l4_bytes);
	put16(l4, 40000);
	put16(l4 + 2, 5001);
	if (shape->protocol == WEFT_IP_TCP)
		memcpy(l4 + 12, (u8[]){0x50, 0x18, 1, 0}, 4);
	else
		put16(l4 + 4, l4_bytes);
	for (u32 i = 0; i < shape->payload; i++)
		l4[shape_l4(shape) + i] = (u8)(i * 7 + i / 256);
	frame->length = l4_at + l4_bytes;
	u16 sum = pseudo(shape, bytes + l2, l4_bytes);
	put16(l4 + checksum, shape->partial ? sum : (u16)~fold(sum + sum_bytes(l4, l4_bytes)));
	if (!shape->partial)
		return;
	frame->vnet.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	frame->vnet.hdr.csum_start = (u16)l4_at;
	frame->vnet.hdr.csum_offset = (u16)checksum;
	frame->vnet.hdr.hdr_len = (u16)(l4_at + shape_l4(shape));
	if (!shape->segment)
		return;
	frame->vnet.hdr.gso_size = shape->segment;
	frame->vnet.hdr.gso_type = shape->protocol == WEFT_IP_UDP ? VIRTIO_NET_HDR_GSO_UDP_L4
				   : shape->ipv6                  ? VIRTIO_NET_HDR_GSO_TCPV6
								  : VIRTIO_NET_HDR_GSO_TCPV4;
}

static bool checksum_right(const struct frame *frame, const struct shape *shape)
{
	const u8 *l3 = frame->bytes + shape_l2(shape), *l4 = l3 + shape_l3(shape);
	u32 bytes = frame->length - (u32)(l4 - frame->bytes);
	return fold(pseudo(shape, l3, bytes) + sum_bytes(l4, bytes)) == 0xffff;
}

static struct rte_mbuf *to_mbuf(const struct frame *frame)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(rig_pool), *last = head;
	u32 done = 0;
	for (;;) {
		u32 bytes = RTE_MIN(frame->length - done, (u32)rte_pktmbuf_tailroom(last));
		memcpy(rte_pktmbuf_mtod(last, void *), frame->bytes + done, bytes);
		last->data_len = (u16)bytes;
		done += bytes;
		if (done == frame->length)
			break;
		last->next = rte_pktmbuf_alloc(rig_pool);
		last = last->next;
		head->nb_segs++;
	}
	head->pkt_len = frame->length;
	assert_true(vnet_read(&frame->vnet.hdr, 0, false, head));
	return head;
}
