// SPDX-License-Identifier: BSD-2-Clause
// A port of the DPDK engine and its driver: the contract between workers and whatever carries
// frames.
//
// Frames are mbufs of the engine's pool: refcnt 1, direct, tags in the bytes, the first segment
// holding at least the first WEFT_PARSE_BYTES of the frame (or all of it), RTE_PKTMBUF_HEADROOM in
// front. A partial checksum or a superpacket is said by TX flags and lengths, as docs/dpdk.md has
// it; other ol_flags are zero. packet_type is enum dpdk_frame.
#pragma once

#include <rte_mbuf.h>
#include <rte_spinlock.h>
#include "datapath/engine.h"

enum { DPDK_BURST = 32, DPDK_QUEUES = ENGINE_VHOST_QUEUES };

enum dpdk_frame {
	DPDK_SUM_KNOWN = 1, // its first checksum was found right, or its sender is on this host
};

struct dpdk_port;

// open and close: weftd's thread; no worker knows the port then. Everything else: one worker at a
// time per call (rx and arm: the port's own worker; tx: any, under the queue's tx_lock).
struct dpdk_driver {
	const char *name;

	// Sets port->state and what the driver fills in. The port works, or will when its other end
	// comes. Returns -errno and a static sentence that names the next step in *why.
	int (*open)(struct dpdk_port *port, const struct engine_port *config, const char **why);
	void (*close)(struct dpdk_port *port);

	// Up to `capacity` frames of a queue below rx_queues; they are the caller's then.
	u32 (*rx)(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 capacity);

	// Sends from the front of the list on a queue below tx_queues; returns how many it took
	// (and freed, or will; what it dropped of them, it has said to port->lost). The rest stay
	// the caller's. Every frame is one that the other end takes (port->takes), and may be
	// longer than one segment. Does not change a frame it does not take.
	u32 (*tx)(struct dpdk_port *port, u32 queue, struct rte_mbuf **frames, u32 count);

	// on: from now on wake_fd of the queue becomes readable when a frame comes; returns true if
	// frames wait already (the caller polls on). off: no more wake-ups; what has come is eaten.
	// On again while it is on, if port->timed: no frame had come.
	bool (*arm)(struct dpdk_port *port, u32 queue, bool on);

	void (*state)(struct dpdk_port *port, struct engine_port_state *out);

	// Where the driver must look to see who takes a frame (P6); NULL: the frame's name tells
	// (taken.h). mark: behind the frame that was sent last on the queue. taken: are all before
	// the mark taken? 1, 0; -1: it cannot be seen (any more).
	u16 (*mark)(struct dpdk_port *port, u32 queue);
	int (*taken)(struct dpdk_port *port, u32 queue, u16 mark);
};

struct dpdk_port {
	u32 id;              // 0: an underlay device that is no port
	u32 slot;            // of engine->ports
	bool underlay;       // frames between hosts come here; claim.h tells which
	struct weft_mac mac; // of an underlay device; zero: not known (underlay_mine)
	u64 mac_asked_ns;
	u32 pass; // of a NIC with a twin and of its wire: the other's slot, for pass_frame; else 0
	struct engine *engine;
	u32 ifindex;         // its netdev, or its twin; 0: none
	struct claim *claim; // of its netdev's frames
	char name[64];
	const struct dpdk_driver *driver;
	void *driver_state;       // the driver's own
	bool xdp;                 // as weftd asked
	const char *packet_why;   // why it is packet sockets all the same; static
	struct rte_mempool *pool; // frames come from here
	// Calls back that the port's state has changed (any thread).
	void (*changed)(struct dpdk_port *port);
	// Calls back that the driver has dropped frames: device_dropped, of those it had taken to
	// send, or one of the rx reasons (any thread).
	void (*lost)(struct dpdk_port *port, enum weft_drop reason, u32 frames);

	// Set by the driver, at any time: workers read them once per burst.
	u32 takes;                // enum engine_takes
	u32 rx_queues;            // 0: nothing to receive from now
	u32 tx_queues;            // 0: nobody there: frames are device_dropped
	int wake_fd[DPDK_QUEUES]; // by rx queue; -1: none; fixed from open to close
	bool timed;               // they are timers: perhaps no frame has come; fixed, too

	rte_spinlock_t tx_lock[DPDK_QUEUES];
	u32 worker; // which receives

	bool named;       // frames to it may have names: a tap
	bool stamped;     // frames from it have the kernel's stamp
	u32 sample_below; // as sample_in was drawn for
	u32 sample_in;    // frames until one is sampled; of its worker
};

static inline void port_lost(struct dpdk_port *port, enum weft_drop reason, u32 frames)
{
	if (unlikely(frames) && port->lost)
		port->lost(port, reason, frames);
}

extern const struct dpdk_driver dpdk_netdev;
extern const struct dpdk_driver dpdk_xdp; // a netdev, too
extern const struct dpdk_driver dpdk_vhost;
extern const struct dpdk_driver dpdk_pci;

// port_netdev.c. What a netdev's own flags say; any socket will do.
void dpdk_netdev_state(int socket, u32 ifindex, struct engine_port_state *out);

// offload.c. Makes of one frame what an end with `takes` takes, out of the same bytes: itself, with
// its checksum completed, or its segments. Consumes the frame. Returns how many are in `out`, 0: it
// could not be done (no memory, headers that are not there): dropped.
u32 dpdk_complete(struct rte_mbuf *frame, u32 takes, struct rte_mbuf **out, u32 capacity);
