// SPDX-License-Identifier: BSD-2-Clause
// The sweep: now and then walks the FDB and the neighbour table: aged rows, strays, quotas that
// drifted.
#pragma once

#include "daemon/weftd.h"

int sweep_open(struct weftd *weftd, struct failure *failure);
void sweep_close(struct weftd *weftd);
// A frame that was under way while rows were forgotten may have put one back: look again shortly.
void sweep_soon(struct weftd *weftd);
void sweep_now(struct weftd *weftd);
