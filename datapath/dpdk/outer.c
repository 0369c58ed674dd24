// SPDX-License-Identifier: BSD-2-Clause
// Bytes at a frame's beginning: outer headers put in front, headers made contiguous.
#include "datapath/dpdk/offload.h"
#include "datapath/dpdk/sum.h"

#include <string.h>
#include <weft/verdict.h>
#include <weft/wire.h>

enum { OUTER_UDP6 = sizeof(struct eth_header) + sizeof(struct ipv6_header) };
enum { OUTER6_BYTES = OUTER_UDP6 + sizeof(struct udp_header) + sizeof(struct vxlan_header) };

// Moves what the first segment holds forward, so that it has room for so many bytes in all.
static bool outer_make_room(struct rte_mbuf *frame, u32 bytes)
{
	if (bytes - frame->data_len <= rte_pktmbuf_tailroom(frame))
		return true;
	if (bytes + RTE_PKTMBUF_HEADROOM > frame->buf_len || frame->data_off < RTE_PKTMBUF_HEADROOM)
		return false;
	u8 *to = (u8 *)frame->buf_addr + RTE_PKTMBUF_HEADROOM;
	memmove(to, rte_pktmbuf_mtod(frame, u8 *), frame->data_len);
	frame->data_off = RTE_PKTMBUF_HEADROOM;
	return true;
}

bool dpdk_pull(struct rte_mbuf *frame, u32 bytes)
{
	bytes = RTE_MIN(bytes, frame->pkt_len);
	if (likely(bytes <= frame->data_len))
		return true;
	if (!outer_make_room(frame, bytes))
		return false;
	while (frame->data_len < bytes) {
		struct rte_mbuf *next = frame->next;
		u32 part = RTE_MIN(bytes - frame->data_len, (u32)next->data_len);
		memcpy(rte_pktmbuf_mtod_offset(frame, u8 *, frame->data_len),
			rte_pktmbuf_mtod(next, u8 *), part);
		frame->data_len += part;
		next->data_off += part;
		next->data_len -= part;
		if (next->data_len)
			break;
		frame->next = next->next;
		frame->nb_segs--;
		rte_pktmbuf_free_seg(next);
	}
	return true;
}

void dpdk_trim(struct rte_mbuf *frame, u32 bytes)
{
	struct rte_mbuf *last = frame;
	frame->pkt_len = bytes;
	for (frame->nb_segs = 1; bytes > last->data_len; frame->nb_segs++) {
		bytes -= last->data_len;
		last = last->next;
	}
	last->data_len = (u16)bytes;
	rte_pktmbuf_free(last->next);
	last->next = NULL;
}

// A fresh first segment: `bytes` of room and then the frame's own first bytes.
static struct rte_mbuf *outer_first(struct rte_mbuf *frame, u32 bytes)
{
	struct rte_mbuf *first = rte_pktmbuf_alloc(frame->pool);
	if (!first || WEFT_PARSE_BYTES > rte_pktmbuf_tailroom(first)) {
		rte_pktmbuf_free(first);
		return NULL;
	}
	first->data_len = (u16)bytes;
	first->pkt_len = bytes + frame->pkt_len;
	first->nb_segs = frame->nb_segs + 1;
	first->next = frame;
	dpdk_pull(first, WEFT_PARSE_BYTES);
	return first;
}

// RFC 8200 section 8.1. The checksum's field is still zero.
static void outer_checksum6(struct rte_mbuf *frame)
{
	u8 *at = rte_pktmbuf_mtod(frame, u8 *);
	struct ipv6_header *ip = (struct ipv6_header *)(at + sizeof(struct eth_header));
	struct udp_header *udp = (struct udp_header *)(at + OUTER_UDP6);
	u64 sum = (u64)sum_bytes(&ip->src, 32) + udp->length + weft_hton16(WEFT_IP_UDP);
	u16 checksum = (u16)~sum_fold(sum + sum_chain(frame, OUTER_UDP6));
	udp->checksum = checksum ? checksum : 0xffff;
}

bool dpdk_push_outer(struct rte_mbuf **frame, const void *outer, u32 outer_bytes)
{
	struct rte_mbuf *first = *frame;
	if (likely(rte_pktmbuf_headroom(first) >= outer_bytes))
		rte_pktmbuf_prepend(first, (u16)outer_bytes);
	else
		first = outer_first(first, outer_bytes);
	if (!first)
		return false;
	memcpy(rte_pktmbuf_mtod(first, u8 *), outer, outer_bytes);
	if (outer_bytes == OUTER6_BYTES)
		outer_checksum6(first);
	*frame = first;
	return true;
}
