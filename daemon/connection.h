// SPDX-License-Identifier: BSD-2-Clause
// Connections of services: the datapath's rows, which weftd reclaims, shows and forgets.
#pragma once

#include "daemon/weftd.h"

// Of services and backends that there are no more.
void connections_forget_strays(struct weftd *weftd);
