// SPDX-License-Identifier: BSD-2-Clause
// A guest for tests: a small vhost-user frontend with split rings. It does what it is told, also
// what no guest should do. Its failures abort: it may run in a process of its own.
#pragma once

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <weft/types.h>

enum {
	FRONTEND_PAIRS = 4,
	FRONTEND_RINGS = 2 * FRONTEND_PAIRS,
	FRONTEND_SLOTS = 256,           // descriptors of a ring
	FRONTEND_BUFFER = 2048,         // bytes of each one's buffer
	FRONTEND_AREA = 1u << 20,       // of memory per ring: descriptors, rings, then buffers
	FRONTEND_BUFFERS_AT = 1u << 16, // in the area
	FRONTEND_BIG_AT = FRONTEND_BUFFERS_AT + FRONTEND_SLOTS * FRONTEND_BUFFER,
	FRONTEND_MEMORY = FRONTEND_RINGS * FRONTEND_AREA,
	FRONTEND_HEADER = sizeof(struct virtio_net_hdr_mrg_rxbuf),
	FRONTEND_DEADLINE_MS = 10000,
	FRONTEND_REGIONS = 2,
};

#define FRONTEND_BIT(name) (1ULL << (name))
#define FRONTEND_PLAIN     (FRONTEND_BIT(VIRTIO_F_VERSION_1) | FRONTEND_BIT(30))
#define FRONTEND_ALL \
	(FRONTEND_PLAIN | FRONTEND_BIT(VIRTIO_NET_F_CSUM) | \
		FRONTEND_BIT(VIRTIO_NET_F_GUEST_CSUM) | FRONTEND_BIT(VIRTIO_NET_F_HOST_TSO4) | \
		FRONTEND_BIT(VIRTIO_NET_F_HOST_TSO6) | FRONTEND_BIT(VIRTIO_NET_F_GUEST_TSO4) | \
		FRONTEND_BIT(VIRTIO_NET_F_GUEST_TSO6) | FRONTEND_BIT(VIRTIO_NET_F_MRG_RXBUF) | \
		FRONTEND_BIT(VIRTIO_NET_F_MQ) | FRONTEND_BIT(VIRTIO_RING_F_EVENT_IDX) | \
		FRONTEND_BIT(VIRTIO_RING_F_INDIRECT_DESC))

struct frontend_ring {
	struct vring vring;
	u64 base;  // of its area in memory
	u16 avail; // as in the ring
	u16 used;  // seen
	int kick, call;
};

struct frontend {
	int socket;
	int memory_fd;
	u8 *memory; // a guest's address is an offset here
	u64 features;
	u32 pairs;
	struct frontend_ring ring[FRONTEND_RINGS];
};

struct frontend_message {
	u32 request, flags, size;
	union {
		u64 number;
		struct {
			u32 index, value;
		} state;
		struct {
			u32 index, flags;
			u64 desc, used, avail, log;
		} address;
		struct {
			u32 regions, padding;
			struct frontend_region {
				u64 guest, size, user, offset;
			} region[FRONTEND_REGIONS];
		} memory;
		struct {
			u64 size, offset;
		} log;
	};
} __attribute__((packed));

enum {
	VHOST_GET_FEATURES = 1,
	VHOST_SET_FEATURES = 2,
	VHOST_SET_OWNER = 3,
	VHOST_SET_MEM_TABLE = 5,
	VHOST_SET_LOG_BASE = 6,
	VHOST_SET_VRING_NUM = 8,
	VHOST_SET_VRING_ADDR = 9,
	VHOST_SET_VRING_BASE = 10,
	VHOST_GET_VRING_BASE = 11,
	VHOST_SET_VRING_KICK = 12,
	VHOST_SET_VRING_CALL = 13,
	VHOST_SET_PROTOCOL_FEATURES = 16,
	VHOST_SET_VRING_ENABLE = 18,
	VHOST_SEND_RARP = 19,
};

#define FRONTEND_MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "frontend: %s (line %d): %s\n", #condition, __LINE__, \
				strerror(errno)); \
			abort(); \
		} \
	} while (0)

static inline u64 frontend_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

