// SPDX-License-Identifier: BSD-2-Clause
// Frames for the tests of what works on mbufs: made as flat bytes, laid into chains, read back, and
// what they must become, computed the slow way.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weft/verdict.h>
#include "datapath/dpdk/offload.h"

#if defined(__SANITIZE_ADDRESS__)
#define FRAMES_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FRAMES_ASAN 1
#endif
#endif
#ifdef FRAMES_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

enum { FLAT_BYTES = 70000 };

// A frame as bytes, and what an mbuf says beside them.
struct flat {
	u32 length;
	u32 l2, l3, l4;    // lengths of the headers
	u32 segment_bytes; // 0: no superpacket
	bool ipv6, udp, partial;
	u8 bytes[FLAT_BYTES];
};

// Frames' mbufs come from `pool`, the further segments of chains from `chain_pool`. Every buffer of
// both stands between guards.
struct frames {
	struct rte_mempool *pool, *chain_pool;
};

enum { GUARD_BYTES = 64, GUARD = 0x5c };

static u64 frames_seed = 1;

static inline u32 frames_random(u32 below)
{
	frames_seed = frames_seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)((frames_seed >> 33) % below);
}

static inline void frames_start(void)
{
	char prefix[64];
	snprintf(prefix, sizeof(prefix), "--file-prefix=weft-test-%d", (int)getpid());
	char *arguments[] = {"test", "--no-huge", "-m", "64", "--no-pci", "--no-shconf",
		"--no-telemetry", "--lcores", "0@(0-1)", "--log-level=4", prefix, NULL};
	if (rte_eal_init((int)WEFT_ARRAY_SIZE(arguments) - 1, arguments) < 0) {
		fprintf(stderr, "EAL: %s\n", rte_strerror(rte_errno));
		_exit(1);
	}
}

// The buffer begins behind the private area, which is the guard in front of it.
static void guard_set(struct rte_mempool *pool, void *context, void *object, unsigned index)
{
	struct rte_mbuf *mbuf = object;
	(void)pool, (void)context, (void)index;
	mbuf->buf_len -= GUARD_BYTES;
	memset(rte_mbuf_to_priv(mbuf), GUARD, GUARD_BYTES);
	memset(mbuf->buf_addr, 0x3a, mbuf->buf_len);
	memset((u8 *)mbuf->buf_addr + mbuf->buf_len, GUARD, GUARD_BYTES);
	ASAN_POISON_MEMORY_REGION(rte_mbuf_to_priv(mbuf), GUARD_BYTES);
	ASAN_POISON_MEMORY_REGION((u8 *)mbuf->buf_addr + mbuf->buf_len, GUARD_BYTES);
}

static void guard_check(struct rte_mempool *pool, void *context, void *object, unsigned index)
{
	struct rte_mbuf *mbuf = object;
	u8 *front = rte_mbuf_to_priv(mbuf), *back = (u8 *)mbuf->buf_addr + mbuf->buf_len;
	(void)pool, (void)context, (void)index;
	ASAN_UNPOISON_MEMORY_REGION(front, GUARD_BYTES);
	ASAN_UNPOISON_MEMORY_REGION(back, GUARD_BYTES);
	for (u32 i = 0; i < GUARD_BYTES; i++)
		if (front[i] != GUARD || back[i] != GUARD)
			fail_msg("a guard of mbuf %u was written", index);
	ASAN_POISON_MEMORY_REGION(front, GUARD_BYTES);
	ASAN_POISON_MEMORY_REGION(back, GUARD_BYTES);
}

static void guard_lift(struct rte_mempool *pool, void *context, void *object, unsigned index)
{
	struct rte_mbuf *mbuf = object;
	(void)pool, (void)context, (void)index;
	ASAN_UNPOISON_MEMORY_REGION(rte_mbuf_to_priv(mbuf), GUARD_BYTES);
	ASAN_UNPOISON_MEMORY_REGION((u8 *)mbuf->buf_addr + mbuf->buf_len, GUARD_BYTES);
}

