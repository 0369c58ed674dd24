// SPDX-License-Identifier: BSD-2-Clause
// What the datapath has learned goes: MAC addresses (fdb) and IP addresses (neighbour). Each row
// that goes is taken off the quotas it counted against; static rows stay.
#pragma once

#include "daemon/place.h"
#include "daemon/weftd.h"

enum { FORGET_MACS = 1, FORGET_BINDINGS = 2, FORGET_ALL = 3 };

void forget_place(struct weftd *weftd, u32 place, u32 what); // a port or a peer
void forget_network(struct weftd *weftd, u32 network);
// Of places that are not in their network any more, or not with this tag. 0: of any.
void forget_strays(struct weftd *weftd, u32 network, u32 place);
u64 forget_matching(struct weftd *weftd, const struct place_filter *filter, u32 what); // how many
