// SPDX-License-Identifier: BSD-2-Clause
// What hooks over flat packets (packet_flat.h) have in common: no superpackets, no cache, nothing
// observed. Without a cache every answer is decide's own: others' caches are held against it.
#pragma once

#include "datapath/pipeline/observe_nothing.h"

weft_inline u32 packet_segment_length(const struct packet *p, const struct weft_layout *layout)
{
	(void)layout;
	return p->length;
}

weft_inline u32 packet_segments(const struct packet *p, const struct weft_layout *layout)
{
	(void)p, (void)layout;
	return 1;
}

weft_inline bool flow_find(struct pipeline *line)
{
	(void)line;
	return false;
}

weft_inline void flow_keep(struct pipeline *line)
{
	(void)line;
}

weft_inline bool packet_sum(struct packet *p, u32 at, u32 pseudo, u32 plain, bool zero_is_none)
{
	be16 *sum = at + sizeof(*sum) <= p->length ? (be16 *)(p->bytes + at) : NULL;
	if (sum)
		*sum = rewrite_sum_of(*sum, pseudo + plain, zero_is_none);
	return sum;
}
