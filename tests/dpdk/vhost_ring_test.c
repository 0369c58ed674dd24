// SPDX-License-Identifier: BSD-2-Clause
// The vhost-user driver's rings: buffers of odd forms, indices and the log of migration, and guests
// that break what the rings stand on: chains, tables, places and memory, also while they are used.

#include "tests/dpdk/vhost_rig.h"

#include <pthread.h>

enum {
	HALF = FRONTEND_MEMORY / 2,
	RACE_MS = 1500,
	CANARY = 0xa5,
	LOG_BYTES = FRONTEND_MEMORY / 4096 / 8,
};

static u8 bytes[1 << 17], got[1 << 17];

static struct guest_ring *ring_of(struct rig *rig, u32 index)
{
	return &((struct vhost_port *)rig->port.driver_state)->rings[index];
}

static u64 fault(struct rig *rig, u32 index, enum vring_fault reason)
{
	return ring_of(rig, index)->faults[reason];
}

static u32 send_to(struct rig *rig, u32 length)
{
	for (u32 i = 0; i < length; i++)
		bytes[i] = i * 5 + (i >> 8);
	struct rte_mbuf *m = rig_mbuf(bytes, length);
	u32 sent = dpdk_vhost.tx(&rig->port, 0, &m, 1);
	if (!sent)
		rte_pktmbuf_free(m);
	return sent;
}

// A guest that offers no buffers yet.
static struct rig *bare(const char *name, u64 features)
{
	struct rig *rig = rig_new(name);
	const char *why;
	assert_int_equal(rig_open(rig, false, 1, &why), 0);
	frontend_connect(&rig->guest, rig->path);
	assert_int_equal(frontend_start(&rig->guest, features, 1), 0);
	return rig;
}

static void restart(struct rig *rig, u64 features)
{
	frontend_free(&rig->guest);
	rig_gone(rig);
	frontend_init(&rig->guest);
	frontend_connect(&rig->guest, rig->path);
	assert_int_equal(frontend_start(&rig->guest, features, 1), 0);
}

static void pass(struct rig *rig)
{
	struct virtio_net_hdr_mrg_rxbuf header;
	frontend_fill(&rig->guest, 0);
	rig->guest.ring[0].used = rig->guest.ring[0].vring.used->idx;
	assert_int_equal(send_to(rig, 100), 1);
	assert_int_equal(frontend_receive(&rig->guest, 0, &header, got, sizeof(got)), 100);
	assert_memory_equal(got, bytes, 100);
	frontend_send(&rig->guest, 0, NULL, bytes, 100);
	rte_pktmbuf_free(rig_receive(rig, 0));
}

// Describes a chain of buffers that lie apart, the rest of their places full of canaries.
static void offer_pieces(struct rig *rig, u32 index, const u32 *lengths, u32 count, bool table)
{
	struct frontend_ring *ring = &rig->guest.ring[index];
	u16 flags = index & 1 ? 0 : VRING_DESC_F_WRITE;
	for (u32 i = 0; i < count; i++) {
		u64 at = frontend_buffer(ring, 2 * i + 1);
		memset(rig->guest.memory + at - FRONTEND_BUFFER, CANARY, 2 * FRONTEND_BUFFER);
		frontend_describe(ring, i + table, at, lengths[i],
			flags | (i + 1 < count ? VRING_DESC_F_NEXT : 0), i + 1);
	}
	if (table) // it stands in the ring's own, behind its first
		frontend_describe(ring, 0, ring->base + 16, 16 * count, VRING_DESC_F_INDIRECT, 0);
	frontend_offer(&rig->guest, ring, 0);
}

static void check_pieces(struct rig *rig, const u32 *lengths, u32 count, u32 header, u32 length)
{
	struct frontend_ring *ring = &rig->guest.ring[0];
	u32 at = 0;
	for (u32 i = 0; i < count; i++) {
		const u8 *piece = rig->guest.memory + frontend_buffer(ring, 2 * i + 1);
		for (u32 j = 0; j < FRONTEND_BUFFER; j++) {
			bool written = j < lengths[i] && at < header + length;
			assert_int_equal(piece[(int)j - FRONTEND_BUFFER], CANARY);
			if (!written)
				assert_int_equal(piece[j], CANARY);
			else if (at >= header)
				assert_int_equal(piece[j], bytes[at - header]);
			at += written;
		}
	}
	assert_int_equal(at, header + length);
}

