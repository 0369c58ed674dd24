// SPDX-License-Identifier: BSD-2-Clause
// Postcards of traced packets (weft/observe.h): who reads them says how many packets are traced.
#pragma once

#include "daemon/weftd.h"

struct card_reader {
	// The card is the engine's. NULL: it wants no cards, but packets stamped. Called for every
	// card of the packets that any reader wants.
	void (*card)(const struct weft_postcard *card, void *context);
	bool (*full)(
		void *context); // not now, please; a reader who is not asks for more all the same
	void *context;
	u32 below; // weft_sample_below(one in N)
	struct card_reader *next;
};

// From now on, until cards_end. The reader's memory is the caller's. -ENOTSUP: not this engine.
int cards_begin(struct weftd *weftd, struct card_reader *reader, struct failure *failure);
void cards_end(struct weftd *weftd, struct card_reader *reader);
void cards_drain(struct weftd *weftd);      // what there is by now, before who reads ends
bool cards_read(const struct weftd *weftd); // somebody reads
u64 cards_lost(const struct weftd *weftd);  // since weftd started
// Cards of probes go to probe.h from now on, whether or not there are readers.
int cards_listen(struct weftd *weftd);
void cards_close(struct weftd *weftd); // every reader has ended
