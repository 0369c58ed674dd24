// SPDX-License-Identifier: BSD-2-Clause
// The carrier: the one VXLAN device (collect metadata) that carries the overlay where weft does not
// encapsulate itself. There while the host has an address and some network has a VNI; it outlives
// weftd and is found again by its mark.
//
// An engine with an overlay of its own needs none: there is no device then, one that was left by
// another engine is deleted, and the engine is only told the underlay's devices.
//
//   carrier.c       when it is wanted, made, kept and deleted
//   carrier_link.c  the netdev itself
#pragma once

#include "daemon/link.h"
#include "daemon/weftd.h"

#define CARRIER_NAME "weft-carrier"

int carrier_open(struct weftd *weftd, struct failure *failure);
void carrier_close(struct weftd *weftd); // the device stays

// The model or the underlay devices have changed: makes, keeps or deletes the device, and tells the
// engine. What cannot be done now is tried again every second.
void carrier_update(struct weftd *weftd);
int carrier_remove(struct weftd *weftd, struct failure *failure); // for good

const char *carrier_note(struct weftd *weftd); // why weft encapsulates nothing itself; NULL: it may
const char *carrier_why(struct weftd *weftd);  // why the overlay is down; NULL: it is not
json_t *carrier_name(struct weftd *weftd);     // null: there is none
const struct link *carrier_link(struct weftd *weftd); // NULL: there is none
bool carrier_is(const struct link_watch *watch);      // is the watch the carrier's?

// carrier_link.c
// The one with this weftd's mark, or one that was not finished; NULL: none.
struct link *carrier_find(struct weftd *weftd);
// Is it as it must be for this UDP port? Else it must be made anew.
bool carrier_fits(struct weftd *weftd, const struct link *link, u16 udp_port);
// Gives it this weftd's mark, if somebody took that away: by it the next weftd finds the device.
int carrier_mark(struct weftd *weftd, struct link *link, struct failure *failure);
struct link *carrier_make(struct weftd *weftd, u16 udp_port, struct failure *failure);