static void odd_buffers_with(u64 features, u32 header, bool table)
{
	static const struct {
		u32 count, lengths[5];
	} forms[] = {
		{3, {1, 1, 1500}}, // librte_vhost 22.11 writes behind the second
		{1, {1500}},
		{2, {12, 1500}},
		{2, {10, 1500}},
		{4, {5, 0, 20, 1000}},
		{5, {1, 1, 1, 1, 900}},
	};
	struct rig *rig = bare("odd", features);
	for (u32 i = 0; i < RTE_DIM(forms); i++) {
		offer_pieces(rig, 0, forms[i].lengths, forms[i].count, table);
		assert_int_equal(send_to(rig, 777), 1);
		check_pieces(rig, forms[i].lengths, forms[i].count, header, 777);
		struct vring_used *used = rig->guest.ring[0].vring.used;
		assert_int_equal(used->idx, i + 1);
		assert_int_equal(used->ring[i].len, header + 777);
		// And as frames of the guest.
		offer_pieces(rig, 1, forms[i].lengths, forms[i].count, table);
		u8 *zero = rig->guest.memory;
		u32 total = 0;
		for (u32 j = 0, left = header; j < forms[i].count; j++) {
			u64 place = frontend_buffer(&rig->guest.ring[1], 2 * j + 1);
			u32 part = RTE_MIN(left, forms[i].lengths[j]);
			memset(zero + place, 0, part);
			left -= part;
			total += forms[i].lengths[j];
		}
		struct rte_mbuf *m = rig_receive(rig, 0);
		assert_int_equal(m->pkt_len, total - header);
		for (u32 j = 0; j < m->pkt_len; j++)
			assert_int_equal(*rte_pktmbuf_mtod_offset(m, u8 *, j), CANARY);
		rte_pktmbuf_free(m);
	}
	rig_free(rig);
}

static void odd_buffers(void **state)
{
	(void)state;
	for (u32 table = 0; table < 2; table++) {
		u64 more = table ? FRONTEND_BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0;
		odd_buffers_with(FRONTEND_ALL | more, 12, table);
		odd_buffers_with(FRONTEND_PLAIN | more, 12, table);
		odd_buffers_with(FRONTEND_BIT(30) | more, 10, table); // before virtio 1.0
	}
}

// A guest that cannot merge buffers loses the frame that is too long for one, no other.
static void too_long(void **state)
{
	(void)state;
	struct rig *rig = bare("long", FRONTEND_PLAIN);
	struct virtio_net_hdr_mrg_rxbuf header;
	struct rte_mbuf *frames[3];
	memset(bytes, 7, sizeof(bytes));
	frontend_fill(&rig->guest, 0);
	frames[0] = rig_mbuf(bytes, 100);
	frames[1] = rig_mbuf(bytes, 3000);
	frames[2] = rig_mbuf(bytes, 200);
	assert_int_equal(dpdk_vhost.tx(&rig->port, 0, frames, 3), 3);
	assert_int_equal(frontend_receive(&rig->guest, 0, &header, got, sizeof(got)), 100);
	assert_int_equal(header.num_buffers, 1);
	assert_int_equal(frontend_receive(&rig->guest, 0, &header, got, sizeof(got)), 200);
	assert_int_equal(frontend_receive(&rig->guest, 0, &header, got, sizeof(got)), 0);
	assert_int_equal(fault(rig, 0, VRING_ROOM), 1);
	rig_free(rig);
}

