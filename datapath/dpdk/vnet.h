// SPDX-License-Identifier: BSD-2-Clause
// A frame's virtio header, and what an mbuf says of the same.
#pragma once

#include <linux/virtio_net.h>
#include <rte_mbuf.h>
#include <weft/types.h>

// Newer than the headers weft is built with (Linux 6.2).
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO   56
#endif

// Sets flags and lengths of a received frame. Its header and bytes may be a guest's: they are held
// against each other. `inserted`: bytes in front of the IP header that the header does not count.
// A partial checksum that mbufs have no flag for is completed. From an underlay device flags may
// speak of the frame inside VXLAN; l2_len then covers the outer headers too. False: the frame makes
// no sense.
bool vnet_read(
	const struct virtio_net_hdr *vnet, u32 inserted, bool underlay, struct rte_mbuf *frame);

// The header to send a frame of a port's contract (port.h) with.
void vnet_write(const struct rte_mbuf *frame, struct virtio_net_hdr *vnet);

// Whether the kernel's virtio headers know UDP segmentation (Linux 6.2).
bool vnet_has_uso(void);
