// SPDX-License-Identifier: BSD-2-Clause
// Maglev's lookup table (NSDI'16, section 3.4): which backend serves which slot of a hash.
//
// A pure function of sizes, seed, addresses, ports and weights: hosts with the same configuration
// make the same table, in whatever order they heard of the backends and whatever ids they have.
#pragma once

#include <stdbool.h>
#include "weft/types.h"

struct maglev_backend {
	struct weft_ip address;
	u16 port;
	u32 weight; // turns, in proportion; 0: none
	u32 id;     // what stands in the table
};

#define MAGLEV_SIZES "251|509|1021|2039|4093|8191|16381|32749|65537|131071"
enum { MAGLEV_SIZE_DEFAULT = 65537, MAGLEV_WEIGHT_MAX = 1000 };

// Fills table[size] with ids; sorts the backends. Size is one of MAGLEV_SIZES, and there are no
// more backends than slots. false: nobody has a weight, and the table is as it was. Aborts without
// memory.
bool maglev_fill(u32 *table, u32 size, u32 seed, struct maglev_backend *backends, u32 count);