// A buffer that begins in one region and ends in the next.
static void neighbours(void **state)
{
	(void)state;
	struct rig *rig = bare("neighbours", FRONTEND_ALL);
	struct frontend_ring *to = &rig->guest.ring[0], *from = &rig->guest.ring[1];
	assert_int_equal(frontend_set_memory(&rig->guest, HALF, FRONTEND_MEMORY), 0);
	assert_int_equal(frontend_sync(&rig->guest), 0);
	frontend_describe(to, 0, HALF - 50, 1000, VRING_DESC_F_WRITE, 0);
	frontend_offer(&rig->guest, to, 0);
	assert_int_equal(send_to(rig, 500), 1);
	assert_memory_equal(rig->guest.memory + HALF - 50 + 12, bytes, 500);
	memset(rig->guest.memory + HALF - 50, 0, 12);
	frontend_describe(from, 0, HALF - 50, 512, 0, 0);
	frontend_offer(&rig->guest, from, 0);
	struct rte_mbuf *m = rig_receive(rig, 0);
	rig_equal(m, bytes, 500);
	rte_pktmbuf_free(m);
	rig_free(rig);
}

// What a stopped ring is said to stand at, and that it goes on there.
static void base(void **state)
{
	(void)state;
	struct rig *rig = bare("base", FRONTEND_ALL);
	for (u32 round = 1; round < 4; round++) {
		frontend_fill(&rig->guest, 0);
		for (u32 i = 0; i < 10; i++) {
			frontend_send(&rig->guest, 0, NULL, bytes, 100);
			rte_pktmbuf_free(rig_receive(rig, 0));
			assert_int_equal(send_to(rig, 100), 1);
		}
		for (u32 i = 0; i < 2; i++) {
			struct frontend_message m = {
				.request = VHOST_GET_VRING_BASE, .state = {i, 0}};
			assert_int_equal(frontend_ask(&rig->guest, &m, sizeof(m.state)), 0);
			assert_int_equal(m.state.value, 10 * round);
		}
		assert_int_equal(frontend_start(&rig->guest, FRONTEND_ALL, 1), 0);
		rig->guest.ring[0].used = 10 * round;
	}
	pass(rig);
	rig_free(rig);
}

static bool logged(const u8 *log, u64 guest)
{
	return log[guest / 4096 / 8] >> guest / 4096 % 8 & 1;
}

// A guest that moves away is told which pages were written, anywhere in a file.
static void log_at(u64 offset)
{
	struct rig *rig = bare("log", FRONTEND_ALL);
	struct frontend *f = &rig->guest;
	int fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, offset + LOG_BYTES), 0);
	u8 *file = mmap(NULL, offset + LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	u8 *log = file + offset;
	pass(rig);
	struct frontend_message m = {.request = VHOST_SET_LOG_BASE, .log = {LOG_BYTES, offset}};
	frontend_tell(f, &m, sizeof(m.log), fd);
	assert_true(recv(f->socket, &m, sizeof(m), 0) >= 12);
	f->features |= FRONTEND_BIT(26); // VHOST_F_LOG_ALL
	frontend_number(f, VHOST_SET_FEATURES, f->features, -1);
	for (u32 i = 0; i < 2; i++) {
		struct frontend_ring *ring = &f->ring[i];
		m = (struct frontend_message){.request = VHOST_SET_VRING_ADDR};
		m.address.index = i;
		m.address.flags = 1; // log
		m.address.desc = (u64)ring->vring.desc;
		m.address.avail = (u64)ring->vring.avail;
		m.address.used = (u64)ring->vring.used;
		m.address.log = (u64)((u8 *)ring->vring.used - f->memory);
		frontend_tell(f, &m, sizeof(m.address), -1);
	}
	assert_int_equal(frontend_sync(f), 0);
	struct frontend_ring *ring = &f->ring[0];
	u64 buffer = frontend_buffer(ring, ring->vring.used->idx % FRONTEND_SLOTS);
	assert_false(logged(log, buffer));
	pass(rig);
	assert_true(logged(log, buffer));
	assert_true(logged(log, (u64)((u8 *)ring->vring.used - f->memory)));
	assert_true(logged(log, (u64)((u8 *)f->ring[1].vring.used - f->memory)));
	assert_false(logged(log, frontend_buffer(&f->ring[1], 0))); // only read
	u16 last = ring->vring.used->idx;
	send_to(rig, 5000); // in three
	for (u16 i = 0; i < 3; i++)
		assert_true(logged(log, frontend_buffer(ring, (last + i) % FRONTEND_SLOTS)));
	munmap(file, offset + LOG_BYTES);
	close(fd);
	rig_free(rig);
}

