// SPDX-License-Identifier: BSD-2-Clause
// What a frame between hosts must be before its outer headers go: for this device's MAC address,
// and whole. The kernel's stack, which the eBPF engine has, looks at the same.
#pragma once

#include <rte_ether.h>
#include "datapath/dpdk/port.h"

// A frame's first look at a MAC address that is not the one known: that may have changed.
bool underlay_asks(struct dpdk_port *port, const struct weft_mac *dst, u64 now_ns);

weft_inline bool underlay_mine(struct dpdk_port *port, const struct weft_mac *dst, u64 now_ns)
{
	return likely(rte_is_same_ether_addr((const void *)dst, (const void *)&port->mac)) ||
	       underlay_asks(port, dst, now_ns);
}

// udp: where its header begins, in a frame that ends with the datagram; addresses as tables have
// them. Over IPv4 most have no checksum, and nobody asks.
bool underlay_sum_right(
	const struct rte_mbuf *frame, u32 udp, const struct weft_ip *src, const u8 dst[16]);
