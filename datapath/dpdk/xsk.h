// SPDX-License-Identifier: BSD-2-Clause
// An AF_XDP socket: its memory and its four rings. One thread at a time receives, and one sends.
//
// Frames are copied between its memory and mbufs: mbufs come from one pool that all ports share,
// which no driver could be given as its own.
#pragma once

#include <rte_mbuf.h>
#include <weft/types.h>

enum {
	XSK_CHUNK = 4096,
	XSK_FRAME = XSK_CHUNK - 256, // what the kernel leaves of it
	XSK_RX = 1024,               // a worker may have to wait for its core
	XSK_TX = 512,
};

struct xsk;

// Bound to one queue of the device, zero-copy where its driver can. Returns 0 or -errno.
int xsk_open(struct xsk **out, u32 ifindex, u32 queue, bool sends);
void xsk_close(struct xsk *xsk); // NULL: nothing to do
int xsk_fd(const struct xsk *xsk);

u32 xsk_rx(struct xsk *xsk, struct rte_mempool *pool, struct rte_mbuf **frames, u32 capacity);
bool xsk_ready(const struct xsk *xsk); // a frame waits
// As a driver's tx: takes and frees from the front.
u32 xsk_tx(struct xsk *xsk, struct rte_mbuf **frames, u32 count);
