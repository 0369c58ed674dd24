// SPDX-License-Identifier: BSD-2-Clause
// AF_XDP sockets: see linux/if_xdp.h and the kernel's Documentation/networking/af_xdp.rst.
#include "datapath/dpdk/xsk.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft/wire.h>

enum {
	CHUNKS = XSK_RX + XSK_TX,
	MEMORY_BYTES = CHUNKS * XSK_CHUNK,
	SOCKET_BYTES = 8 << 20,
	BURST = 32,
	KICKS = 4,
	BIND_TRIES = 200, // a millisecond each
};

struct ring {
	void *map;
	size_t bytes;
	u32 *producer, *consumer, *flags;
	void *entries;
	u32 mask;
	u32 own; // the index of the two that is ours
};

struct xsk {
	struct dpdk_port *port;
	int fd;
	u64 lost; // as the kernel counts, and the port knows
	u8 *memory;
	struct ring rx, fill, tx, done;
	u32 free_count; // chunks for sending
	u64 free[XSK_TX];
};

static u32 load(const u32 *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void publish(u32 *index, u32 value)
{
	__atomic_store_n(index, value, __ATOMIC_RELEASE);
}

static bool wants_kick(const struct ring *ring)
{
	// The index that was just written is seen before the flag is read.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load(ring->flags) & XDP_RING_NEED_WAKEUP;
}

static int set(int fd, int option, const void *value, socklen_t bytes)
{
	return setsockopt(fd, SOL_XDP, option, value, bytes) ? -errno : 0;
}

static int open_memory(struct xsk *xsk)
{
	xsk->memory = mmap(
		NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (xsk->memory == MAP_FAILED) {
		xsk->memory = NULL;
		return -errno;
	}
	struct xdp_umem_reg region = {
		.addr = (uintptr_t)xsk->memory, .len = MEMORY_BYTES, .chunk_size = XSK_CHUNK};
	return set(xsk->fd, XDP_UMEM_REG, &region, sizeof(region));
}

static int open_ring(struct xsk *xsk, struct ring *ring, u32 slots, u32 entry_bytes, off_t page,
	const struct xdp_ring_offset *at)
{
	ring->bytes = at->desc + (size_t)slots * entry_bytes;
	ring->map = mmap(NULL, ring->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		xsk->fd, page);
	if (ring->map == MAP_FAILED) {
		ring->map = NULL;
		return -errno;
	}
	u8 *map = ring->map;
	ring->producer = (u32 *)(map + at->producer);
	ring->consumer = (u32 *)(map + at->consumer);
	ring->flags = (u32 *)(map + at->flags);
	ring->entries = map + at->desc;
	ring->mask = slots - 1;
	return 0;
}

static int open_rings(struct xsk *xsk, bool sends)
{
	const u32 rx = XSK_RX, tx = XSK_TX;
	struct xdp_mmap_offsets at;
	socklen_t bytes = sizeof(at);
	int error = set(xsk->fd, XDP_UMEM_FILL_RING, &rx, sizeof(rx));
	error = error ? error : set(xsk->fd, XDP_UMEM_COMPLETION_RING, &tx, sizeof(tx));
	error = error ? error : set(xsk->fd, XDP_RX_RING, &rx, sizeof(rx));
	if (!error && sends)
		error = set(xsk->fd, XDP_TX_RING, &tx, sizeof(tx));
	if (!error && getsockopt(xsk->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &bytes))
		error = -errno;
	const struct {
		struct ring *ring;
		u32 slots, entry_bytes;
		off_t page;
		const struct xdp_ring_offset *at;
	} rings[] = {
		{&xsk->rx, XSK_RX, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING, &at.rx},
		{&xsk->fill, XSK_RX, sizeof(u64), (off_t)XDP_UMEM_PGOFF_FILL_RING, &at.fr},
		{&xsk->done, XSK_TX, sizeof(u64), (off_t)XDP_UMEM_PGOFF_COMPLETION_RING, &at.cr},
		{&xsk->tx, XSK_TX, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING, &at.tx},
	};
	for (u32 i = 0; !error && i < (sends ? 4 : 3); i++)
		error = open_ring(xsk, rings[i].ring, rings[i].slots, rings[i].entry_bytes,
			rings[i].page, rings[i].at);
	return error;
}

static void hand_out_chunks(struct xsk *xsk)
{
	for (u32 i = 0; i < XSK_RX; i++)
		((u64 *)xsk->fill.entries)[i] = (u64)i * XSK_CHUNK;
	xsk->fill.own = XSK_RX;
	publish(xsk->fill.producer, XSK_RX);
	for (u32 i = 0; i < XSK_TX; i++)
		xsk->free[xsk->free_count++] = (u64)(XSK_RX + i) * XSK_CHUNK;
}

// The kernel gives a queue back a while after the socket that had it is closed.
static int bind_to(int fd, u32 ifindex, u32 queue)
{
	struct sockaddr_xdp address = {.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_USE_NEED_WAKEUP,
		.sxdp_ifindex = ifindex,
		.sxdp_queue_id = queue};
	for (u32 i = 0; i < BIND_TRIES; i++) {
		if (!bind(fd, (void *)&address, sizeof(address)))
			return 0;
		if (errno != EBUSY)
			break;
		usleep(1000);
	}
	return -errno;
}

int xsk_open(struct xsk **out, struct dpdk_port *port, u32 queue, bool sends)
{
	struct xsk *xsk = calloc(1, sizeof(*xsk));
	int bytes = SOCKET_BYTES;
	if (!xsk)
		return -ENOMEM;
	xsk->port = port;
	xsk->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	int error = xsk->fd < 0 ? -errno : 0;
	if (!error)
		setsockopt(xsk->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	error = error ? error : open_memory(xsk);
	error = error ? error : open_rings(xsk, sends);
	if (!error) {
		hand_out_chunks(xsk);
		error = bind_to(xsk->fd, port->ifindex, queue);
	}
	if (error) {
		xsk_close(xsk);
		return error;
	}
	*out = xsk;
	return 0;
}

void xsk_close(struct xsk *xsk)
{
	if (!xsk)
		return;
	struct ring *rings[] = {&xsk->rx, &xsk->fill, &xsk->tx, &xsk->done};
	for (u32 i = 0; i < RTE_DIM(rings); i++)
		if (rings[i]->map)
			munmap(rings[i]->map, rings[i]->bytes);
	if (xsk->fd >= 0)
		close(xsk->fd);
	if (xsk->memory)
		munmap(xsk->memory, MEMORY_BYTES);
	free(xsk);
}

int xsk_fd(const struct xsk *xsk)
{
	return xsk->fd;
}

bool xsk_ready(const struct xsk *xsk)
{
	return load(xsk->rx.producer) != xsk->rx.own;
}

void xsk_read_lost(struct xsk *xsk)
{
	struct xdp_statistics stats;
	socklen_t bytes = sizeof(stats);
	if (getsockopt(xsk->fd, SOL_XDP, XDP_STATISTICS, &stats, &bytes))
		return;
	u64 lost = stats.rx_dropped + stats.rx_ring_full;
	port_lost(xsk->port, WEFT_DROP_rx_overrun, (u32)(lost - xsk->lost));
	xsk->lost = lost;
}

// Returns why there is no frame.
static enum weft_drop copy_in(
	struct rte_mbuf *head, struct rte_mempool *pool, const u8 *bytes, u32 length)
{
	u32 part = RTE_MIN(length, (u32)rte_pktmbuf_tailroom(head));
	if (length < sizeof(struct eth_header))
		return WEFT_DROP_rx_malformed;
	rte_memcpy(rte_pktmbuf_append(head, (u16)part), bytes, part);
	while (part < length) {
		struct rte_mbuf *next = rte_pktmbuf_alloc(pool);
		if (!next)
			return WEFT_DROP_rx_overrun;
		u32 more = RTE_MIN(length - part, (u32)rte_pktmbuf_tailroom(next));
		rte_memcpy(rte_pktmbuf_append(next, (u16)more), bytes + part, more);
		if (rte_pktmbuf_chain(head, next)) {
			rte_pktmbuf_free(next);
			return WEFT_DROP_rx_malformed;
		}
		part += more;
	}
	return WEFT_DROP_none;
}

u32 xsk_rx(struct xsk *xsk, struct rte_mbuf **frames, u32 capacity)
{
	const struct xdp_desc *entries = xsk->rx.entries;
	struct rte_mempool *pool = xsk->port->pool;
	u64 *fill = xsk->fill.entries;
	u32 waiting = load(xsk->rx.producer) - xsk->rx.own, count = 0;
	u32 ready = RTE_MIN(RTE_MIN(waiting, capacity), (u32)BURST);
	struct rte_mbuf *fresh[BURST];
	if (unlikely(waiting > XSK_RX / 2))
		xsk_read_lost(xsk);
	if (!ready || rte_pktmbuf_alloc_bulk(pool, fresh, ready))
		return 0;
	for (u32 i = 0; i < ready; i++) {
		const struct xdp_desc *entry = &entries[xsk->rx.own++ & xsk->rx.mask];
		enum weft_drop drop =
			copy_in(fresh[i], pool, xsk->memory + entry->addr, entry->len);
		if (!drop)
			frames[count++] = fresh[i];
		else
			rte_pktmbuf_free(fresh[i]);
		port_lost(xsk->port, drop, drop != WEFT_DROP_none);
		fill[xsk->fill.own++ & xsk->fill.mask] = entry->addr & ~(u64)(XSK_CHUNK - 1);
	}
	publish(xsk->rx.consumer, xsk->rx.own);
	publish(xsk->fill.producer, xsk->fill.own);
	if (wants_kick(&xsk->fill))
		recvfrom(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	return count;
}

static void take_back(struct xsk *xsk)
{
	const u64 *entries = xsk->done.entries;
	u32 ready = load(xsk->done.producer);
	while (xsk->done.own != ready)
		xsk->free[xsk->free_count++] =
			entries[xsk->done.own++ & xsk->done.mask] & ~(u64)(XSK_CHUNK - 1);
	publish(xsk->done.consumer, xsk->done.own);
}

static void put(struct xsk *xsk, const struct rte_mbuf *frame)
{
	struct xdp_desc *entry =
		&((struct xdp_desc *)xsk->tx.entries)[xsk->tx.own++ & xsk->tx.mask];
	*entry = (struct xdp_desc){.addr = xsk->free[--xsk->free_count], .len = frame->pkt_len};
	for (u8 *to = xsk->memory + entry->addr; frame; frame = frame->next) {
		rte_memcpy(to, rte_pktmbuf_mtod(frame, u8 *), frame->data_len);
		to += frame->data_len;
	}
}

// A call sends a few dozen frames. What a full device leaves goes with the next ones.
static void kick(struct xsk *xsk)
{
	for (u32 i = 0; i < KICKS && load(xsk->tx.consumer) != xsk->tx.own; i++)
		if (sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN &&
			errno != EBUSY && errno != ENOBUFS)
			return;
}

u32 xsk_tx(struct xsk *xsk, struct rte_mbuf **frames, u32 count)
{
	u32 done = 0;
	take_back(xsk);
	for (; done < count && xsk->free_count; done++) {
		if (likely(frames[done]->pkt_len <= XSK_CHUNK))
			put(xsk, frames[done]);
		else
			port_lost(xsk->port, WEFT_DROP_device_dropped, 1);
	}
	publish(xsk->tx.producer, xsk->tx.own);
	if (wants_kick(&xsk->tx))
		kick(xsk);
	rte_pktmbuf_free_bulk(frames, done);
	return done;
}
