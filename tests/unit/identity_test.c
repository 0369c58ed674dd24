// SPDX-License-Identifier: BSD-2-Clause
// The identity of a packet: what every stage may rewrite does not change it, what makes it another
// packet does.

#include "tests/unit/unit.h"

#include "datapath/packet_flat.h"
#include "datapath/pipeline/identity.h"

enum { ROOM = 4096, SECRET = 12345 };

struct made {
	u8 bytes[ROOM];
	u32 length;
	u32 l4; // offset
	bool ipv6;
};

static void put16(u8 *at, u32 value)
{
	at[0] = (u8)(value >> 8);
	at[1] = (u8)value;
}

// An IP packet in an Ethernet frame; `payload` bytes that count up from 1.
static struct made made(bool ipv6, u8 protocol, bool tagged, u32 payload)
{
	static const u32 headers[256] = {
		[WEFT_IP_TCP] = 20, [WEFT_IP_UDP] = 8, [WEFT_IP_ICMP] = 8, [WEFT_IP_ICMPV6] = 8};
	struct made m = {.ipv6 = ipv6};
	u32 l3 = tagged ? 18 : 14, bytes = headers[protocol] + payload;
	u8 *ip = m.bytes + l3, *l4;
	memset(m.bytes, 2, 12);
	put16(m.bytes + 12, WEFT_ETH_8021Q);
	put16(m.bytes + 14, 10);
	put16(ip - 2, ipv6 ? WEFT_ETH_IPV6 : WEFT_ETH_IPV4);
	m.l4 = l3 + (ipv6 ? 40 : 20);
	l4 = m.bytes + m.l4;
	ip[0] = ipv6 ? 0x60 : 0x45;
	put16(ip + (ipv6 ? 4 : 2), ipv6 ? bytes : bytes + 20);
	put16(ip + (ipv6 ? 40 : 4), 7); // the identification
	ip[ipv6 ? 6 : 9] = protocol;
	ip[ipv6 ? 7 : 8] = 64;
	if (protocol == WEFT_IP_TCP) {
		put16(l4 + 6, 1000);  // sequence
		put16(l4 + 10, 2000); // acknowledgement
		l4[12] = 0x50;
	} else if (protocol == WEFT_IP_UDP) {
		put16(l4 + 4, bytes);
	} else if (headers[protocol]) {
		l4[0] = ipv6 ? 128 : 8;
		put16(l4 + 4, 3); // identifier, sequence
		put16(l4 + 6, 4);
	}
	for (u32 i = 0; i < payload; i++)
		l4[headers[protocol] + i] = (u8)(i + 1);
	m.length = m.l4 + bytes;
	return m;
}

static u64 keyed(const struct made *m, u64 secret)
{
	struct weft_key key;
	struct weft_layout layout;
	u8 *exact = malloc(m->length); // ASan sees the byte behind it
	assert_non_null(exact);
	memcpy(exact, m->bytes, m->length);
	struct packet packet = {.bytes = exact, .length = m->length};
	assert_int_equal(parse(&packet, 1, &key, &layout), WEFT_DROP_none);
	u64 identity = packet_identity(&packet, &key, &layout, secret);
	assert_int_not_equal(identity, 0);
	free(exact);
	return identity;
}

static u64 of(const struct made *m)
{
	return keyed(m, SECRET);
}

static const struct {
	bool ipv6;
	u8 protocol;
} kinds[] = {{false, WEFT_IP_TCP}, {true, WEFT_IP_TCP}, {false, WEFT_IP_UDP}, {true, WEFT_IP_UDP},
	{false, WEFT_IP_ICMP}, {true, WEFT_IP_ICMPV6}, {false, 99}, {true, 99}};

