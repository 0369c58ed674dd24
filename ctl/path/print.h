// SPDX-License-Identifier: BSD-2-Clause
// The measured way of requests, for people, for programs and as a picture.
#pragma once

#include <stdio.h>

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

double path_sum(const struct path_result *path); // of what the bars show
double path_part(const struct way_step *step, double sum);
bool path_clock_error(const struct way_step *step); // a delay below zero: it stays so
int path_letters(const char *text);                 // of UTF-8
void path_title(const struct path_result *path, char *title, size_t size);
// Of the clocks, one sentence.
void path_clock(const struct path_result *path, char *text, size_t size);

void path_table(FILE *out, const struct path_result *path);
void path_bars(FILE *out, const struct path_result *path);
void path_json(FILE *out, const struct path_result *path);
void path_svg(FILE *out, const struct path_result *path);
