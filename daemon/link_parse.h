// SPDX-License-Identifier: BSD-2-Clause
// RTM_NEWLINK and RTM_NEWADDR messages -> what weft wants to know of them.
#pragma once

#include <linux/netlink.h>
#include "daemon/link.h"

// Fills the fields that the message tells; the hash handles, watch and has_address stay.
int link_parse(struct nlmsghdr *message, struct link *link);
int link_parse_stats(struct nlmsghdr *message, struct rtnl_link_stats64 *stats);
// The ifindex of an address that makes its device the host's; 0: link-local or loopback.
u32 link_parse_address(struct nlmsghdr *message);
