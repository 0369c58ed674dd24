// SPDX-License-Identifier: BSD-2-Clause
// The underlay: the ways from this host to its peers, as the kernel would go.
//
// For every peer the kernel is asked for its next hops and their MACs; they become rows of the
// nexthop table and port_row.nexthops. network_underlay_changed is called when underlay_mtu or
// underlay_devices answer something else than before. Everything runs on the event loop.
//
//   underlay.c            what is stale is read, then written; who asks
//   underlay_event.c      which events of the kernel make something stale
//   underlay_route.c      the ways of a peer
//   underlay_neighbour.c  the MACs on them, kept alive by the kernel (NTF_EXT_MANAGED)
//   underlay_rows.c       ways -> rows
//   underlay_show.c       ways -> JSON
//   underlay_ip.c         addresses in netlink messages
#pragma once

#include <jansson.h>
#include "daemon/failure.h"
#include "weft/types.h"

struct weftd;

// After links_open and before the objects are applied. Sets weftd->underlay.
int underlay_open(struct weftd *weftd, struct failure *failure);
// Forwarding stays as it is; the kernel's neighbours are given back when weft is purged.
void underlay_close(struct weftd *weftd);

// A peer or the host's address came, changed or went: the ways are found anew, soon. Whoever puts a
// peer's whole port row carries `nexthops` over, or puts zero when the address is another.
void underlay_changed(struct weftd *weftd);

// The same, now: at start, so that what commit publishes is whole.
void underlay_update(struct weftd *weftd);

// The smallest L3 MTU of the ways to the network's peers (NULL: to all), in bytes; while there is
// no peer that of the device with the host's address. 0: not known.
u32 underlay_mtu(struct weftd *weftd, const char *network);

u32 underlay_rows(struct weftd *weftd); // of the nexthop table that are in use

// The distinct Ethernet devices on the ways to peers, ascending. With an engine that has an overlay
// of its own also the other ones that have an address: nobody else receives what comes there for
// weft. Returns how many were written.
u32 underlay_devices(struct weftd *weftd, u32 ifindex[], u32 capacity);

// {"devices": [name], "nexthops": [{"device", "gateway", "mac"}], "mtu", "why"}; gateway null: on
// link; mac null: does not answer, or no Ethernet; mtu null: no way; why: a sentence when no packet
// gets to the peer. New object.
json_t *underlay_peer_show(struct weftd *weftd, u32 peer_id);
