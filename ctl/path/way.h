// SPDX-License-Identifier: BSD-2-Clause
// The ways of requests and of their answers, step by step.
#pragma once

#include "ctl/path/walk.h"

// What a part of all requests took. Of parts that follow each other the means add up to the
// whole's; medians need not.
struct way_times {
	double p50_ns, p99_ns, mean_ns; // NAN: not known
};

// One step of all requests.
struct way_step {
	char host[232]; // or "h1 > h2"
	char what[96];
	struct way_times took;
	bool observed; // else it is what remains of the whole
	bool between;  // two clocks: below zero it is their error
};

// One of them, or of the others (NAN): how long the guest took, and from the first point to the
// last.
struct way_turn {
	unsigned number; // the client's port, or the ping's sequence; 0: neither
	double ns, span_ns;
};

struct way {
	struct way_step *steps; // in order
	size_t count;
	size_t requests;        // of which the steps tell
	size_t others;          // that had other points
	size_t again;           // packets that are left out: they came more than once
	struct way_times took;  // from the first point to the last
	struct way_turn *turns; // these and others, in order
};

struct way_aim {
	const char *from;      // an address; "": of anybody
	const char *to;        // "10.1.0.2:80"; "10.1.0.2": any port
	bool connect;          // TCP's connection; else data
	const unsigned *ports; // of the client's that are meant
	size_t port_count;     // 0: all
};

// From each question to the first answer. requests 0: nothing was seen. After walk_align().
struct way way_find(const struct walk *walk, const struct way_aim *aim);
// NULL: none with that number is among those of which the steps tell.
const struct way_turn *way_turn(const struct way *way, unsigned number);
void way_free(struct way *way);

struct way_times way_times(double *values_ns, size_t count); // sorts them
// From the last point of a request to the first of its answer?
bool way_is_guest(const struct way_step *step);