static void log_of_pages(void **state)
{
	(void)state;
	log_at(0);
	log_at(1 << 20);
	log_at(100);
}

static void announcement(void **state)
{
	(void)state;
	struct rig *rig = bare("rarp", FRONTEND_ALL);
	struct pollfd wait = {.fd = rig->port.wake_fd[0], .events = POLLIN};
	dpdk_vhost.arm(&rig->port, 0, false);
	frontend_number(&rig->guest, VHOST_SEND_RARP, 0x060504030202, -1);
	assert_int_equal(poll(&wait, 1, FRONTEND_DEADLINE_MS), 1);
	struct rte_mbuf *m = rig_receive(rig, 0);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, u8 *, 6), "\2\2\3\4\5\6\x80\x35", 8);
	rte_pktmbuf_free(m);
	assert_int_equal(dpdk_vhost.rx(&rig->port, 0, &m, 1), 0);
	rig_free(rig);
}

// Chains that make no sense are given back unused and counted.

static void chain(
	struct rig *rig, u32 index, enum vring_fault reason, u64 at, u32 length, u16 flags)
{
	struct frontend_ring *ring = &rig->guest.ring[index];
	u64 before = fault(rig, index, reason);
	struct rte_mbuf *m;
	u16 used = ring->vring.used->idx;
	frontend_describe(ring, 0, at, length, flags | (index ? 0 : VRING_DESC_F_WRITE), 0);
	frontend_offer(&rig->guest, ring, 0);
	if (index)
		assert_int_equal(dpdk_vhost.rx(&rig->port, 0, &m, 1), 0);
	else
		assert_int_equal(send_to(rig, 100), 1);
	assert_int_equal(fault(rig, index, reason), before + 1);
	assert_int_equal((u16)(ring->vring.used->idx - used), 1);
	assert_int_equal(ring->vring.used->ring[used % FRONTEND_SLOTS].len, 0);
}

static void bad_chains(void **state)
{
	(void)state;
	struct rig *rig = bare("chains", FRONTEND_ALL);
	for (u32 i = 0; i < 2; i++) {
		u64 base_of = rig->guest.ring[i].base;
		u16 write = VRING_DESC_F_WRITE;
		chain(rig, i, VRING_ADDRESS, -16ull, 64, 0);
		chain(rig, i, VRING_ADDRESS, FRONTEND_MEMORY - 8, 64, 0);
		chain(rig, i, VRING_ADDRESS, -1ull, 0xffffffff, 0);
		chain(rig, i, VRING_SHORT, base_of, 0, 0);
		chain(rig, i, VRING_SHORT, base_of, 11, 0);
		chain(rig, i, VRING_ENDLESS, base_of, 0, VRING_DESC_F_NEXT); // to itself
		chain(rig, i, VRING_INDIRECT, base_of, 0, VRING_DESC_F_INDIRECT);
		chain(rig, i, VRING_INDIRECT, base_of, 16, VRING_DESC_F_INDIRECT); // it itself
		chain(rig, i, VRING_INDIRECT, FRONTEND_MEMORY - 16, 32, VRING_DESC_F_INDIRECT);
		chain(rig, i, VRING_INDIRECT, base_of + 64, 64,
			VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT);
		// A table and a half, one whose last leads out of it, one that goes round, one with
		// a table in it.
		u16 side = i ? 0 : write;
		struct frontend_ring *ring = &rig->guest.ring[i];
		frontend_describe(ring, 8, base_of, 100, side, 0);
		chain(rig, i, VRING_INDIRECT, base_of + 128, 24, VRING_DESC_F_INDIRECT);
		frontend_describe(ring, 8, base_of, 1, side | VRING_DESC_F_NEXT, 1);
		frontend_describe(ring, 9, base_of, 1, side | VRING_DESC_F_NEXT, 2);
		chain(rig, i, VRING_NEXT, base_of + 128, 32, VRING_DESC_F_INDIRECT);
		frontend_describe(ring, 9, base_of, 1, side | VRING_DESC_F_NEXT, 0);
		chain(rig, i, VRING_ENDLESS, base_of + 128, 32, VRING_DESC_F_INDIRECT);
		frontend_describe(ring, 9, base_of, 16, side | VRING_DESC_F_INDIRECT, 0);
		chain(rig, i, VRING_INDIRECT, base_of + 128, 32, VRING_DESC_F_INDIRECT);
	}
	chain(rig, 1, VRING_DIRECTION, 0, 100, VRING_DESC_F_WRITE);
	chain(rig, 1, VRING_LONG, 0, VRING_FRAME + 13, 0);
	chain(rig, 1, VRING_LONG, 0, FRONTEND_MEMORY, 0);
	chain(rig, 1, VRING_SHORT, 0, 12 + 13, 0);
	struct frontend_ring *ring = &rig->guest.ring[0];
	frontend_describe(ring, 0, 0, 100, 0, 0);
	frontend_offer(&rig->guest, ring, 0);
	assert_int_equal(send_to(rig, 100), 1);
	assert_int_equal(fault(rig, 0, VRING_DIRECTION), 1);
	pass(rig);
	rig_free(rig);
}

