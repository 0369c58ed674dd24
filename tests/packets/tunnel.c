// SPDX-License-Identifier: BSD-2-Clause
// VXLAN over IPv4 by the book (RFC 7348, RFC 6040): what the engines must read and write.
#include "tests/packets/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { OUTER = 50 };

static const u8 us_mac[6] = {2, 0, 0, 0, 1, 1}, them_mac[6] = {2, 0, 0, 0, 1, 2};

bool is_peer(u32 port)
{
	return port == P1 || port == P2 || port == P_UNKNOWN;
}

// 192.0.2.1 is this host; the peers have their id as the last byte.
static u16 ip_checksum(const u8 *header)
{
	u32 sum = 0, bytes = 4u * (header[0] & 15);
	for (u32 i = 0; i < bytes; i += 2)
		sum += (u32)header[i] << 8 | header[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16) ~((sum & 0xffff) + (sum >> 16));
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

static void insert(struct frame *f, u32 at, u32 bytes, u8 value)
{
	assert_true(f->length + bytes <= sizeof(f->bytes));
	memmove(f->bytes + at + bytes, f->bytes + at, f->length - at);
	memset(f->bytes + at, value, bytes);
	f->length += bytes;
}

// Of UDP, over whatever is to the frame's end; off: so much from the right one.
static void put_udp_sum(struct frame *f, const u8 *ip, u8 *udp, u32 off)
{
	u32 bytes = f->length - (u32)(udp - f->bytes), sum = 17 + bytes;
	for (u32 i = 12; i < 20; i += 2)
		sum += get16(ip + i);
	for (u32 i = 0; i < bytes; i++)
		sum += i & 1 ? udp[i] : (u32)udp[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(udp + 6, (u32)(u16)~sum + off);
}

// options:N words of IPv4 options; sum:N a UDP checksum, so much from the right one; trailer:N
// bytes behind the IP packet; tci:HEX an 802.1Q tag. Else a word is frame_change's.
static void change_outer(struct frame *f, const char *words)
{
	u8 *ip = f->bytes + 14;
	char *copy = strdup(words), *rest = copy, *next;
	while ((next = strsep(&rest, " "))) {
		u32 value = strchr(next, ':') ? (u32)strtoul(strchr(next, ':') + 1, NULL, 16) : 0;
		if (strncmp(next, "options:", 8) == 0) {
			insert(f, 34, 4 * value, 1);
			ip[0] = (u8)(0x45 + value);
			put16(ip + 2, f->length - 14);
		} else if (strncmp(next, "sum:", 4) == 0) {
			put_udp_sum(f, ip, ip + 4 * (ip[0] & 15), value);
		} else if (strncmp(next, "trailer:", 8) == 0) {
			insert(f, f->length, value, 0x55);
		} else if (strncmp(next, "tci:", 4) == 0) {
			put16(ip + 10, 0);
			put16(ip + 10, ip_checksum(ip));
			insert(f, 12, 4, 0);
			put16(f->bytes + 12, 0x8100);
			put16(f->bytes + 14, value);
		} else {
			frame_change(f, next);
		}
	}
	free(copy);
}

struct frame tunnel_wrap(u32 peer, u32 vni, const struct frame *inner, const char *change)
{
	struct frame f = {.length = OUTER + inner->length};
	u8 *ip = f.bytes + 14, *udp = f.bytes + 34, *vxlan = f.bytes + 42;
	const u8 head[20] = {0x45, 0, 0, 0, 0x11, 0x22, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, (u8)peer,
		192, 0, 2, 1};
	assert_true(f.length <= sizeof(f.bytes));
	memcpy(f.bytes, us_mac, 6);
	memcpy(f.bytes + 6, them_mac, 6);
	put16(f.bytes + 12, 0x0800);
	memcpy(ip, head, sizeof(head));
	put16(ip + 2, f.length - 14);
	put16(udp, 50000);
	put16(udp + 2, 4789);
	put16(udp + 4, f.length - 34);
	vxlan[0] = 8;
	vxlan[4] = (u8)(vni >> 16);
	put16(vxlan + 5, vni);
	memcpy(f.bytes + OUTER, inner->bytes, inner->length);
	if (change)
		change_outer(&f, change);
	if (get16(f.bytes + 12) == 0x0800) // else it is done
		put16(ip + 10, ip_checksum(ip));
	return f;
}

static u8 inner_tos(const struct frame *f)
{
	u32 l3 = get16(f->bytes + 12) == 0x8100 ? 18 : 14, type = get16(f->bytes + l3 - 2);
	if (type == 0x0800)
		return f->bytes[l3 + 1];
	return type == 0x86dd ? (u8)(f->bytes[l3] << 4 | f->bytes[l3 + 1] >> 4) : 0;
}

u32 tunnel_unwrap(const u8 *bytes, u32 length, u32 *vni, struct frame *inner)
{
	const u8 *ip = bytes + 14, *udp = bytes + 34, *vxlan = bytes + 42;
	const u8 from[4] = {192, 0, 2, 1}, to[3] = {192, 0, 2};
	assert_true(length >= OUTER + 14);
	assert_memory_equal(bytes, them_mac, 6);
	assert_memory_equal(bytes + 6, us_mac, 6);
	assert_int_equal(get16(bytes + 12), 0x0800);
	assert_int_equal(ip[0], 0x45);
	assert_int_equal(get16(ip + 2), length - 14);
	assert_int_equal(ip_checksum(ip), 0);
	assert_int_equal(get16(ip + 6), 0x4000); // DF
	assert_int_equal(ip[8], 64);
	assert_int_equal(ip[9], 17);
	assert_memory_equal(ip + 12, from, 4);
	assert_memory_equal(ip + 16, to, 3);
	assert_in_range(get16(udp), 49152, 65535);
	assert_int_equal(get16(udp + 2), 4789);
	assert_int_equal(get16(udp + 4), length - 34);
	assert_int_equal(get16(udp + 6), 0);
	assert_int_equal(vxlan[0], 8);
	assert_int_equal(get16(vxlan + 2) | vxlan[1] | vxlan[7], 0);
	*vni = (u32)vxlan[4] << 16 | get16(vxlan + 5);
	inner->length = length - OUTER;
	memcpy(inner->bytes, bytes + OUTER, inner->length);
	assert_int_equal(ip[1], inner_tos(inner));
	return ip[19];
}
