// SPDX-License-Identifier: BSD-2-Clause
// wireend.h - packet sockets on both ends of a wire: they keep the virtio_net_hdr, the tag, the
// time
#pragma once

#include <linux/if_packet.h>

#include "packet.h"
#include "tap.h"

static const struct packet_end hosts[2] = {
	{.mac = {2, 0, 0, 0, 0, 0xaa}, .host = 1, .port = 4000},
	{.mac = {2, 0, 0, 0, 0, 0xbb}, .host = 2, .port = 5000},
};

struct arrival {
	struct virtio_net_hdr vnet;
	uint8_t frame[TAP_FRAME_MAX];
	size_t len;
	uint64_t at_ns; /* CLOCK_REALTIME, by the kernel */
};

static inline int wire_end_open(const char *netns, const char *dev)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int on = 1, buffer = 64 << 20, old = netns_enter(netns);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	addr.sll_ifindex = (int)if_nametoindex(dev);
	if (fd < 0 || !addr.sll_ifindex)
		err(EXIT_BROKEN, "%s", dev);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) ||
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)) ||
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) ||
		setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
		setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
		bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err(EXIT_BROKEN, "%s", dev);
	netns_leave(old);
	return fd;
}

/* The kernel keeps the outer tag beside the bytes: put it back where it was on the wire. */
static inline void reinsert_tag(struct arrival *got, const struct tpacket_auxdata *aux)
{
	uint16_t tag[2] = {htons(aux->tp_vlan_tpid), htons(aux->tp_vlan_tci)};

	if (!(aux->tp_status & TP_STATUS_VLAN_VALID))
		return;
	memmove(got->frame + 16, got->frame + 12, got->len - 12);
	memcpy(got->frame + 12, tag, sizeof(tag));
	got->len += sizeof(tag);
	if (got->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		got->vnet.csum_start += sizeof(tag);
}

static inline bool receive(int fd, struct arrival *got)
{
	struct iovec iov[] = {
		{&got->vnet, sizeof(got->vnet)}, {got->frame, sizeof(got->frame) - 4}};
	union {
		char space[256];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(fd, &msg, 0);
	struct tpacket_auxdata aux;
	struct cmsghdr *cmsg;
	struct timespec ts;

	if (len < (ssize_t)sizeof(got->vnet))
		return false;
	got->len = (size_t)len - sizeof(got->vnet);
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level == SOL_PACKET && cmsg->cmsg_type == PACKET_AUXDATA) {
			memcpy(&aux, CMSG_DATA(cmsg), sizeof(aux));
			reinsert_tag(got, &aux);
		}
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&ts, CMSG_DATA(cmsg), sizeof(ts));
			got->at_ns = (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
		}
	}
	return true;
}

static inline void transmit(int fd, const struct virtio_net_hdr *vnet, uint8_t *frame, size_t len)
{
	struct iovec iov[] = {{(void *)vnet, sizeof(*vnet)}, {frame, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (sendmsg(fd, &msg, 0) != (ssize_t)(sizeof(*vnet) + len))
		err(EXIT_UNMET, "cannot send a frame of %zu bytes", len);
}

/* A superpacket (or with one segment a partial checksum) as a TCP or UDP sender leaves it. */
static inline size_t build_gso(struct virtio_net_hdr *vnet, uint8_t *frame, int from, bool ipv6,
	bool udp, size_t payload, uint16_t gso_size)
{
	size_t l4 = ETH_HLEN + (ipv6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr));
	uint8_t proto = udp ? IPPROTO_UDP : IPPROTO_TCP;
	size_t headers = put_headers(frame, &hosts[from], &hosts[!from], ipv6, proto, payload);
	uint16_t sum =
		htons((uint16_t)sum_pseudo(ipv6, frame + ETH_HLEN, proto, headers - l4 + payload));

	*vnet = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)l4,
		.csum_offset =
			udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check)};
	memcpy(frame + l4 + vnet->csum_offset, &sum, sizeof(sum));
	if (payload <= gso_size)
		return headers;
	vnet->gso_type = udp    ? VIRTIO_NET_HDR_GSO_UDP_L4
			 : ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6
				: VIRTIO_NET_HDR_GSO_TCPV4;
	vnet->gso_size = gso_size;
	vnet->hdr_len = (uint16_t)headers;
	return headers;
}