// Sends, `copies` times with the descriptor. 0, or -1 when the other side has gone.
static inline int frontend_tell_with(
	struct frontend *f, struct frontend_message *message, u32 payload, int fd, u32 copies)
{
	char control[CMSG_SPACE(FRONTEND_REGIONS * sizeof(int))] = {0};
	struct iovec io = {message, 12 + payload};
	struct msghdr header = {.msg_iov = &io, .msg_iovlen = 1};
	message->flags |= 1; // version
	message->size = payload;
	if (copies) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(copies * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(copies * sizeof(int));
		for (u32 i = 0; i < copies; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	return sendmsg(f->socket, &header, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

// With up to one descriptor (-1: none).
static inline int frontend_tell(
	struct frontend *f, struct frontend_message *message, u32 payload, int fd)
{
	return frontend_tell_with(f, message, payload, fd, fd >= 0);
}

static inline int frontend_ask(struct frontend *f, struct frontend_message *message, u32 payload)
{
	struct pollfd wait = {.fd = f->socket, .events = POLLIN};
	if (frontend_tell(f, message, payload, -1) || poll(&wait, 1, FRONTEND_DEADLINE_MS) != 1)
		return -1;
	ssize_t got = recv(f->socket, message, sizeof(*message), 0);
	return got < 12 ? -1 : 0;
}

static inline int frontend_state(struct frontend *f, u32 request, u32 index, u32 value)
{
	struct frontend_message m = {.request = request, .state = {index, value}};
	return frontend_tell(f, &m, sizeof(m.state), -1);
}

static inline int frontend_number(struct frontend *f, u32 request, u64 number, int fd)
{
	struct frontend_message m = {.request = request, .number = number};
	return frontend_tell(f, &m, sizeof(m.number), fd);
}

// Everything that was sent has been handled when this returns 0.
static inline int frontend_sync(struct frontend *f)
{
	struct frontend_message m = {.request = VHOST_GET_FEATURES};
	return frontend_ask(f, &m, 0);
}

static inline void frontend_init(struct frontend *f)
{
	memset(f, 0, sizeof(*f));
	f->socket = -1;
	f->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	FRONTEND_MUST(f->memory_fd >= 0 && !ftruncate(f->memory_fd, FRONTEND_MEMORY));
	f->memory =
		mmap(NULL, FRONTEND_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory_fd, 0);
	FRONTEND_MUST(f->memory != MAP_FAILED);
	for (u32 i = 0; i < FRONTEND_RINGS; i++) {
		struct frontend_ring *ring = &f->ring[i];
		ring->base = (u64)i * FRONTEND_AREA;
		ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ring->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		FRONTEND_MUST(ring->kick >= 0 && ring->call >= 0);
		vring_init(&ring->vring, FRONTEND_SLOTS, f->memory + ring->base, 4096);
	}
}

static inline void frontend_hang_up(struct frontend *f)
{
	if (f->socket >= 0)
		close(f->socket);
	f->socket = -1;
}

static inline void frontend_free(struct frontend *f)
{
	frontend_hang_up(f);
	for (u32 i = 0; i < FRONTEND_RINGS; i++) {
		close(f->ring[i].kick);
		close(f->ring[i].call);
	}
	munmap(f->memory, FRONTEND_MEMORY);
	close(f->memory_fd);
}

static inline struct sockaddr_un frontend_address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static inline void frontend_connect(struct frontend *f, const char *path)
{
	struct sockaddr_un address = frontend_address(path);
	f->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FRONTEND_MUST(!connect(f->socket, (void *)&address, sizeof(address)));
}

static inline int frontend_listen(const char *path)
{
	struct sockaddr_un address = frontend_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(path);
	FRONTEND_MUST(!bind(fd, (void *)&address, sizeof(address)) && !listen(fd, 1));
	return fd;
}

static inline void frontend_accept(struct frontend *f, int listener)
{
	struct pollfd wait = {.fd = listener, .events = POLLIN};
	FRONTEND_MUST(poll(&wait, 1, FRONTEND_DEADLINE_MS) == 1);
	f->socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	FRONTEND_MUST(f->socket >= 0);
}

static inline void frontend_set_ring(struct frontend *f, u32 index)
{
	struct frontend_ring *ring = &f->ring[index];
	u64 area = (u64)f->memory + ring->base;
	struct frontend_message m = {.request = VHOST_SET_VRING_ADDR};
	m.address.index = index;
	m.address.desc = area;
	m.address.avail = (u64)ring->vring.avail;
	m.address.used = (u64)ring->vring.used;
	frontend_state(f, VHOST_SET_VRING_NUM, index, FRONTEND_SLOTS);
	frontend_state(f, VHOST_SET_VRING_BASE, index, ring->vring.used->idx);
	frontend_tell(f, &m, sizeof(m.address), -1);
	frontend_number(f, VHOST_SET_VRING_CALL, index, ring->call);
	frontend_number(f, VHOST_SET_VRING_KICK, index, ring->kick);
}

static inline int frontend_enable(struct frontend *f, u32 pair, bool on)
{
	frontend_state(f, VHOST_SET_VRING_ENABLE, 2 * pair, on);
	frontend_state(f, VHOST_SET_VRING_ENABLE, 2 * pair + 1, on);
	return frontend_sync(f);
}

// The guest's memory up to `end`, in regions that meet at `middle` (0: one region).
static inline int frontend_set_memory(struct frontend *f, u64 middle, u64 end)
{
	struct frontend_message m = {.request = VHOST_SET_MEM_TABLE};
	u64 first = middle ? middle : end, user = (u64)f->memory;
	m.memory.regions = middle ? 2 : 1;
	m.memory.region[0] = (struct frontend_region){0, first, user, 0};
	m.memory.region[1] = (struct frontend_region){first, end - first, user + first, first};
	return frontend_tell_with(f, &m, 8 + m.memory.regions * sizeof(m.memory.region[0]),
		f->memory_fd, m.memory.regions);
}

// What the driver of a guest causes. The rings go on where they were.
static inline int frontend_start(struct frontend *f, u64 features, u32 pairs)
{
	struct frontend_message m = {.request = VHOST_SET_OWNER};
	f->features = features;
	f->pairs = pairs;
	frontend_tell(f, &m, 0, -1);
	frontend_number(f, VHOST_SET_PROTOCOL_FEATURES, 1, -1); // MQ
	frontend_number(f, VHOST_SET_FEATURES, features, -1);
	frontend_set_memory(f, 0, FRONTEND_MEMORY);
	for (u32 i = 0; i < 2 * pairs; i++)
		frontend_set_ring(f, i);
	for (u32 i = 0; i < pairs; i++)
		frontend_enable(f, i, true);
	return frontend_sync(f);
}

static inline int frontend_stop(struct frontend *f)
{
	for (u32 i = 0; i < 2 * f->pairs; i++) {
		struct frontend_message m = {.request = VHOST_GET_VRING_BASE, .state = {i, 0}};
		if (frontend_ask(f, &m, sizeof(m.state)))
			return -1;
	}
	return 0;
}

static inline void frontend_kick(struct frontend *f, struct frontend_ring *ring, u16 old)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bool wanted = !(ring->vring.used->flags & VRING_USED_F_NO_NOTIFY);
	if (f->features & FRONTEND_BIT(VIRTIO_RING_F_EVENT_IDX))
		wanted = vring_need_event(vring_avail_event(&ring->vring), ring->avail, old);
	if (wanted)
		eventfd_write(ring->kick, 1);
}

// Offers the chain that begins at a descriptor.
static inline void frontend_offer(struct frontend *f, struct frontend_ring *ring, u16 head)
{
	u16 old = ring->avail++;
	ring->vring.avail->ring[old % FRONTEND_SLOTS] = head;
	__atomic_store_n(&ring->vring.avail->idx, ring->avail, __ATOMIC_RELEASE);
	frontend_kick(f, ring, old);
}

static inline void frontend_describe(
	struct frontend_ring *ring, u16 slot, u64 address, u32 length, u16 flags, u16 next)
{
	ring->vring.desc[slot] = (struct vring_desc){address, length, flags, next};
}

static inline u64 frontend_buffer(struct frontend_ring *ring, u16 slot)
{
	return ring->base + FRONTEND_BUFFERS_AT + (u64)slot * FRONTEND_BUFFER;
}

// One frame, in one descriptor; long ones share one place: one at a time. False: the ring is full.
static inline bool frontend_send(struct frontend *f, u32 pair, const struct virtio_net_hdr *header,
	const void *bytes, u32 length)
{
	struct frontend_ring *ring = &f->ring[2 * pair + 1];
	u16 slot = ring->avail % FRONTEND_SLOTS;
	u16 used = __atomic_load_n(&ring->vring.used->idx, __ATOMIC_ACQUIRE);
	bool big = length + FRONTEND_HEADER > FRONTEND_BUFFER;
	u64 at = big ? ring->base + FRONTEND_BIG_AT : frontend_buffer(ring, slot);
	if ((u16)(ring->avail - used) >= FRONTEND_SLOTS)
		return false;
	memset(f->memory + at, 0, FRONTEND_HEADER);
	if (header)
		memcpy(f->memory + at, header, sizeof(*header));
	memcpy(f->memory + at + FRONTEND_HEADER, bytes, length);
	frontend_describe(ring, slot, at, length + FRONTEND_HEADER, 0, 0);
	frontend_offer(f, ring, slot);
	return true;
}

static inline void frontend_fill(struct frontend *f, u32 pair)
{
	struct frontend_ring *ring = &f->ring[2 * pair];
	while ((u16)(ring->avail - ring->used) < FRONTEND_SLOTS) {
		u16 slot = ring->avail % FRONTEND_SLOTS;
		frontend_describe(ring, slot, frontend_buffer(ring, slot), FRONTEND_BUFFER,
			VRING_DESC_F_WRITE, 0);
		frontend_offer(f, ring, slot);
	}
}

// The next frame that has come, out of as many buffers as it fills; 0: none. Buffers are used in
// order and offered again by fill.
static inline u32 frontend_receive(struct frontend *f, u32 pair,
	struct virtio_net_hdr_mrg_rxbuf *header, u8 *bytes, u32 capacity)
{
	struct frontend_ring *ring = &f->ring[2 * pair];
	u32 length = 0, buffers = 1;
	for (u32 i = 0; i < buffers; i++) {
		if (__atomic_load_n(&ring->vring.used->idx, __ATOMIC_ACQUIRE) == ring->used)
			return 0;
		struct vring_used_elem *used =
			&ring->vring.used->ring[ring->used++ % FRONTEND_SLOTS];
		u32 skip = i ? 0 : FRONTEND_HEADER;
		u8 *from = f->memory + frontend_buffer(ring, used->id);
		if (!i) {
			memcpy(header, from, sizeof(*header));
			if (f->features & FRONTEND_BIT(VIRTIO_NET_F_MRG_RXBUF))
				buffers = header->num_buffers;
		}
		FRONTEND_MUST(used->len >= skip && length + used->len - skip <= capacity);
		memcpy(bytes + length, from + skip, used->len - skip);
		length += used->len - skip;
	}
	return length;
}