// Addresses, ports, TTL, traffic class, checksums: what a router or a NAT rewrites.
static void stages_do_not_change_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(kinds); i++) {
		struct made a = made(kinds[i].ipv6, kinds[i].protocol, false, 64), b = a;
		u8 *ip = b.bytes + 14, *l4 = b.bytes + b.l4;
		memset(b.bytes, 0x42, 12);
		if (a.ipv6) {
			ip[0] = 0x6b;
			ip[7] = 3;
			memset(ip + 8, 0xfd, 32);
		} else {
			ip[1] = 0xb8;
			ip[8] = 3;
			memset(ip + 10, 0xac, 10);
		}
		if (kinds[i].protocol == WEFT_IP_TCP || kinds[i].protocol == WEFT_IP_UDP)
			memset(l4, 0x77, 4);
		if (kinds[i].protocol == WEFT_IP_TCP)
			memset(l4 + 14, 0x55, 4); // window, checksum
		if (kinds[i].protocol == WEFT_IP_UDP)
			memset(l4 + 6, 0x55, 2);
		if (kinds[i].protocol == WEFT_IP_ICMP || kinds[i].protocol == WEFT_IP_ICMPV6)
			memset(l4 + 2, 0x55, 2);
		assert_int_equal(of(&a), of(&b));
	}
}

static void tags_and_padding_do_not_change_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(kinds); i++) {
		for (u32 payload = 0; payload < 40; payload++) {
			struct made plain = made(kinds[i].ipv6, kinds[i].protocol, false, payload);
			struct made tagged = made(kinds[i].ipv6, kinds[i].protocol, true, payload);
			struct made padded = plain;
			memset(padded.bytes + padded.length, 0xee, 50); // as a NIC may
			padded.length += 50;
			assert_int_equal(of(&plain), of(&tagged));
			assert_int_equal(of(&plain), of(&padded));
		}
	}
}

static void other_packets_have_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(kinds); i++) {
		bool tcp = kinds[i].protocol == WEFT_IP_TCP, ip_only = kinds[i].protocol == 99;
		for (u32 payload = 0; payload < 40; payload++) {
			struct made a = made(kinds[i].ipv6, kinds[i].protocol, false, payload), b;
			u32 headers = tcp ? 20 : ip_only ? 0 : 8;
			assert_int_not_equal(keyed(&a, 1), keyed(&a, 2));
			for (u32 at = 0; at < payload && at < (tcp ? 16 : 28); at++) {
				b = a;
				b.bytes[b.l4 + headers + at] ^= 1;
				assert_int_not_equal(of(&a), of(&b));
			}
			b = a;
			b.bytes[b.l4 + (tcp ? 7 : 5)] ^= 1; // sequence; of ICMP, the identifier
			if (tcp || kinds[i].protocol == WEFT_IP_ICMP)
				assert_int_not_equal(of(&a), of(&b));
			b = a;
			b.bytes[14 + 5] ^= 1; // IPv4's identification
			if (!a.ipv6 && !tcp)
				assert_int_not_equal(of(&a), of(&b));
			b = a;
			b.bytes[b.l4 + 11] ^= 1;
			if (tcp)
				assert_int_not_equal(of(&a), of(&b));
		}
	}
}

// One that GRO has merged, and the one that opens it, also beyond what the length field can say.
static void superpackets_are_their_first_segment(void **state)
{
	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct made one = made(ipv6, WEFT_IP_TCP, false, 100);
		struct made many = made(ipv6, WEFT_IP_TCP, false, 3000);
		assert_int_equal(of(&one), of(&many));
		many.bytes[14 + 4] ^= 1; // segments of a superpacket count IPv4's identification up
		assert_true(ipv6 || of(&one) == of(&many));
	}
}

// Which packets are traced is a matter of chance, whatever it is that tells them apart.
static void identities_are_spread(void **state)
{
	u32 below = 0, all = 20000;
	(void)state;
	for (u32 i = 0; i < all; i++) {
		struct made m = made(false, WEFT_IP_TCP, false, 0);
		m.bytes[m.l4 + 8] = (u8)(i >> 8); // the acknowledgements grow
		m.bytes[m.l4 + 9] = (u8)i;
		below += (u32)of(&m) <= 0xffffffffu / 64;
	}
	// 312 of them, by chance 17 more or less
	assert_in_range(below, 312 - 5 * 18, 312 + 5 * 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stages_do_not_change_it),
		cmocka_unit_test(tags_and_padding_do_not_change_it),
		cmocka_unit_test(other_packets_have_others),
		cmocka_unit_test(superpackets_are_their_first_segment),
		cmocka_unit_test(identities_are_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