static struct rte_mempool *pool_make(const char *name, u32 count, u32 room)
{
	u32 bytes = room + RTE_PKTMBUF_HEADROOM + GUARD_BYTES;
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create(name, count, 0, GUARD_BYTES, (u16)bytes, SOCKET_ID_ANY);
	assert_non_null(pool);
	struct rte_pktmbuf_pool_private *private = rte_mempool_get_priv(pool);
	private->mbuf_data_room_size -= GUARD_BYTES;
	rte_mempool_obj_iter(pool, guard_set, NULL);
	return pool;
}

static inline void frames_setup(struct frames *frames, u32 count, u32 room)
{
	frames->pool = pool_make("frames", count, room);
	frames->chain_pool = pool_make("chains", 4095, 2048);
}

// All mbufs are back, all guards stand.
static inline void frames_check(const struct frames *frames)
{
	assert_int_equal(rte_mempool_in_use_count(frames->pool), 0);
	assert_int_equal(rte_mempool_in_use_count(frames->chain_pool), 0);
	rte_mempool_obj_iter(frames->pool, guard_check, NULL);
	rte_mempool_obj_iter(frames->chain_pool, guard_check, NULL);
}

static inline int frames_end(struct frames *frames, int failed)
{
	frames_check(frames);
	rte_mempool_obj_iter(frames->pool, guard_lift, NULL);
	rte_mempool_obj_iter(frames->chain_pool, guard_lift, NULL);
	rte_mempool_free(frames->pool);
	rte_mempool_free(frames->chain_pool);
	rte_eal_cleanup();
	return failed;
}

static void put16(u8 *at, u32 value)
{
	at[0] = (u8)(value >> 8);
	at[1] = (u8)value;
}

static u32 get16(const u8 *at)
{
	return (u32)at[0] << 8 | at[1];
}

