// SPDX-License-Identifier: BSD-2-Clause
// What a frame lacks for where it goes, made in software: checksums, segments, outer headers,
// contiguous headers.
//
// To a port:  n = dpdk_finish(frame, port->takes, out, DPDK_SEGMENTS), then send `out`.
// To a peer:  n = dpdk_finish(frame, 0, out, DPDK_SEGMENTS); for each: build the outer headers for
//             rte_pktmbuf_pkt_len(out[i]), dpdk_push_outer(&out[i], ...).
// From one:   rte_pktmbuf_adj(frame, outer bytes); dpdk_pull(frame, WEFT_PARSE_BYTES).
#pragma once

#include "datapath/dpdk/port.h"

enum {
	// Room for what a frame becomes: 64 KiB in parts that are smaller than any path's MTU. A
	// frame of more is dropped.
	DPDK_SEGMENTS = 1024,
};

// dpdk_complete() for the common case that nothing is to be done.
weft_inline u32 dpdk_finish(struct rte_mbuf *frame, u32 takes, struct rte_mbuf **out, u32 capacity)
{
	if (likely(!frame->ol_flags && capacity)) {
		out[0] = frame;
		return 1;
	}
	return dpdk_complete(frame, takes, out, capacity);
}

// Puts headers in front of a complete frame (ol_flags 0): Ethernet to VXLAN, as overlay_build4 or
// overlay_build6 made them (&header.eth, OVERLAY4_BYTES or OVERLAY6_BYTES). Fills in the UDP
// checksum over IPv6. *frame may become another mbuf. False: no memory, nothing was changed.
bool dpdk_push_outer(struct rte_mbuf **frame, const void *outer, u32 outer_bytes);

// Bytes behind the first `bytes` of the frame, which has them, go.
void dpdk_trim(struct rte_mbuf *frame, u32 bytes);

// Makes the first `bytes` of the frame, or all of a shorter one, lie in its first segment. It stays
// the same mbuf. False: they cannot, and nothing was changed.
bool dpdk_pull(struct rte_mbuf *frame, u32 bytes);
