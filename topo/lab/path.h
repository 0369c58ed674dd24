// SPDX-License-Identifier: BSD-2-Clause
// path.h - what `weftlab path` has measured
#pragma once

#include "topo/lab/walk.h"

struct path_result {
	char title[160];
	char client[64];
	struct walk_step *steps; // in order; they add up to the whole
	size_t count;
	double whole_p50_ns,
		whole_p99_ns; // as the client sees it; without one: from first to last point
	double connect_p50_ns, total_p50_ns; // of HTTP; 0: none
	size_t requests, others;
};

void path_table(FILE *out, const struct path_result *path);
void path_json(FILE *out, const struct path_result *path);
void path_svg(FILE *out, const struct path_result *path);
