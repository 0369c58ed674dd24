// SPDX-License-Identifier: BSD-2-Clause
// Drops by port and reason: what the datapath counted, and what devices say they dropped.
#pragma once

#include "daemon/link.h"
#include "daemon/weftd.h"

// From here on the device's own drops count as the port's.
void drops_device_start(struct weftd *weftd, u32 port, const struct link *link);
struct port;
u64 drops_device(const struct port *port);

u64 drops_count(struct weftd *weftd, u32 port, enum weft_drop reason); // not device_dropped
u64 drops_total(struct weftd *weftd, u32 port); // of frames that came in from the port

// The carrier is deleted: what it has dropped stays counted. It begins with zeros when it is made.
void drops_carrier_gone(struct weftd *weftd, const struct link *link);

// Every reason for which frames from the place were dropped. NULL: from nobody that weft knows.
typedef void drops_fn(
	const struct object *place, enum weft_drop reason, u64 packets, void *context);
void drops_walk(struct weftd *weftd, const struct object *place, drops_fn *fn, void *context);