static u32 add_words(u32 sum, const u8 *at, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		sum += i & 1 ? at[i] : (u32)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

// Where the last destination stands, if not in the IPv6 header.
static const u8 *last_destination(const u8 *l3, bool ipv6)
{
	if (!ipv6)
		return l3 + 16;
	return l3[6] == 43 && l3[43] ? l3 + 48 : l3 + 24;
}

static u32 pseudo(const u8 *l3, bool ipv6, bool udp, u32 length)
{
	u32 bytes = ipv6 ? 16 : 4;
	u8 rest[8] = {0, 0, 0, 0, 0, 0, 0, udp ? 17 : 6};
	put16(rest, length >> 16);
	put16(rest + 2, length);
	u32 sum = add_words(0, l3 + (ipv6 ? 8 : 12), bytes);
	sum = add_words(sum, last_destination(l3, ipv6), bytes);
	return add_words(sum, rest, 8);
}

static u8 *field(struct flat *flat)
{
	return flat->bytes + flat->l2 + flat->l3 + (flat->udp ? 6 : 16);
}

// The pseudo header's sum with a length.
static inline void flat_partial(struct flat *flat, u32 length)
{
	put16(field(flat), pseudo(flat->bytes + flat->l2, flat->ipv6, flat->udp, length));
	flat->partial = true;
}

static inline void flat_checksum(struct flat *flat)
{
	u32 from = flat->l2 + flat->l3;
	put16(field(flat), 0);
	u32 sum = pseudo(flat->bytes + flat->l2, flat->ipv6, flat->udp, flat->length - from);
	sum = ~add_words(sum, flat->bytes + from, flat->length - from) & 0xffff;
	put16(field(flat), flat->udp && !sum ? 0xffff : sum);
	flat->partial = false;
}

static void flat_lengths(struct flat *flat)
{
	u8 *l3 = flat->bytes + flat->l2, *l4 = l3 + flat->l3;
	u32 bytes = flat->length - flat->l2;
	if (flat->ipv6) {
		put16(l3 + 4, bytes - 40);
	} else {
		put16(l3 + 2, bytes);
		put16(l3 + 10, 0);
		put16(l3 + 10, ~add_words(0, l3, flat->l3) & 0xffff);
	}
	if (flat->udp)
		put16(l4 + 4, bytes - flat->l3);
}

// Random payload behind random but right headers. The checksum is partial.
static inline void flat_make(struct flat *flat, bool ipv6, bool udp, bool tag, u32 payload_bytes)
{
	u32 options = !ipv6 && !frames_random(4) ? frames_random(11) * 4 : 0;
	*flat = (struct flat){.ipv6 = ipv6, .udp = udp};
	flat->l2 = tag ? 18 : 14;
	flat->l3 = ipv6 ? 40 : 20 + options;
	flat->l4 = udp ? 8 : 20 + frames_random(11) * 4;
	flat->length = flat->l2 + flat->l3 + flat->l4 + payload_bytes;
	for (u32 i = 0; i < flat->length; i++)
		flat->bytes[i] = (u8)frames_random(256);
	u8 *l3 = flat->bytes + flat->l2, *l4 = l3 + flat->l3;
	if (tag)
		put16(flat->bytes + 12, 0x8100);
	put16(l3 - 2, ipv6 ? 0x86dd : 0x0800);
	l3[0] = ipv6 ? 0x60 : (u8)(0x40 | flat->l3 / 4);
	l3[ipv6 ? 6 : 9] = udp ? 17 : 6;
	if (!udp)
		l4[12] = (u8)(flat->l4 / 4 << 4 | (l4[12] & 0xf));
	flat_lengths(flat);
	flat_partial(flat, flat->length - flat->l2 - flat->l3);
}

// A routing header with one address and one to go, or destination options.
static inline void flat_add_extensions(struct flat *flat, bool routing)
{
	u8 *l3 = flat->bytes + flat->l2;
	memmove(l3 + 64, l3 + 40, flat->length - flat->l2 - 40);
	l3[40] = l3[6];
	l3[41] = 2;
	l3[43] = routing;
	l3[6] = routing ? 43 : 60;
	flat->l3 += 24;
	flat->length += 24;
	flat_lengths(flat);
	flat_partial(flat, flat->length - flat->l2 - flat->l3);
}

// Lengths and sums of L3 and L4 hold.
static inline void flat_verify(const u8 *bytes, u32 length, u32 l2)
{
	const u8 *l3 = bytes + l2;
	bool ipv6 = l3[0] >> 4 == 6;
	u32 l3_bytes = ipv6 ? 40 : (l3[0] & 0xf) * 4u;
	u8 protocol = l3[ipv6 ? 6 : 9];
	if (protocol == 43 || protocol == 60) {
		protocol = l3[40];
		l3_bytes = 64;
	}
	u32 l4_bytes = length - l2 - l3_bytes;
	if (ipv6)
		assert_int_equal(get16(l3 + 4) + 40, length - l2);
	else
		assert_int_equal(get16(l3 + 2), length - l2);
	if (!ipv6)
		assert_int_equal(add_words(0, l3, l3_bytes), 0xffff);
	u32 sum = pseudo(l3, ipv6, protocol == 17, l4_bytes);
	assert_int_equal(add_words(sum, l3 + l3_bytes, l4_bytes), 0xffff);
}

static void mbuf_describe(struct rte_mbuf *frame, const struct flat *flat)
{
	frame->l2_len = flat->l2;
	frame->l3_len = flat->l3;
	frame->l4_len = flat->l4;
	frame->tso_segsz = (u16)flat->segment_bytes;
	frame->ol_flags = 0;
	if (flat->partial)
		frame->ol_flags = flat->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	if (flat->segment_bytes)
		frame->ol_flags |= flat->udp ? RTE_MBUF_F_TX_UDP_SEG : RTE_MBUF_F_TX_TCP_SEG;
}

// Into a chain; first: bytes in the first segment; most: in others.
static inline struct rte_mbuf *flat_chain(
	const struct frames *frames, const struct flat *flat, u32 first, u32 most)
{
	struct rte_mbuf *frame = rte_pktmbuf_alloc(frames->pool), *last = frame;
	u32 at = 0, part = RTE_MIN(RTE_MIN(first, flat->length), rte_pktmbuf_tailroom(frame));
	assert_non_null(frame);
	for (;;) {
		memcpy(rte_pktmbuf_mtod(last, u8 *), flat->bytes + at, part);
		last->data_len = (u16)part;
		at += part;
		if (at == flat->length)
			break;
		last->next = rte_pktmbuf_alloc(frames->chain_pool);
		assert_non_null(last->next);
		last = last->next;
		last->data_off = (u16)frames_random(RTE_PKTMBUF_HEADROOM);
		frame->nb_segs++;
		part = frames_random(16) ? RTE_MIN(1 + frames_random(most), flat->length - at) : 0;
	}
	frame->pkt_len = flat->length;
	mbuf_describe(frame, flat);
	return frame;
}

static inline u32 flat_read(const struct rte_mbuf *frame, u8 *bytes)
{
	u32 length = 0, segments = 0;
	for (const struct rte_mbuf *m = frame; m; m = m->next, segments++) {
		assert_true(length + m->data_len <= FLAT_BYTES);
		assert_true(m->data_off + m->data_len <= m->buf_len);
		assert_int_equal(rte_mbuf_refcnt_read(m), 1);
		assert_true(RTE_MBUF_DIRECT(m));
		memcpy(bytes + length, rte_pktmbuf_mtod(m, u8 *), m->data_len);
		length += m->data_len;
	}
	assert_int_equal(length, frame->pkt_len);
	assert_int_equal(segments, frame->nb_segs);
	return length;
}

// The mbuf is that frame, and says so.
static inline void flat_expect(const struct rte_mbuf *frame, const struct flat *flat)
{
	static u8 got[FLAT_BYTES];
	u64 flags = 0;
	u32 length = flat_read(frame, got);
	assert_int_equal(length, flat->length);
	assert_true(frame->data_len >= RTE_MIN(length, (u32)WEFT_PARSE_BYTES));
	for (u32 i = 0; i < length; i++)
		if (got[i] != flat->bytes[i])
			fail_msg("byte %u of %u: %02x, not %02x (seed %llu)", i, length, got[i],
				flat->bytes[i], (unsigned long long)frames_seed);
	if (flat->partial)
		flags = flat->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	else
		flat_verify(got, length, flat->l2);
	if (flat->segment_bytes)
		flags |= flat->udp ? RTE_MBUF_F_TX_UDP_SEG : RTE_MBUF_F_TX_TCP_SEG;
	assert_int_equal(frame->ol_flags, flags);
	if (!flags)
		return;
	assert_int_equal(frame->l2_len, flat->l2);
	assert_int_equal(frame->l3_len, flat->l3);
	assert_int_equal(frame->l4_len, flat->l4);
	assert_int_equal(frame->tso_segsz, flat->segment_bytes);
}

static inline u32 flat_segments(const struct flat *super)
{
	u32 payload = super->length - super->l2 - super->l3 - super->l4;
	return payload ? (payload + super->segment_bytes - 1) / super->segment_bytes : 1;
}

// Segment `index` of a superpacket: what it must be.
static inline void flat_segment(const struct flat *super, u32 index, bool partial, struct flat *out)
{
	u32 headers = super->l2 + super->l3 + super->l4, from = index * super->segment_bytes;
	u32 left = super->length - headers - from;
	u32 bytes = left < super->segment_bytes ? left : super->segment_bytes;
	memcpy(out, super, offsetof(struct flat, bytes) + headers);
	memcpy(out->bytes + headers, super->bytes + headers + from, bytes);
	out->length = headers + bytes;
	out->segment_bytes = 0;
	u8 *l3 = out->bytes + out->l2, *l4 = l3 + out->l3;
	if (!super->ipv6)
		put16(l3 + 4, get16(l3 + 4) + index);
	flat_lengths(out);
	if (!super->udp) {
		u32 sequence = (get16(l4 + 4) << 16 | get16(l4 + 6)) + from;
		put16(l4 + 4, sequence >> 16);
		put16(l4 + 6, sequence);
		if (index)
			l4[13] &= 0x7f;
		if (bytes < left)
			l4[13] &= 0xf6;
	}
	if (partial)
		flat_partial(out, out->length - out->l2 - out->l3);
	else
		flat_checksum(out);
}
