// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// List 1b: the stages of decide, in order. One file each: datapath/pipeline/stage_NAME.h.
#pragma once

#define WEFT_STAGES(X) \
	X(admit)   /* port and tag -> network; frames that no switch may forward */ \
	X(learn)   /* source address -> FDB effects */ \
	X(resolve) /* IP-MAC bindings; ARP and ND that need no flood */ \
	/* guard: address spoofing; not there yet */ \
	X(balance) /* services: which backend, or which client */ \
	X(forward) /* destination -> port, flood, or an answer of the gateway */
