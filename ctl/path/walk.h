// SPDX-License-Identifier: BSD-2-Clause
// The points at which hosts saw packets, by packet, in order, and all by one clock.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

enum { WALK_POINTS = 24, WALK_PACKETS_MAX = 200000 };

struct walk_host {
	char name[112]; // or its socket
	unsigned number;
	uint32_t clock; // equal numbers: one clock
	bool from;      // who asks is there: what it sees of packets is of these alone
	UT_hash_handle hh;
};

struct walk_point {
	const struct walk_host *host;
	const char *place, *path; // port or peer; "own", "carrier", ""
	int64_t ns;
	char name[4]; // "P0"
};

struct walk_ends { // who sent it to whom
	char src[64], dst[64];
};

struct walk_packet {
	char id[17];
	struct walk_ends ends, becomes; // where a service translates it, on either side of that
	char echo[12];                  // of a ping and its answer
	bool elsewhere;                 // in another network than who asks
	bool again;                     // it was sent more than once: its points are mixed up
	bool tcp, connects, data;       // data: a payload of TCP, or no TCP
	int64_t begin_ns;               // of several clocks: by that of who asks
	size_t count;
	struct walk_point points[WALK_POINTS];
	UT_hash_handle hh;
};

struct walk {
	char network[64]; // of who asks, by its host's name for it; "": any
	struct walk_host *hosts;
	struct walk_text *texts;
	struct walk_packet *packets;
	uint64_t left_out; // packets that came when there were WALK_PACKETS_MAX already
};

// How far delays between hosts can be trusted.
struct walk_clock {
	bool one;
	int64_t error_ns; // of two clocks: each way's delay between hosts is right within this
};

struct walk *walk_new(void);
void walk_free(struct walk *walk);
// A host, before its lines.
void walk_host(struct walk *walk, const char *name, uint32_t clock, bool from);
// A line of `weftctl -j trace`; what is no point is passed over.
void walk_add(struct walk *walk, const json_t *line, const char *host);

// After all lines: orders the points of each packet and brings them to the clock of who asks. The
// offset of another clock is known from the fastest packet each way (as NTP and STAMP have it): it
// is wrong by half the sum of both at most, and by what it changed meanwhile. A delay below zero is
// this error showing, and stays as it is. Packets of a clock that nobody came back from lose their
// points.
struct walk_clock walk_align(struct walk *walk);
