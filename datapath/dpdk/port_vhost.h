// SPDX-License-Identifier: BSD-2-Clause
// The vhost-user driver: what its files share.
//
// The hypervisor sets a guest up by messages on a socket (QEMU's docs/interop/vhost-user.rst).
// port_vhost_socket.c: a thread that accepts, connects and reads; it never waits for one guest.
// port_vhost_message.c: whole messages, and answers. port_vhost_request.c: what they mean.
// port_vhost_guest.c: who is there, and whose driver runs. Frames go through rings (vring.h), which
// are closed while a message may change them (port_vhost_rings.c). Workers go through gates, so
// that rings are closed and a guest is gone only when nobody is at them.
#pragma once

#include <sched.h>
#include <sys/un.h>
#include "datapath/dpdk/port.h"
#include "datapath/dpdk/vring.h"

#define VHOST_USER_F_PROTOCOL_FEATURES 30
#define VHOST_PROTOCOL_STATUS          16
#define VHOST_BIT(name)                (1ULL << (name))

// How reasons begin for which a guest is cut off.
#define VHOST_CUT "the guest was cut off: "

enum {
	VHOST_GUESTS = 1024,   // connections of all ports
	VHOST_PORT_GUESTS = 2, // of one: a guest may be back before it was seen to go
	VHOST_PORTS = VHOST_GUESTS / VHOST_PORT_GUESTS,
	VHOST_RINGS = 2 * DPDK_QUEUES,
};

// Integers are of the machine's order: both ends are on it.
struct vhost_message {
	u32 unused;                // the payload is aligned so; the message begins behind it
	u32 request, flags, bytes; // of the payload
	union {
		u64 number;
		struct {
			u32 index, number;
		} state;
		struct {
			u32 index, flags;
			u64 desc, used, avail, log;
		} address;
		struct {
			u32 count, padding;
			struct vhost_region {
				u64 guest, bytes, user, offset;
			} region[VRING_REGIONS];
		} memory;
		struct {
			u64 bytes, offset;
		} log;
	};
};

// What a guest shares.
struct vhost_map {
	u64 guest, user, bytes; // where the guest and its hypervisor have it
	u8 *host;               // where we do; NULL: nowhere
	u8 *base;               // of the mapping, in whole pages
	u64 base_bytes;
};

// A ring as it was set up by messages.
struct vhost_told {
	u64 desc, avail, used; // the hypervisor's addresses
	u64 log;
	u16 size, next;
	bool placed, started, enabled, logged;
	int kick, call; // -1: none
};

// A connection.
struct vhost_guest {
	struct vhost_port *port;
	u32 number;
	int socket;
	bool runs;   // its driver
	u8 status;   // of its device, as virtio says; where it tells
	bool shared; // memory
	u16 mtu;
	u64 features, protocol;
	struct vhost_told rings[VHOST_RINGS];
	struct vhost_map regions[VRING_REGIONS];
	struct vhost_map log;
	// The message that comes, as far as it is here.
	struct vhost_message message;
	u32 got;
	u32 descriptors;
	int descriptor[VRING_REGIONS];
};

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
	// Of workers behind gates while the rings are open, else of who has the lock.
	struct guest_ring rings[VHOST_RINGS];
	struct vring_memory memory;
	struct dpdk_port *port;
	u32 number;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool client;
	bool quiet;   // being opened or closed: no word about changes
	u32 queues;   // most pairs
	int listener; // -1: none
	bool deaf;    // nobody listens to it for a while: there were no descriptors

	// Written under the lock; others read.
	int open;                    // number of the guest whose rings may be used now; -1: none
	u64 announce;                // MAC of a guest that has moved here; 0: none
	struct vhost_guest *guest;   // whose driver runs
	struct vhost_guest *waiting; // its driver runs too
	u32 connections;             // somebody at the socket
	u32 mtu;
	const char *refused; // why the last guest was cut off; static
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

// port_vhost_socket.c has a lock: held while a message is handled and while ports come and go.
// Listens or connects from now on. -errno and *why.
int vhost_socket_open(struct vhost_port *vhost, const char **why);
void vhost_socket_close(struct vhost_port *vhost); // and all its guests; workers are waited for

// port_vhost_message.c. 1: a message was handled; 0: the rest has not come; -1: it is over with the
// guest. Takes what is there and does not wait.
int vhost_message_read(struct vhost_guest *guest);
int vhost_take_descriptor(struct vhost_guest *guest); // of the message; the caller's; -1: none
void vhost_drop_descriptors(struct vhost_guest *guest);

// port_vhost_guest.c, under the lock. A guest is at the socket, or has left it.
struct vhost_guest *vhost_guest_new(struct vhost_port *vhost, u32 number, int socket);
void vhost_guest_free(struct vhost_guest *guest);
void vhost_guest_stop(struct vhost_guest *guest);    // its driver
void vhost_guest_changed(struct vhost_guest *guest); // it may run now, go on, or not any more
void vhost_guest_state(struct vhost_port *vhost, struct engine_port_state *out);

// port_vhost_request.c, under the lock. A whole message. NULL, or why the guest must be cut off
// (static). *answer: the message is one.
const char *vhost_request(struct vhost_guest *guest, struct vhost_message *message, bool *answer);
bool vhost_wants_result(const struct vhost_guest *guest); // of messages without an answer
// It has no rings and no memory from now on; while its rings are closed.
void vhost_guest_reset(struct vhost_guest *guest);

// port_vhost_wake.c
int vhost_wake_open(struct vhost_wake *wake);
void vhost_wake_close(struct vhost_wake *wake);
void vhost_wake_set_kick(struct vhost_wake *wake, int fd); // fd -1: none
void vhost_wake_up(struct vhost_wake *wake);               // now
bool vhost_arm(struct dpdk_port *port, u32 queue, bool on);

// port_vhost_memory.c. share and log take the message's descriptors; NULL, or what is wrong with
// them. guard: of this process, once. learn, forget: what workers may touch of the guest that is
// served; vring_memory says if some of it went away meanwhile.
const char *vhost_memory_share(struct vhost_guest *guest, const struct vhost_message *message);
const char *vhost_memory_log(struct vhost_guest *guest, const struct vhost_message *message);
void vhost_memory_unshare(struct vhost_guest *guest);
void vhost_memory_unlog(struct vhost_guest *guest);
void *vhost_memory_find(const struct vhost_guest *guest, u64 user); // NULL: not shared
void vhost_memory_guard(void);
void vhost_memory_learn(struct vhost_port *vhost);
void vhost_memory_forget(const struct vhost_guest *guest);

// port_vhost_rings.c. close: no worker is at the rings, and it is noted where they
// stand, which are the guest's. open: those of the guest that is served, as it has told.
void vhost_rings_close(struct vhost_port *vhost, struct vhost_guest *guest);
void vhost_rings_open(struct vhost_port *vhost);
bool vhost_ring_ready(const struct vhost_guest *guest, u32 ring);
void vhost_ring_forgive(struct vhost_port *vhost, u16 ring); // a ring that is set up anew
// After a burst of so many frames, unless the ring is good. True: its memory was lost meanwhile.
bool vhost_ring_settle(struct vhost_port *vhost, struct guest_ring *ring, u32 frames);
const char *vhost_rings_why(const struct vhost_port *vhost); // one was cut off; NULL: none
