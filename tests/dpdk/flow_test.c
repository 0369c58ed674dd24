// SPDX-License-Identifier: BSD-2-Clause
// The flow cache's own look at a frame against parse(): what it calls regular, parse must call
// whole, and the cache's key must hold every field of parse's.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "datapath/packet_flat.h"
#include "datapath/table.h"
#include "datapath/pipeline/flow.h"
#include "datapath/pipeline/parse.h"
#include "datapath/dpdk/flow.h"

enum { ROUNDS = 2000000, FRAME_MOST = 200 };

static u64 seed = 0x9e3779b97f4a7c15ull;

static u32 chance(u32 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed >> 32) % below;
}

static u32 put16(u8 *at, u32 value)
{
	at[0] = (u8)(value >> 8);
	at[1] = (u8)value;
	return 2;
}

// A frame that may be regular; its length.
static u32 frame_make(u8 *frame)
{
	u32 at = 12, payload = chance(60), l4 = chance(2) ? 20 : 8, protocol = l4 == 20 ? 6 : 17;
	for (u32 i = 0; i < FRAME_MOST; i++)
		frame[i] = (u8)chance(256);
	if (chance(3) == 0) {
		at += put16(frame + at, 0x8100);
		at += put16(frame + at, chance(4) ? chance(65536) : 0xe000);
	}
	if (chance(2)) {
		at += put16(frame + at, 0x0800);
		frame[at] = 0x45;
		put16(frame + at + 2, 20 + l4 + payload);
		put16(frame + at + 6, 0x4000);
		frame[at + 9] = (u8)protocol;
		at += 20;
	} else {
		at += put16(frame + at, 0x86dd);
		frame[at] = 0x60;
		put16(frame + at + 4, l4 + payload);
		frame[at + 6] = (u8)protocol;
		at += 40;
	}
	if (l4 == 20) {
		frame[at + 12] = 0x50;
		frame[at + 13] = (u8)(chance(8) ? 0x10 : chance(256));
	} else {
		put16(frame + at + 4, 8 + payload);
	}
	return at + l4 + payload;
}

static u64 load(const void *at, size_t bytes)
{
	u64 value = 0;
	memcpy(&value, at, bytes);
	return value;
}

// The cache's key, of parse's.
static void key_expected(const struct weft_key *key, struct flow_key *out)
{
	bool v4 = key->ethertype == WEFT_ETH_IPV4;
	u32 ports = weft_swap16(key->l4_src) | (u32)weft_swap16(key->l4_dst) << 16;
	out->dst_src = load(&key->dst, 6) | load(&key->src, 2) << 48;
	out->src_l4 = load(&key->src.byte[2], 4) | (u64)ports << 32;
	out->ips = v4 ? key->ip_src.word[3] | (u64)key->ip_dst.word[3] << 32 : out->ips;
	out->place = key->in_port | (u64)key->vni << 28 | (u64)key->vid << 52;
	out->rest = key->protocol | (u32)key->tcp_flags << 8 | (v4 ? 0 : WEFT_BIT(16));
}

static bool look(const u8 *frame, u32 readable, u32 length, struct flow_key *key, const u8 **ip6)
{
	struct flow_frame f = {.bytes = frame, .readable = readable, .length = length};
	bool regular = flow_read(&f, 7, 0xabcdef, key);
	*ip6 = f.ip6;
	return regular;
}

static void check(u8 *frame, u32 readable, u32 length)
{
	struct packet p = {.bytes = frame, .length = length, .room = FRAME_MOST};
	struct flow_key got, expected;
	struct weft_key key;
	struct weft_layout layout;
	const u8 *ip6 = NULL;
	if (!look(frame, readable, length, &got, &ip6))
		return;
	assert_int_equal(parse(&p, 7, &key, &layout), WEFT_DROP_none);
	key.vni = 0xabcdef;
	assert_true(flow_cacheable(&key));
	bool l4 = key.protocol == WEFT_IP_TCP || key.protocol == WEFT_IP_UDP;
	assert_int_equal(key.flags & ~WEFT_KEY_TAGGED, l4 ? WEFT_KEY_L4 : 0);
	expected = got; // ips of IPv6 and `tagged` are looked at below
	key_expected(&key, &expected);
	assert_memory_equal(&got, &expected, offsetof(struct flow_key, tagged));
	assert_int_equal(got.tagged, layout.tagged);
	if (key.ethertype == WEFT_ETH_IPV6) {
		assert_memory_equal(ip6, &key.ip_src, 16);
		assert_memory_equal(ip6 + 16, &key.ip_dst, 16);
	}
}

