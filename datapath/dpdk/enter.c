// SPDX-License-Identifier: BSD-2-Clause
// Frames of weftd's own on their way to the first worker, which takes them as if their port had
// sent them, or sends them to it.
#include "datapath/dpdk/enter.h"

#include <errno.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdio.h>
#include <string.h>
#include "datapath/dpdk/dpdk.h"
#include "datapath/dpdk/eal.h"

enum { WAITING = 256 };

int enter_open(struct engine *engine)
{
	char name[RTE_RING_NAMESIZE];
	static u32 number;
	snprintf(name, sizeof(name), "weft-enter-%u", number++);
	engine->entering =
		rte_ring_create(name, WAITING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	return engine->entering ? 0 : -ENOMEM;
}

void enter_close(struct engine *engine)
{
	void *frame;
	while (engine->entering && !rte_ring_sc_dequeue(engine->entering, &frame))
		rte_pktmbuf_free(frame);
	rte_ring_free(engine->entering);
	engine->entering = NULL;
}

// In as many segments as it takes; NULL: no memory.
static struct rte_mbuf *frame_of(const u8 *bytes, u32 length)
{
	struct rte_mbuf *frame = NULL;
	while (length) {
		struct rte_mbuf *segment = rte_pktmbuf_alloc(eal_pool());
		if (!segment || (frame && rte_pktmbuf_chain(frame, segment))) {
			rte_pktmbuf_free(segment);
			rte_pktmbuf_free(frame);
			return NULL;
		}
		frame = frame ? frame : segment;
		u16 part = rte_pktmbuf_tailroom(segment);
		part = length < part ? (u16)length : part;
		memcpy(rte_pktmbuf_append(frame, part), bytes, part);
		bytes += part;
		length -= part;
	}
	return frame;
}

int enter_send(struct engine *engine, enum engine_send how, u32 port, const u8 *bytes, u32 length)
{
	if (!length) // there is one from the start
		return 0;
	if (length > UINT16_MAX)
		return -EMSGSIZE;
	struct rte_mbuf *frame = frame_of(bytes, length);
	if (!frame)
		return -ENOMEM;
	frame->hash.usr = port | (how == ENGINE_SEND_TO ? ENTER_TO : 0);
	int error = rte_ring_sp_enqueue(engine->entering, frame);
	if (error)
		rte_pktmbuf_free(frame);
	else
		worker_wake(engine->workers[0]);
	return error;
}
