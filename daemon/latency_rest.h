// SPDX-License-Identifier: BSD-2-Clause
// Who sees frames arrive at readers of taps (P6), and rests of sampling where that is dear.
#pragma once

#include "daemon/weftd.h"

// any: something is timed or traced. densest: what packets are held against where most are sampled
// (weft_sample_below).
void latency_observe(struct weftd *weftd, bool any, bool traced, u32 densest);
void latency_rest_close(struct weftd *weftd);
