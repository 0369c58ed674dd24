// SPDX-License-Identifier: BSD-2-Clause
// The ways of requests and of their answers, step by step.
#pragma once

#include "ctl/path/walk.h"

// One step of all requests. Times in nanoseconds.
struct way_step {
	char host[232]; // or "h1 > h2"
	char what[96];
	double p50_ns, p99_ns; // NAN: not known
	bool observed;         // else it is what remains of the whole
	bool between;          // two clocks: below zero it is their error
};

struct way {
	struct way_step *steps; // in order
	size_t count;
	size_t requests;       // of which the steps tell
	size_t others;         // that had other points
	double p50_ns, p99_ns; // from the first point to the last
	double *spans_ns;      // the same of each, these and others (NAN), in order
};

// From each question to `to` ("10.1.0.2:80"; "10.1.0.2": any port) to the first answer: with
// `connect` TCP's connection, else data. requests 0: nothing was seen. After walk_align().
struct way way_find(const struct walk *walk, const char *to, bool connect);
void way_free(struct way *way);

double way_quantile(double *values, size_t count, double quantile); // sorts them
