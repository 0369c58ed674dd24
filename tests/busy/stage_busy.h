// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// The stage that is busy with each frame from an odd port of L4. No cache may spare it one.
#pragma once

#define BUSY_NS       200000ull
#define BUSY_UNCACHED WEFT_BIT(31) // an effect that commit does not know

static void busy_wait(u64 ns); // the hook's

weft_inline bool stage_busy(struct decide *d)
{
	if (decide_whole(d)->l4_src & 1) {
		d->verdict->effects |= BUSY_UNCACHED;
		busy_wait(BUSY_NS);
	}
	return false;
}
