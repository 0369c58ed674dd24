// SPDX-License-Identifier: BSD-2-Clause
// The neighbour table from weftd's side: who has which IP address, as ARP and ND told the datapath.
// weftd reclaims, flushes and shows its rows.
#pragma once

#include "daemon/place.h"
#include "daemon/weftd.h"

int neighbour_forget_row(struct weftd *weftd, const struct weft_neighbour_key *key); // -ENOENT
// May this row exist: is its place in its network?
bool neighbour_placed(struct weftd *weftd, const struct weft_neighbour_key *key,
	const struct weft_neighbour_row *row);
