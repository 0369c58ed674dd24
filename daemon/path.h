// SPDX-License-Identifier: BSD-2-Clause
// The way from a port to an address, by the tables of this host.
#pragma once

#include "daemon/weftd.h"

// Appends a step for each thing that would happen: {"step", "host", "what", "verdict", "why",
// "hop", "p50_ns", "p99_ns"}; the last three are null, as nothing was measured. Nothing is sent.
int path_dry(struct weftd *weftd, const char *from, const char *to, json_t *steps,
	struct failure *failure);

// "10.1.0.2", "10.1.0.2:80", "fd00::1", "[fd00::1]:80" -> an address and a port (NULL: none given),
// the caller's. False: it is none; what could be read is there all the same.
bool path_target(const char *text, json_t **ip, json_t **number);

#define PATH_ARGUMENTS \
	{.word = "from", \
		.kind = ARGUMENT_NAME, \
		.flags = ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, \
		.refers = "port", \
		.help = "the port that talks"}, \
	{ \
		.word = "to", .kind = ARGUMENT_TEXT, \
		.flags = ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, .refers = "port", \
		.help = "a port, an address, or address:port ([address]:port with IPv6)" \
	}
