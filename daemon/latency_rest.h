// SPDX-License-Identifier: BSD-2-Clause
// Who sees frames arrive at readers of taps (P6), and rests of sampling where that is dear.
#pragma once

#include "daemon/weftd.h"

// densest: what packets are held against where most are sampled (weft_sample_below); 0: nowhere.
void latency_observe(struct weftd *weftd, bool traced, u32 densest);
void latency_rest_close(struct weftd *weftd);
