// SPDX-License-Identifier: BSD-2-Clause
// The way from a port to an address, by the tables of this host.
#pragma once

#include "daemon/target.h"
#include "daemon/weftd.h"

struct weft_postcard;

// arguments: those below. Appends a step for each thing that would happen: {"step", "host", "what",
// "verdict", "why", "hop", "p50_ns", "p99_ns"}; the last three are null, as nothing was measured.
// Nothing is sent. Where it leaves for a peer, the last one has "ask": {"address", "as_address",
// "words"}: what `explain peer NAME WORDS` of the host with that address would be asked; NAME is
// its peer with the other one. sender: the port at which it comes in.
int path_dry(struct weftd *weftd, const json_t *arguments, json_t *steps,
	const struct object **sender, struct failure *failure);

// An address, canonical, and a port. False: it is no address.
bool path_target(const char *text, struct target *target);
// Who has the address, as far as it was heard: in which network, behind which port or peer; NULL:
// nobody. Refused where that is not one machine.
int path_station(struct weftd *weftd, const char *address, const struct object **network,
	const struct object **place, struct failure *failure);
// A port of this host, by NAME[:PORT]; NULL: it is none, and the target may be filled all the same.
const struct object *path_port(struct weftd *weftd, const char *text, struct target *target);
int path_no_target(const char *to, struct failure *failure); // it is neither

// A packet from one place to the other, or back; to 0: to wherever it goes.
enum path_way { PATH_THERE, PATH_BACK, PATH_WAYS };
// PATH_WAYS: between others.
enum path_way path_way(const struct weft_postcard *card, u32 from, u32 to);

// In place of what a command makes of packets: the packets, point by point, for a client that joins
// those of several hosts ("points" in weft/control.h). The words are `from` and `to`,
// `measure` or `request`; the command's `cancelled` ends in trace_cancelled (trace.h).
int path_points(struct request *request);

#define PATH_ARGUMENTS \
	{.word = "from", \
		.kind = ARGUMENT_TEXT, \
		.flags = ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, \
		.refers = "port", \
		.help = "the port that talks, or the address that does"}, \
	{ \
		.word = "to", .kind = ARGUMENT_TEXT, \
		.flags = ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, .refers = "port", \
		.help = "a port or an address, and :port if one is meant ([address]:port with " \
			"IPv6)" \
	}

#define PATH_PROTO \
	{ \
		.word = "proto", .kind = ARGUMENT_CHOICE, .choices = "tcp|udp", .fallback = "tcp", \
		.help = "what asks, where B has a port" \
	}
u8 path_protocol(const json_t *arguments);

// Whoever asks draws, not weftd.
#define PATH_PLOT \
	{ \
		.word = "--plot", .key = "plot", .kind = ARGUMENT_OUTPUT, \
		.help = "draw it, as SVG; `-` or no file: here, in text" \
	}
