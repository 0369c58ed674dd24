// SPDX-License-Identifier: BSD-2-Clause
// Frames between hosts: for whom they are, and whether they came whole.
#include "datapath/dpdk/underlay.h"

#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft/wire.h>
#include "datapath/dpdk/sum.h"

enum { ASK_NS = 1000000 }; // the kernel, at most so often

static void ask(struct dpdk_port *port)
{
	struct ifreq request = {.ifr_ifindex = (int)port->ifindex};
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!ioctl(control, SIOCGIFNAME, &request) && !ioctl(control, SIOCGIFHWADDR, &request))
		memcpy(&port->mac, request.ifr_hwaddr.sa_data, sizeof(port->mac));
	if (control >= 0)
		close(control);
}

bool underlay_asks(struct dpdk_port *port, const struct weft_mac *dst, u64 now_ns)
{
	if (dst->byte[0] & 1)
		return false;
	if (!port->ifindex) // nobody knows
		return true;
	if (now_ns - port->mac_asked_ns >= ASK_NS) {
		port->mac_asked_ns = now_ns;
		ask(port);
	}
	return rte_is_same_ether_addr((const void *)dst, (const void *)&port->mac);
}

// An IPv4 address counts as the IPv6 address that stands for it: ffff is a zero in such sums.
bool underlay_sum_right(
	const struct rte_mbuf *frame, u32 udp, const struct weft_ip *src, const u8 dst[16])
{
	if (frame->packet_type & DPDK_SUM_KNOWN)
		return true;
	u64 sum = (u64)sum_bytes(src, sizeof(*src)) + sum_bytes(dst, 16) +
		  weft_hton16(WEFT_IP_UDP) + weft_hton16((u16)(frame->pkt_len - udp));
	return sum_fold(sum + sum_chain(frame, udp)) == 0xffff;
}
