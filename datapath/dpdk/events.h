// SPDX-License-Identifier: BSD-2-Clause
// What weftd's thread is woken for: drivers that say that a port's state has changed, and devices
// of AF_XDP ports whose queues have.
#pragma once

#include "datapath/dpdk/dpdk.h"

bool events_open(struct engine *engine);
void events_close(struct engine *engine);

// As in engine_ops.
int events_fd(struct engine *engine);
void events_read(struct engine *engine, void (*changed)(u32 port_id, void *context), void *context);
