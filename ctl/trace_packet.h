// SPDX-License-Identifier: BSD-2-Clause
// Which lines of several hosts are of one packet.
//
// Its identity says so, and several may have the same: sent again, or alike. A packet comes in at a
// host once from a port (P0) and once from a peer (P3), so an arrival that a host has told of
// already is another packet. All other lines of a host follow their arrival at once, but for a late
// taking (P6).
#pragma once

#include "ctl/run.h"
#include "ctl/segment.h"

enum {
	POINTS_MOST = 24,      // of one packet that are held
	PACKETS_MOST = 16384,  // that are known; the oldest are forgotten
	CLOCKS_MOST = 8,       // hosts with others share the last one's place
	TRANSIT_NS = 20000000, // between hosts, as a rule
};

struct seen {
	const struct client *client;
	json_t *line;
	int64_t ns;   // 0: not observed
	size_t clock; // in the packet's
};

struct packet_clock { // hosts with other clocks are counted apart
	long long clock;
	int64_t first_ns, last_ns; // 0: nothing was observed
};

struct packet {
	char id[24];
	struct packet_clock clocks[CLOCKS_MOST];
	size_t clock_count;
	int64_t due_ms;
	uint64_t from_port, from_peer, taken; // at which hosts P0, P3, P6
	enum { UNKNOWN, SHOWN, LEFT_OUT } state;
	struct segment segment;
	size_t held;
	struct seen seen[POINTS_MOST];
	struct packet *prev, *next;   // in the order in which they came
	struct packet *older, *newer; // with the same identity
	struct identity *identity;
};

struct identity;
struct packets {
	struct identity *identities;
	struct packet *list;
	size_t count;
	uint64_t again;                   // packets with an identity that was there already
	struct packet *last[SOCKETS_MAX]; // by host: of its last arrival
};

// Whose line of the host it is; a new packet if it is nobody's.
struct packet *packets_find(
	struct packets *packets, size_t host, const json_t *line, long long clock);
void packets_forget(struct packets *packets, struct packet *packet); // that holds nothing
// Its place among the packet's.
size_t packet_clock(struct packet *packet, long long clock);
