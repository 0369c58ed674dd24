// SPDX-License-Identifier: BSD-2-Clause
// The dpdk engine's ops.
#include "datapath/dpdk/port.h"

static const struct engine_ops ops = {.name = "dpdk", .own_overlay = true};

// What datapath/engine.c looks for.
const struct engine_ops *const engine_dpdk;
const struct engine_ops *const engine_dpdk = &ops;
