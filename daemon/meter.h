// SPDX-License-Identifier: BSD-2-Clause
// Meters: rows of the meter table. The storm limit of a port or peer has the row of its id, behind
// them come the moves of networks, then the answers of ports and peers to what is lost, then
// new connections of services.
#pragma once

#include "daemon/weftd.h"

u32 meter_of_port(u32 port);
u32 meter_of_network(struct weftd *weftd, u32 network);
u32 meter_of_errors(struct weftd *weftd, u32 port);
u32 meter_of_service(struct weftd *weftd, u32 service);

enum { METER_ERRORS_PER_SECOND = 100 };

// So many units per second, and a second's worth at once; 0: no limit, *meter becomes 0. A rate
// that stays as it was keeps what has been spent.
int meter_set(struct weftd *weftd, u32 row, u64 per_second, u32 *meter, struct failure *failure);