// Long chains of nothing, of which a frame would need many.
static void slow_chains(void **state)
{
	(void)state;
	struct rig *rig = bare("slow", FRONTEND_ALL);
	struct frontend_ring *ring = &rig->guest.ring[0];
	for (u32 i = 0; i < FRONTEND_SLOTS; i++) {
		bool last = i == FRONTEND_SLOTS - 1;
		frontend_describe(ring, i, frontend_buffer(ring, 0), last ? 12 : 0,
			VRING_DESC_F_WRITE | (last ? 0 : VRING_DESC_F_NEXT), i + 1);
	}
	for (u32 i = 0; i < 100; i++)
		frontend_offer(&rig->guest, ring, 0);
	assert_int_equal(send_to(rig, 1000), 1);
	assert_int_equal(fault(rig, 0, VRING_ENDLESS), 1);
	assert_int_equal(ring->vring.used->idx, VRING_PIECES / FRONTEND_SLOTS + 1);
	rig_free(rig);
}

// Rings that make no sense are cut off, and why is said, until a driver starts again.

static void expect_cut(struct rig *rig, const char *word)
{
	struct engine_port_state port;
	struct rte_mbuf *frames[DPDK_BURST];
	for (u32 i = 0; i < 3; i++) {
		dpdk_vhost.rx(&rig->port, 0, frames, DPDK_BURST);
		send_to(rig, 100);
		assert_false(dpdk_vhost.arm(&rig->port, 0, true));
	}
	dpdk_vhost.state(&rig->port, &port);
	assert_false(port.carrier);
	assert_non_null(strstr(port.why, word));
}

// Only its own guest sets a ring up anew: what one that waits says of rings is of its own.
static void cut_for_its_guest(void **state)
{
	(void)state;
	struct rig *rig = bare("others", FRONTEND_ALL);
	struct frontend_ring *ring = &rig->guest.ring[1];
	struct frontend waits;
	ring->avail += FRONTEND_SLOTS;
	frontend_offer(&rig->guest, ring, 0);
	expect_cut(rig, "more than its ring can hold");
	u64 before = fault(rig, 1, VRING_JUMP);
	frontend_init(&waits);
	frontend_connect(&waits, rig->path);
	assert_int_equal(frontend_start(&waits, FRONTEND_ALL, 1), 0);
	expect_cut(rig, "more than its ring can hold");
	assert_int_equal(fault(rig, 1, VRING_JUMP), before);
	frontend_free(&waits);
	rig_free(rig);
}

