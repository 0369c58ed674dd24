// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// Counting into a row of the latency table, whoever has it.
#pragma once

#include <weft/tables.h>

// Below 0 it is two CPUs' clocks that differ.
weft_inline u64 histogram_between(u64 from_ns, u64 to_ns)
{
	return (s64)(to_ns - from_ns) > 0 ? to_ns - from_ns : 0;
}

weft_inline void histogram_count(struct weft_latency_row *row, u64 ns)
{
	u32 bucket = weft_latency_bucket(ns);
	// The verifier does not know what the compiler knows of it.
	__asm__ volatile("" : "+r"(bucket));
	__sync_fetch_and_add(&row->bucket[bucket & (WEFT_LATENCY_BUCKETS - 1)], 1);
	__sync_fetch_and_add(&row->sum_ns, ns);
	if (!row->count || ns < row->min_ns)
		row->min_ns = ns;
	if (ns > row->max_ns)
		row->max_ns = ns;
	__sync_fetch_and_add(&row->count, 1);
}
