// SPDX-License-Identifier: BSD-2-Clause
// The way from a port to an address, by the tables of this host.
#pragma once

#include "daemon/weftd.h"

// Appends a step for each thing that would happen: {"step", "host", "what", "verdict", "why",
// "hop", "p50_ns", "p99_ns"}; the last three are null, as nothing was measured. Nothing is sent.
int path_dry(struct weftd *weftd, const char *from, const char *to, json_t *steps,
	struct failure *failure);