static void cut_off(void **state)
{
	(void)state;
	struct rig *rig = bare("cut", FRONTEND_ALL);
	for (u32 i = 0; i < 5; i++) {
		struct frontend *f = &rig->guest;
		struct frontend_ring *ring = &f->ring[i & 1];
		if (i)
			restart(rig, FRONTEND_ALL);
		u32 changes = rig->changes;
		if (i < 2) {
			ring->avail += FRONTEND_SLOTS;
			frontend_offer(f, ring, 0);
			expect_cut(rig, "more than its ring can hold");
			assert_true(rig->changes > changes);
		} else if (i < 4) {
			frontend_offer(f, ring, FRONTEND_SLOTS);
			expect_cut(rig, "a descriptor that its ring does not have");
			assert_true(rig->changes > changes);
		} else { // of another size
			frontend_set_memory(f, 0, FRONTEND_AREA + FRONTEND_BUFFERS_AT);
			frontend_state(f, VHOST_SET_VRING_NUM, 1, 32768);
			frontend_sync(f);
			expect_cut(rig, "not in its memory");
		}
		restart(rig, FRONTEND_ALL);
		rig_expect(rig, 1, NULL);
		pass(rig);
	}
	rig_free(rig);
}

// Places whose ends are not in memory, or crooked.
static void bad_place(void **state)
{
	(void)state;
	struct rig *rig = bare("place", FRONTEND_ALL);
	frontend_set_memory(&rig->guest, 0, 2 * FRONTEND_AREA);
	frontend_sync(&rig->guest);
	struct guest_ring odd = *ring_of(rig, 0);
	struct vring_memory memory = *odd.memory;
	odd.memory = &memory;
	odd.size = FRONTEND_SLOTS;
	u8 *end = memory.regions[0].host + memory.regions[0].bytes;
	const struct {
		void *desc, *avail, *used;
		u16 size;
	} places[] = {
		{end - 4096, end - 8192, end - 16384, FRONTEND_SLOTS},
		{end - 4080, end - 8192, end - 16384, FRONTEND_SLOTS},
		{end - 4096, end - 516, end - 16384, FRONTEND_SLOTS},
		{end - 4096, end - 8192, end - 2048, FRONTEND_SLOTS},
		{end - 4088, end - 8192, end - 16384, 128}, // crooked
		{end - 4096, end - 8191, end - 16384, FRONTEND_SLOTS},
		{end - 4096, end - 8192, end - 16382, FRONTEND_SLOTS},
		{end, end - 8192, end - 16384, FRONTEND_SLOTS},
		{memory.regions[0].host - 4096, end - 8192, end - 16384, FRONTEND_SLOTS},
		{end - 4096, end - 8192, end - 16384, 0},
		{end - 4096, end - 8192, end - 16384, 100},
	};
	for (u32 i = 0; i < RTE_DIM(places); i++) {
		odd.desc = places[i].desc;
		odd.avail = places[i].avail;
		odd.used = places[i].used;
		odd.size = places[i].size;
		odd.cut = VRING_GOOD;
		odd.event_idx = true;
		vring_open(&odd);
		assert_int_equal(odd.cut, i ? VRING_PLACE : VRING_GOOD);
	}
	rig_free(rig);
}

// Memory that a file does not have: touching it would kill.
static void short_file(void **state)
{
	(void)state;
	struct rig *rig = bare("file", FRONTEND_ALL);
	frontend_set_memory(&rig->guest, HALF, FRONTEND_MEMORY + 4096);
	frontend_sync(&rig->guest);
	chain(rig, 0, VRING_ADDRESS, FRONTEND_MEMORY, 2048, 0);
	chain(rig, 1, VRING_ADDRESS, FRONTEND_MEMORY, 64, 0);
	pass(rig); // all is in the first
	rig_free(rig);
}

