// SPDX-License-Identifier: BSD-2-Clause
// walk.h - the points at which hosts saw packets, joined to the ways of requests and answers
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct walk; // what traces have told

struct walk *walk_new(void);
void walk_free(struct walk *walk);
// A line of `weftctl -j trace`. host: whose, where the line does not say.
void walk_add(struct walk *walk, const json_t *line, const char *host);

// One step of all requests. Times in nanoseconds.
struct walk_step {
	char host[64]; // or "h1 > h2"
	char what[64];
	double p50_ns, p99_ns;
	bool observed; // else it is what remains of the whole
};

struct walk_way {
	struct walk_step *steps; // in order
	size_t count;
	size_t requests;       // of which the steps tell
	size_t others;         // that had other points
	double p50_ns, p99_ns; // from the first point to the last
};

// From the first packet to `to` ("10.1.0.2:80", "10.1.0.2") of each pair to the first answer: with
// `connect` TCP's connection, else the first data. requests 0: nothing was seen.
struct walk_way walk_way(const struct walk *walk, const char *to, bool connect);
void walk_way_free(struct walk_way *way);

double walk_quantile(double *values, size_t count, double quantile); // sorts them
