// SPDX-License-Identifier: BSD-2-Clause
// An AF_XDP socket: its memory and its four rings. One thread at a time receives, and one sends.
//
// Frames are copied between its memory and mbufs: mbufs come from one pool that all ports share,
// which no driver could be given as its own.
#pragma once

#include "datapath/dpdk/port.h"

enum {
	XSK_CHUNK = 4096,
	XSK_FRAME = XSK_CHUNK - 256, // what the kernel leaves of it
	XSK_RX = 1024,               // a worker may have to wait for its core
	XSK_TX = 512,
};

struct xsk;

// Bound to one queue of the port's device, zero-copy where its driver can. What is lost there is
// the port's. Returns 0 or -errno.
int xsk_open(struct xsk **out, struct dpdk_port *port, u32 queue, bool sends);
void xsk_close(struct xsk *xsk); // NULL: nothing to do
int xsk_fd(const struct xsk *xsk);

u32 xsk_rx(struct xsk *xsk, struct rte_mbuf **frames, u32 capacity);
bool xsk_ready(const struct xsk *xsk); // a frame waits
void xsk_read_lost(struct xsk *xsk);   // frames that found no room, since the last call
// As a driver's tx: takes and frees from the front.
u32 xsk_tx(struct xsk *xsk, struct rte_mbuf **frames, u32 count);
