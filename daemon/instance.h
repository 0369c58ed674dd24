// SPDX-License-Identifier: BSD-2-Clause
// One weftd: what start and stop mean, in order. main.c runs it; tests start one with sim.
#pragma once

#include "daemon/weftd.h"

// weftd->engine_ops <- settings.engine.
int instance_engine(struct weftd *weftd, struct failure *failure);

// settings are complete, base is made. After a failure nothing is left open.
// All but the engine, then the engine and what it carries. Between the two weftd may give up
// rights: threads of the engine have those of the thread that starts it.
int instance_open(struct weftd *weftd, struct failure *failure);
int instance_start(struct weftd *weftd, struct failure *failure);
// Forwarding goes on where the engine can.
void instance_stop(struct weftd *weftd);

// Directories and locks (lock.c). The descriptor that holds the lock, or -errno.
int lock_take(const char *dir, unsigned mode, const char *what, struct failure *failure);
