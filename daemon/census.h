// SPDX-License-Identifier: BSD-2-Clause
// A census: the rows of a table, counted by whose they are, beside the usage that the datapath
// counts as it goes. Counts that drifted are healed.
#pragma once

#include "daemon/weftd.h"

struct census {
	enum weft_table table; // of usage rows, an array
	size_t field;          // of such a row: a u64
	const char *what;      // is counted, for the log
	u32 size;
	u64 *counted;
	u64 *before; // usage when the walk began
	s64 *drift;  // at the last census
};

// table, field and what are set. 0, or -ENOMEM; close takes what open left.
int census_open(struct weftd *weftd, struct census *census);
void census_close(struct census *census);
// Before the walk, for each of its rows, and after it.
void census_begin(struct weftd *weftd, struct census *census);
static inline void census_count(struct census *census, u32 index)
{
	if (index < census->size)
		census->counted[index]++;
}
void census_end(struct weftd *weftd, struct census *census);
