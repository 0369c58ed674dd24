// SPDX-License-Identifier: BSD-2-Clause
// P6 behind a tap: frames get a name that the kernel keeps until the tap's reader takes them.
#pragma once

#include <rte_mbuf.h>
#include <weft/types.h>

// Fields of every frame. stamp: when a packet socket got it, CLOCK_REALTIME ns. name: of its
// flight to a tap; 0: none.
int taken_fields(void); // registers them, once
u64 *taken_stamp(struct rte_mbuf *frame);
u64 *taken_name(struct rte_mbuf *frame);

// The program that sees readers of taps. Owned by weftd's thread.
int taken_watch(bool on);
// Begins a flight at out_ns. 0: nobody watches.
u64 taken_begin(u64 out_ns);
// When the frame of that name was taken; 0: not yet, 1: it will not be seen.
u64 taken_when(u64 name);