// A table that cannot be mapped: the guest is told, if it wants to be, and cut off.
static void lost_memory(void **state)
{
	(void)state;
	struct rig *rig = bare("lost", FRONTEND_ALL);
	struct frontend_message m = {.request = VHOST_SET_MEM_TABLE, .flags = 8}; // wants an answer
	struct rte_mbuf *frame;
	pass(rig);
	frontend_number(&rig->guest, VHOST_SET_PROTOCOL_FEATURES, 1 << 3, -1); // REPLY_ACK
	frontend_fill(&rig->guest, 0);
	frontend_send(&rig->guest, 0, NULL, bytes, 100);
	m.memory.regions = 1;
	m.memory.region[0].size = 4096;
	frontend_tell(&rig->guest, &m, 40, rig->guest.ring[0].kick);
	assert_true(recv(rig->guest.socket, &m, sizeof(m), 0) >= 12);
	assert_int_equal(m.number, 1);
	assert_int_equal(recv(rig->guest.socket, &m, sizeof(m), 0), 0);
	assert_int_equal(send_to(rig, 100), 0);
	assert_int_equal(dpdk_vhost.rx(&rig->port, 0, &frame, 1), 0);
	rig_gone(rig);
	rig_expect(rig, 0,
		"the guest was cut off: it shared memory that is no memfd and no file on "
		"tmpfs or hugetlbfs");
	restart(rig, FRONTEND_ALL);
	pass(rig);
	rig_free(rig);
}

// Guests that change what is being read.

struct racer {
	struct rig *rig;
	void (*change)(struct racer *racer);
	bool stop;
	u64 turns;
	u64 x;
	pthread_t thread;
};

static u32 number(struct racer *r)
{
	r->x ^= r->x << 13, r->x ^= r->x >> 7, r->x ^= r->x << 17;
	return (u32)(r->x >> 16);
}

static void *race(void *context)
{
	struct racer *r = context;
	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		r->change(r);
		r->turns++;
	}
	return NULL;
}

// Descriptors that are good now and then.
static void change_chains(struct racer *r)
{
	struct frontend *f = &r->rig->guest;
	u32 index = number(r) & 1;
	struct frontend_ring *ring = &f->ring[index];
	static const u32 lengths[] = {0, 1, 12, 13, 64, 76, 1514, 2048, 70000, 0xffffffff};
	for (u32 i = 0; i < 64; i++) {
		volatile struct vring_desc *desc = &ring->vring.desc[number(r) % 128];
		u32 dice = number(r);
		desc->addr = dice & 15   ? HALF + dice % 4096 * 64ull
			     : dice & 16 ? FRONTEND_MEMORY - dice % 8192
					 : (u64)number(r) << 32;
		desc->len = lengths[(dice >> 9) % RTE_DIM(lengths)];
		desc->flags = (index || !(dice >> 13 & 15) ? 0 : VRING_DESC_F_WRITE) |
			      (dice >> 17 & 3 ? 0 : VRING_DESC_F_NEXT) |
			      (dice >> 19 & 7 ? 0 : VRING_DESC_F_INDIRECT);
		desc->next = dice >> 22 & 7 ? number(r) % 128 : number(r);
	}
	for (u32 i = 0; i < 16; i++)
		ring->vring.avail->ring[number(r) % FRONTEND_SLOTS] = number(r) % 128;
	ring->avail = __atomic_load_n(&ring_of(r->rig, index)->next, __ATOMIC_RELAXED) + 100;
	__atomic_store_n(&ring->vring.avail->idx, ring->avail, __ATOMIC_RELEASE);
}

// The memory that rings point to comes and goes.
static void change_memory(struct racer *r)
{
	struct frontend *f = &r->rig->guest;
	change_chains(r);
	if (r->turns % 64)
		return;
	u64 end = number(r) & 1 ? FRONTEND_MEMORY : HALF + 4096 * (number(r) % 64);
	frontend_set_memory(f, number(r) & 1 ? 2 * FRONTEND_AREA : 0, end);
	frontend_sync(f);
}

static u64 work(struct rig *rig)
{
	u64 deadline = frontend_now_ms() + RACE_MS, frames = 0;
	struct rte_mbuf *burst[DPDK_BURST];
	static const u32 lengths[] = {60, 100, 1514, 5000, 65000};
	while (frontend_now_ms() < deadline) {
		u32 count = dpdk_vhost.rx(&rig->port, 0, burst, DPDK_BURST);
		for (u32 i = 0; i < count; i++)
			rig_check(burst[i]);
		rte_pktmbuf_free_bulk(burst, count);
		frames += count;
		for (count = 0; count < 16; count++)
			burst[count] = rig_mbuf(bytes, lengths[rig_number() % 5]);
		u32 sent = dpdk_vhost.tx(&rig->port, 0, burst, count);
		rte_pktmbuf_free_bulk(burst + sent, count - sent);
		frames += sent;
		// A table of rubbish may lead to the rings themselves.
		ring_of(rig, 0)->cut = ring_of(rig, 1)->cut = VRING_GOOD;
		sched_yield(); // on one core too
	}
	return frames;
}

