// SPDX-License-Identifier: BSD-2-Clause
// Networks: L2 broadcast domains.
#pragma once

#include "daemon/member.h"
#include "daemon/weftd.h"

extern const struct noun noun_network;

// What is live of a network (object->live); NULL while it could not be applied.
struct network {
	struct member_list members;
};

enum { NETWORK_MTU_DEFAULT = 1500 };

u32 network_mtu(const struct object *network);
u64 network_ageing_ns(const struct object *network); // 0: never

// Those that may be added to its floods. Errors as member_add; -ENOENT: the network is not up.
int network_join(struct weftd *weftd, u32 network, u32 port, u16 tag, struct failure *failure);
void network_leave(struct weftd *weftd, u32 network, u32 port, u16 tag);
// The tag with which the port is in the network; false: it is not.
bool network_tag(struct weftd *weftd, u32 network, u32 port, u16 *tag);
