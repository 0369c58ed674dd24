// SPDX-License-Identifier: BSD-2-Clause
// The vhost-user driver: what its files share.
//
// librte_vhost has a thread of its own that calls back when guests come, go and change rings
// (port_vhost_guest.c). Workers go through gates, so that a guest is gone only when nobody is
// inside the library with its number.
#pragma once

#include <sched.h>
#include <sys/un.h>
#include "datapath/dpdk/port.h"

struct vhost_gate {
	int inside;
} __rte_cache_aligned;

// What a worker sleeps on. The descriptor in wake_fd is an epoll instance: it stays while kick
// descriptors come and go.
struct vhost_wake {
	int epoll;
	int timer; // says "look again": the guest's state changed, or its ring needs a look by time
	int kick;  // ours, of the guest's present ring; -1: none
	u32 vain;  // times in a row that frames waited and none could be had
	bool got;  // frames since the last arm
};

struct vhost_port {
	struct vhost_gate rx_gate[DPDK_QUEUES];
	struct vhost_gate tx_gate[DPDK_QUEUES];
	struct vhost_wake wake[DPDK_QUEUES];
	struct dpdk_port *port;
	struct vhost_port *next;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool client;
	bool quiet;  // being opened or closed: no word about changes
	bool warned; // of rings that the port has no queue for
	u32 queues;  // most pairs

	// Of the library's thread; others read.
	int guest;       // the library's number (vid) of the guest whose driver runs; -1: none
	int waiting;     // another guest, whose driver runs too; -1: none
	u32 connections; // somebody at the socket
	u32 pairs;       // usable
	u32 most_pairs;  // 1 without MQ
	u32 mtu;
	u64 malformed[DPDK_QUEUES]; // frames that were not delivered
};

// The guest's number, or -1; then the gate was not entered. Seq_cst on both sides: either the
// worker sees that the guest is gone, or vhost_gate_wait sees the worker.
static inline int vhost_gate_enter(struct vhost_port *vhost, struct vhost_gate *gate)
{
	__atomic_store_n(&gate->inside, 1, __ATOMIC_SEQ_CST);
	int guest = __atomic_load_n(&vhost->guest, __ATOMIC_SEQ_CST);
	if (guest < 0)
		__atomic_store_n(&gate->inside, 0, __ATOMIC_RELEASE);
	return guest;
}

static inline void vhost_gate_leave(struct vhost_gate *gate)
{
	__atomic_store_n(&gate->inside, 0, __ATOMIC_RELEASE);
}

static inline void vhost_gate_wait(struct vhost_gate *gate)
{
	while (__atomic_load_n(&gate->inside, __ATOMIC_SEQ_CST))
		sched_yield();
}

// Rings are the guest's: it receives on even ones and sends on odd ones.
static inline u16 vhost_ring_to_guest(u32 queue)
{
	return 2 * queue;
}

static inline u16 vhost_ring_from_guest(u32 queue)
{
	return 2 * queue + 1;
}

// port_vhost_guest.c. add: callbacks for the socket from now on; -EADDRINUSE, -ENOSPC.
int vhost_guest_add(struct vhost_port *vhost);
void vhost_guest_remove(struct vhost_port *vhost);
int vhost_guest_listen(struct vhost_port *vhost); // registers and starts the socket
void vhost_guest_state(struct vhost_port *vhost, struct engine_port_state *out);

// port_vhost_wake.c
int vhost_wake_open(struct vhost_wake *wake);
void vhost_wake_close(struct vhost_wake *wake);
void vhost_wake_set_kick(struct vhost_wake *wake, int fd); // fd -1: none
void vhost_wake_up(struct vhost_wake *wake);               // now
bool vhost_arm(struct dpdk_port *port, u32 queue, bool on);

// port_vhost_frame.c. receive: makes of what the guest claims what the contract promises; false:
// malformed.
bool vhost_frame_receive(struct rte_mbuf *frame);
// send: what the library would spoil is put before it in another form, undone by keep.
void vhost_frame_send(struct rte_mempool *pool, struct rte_mbuf **frame);
void vhost_frame_keep(struct rte_mbuf **frame);
