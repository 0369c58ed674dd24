// SPDX-License-Identifier: BSD-2-Clause
// frames.h - the frames of two guests, A and B: built once in memory, of which a burst changes a
// few words
#pragma once

#include "start.h"
#include "tests/tools/packet.h"

#define FRAME_MAGIC     0x77656674u
#define FRAME_SIZE_MIN  64
#define FRAME_SIZE_MAX  1518
#define FRAME_PORT_BASE 1024
#define FRAME_PORT_BITS 15

/* Offsets in our UDP frames: Ethernet 14, IPv4 20, UDP 8. */
enum {
	OFF_MAC_DST = 2, /* what differs among the MACs of A */
	OFF_MAC_SRC = 8,
	OFF_PORTS = 34,
	OFF_MAGIC = 42,
	OFF_STAMP = 46,
	OUTER_BYTES = 50,
	OUTER_VNI = 100,
	OUTER_PORT = 4789,
	OUTER_PORT_FIRST = 49152, /* to 65535: what a flow is outside */
};

/* In front of what B sends and gets when it is no guest, but a host with VXLAN. */
struct outer {
	uint8_t headers[OUTER_BYTES - 8];
	uint8_t vxlan[8];
};

/* Frames of one direction; A may have many MACs, B has one. */
struct frames {
	struct rte_mempool *pool; /* each mbuf holds the frame */
	uint16_t size;
	uint16_t outer; /* bytes of headers in front, this way and back */
	uint32_t flows, flow;
	uint32_t macs, mac;
	uint8_t mac_at;
};

static const struct packet_end frames_end[PORTS] = {
	{.mac = {2, 0x77, 0, 0, 0, 0}, .host = 1, .port = FRAME_PORT_BASE},
	{.mac = {2, 0x78, 0, 0, 0, 0xb}, .host = 2, .port = 9},
};

/* A service, behind which B is: its address at the gateway (WEFT_GATEWAY_MAC). */
static const struct packet_end frames_service = {
	.mac = {2, 0x57, 0x65, 0x66, 0x74, 1}, .host = 100, .port = 9};

/* The switch's host, whose MAC is not ours to choose, and the one that B is then. */
static struct packet_end outer_end[PORTS] = {
	{.host = 101, .port = OUTER_PORT},
	{.mac = {2, 0x79, 0, 0, 0, 0xb}, .host = 102, .port = OUTER_PORT},
};

/* UDP without a checksum. */
static inline void outer_put(uint8_t *frame, uint16_t size)
{
	struct outer outer = {.vxlan = {0x08, 0, 0, 0, 0, 0, OUTER_VNI, 0}};

	put_udp_frame(frame, &outer_end[1], &outer_end[0], size + sizeof(outer));
	memcpy(outer.headers, frame, sizeof(outer.headers));
	memset(outer.headers + sizeof(outer.headers) - 2, 0, 2);
	memcpy(frame, &outer, sizeof(outer));
}

static inline void frames_fill(struct rte_mempool *pool, void *arg, void *object, unsigned int i)
{
	struct rte_mbuf *mbuf = object;
	(void)pool;
	(void)i;
	memcpy((uint8_t *)mbuf->buf_addr + RTE_PKTMBUF_HEADROOM, arg, OUTER_BYTES + FRAME_SIZE_MAX);
}

/* Build the frames again for a run. None may be in a queue still that somebody will look at. */
static inline void frames_build(struct frames *frames, int from, const struct packet_end *to,
	uint16_t size, uint32_t flows, uint32_t macs)
{
	uint8_t bytes[OUTER_BYTES + FRAME_SIZE_MAX] = {0}, *frame = bytes + frames->outer;
	uint32_t magic = FRAME_MAGIC;

	if (frames->outer)
		outer_put(bytes, size);
	put_udp_frame(frame, &frames_end[from], to, size);
	memcpy(frame + OFF_MAGIC, &magic, sizeof(magic));
	rte_mempool_obj_iter(frames->pool, frames_fill, bytes);
	*frames = (struct frames){.pool = frames->pool,
		.size = size,
		.outer = frames->outer,
		.flows = flows,
		.macs = macs,
		.mac_at = from ? OFF_MAC_DST : OFF_MAC_SRC};
}

/* A flow is a pair of ports: the IP header and its checksum stay as they are. FRAME: behind the
 * outer headers. */
static inline void frames_next(struct frames *frames, uint8_t *frame)
{
	uint16_t port[2] = {
		htons((uint16_t)(FRAME_PORT_BASE + (frames->flow & ((1u << FRAME_PORT_BITS) - 1)))),
		htons((uint16_t)(9 + (frames->flow >> FRAME_PORT_BITS)))};

	if (frames->outer) {
		uint16_t outside = htons((uint16_t)(OUTER_PORT_FIRST | (frames->flow & 0x3fff)));

		memcpy(frame - OUTER_BYTES + OFF_PORTS, &outside, sizeof(outside));
	}
	memcpy(frame + OFF_PORTS, port, sizeof(port));
	memcpy(frame + frames->mac_at, &frames->mac, sizeof(frames->mac));
	if (++frames->flow == frames->flows)
		frames->flow = 0;
	if (++frames->mac == frames->macs)
		frames->mac = 0;
}

/* COUNT frames to send; returns how many there are: all or none. */
static inline uint16_t frames_take(struct frames *frames, struct rte_mbuf **burst, uint16_t count)
{
	uint16_t i;

	if (!count || rte_pktmbuf_alloc_bulk(frames->pool, burst, count))
		return 0;
	for (i = 0; i < count; i++) {
		burst[i]->data_len = frames->outer + frames->size;
		burst[i]->pkt_len = burst[i]->data_len;
		frames_next(frames, rte_pktmbuf_mtod_offset(burst[i], uint8_t *, frames->outer));
	}
	return count;
}

static inline void frame_stamp(const struct frames *frames, struct rte_mbuf *mbuf, uint64_t stamp)
{
	memcpy(rte_pktmbuf_mtod_offset(mbuf, void *, frames->outer + OFF_STAMP), &stamp,
		sizeof(stamp));
}

/* Is it one of ours, come to who sends FRAMES? The switch may send frames of its own. */
static inline bool frame_read(
	const struct frames *frames, const struct rte_mbuf *mbuf, uint64_t *stamp)
{
	uint32_t magic;

	if (mbuf->data_len < frames->outer + FRAME_SIZE_MIN)
		return false;
	memcpy(&magic, rte_pktmbuf_mtod_offset(mbuf, void *, frames->outer + OFF_MAGIC),
		sizeof(magic));
	memcpy(stamp, rte_pktmbuf_mtod_offset(mbuf, void *, frames->outer + OFF_STAMP),
		sizeof(*stamp));
	return magic == FRAME_MAGIC;
}
