// SPDX-License-Identifier: BSD-2-Clause
// Meters: rows of the meter table. A port has the row of its id, networks follow behind the ports.
#pragma once

#include "daemon/weftd.h"

u32 meter_of_port(u32 port);
u32 meter_of_network(struct weftd *weftd, u32 network);

// So many units per second, and a second's worth at once; 0: no limit, *meter becomes 0. A rate
// that stays as it was keeps what has been spent.
int meter_set(struct weftd *weftd, u32 row, u64 per_second, u32 *meter, struct failure *failure);
