// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
// What is kept of a packet that is observed.
#pragma once

#include <weft/tables.h>

// Of one packet. The engine has the memory: a packet that is not observed carries a NULL.
struct observation {
	u64 in_ns; // P0 or P3; 0: not observed
	u64 decided_ns;
	u64 identity; // 0: not traced
	u64 identity_key;
	u32 trace_below;
	u32 backend;    // of a service, whose traffic it is; 0: of none
	bool tracing;   // the identity is to be looked at
	bool sampled;   // for the histograms
	bool answering; // a question waits for an answer from its port
	bool asks;      // it is one
	bool probe;     // of weftd's own: it did not come from the port that it stands for
	bool outward;   // a question to the guest: it goes to that port
	u8 flags;       // enum weft_postcard_flag
	struct weft_guest_row question;
	struct weft_postcard card;
};
