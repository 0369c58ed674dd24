// SPDX-License-Identifier: BSD-2-Clause
// Sending by packet sockets is sendmmsg: the kernel gives a sent slot of a ring back while a tap
// still holds its pages, so that a guest would read the next frame's bytes. No PACKET_QDISC_BYPASS:
// it drops every superpacket that the device does not take as it is, and hides frames from tcpdump.
#include "datapath/dpdk/port_netdev.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "datapath/dpdk/taken.h"
#include "datapath/dpdk/vnet.h"

enum {
	VECTORS = 256,             // of a call that sends
	REFUSALS = DPDK_BURST / 2, // in a row: the device is full
};

// What one call sends.
struct batch {
	struct mmsghdr message[DPDK_BURST];
	struct virtio_net_hdr vnet[DPDK_BURST];
	struct iovec vector[VECTORS];
	union {
		struct cmsghdr header;
		u8 bytes[CMSG_SPACE(sizeof(u64))];
	} name[DPDK_BURST]; // of frames that have one
	u32 messages, vectors;
};

// The name is the skb's time stamp: it stays until the tap's reader takes the frame.
static void batch_name(struct batch *batch, u32 index, struct rte_mbuf *frame)
{
	struct msghdr *message = &batch->message[index].msg_hdr;
	u64 *name = taken_name(frame);
	if (likely(!*name))
		return;
	message->msg_control = &batch->name[index];
	message->msg_controllen = sizeof(batch->name[index]);
	batch->name[index].header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_TXTIME,
		.cmsg_len = CMSG_LEN(sizeof(*name))};
	memcpy(CMSG_DATA(&batch->name[index].header), name, sizeof(*name));
	*name = 0;
}

static bool batch_add(struct batch *batch, struct rte_mbuf *frame, bool named)
{
	u32 index = batch->messages;
	if (index == DPDK_BURST || frame->nb_segs + 1u > VECTORS - batch->vectors)
		return false;
	struct iovec *vector = &batch->vector[batch->vectors];
	batch->message[index].msg_hdr =
		(struct msghdr){.msg_iov = vector, .msg_iovlen = frame->nb_segs + 1u};
	if (named)
		batch_name(batch, index, frame);
	vnet_write(frame, &batch->vnet[index]);
	*vector++ = (struct iovec){&batch->vnet[index], sizeof(batch->vnet[index])};
	for (; frame; frame = frame->next)
		*vector++ = (struct iovec){rte_pktmbuf_mtod(frame, void *), frame->data_len};
	batch->vectors = (u32)(vector - batch->vector);
	batch->messages++;
	return true;
}

// Fills it from the front of the list.
static void batch_fill(struct batch *batch, struct rte_mbuf **frames, u32 count, bool named)
{
	batch->messages = batch->vectors = 0;
	while (batch->messages < count && batch_add(batch, frames[batch->messages], named))
		;
}

// May the next frame fare better than the one that was refused, and `row` right before it? When the
// device does not take it as it is; and with ENOBUFS, which a filter before the device says (tc,
// nftables), but also a device that is full.
static bool next_may_go(int error, u32 row)
{
	return error == EINVAL || error == EMSGSIZE || (error == ENOBUFS && row + 1 < REFUSALS);
}

// The batch begins at frame `at` of a list. `taken`: frames before it have left, or are lost among
// such. Returns false when there is no use in sending more.
static bool batch_send(struct dpdk_port *port, int socket, struct batch *batch, u32 at, u32 *taken)
{
	u32 i = 0;
	while (i < batch->messages) {
		int sent = sendmmsg(socket, batch->message + i, batch->messages - i, MSG_DONTWAIT);
		u32 row = at + i - *taken;
		if (sent > 0) {
			port_lost(port, WEFT_DROP_device_dropped, row);
			*taken = at + i + (u32)sent;
		} else if (!next_may_go(errno, row)) {
			return false;
		}
		i += sent > 0 ? (u32)sent : 1;
	}
	return true;
}

// What is refused behind the last frame that leaves is not taken: a full device looks like that.
u32 netdev_send(struct dpdk_port *port, int socket, struct rte_mbuf **frames, u32 count)
{
	struct batch batch;
	u32 taken = 0;
	for (u32 at = 0; at < count; at += RTE_MAX(batch.messages, 1u)) { // 0: of too many segments
		batch_fill(&batch, frames + at, count - at, port->named);
		if (!batch_send(port, socket, &batch, at, &taken))
			break;
	}
	rte_pktmbuf_free_bulk(frames, taken);
	return taken;
}
