// SPDX-License-Identifier: BSD-2-Clause
// Which bytes of a TCP stream a traced packet has. The receiving host's kernel may merge segments
// into one superpacket (GRO): only the first's head remains, and the others are in it, not lost.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct segment {
	char in[144], out[144]; // its flow where it came from a peer, and where it left for one
	uint32_t sequence;
	uint32_t in_bytes, out_bytes; // 0: none of a stream
	bool super;                   // as it came from the peer
	bool sent, taken;             // to a peer, from a peer
};

// A line of a trace that is about the packet.
void segment_note(struct segment *segment, const json_t *line);
// Was it sent to a peer, and did none take it?
bool segment_is_missing(const struct segment *segment);
bool segment_is_in(const struct segment *segment, const struct segment *whole);
