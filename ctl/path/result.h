// SPDX-License-Identifier: BSD-2-Clause
// What comes of a measured path.
#pragma once

#include <jansson.h>

#include "ctl/path/requests.h"
#include "ctl/path/way.h"

struct path_result {
	char from[64], to[80];
	bool client;            // the client measured, too: else there are only the hosts' points
	struct way_step *steps; // in order; they add up to the whole
	size_t count;
	// The client's first byte; without it: from the first point to the last.
	struct way_times whole;
	struct way_times connect, total; // of HTTP, by the client; 0: none
	size_t requests, others;
	struct walk_clock clock;
	size_t hosts;
	json_t *dry;       // dry_walk(); borrowed
	uint64_t lost;     // postcards: points of some packets are missing
	uint64_t left_out; // packets
	uint64_t again;    // packets whose identity came more than once
	size_t sent;       // requests; 0: nobody was asked to
};

// Fills in the steps (malloc) and what they add up to, of the way of data and of connections, and
// of what the client saw (count 0: nothing; its times are sorted).
void path_make(struct path_result *path, const struct way *way, const struct way *connect,
	const struct requests_seen *seen);
