// SPDX-License-Identifier: BSD-2-Clause
// The client's half: requests by curl or ping, in a namespace or wherever a command leads, and how
// long each took as the client saw it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct requests_aim {
	const char *to; // "10.1.0.2:80": HTTP; "10.1.0.2": pings
	bool http;
	unsigned count;
	const char *netns; // a name as `ip netns` knows it; NULL: here
	const char *with;  // words before the command; NULL: none
};

struct requests {
	struct requests_aim aim;
	pid_t pid; // 0: not begun
	int fd;    // what it says; -1: it has said all
	char *text;
	size_t length;
	int64_t heard_ms; // run_now_ms(), of its first word or of ping's last answer; 0: none yet
};

// Of those that were answered, in nanoseconds, one of each; pings have only the first.
struct requests_seen {
	double *connect, *first, *total;
	unsigned *numbers; // way_turn's
	bool cut_short;    // there were to be more
	bool not_sent;     // any, and why was said
	size_t errors;     // of HTTP: answered with a status of 400 or more
	unsigned error;    // the first of these
	size_t count;
};

void requests_begin(struct requests *requests);
// Takes what is there. False: that was all.
bool requests_read(struct requests *requests);
// Ends it, if it is not; what it has seen is the caller's to free.
struct requests_seen requests_end(struct requests *requests);
void requests_free(struct requests_seen *seen);