static void regular_frames_are_what_parse_says(void **state)
{
	(void)state;
	u8 frame[FRAME_MOST];
	u32 regular = 0;
	for (u32 i = 0; i < ROUNDS; i++) {
		struct flow_key key;
		const u8 *ip6;
		u32 length = frame_make(frame);
		for (u32 k = chance(3); k; k--) // and what nearly is
			frame[12 + chance(70)] = (u8)chance(256);
		if (chance(4) == 0)
			length = chance(length + 1);
		check(frame, length, length);
		regular += look(frame, length, length, &key, &ip6);
	}
	assert_in_range(regular, ROUNDS / 4, ROUNDS);
}

static void known_frames_are_regular(void **state)
{
	(void)state;
	u8 frame[FRAME_MOST];
	u32 regular = 0;
	for (u32 i = 0; i < 10000; i++) {
		struct flow_key key;
		const u8 *ip6;
		u32 length = frame_make(frame);
		regular += look(frame, length, length, &key, &ip6);
	}
	assert_in_range(regular, 9000, 10000); // the rest: FIN, SYN, RST
}

static void neighbouring_flows_spread(void **state)
{
	(void)state;
	static u8 used[1 << 15];
	struct flow_key key = {.dst_src = 1, .src_l4 = 2, .ips = 3, .place = 4, .rest = 17};
	u32 most = 0;
	for (u32 port = 0; port < 1 << 15; port++) {
		key.src_l4 = 2 | (u64)weft_swap16(port) << 32;
		u32 set = (u32)(flow_hash(&key) >> 24) & ((1 << 15) - 1);
		most = ++used[set] > most ? used[set] : most;
	}
	assert_in_range(most, 1, FLOW_WAYS + 2); // one in each on average
}

static void neighbouring_stations_spread(void **state)
{
	(void)state;
	static u8 used[1 << 12];
	u32 most = 0;
	for (u32 pair = 0; pair < 1 << 12; pair++) {
		struct flow_key key = {.place = 4, .rest = 17};
		u8 macs[16] = {2, 0, 0, 0, 0, (u8)(pair & 63), 2, 0, 0, 0, 1, (u8)(pair >> 6)};
		key.dst_src = load(macs, 8);
		key.src_l4 = load(macs + 8, 4) | (u64)chance(1u << 31) << 32;
		key = flow_head(&key);
		u32 set = (u32)(flow_hash(&key) >> 24) & ((1 << 12) - 1);
		most = ++used[set] > most ? used[set] : most;
	}
	assert_in_range(most, 1, FLOW_WAYS + 2); // one in each on average
}

// What is of the flow alone does not tell heads apart; everything else does.
static void heads_are_the_heads_of_parse(void **state)
{
	(void)state;
	static u8 a[FRAME_MOST], b[FRAME_MOST];
	u32 same = 0;
	for (u32 i = 0; i < ROUNDS; i++) {
		struct flow_key x, y;
		struct weft_key parsed_x, parsed_y;
		struct weft_layout layout;
		const u8 *ip6;
		u32 length = frame_make(a);
		memcpy(b, a, sizeof(b));
		for (u32 k = 1 + chance(2); k; k--)
			b[chance(length)] ^= (u8)(1 << chance(8));
		if (!look(a, length, length, &x, &ip6) || !look(b, length, length, &y, &ip6))
			continue;
		struct packet p = {.bytes = a, .length = length, .room = FRAME_MOST};
		struct packet q = {.bytes = b, .length = length, .room = FRAME_MOST};
		assert_int_equal(parse(&p, 7, &parsed_x, &layout), WEFT_DROP_none);
		assert_int_equal(parse(&q, 7, &parsed_y, &layout), WEFT_DROP_none);
		x = flow_head(&x), y = flow_head(&y);
		bool equal = !memcmp(&x, &y, offsetof(struct flow_key, tagged));
		assert_int_equal(
			equal, !memcmp(&parsed_x.head, &parsed_y.head, sizeof(parsed_x.head)));
		same += equal;
	}
	assert_in_range(same, ROUNDS / 10, ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regular_frames_are_what_parse_says),
		cmocka_unit_test(known_frames_are_regular),
		cmocka_unit_test(neighbouring_flows_spread),
		cmocka_unit_test(neighbouring_stations_spread),
		cmocka_unit_test(heads_are_the_heads_of_parse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