static void race_with(void (*change)(struct racer *racer), u64 features)
{
	struct rig *good = rig_ready("good", FRONTEND_ALL, 1);
	struct rig *rig = bare("race", features);
	struct racer r = {.rig = rig, .change = change, .x = 88172645463325252};
	assert_int_equal(pthread_create(&r.thread, NULL, race, &r), 0);
	u64 frames = work(rig);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	pthread_join(r.thread, NULL);
	u64 faults = 0;
	for (u32 i = 0; i < 2; i++)
		for (u32 j = VRING_GOOD + 1; j < VRING_FAULTS; j++)
			faults += fault(rig, i, j);
	print_message("%llu changes, %llu frames, %llu faults\n", r.turns, frames, faults);
	assert_true(frames > 1000 && faults > 1000 && r.turns > 100);
	pass(good);
	restart(rig, features);
	pass(rig);
	rig_free(rig);
	rig_free(good);
}

// A length that is good, or leads out of memory: what was checked must be what is used.
static void change_lengths(struct racer *r)
{
	struct frontend_ring *ring = &r->rig->guest.ring[0];
	for (u32 i = 0; i < FRONTEND_SLOTS; i++)
		__atomic_store_n(
			&ring->vring.desc[i].len, r->turns & 1 ? 100 : 5000, __ATOMIC_RELAXED);
}

static void race_of_lengths(void **state)
{
	(void)state;
	struct rig *rig = bare("lengths", FRONTEND_ALL);
	struct racer r = {.rig = rig, .change = change_lengths};
	struct frontend_ring *ring = &rig->guest.ring[0];
	u64 deadline = frontend_now_ms() + RACE_MS;
	u32 sent = 0, whole = 0;
	for (u32 i = 0; i < FRONTEND_SLOTS; i++)
		frontend_describe(ring, i, FRONTEND_MEMORY - 100, 100, VRING_DESC_F_WRITE, 0);
	assert_int_equal(pthread_create(&r.thread, NULL, race, &r), 0);
	while (frontend_now_ms() < deadline) {
		while ((u16)(ring->avail - ring->used) < FRONTEND_SLOTS)
			frontend_offer(&rig->guest, ring, ring->avail % FRONTEND_SLOTS);
		sent += send_to(rig, 2000);
		for (; ring->used != ring->vring.used->idx; ring->used++) {
			u32 length = ring->vring.used->ring[ring->used % FRONTEND_SLOTS].len;
			assert_true(length <= 100);
			whole += length == 100;
		}
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	pthread_join(r.thread, NULL);
	print_message("%u frames, %u full buffers, %llu faults\n", sent, whole,
		fault(rig, 0, VRING_ADDRESS));
	assert_true(whole > 1000 && fault(rig, 0, VRING_ADDRESS) > 1000);
	rig_free(rig);
}

static void races(void **state)
{
	(void)state;
	race_with(change_chains, FRONTEND_ALL);
	race_with(change_chains, FRONTEND_PLAIN);
	race_with(change_memory, FRONTEND_ALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_buffers),
		cmocka_unit_test(too_long),
		cmocka_unit_test(neighbours),
		cmocka_unit_test(base),
		cmocka_unit_test(log_of_pages),
		cmocka_unit_test(announcement),
		cmocka_unit_test(bad_chains),
		cmocka_unit_test(slow_chains),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(bad_place),
		cmocka_unit_test(short_file),
		cmocka_unit_test(lost_memory),
		cmocka_unit_test(cut_for_its_guest),
		cmocka_unit_test(race_of_lengths),
		cmocka_unit_test(races),
	};
	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
