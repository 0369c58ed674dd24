// SPDX-License-Identifier: BSD-2-Clause
// The neighbour table from weftd's side: who has which IP address, as ARP and ND told the datapath.
// weftd reclaims, flushes and shows its rows.
#pragma once

#include "daemon/place.h"
#include "daemon/weftd.h"

// Each that goes is taken off the quotas it counted against.
void neighbour_forget_place(struct weftd *weftd, u32 place); // a port or a peer
void neighbour_forget_network(struct weftd *weftd, u32 network);
// Of places that are not in their network any more. 0: of any.
void neighbour_forget_strays(struct weftd *weftd, u32 network, u32 place);
int neighbour_forget_row(struct weftd *weftd, const struct weft_neighbour_key *key); // -ENOENT
// May this row exist: is its place in its network?
bool neighbour_placed(struct weftd *weftd, const struct weft_neighbour_key *key,
	const struct weft_neighbour_row *row);
