// SPDX-License-Identifier: BSD-2-Clause
// Packets, one line for each point at which they were seen: what `trace` says, and others ask for.
#pragma once

#include <stdint.h>
#include <weft/types.h>
#include "daemon/command.h"

struct weft_postcard;

#define TRACE_NOBODY UINT32_MAX

struct trace_aim {
	const char *filter; // pcap's words; NULL: any packet
	u32 from, to;       // places: only what these say to each other (path_way); from 0: anybody
	long long seconds;  // 0: no end
	bool text;          // lines have what `trace` says, for a client that puts them in order
};

// In a command's run; its words `count` and `sample` are heeded. Takes begun, the first line, to
// which it adds that it has. What it returns, run does.
int trace_begin(struct request *request, const struct trace_aim *aim, json_t *begun);
void trace_cancelled(struct request *request); // the command's

// --- trace_frame.c
// Adds to the line of its arrival what the frame is, and what a service makes of its addresses:
// "becomes_src" and "becomes_dst".
void trace_frame(struct weftd *weftd, const struct weft_postcard *card, json_t *line);
