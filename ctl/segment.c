// SPDX-License-Identifier: BSD-2-Clause
// Segments, by the sequence numbers of their heads (RFC 9293, section 3.4: modulo 2^32).
#include "ctl/segment.h"

#include <stdio.h>
#include <string.h>
#include "ctl/words.h"

// What a host says of it where it comes in: from a peer, or on its way to one.
static void note_arrival(struct segment *segment, const json_t *line, bool from_peer)
{
	uint32_t bytes = (uint32_t)json_integer_value(json_object_get(line, "payload_bytes"));
	bool becomes = !from_peer && *words_text(line, "becomes_src");

	snprintf(from_peer ? segment->in : segment->out, sizeof(segment->in), "%s>%s",
		words_text(line, becomes ? "becomes_src" : "src"),
		words_text(line, becomes ? "becomes_dst" : "dst"));
	segment->sequence = (uint32_t)json_integer_value(json_object_get(line, "tcp_sequence"));
	if (from_peer) {
		segment->in_bytes = bytes;
		segment->super = json_is_true(json_object_get(line, "superpacket"));
	} else {
		segment->out_bytes = bytes;
	}
}

void segment_note(struct segment *segment, const json_t *line)
{
	const char *point = words_text(line, "point");

	segment->sent |= !strcmp(point, "P2");
	segment->taken |= !strcmp(point, "P3");
	if (json_is_integer(json_object_get(line, "tcp_sequence")))
		note_arrival(segment, line, !strcmp(point, "P3"));
}

bool segment_is_missing(const struct segment *segment)
{
	return segment->out_bytes && segment->sent && !segment->taken;
}

bool segment_is_in(const struct segment *segment, const struct segment *whole)
{
	uint32_t offset = segment->sequence - whole->sequence;

	return whole->super && offset && offset < whole->in_bytes &&
	       !strcmp(segment->out, whole->in);
}
