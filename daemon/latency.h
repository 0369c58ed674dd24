// SPDX-License-Identifier: BSD-2-Clause
// Where the time goes: which packets are timed, and the histograms that come of it.
#pragma once

#include "daemon/weftd.h"

enum { LATENCY_SAMPLE_DEFAULT = 1024 }; // 1 of so many packets

// What a place's packets are held against (weft_sample_below): its own word, else the host's.
u32 latency_sample_below(struct weftd *weftd, const struct object *place);
// The host's word has changed, or a trace has begun or ended: looks at every port.
void latency_follow(struct weftd *weftd);
// What a port's packets are held against was put into its row. Does not look at the others, as a
// rule.
void latency_port_sampled(struct weftd *weftd, u32 was, u32 below);
// Is the underlay's traffic timed? Then P3 is asked for, whoever decapsulates.
bool latency_sees_underlay(struct weftd *weftd);

// --- latency_show.c

void latency_forget(struct weftd *weftd, u32 place); // of a port or peer that goes

// A histogram in words, as `latency show` has it.
json_t *latency_numbers(const struct weft_latency_row *row);
u64 latency_quantile(const struct weft_latency_row *row, double quantile);
// Every histogram and its ends (`to` NULL: flooded), in the order of `latency show`.
typedef void latency_fn(const struct weft_latency_key *key, const struct weft_latency_row *row,
	const struct object *from, const struct object *to, void *context);
int latency_each(struct weftd *weftd, latency_fn *fn, void *context); // -ENOMEM
const char *latency_span(u32 span);                                   // "residence"
