// SPDX-License-Identifier: BSD-2-Clause
// The vhost-user driver: what its files share.
//
// librte_vhost speaks with the hypervisor: it has a thread of its own that calls back when guests
// come, go and change rings (port_vhost_guest.c). Frames go through our own rings (vring.h), which
// are closed while it handles a message that may change them (port_vhost_rings.c). Workers go
// through gates, so that rings are closed and a guest is gone only when nobody is at them.
#pragma once

#include <sched.h>
#include <sys/un.h>
#include "datapath/dpdk/port.h"
#include "datapath/dpdk/vring.h"

enum { VHOST_GUESTS = 1024 }; // the library's

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
	// Of workers behind gates while the rings are open, else of the library's thread.
	struct guest_ring rings[2 * DPDK_QUEUES];
	struct vring_memory memory;
	struct dpdk_port *port;
	struct vhost_port *next;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool client;
	bool quiet;  // being opened or closed: no word about changes
	bool warned; // of rings that the port has no queue for
	u32 queues;  // most pairs

	// Of the library's thread; others read.
	int open;        // the guest whose rings may be used now; -1: none
	bool message;    // is being handled and may change rings
	u64 announce;    // MAC of a guest that has moved here; 0: none
	int guest;       // the library's number (vid) of the guest whose driver runs; -1: none
	int waiting;     // another guest, whose driver runs too; -1: none
	u32 connections; // somebody at the socket
	u32 pairs;       // usable
	u32 most_pairs;  // 1 without MQ
	u32 mtu;
	int guarded; // the guest whose memory workers may touch; -1: none
};

// The guest's number, or -1; then the gate was not entered. Seq_cst on both sides: either the
// worker sees that the rings are closed, or vhost_gate_wait sees the worker.
static inline int vhost_gate_enter(struct vhost_port *vhost, struct vhost_gate *gate)
{
	__atomic_store_n(&gate->inside, 1, __ATOMIC_SEQ_CST);
	int guest = __atomic_load_n(&vhost->open, __ATOMIC_SEQ_CST);
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

// Of the guest whose rings are open.
static inline bool vhost_memory_lost(const struct vhost_port *vhost)
{
	return __atomic_load_n(vhost->memory.lost, __ATOMIC_RELAXED);
}

// Nothing has gone wrong with it since it was looked after.
static inline bool vhost_ring_good(const struct vhost_port *vhost, const struct guest_ring *ring)
{
	return !ring->lost && (!ring->cut || ring->told) &&
	       (!vhost_memory_lost(vhost) || ring->cut == VRING_LOST);
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

// port_vhost_memory.c. guard: of this process, once. learn, forget: what workers may touch of the
// guest that is served; vring_memory says if some of it went away meanwhile. message: the calling
// thread handles one of this guest; -1: no more. renew: the memory is another's, or shared anew.
void vhost_memory_guard(void);
void vhost_memory_learn(struct vhost_port *vhost);
void vhost_memory_forget(struct vhost_port *vhost);
void vhost_memory_message(int guest);
void vhost_memory_renew(int guest);

// port_vhost_rings.c. close: no worker is at the rings, and the library knows where they stand.
// open: of the guest that is served, as the library has them now; bits of those that are ready.
void vhost_rings_close(struct vhost_port *vhost);
void vhost_rings_open(struct vhost_port *vhost, u32 ready);
void vhost_ring_forgive(struct vhost_port *vhost, u16 ring); // a ring that is set up anew
// After a burst of so many frames, unless the ring is good. True: its memory was lost meanwhile.
bool vhost_ring_settle(struct vhost_port *vhost, struct guest_ring *ring, u32 frames);
const char *vhost_rings_why(const struct vhost_port *vhost); // one was cut off; NULL: none
