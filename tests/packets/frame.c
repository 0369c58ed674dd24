// SPDX-License-Identifier: BSD-2-Clause
// The frame language of the golden packets: words, left to right.
//
//   A>B                   destination B, source A; letters: A..F stations, G gateway, * broadcast,
//                         M multicast, R 802.1D reserved, Z zero, S 33:33:ff solicited, N all
//                         nodes, U the uplink; in lower case with the mark of a balancer
//   tag:10 tag:0          802.1Q with that VID; tci:a00a the whole TCI; qinq:5 802.1ad
//   type:88b5             a bare Ethernet type
//   arp:OP,SENDER,TARGET,MAC   ARP; MAC is the target's letter (Z in a request)
//   ip4:SRC,DST,PROTOCOL  ip6:SRC,DST,NEXT
//   frag:HEX              the IPv4 fragment field
//   udp:SRC,DST  tcp:SRC,DST  echo:TYPE,ID   icmp6:TYPE,ID   then lengths and checksums are filled
//   in ns:TARGET[,MAC]  na:TARGET,MAC,FLAGS data:N                N bytes of payload;  pad:N  N
//   bytes outside the IP length ext:TYPE              an IPv6 extension header of 8 bytes
//   (hop-by-hop 0, fragment 44, ...) opt:N                 N words of IPv4 options id:N the IPv4
//   identification; tos:HEX IPv4 TOS or IPv6 traffic class;  eol:N  N words of ended IPv4 options
//   skip:N                an IPv6 destination option of N bytes that is to be skipped
//   probe:N               a probe's payload (weft/probe.h), its tag off by N
//   flags:HEX seq:N ack:N those of TCP;  nocheck:0  UDP without a checksum
//   error:TYPE,CODE then quote:SRC,DST,SPORT,DPORT   an ICMP error about a UDP packet;
//   quotetcp:SRC,DST,SPORT,DPORT  about a TCP segment
//   quotefrag:SRC,DST,SPORT,DPORT  in IPv6, about the first fragment of a UDP packet
//   fragneeded:MTU  toobig:MTU   the ICMP error, with 64 bytes of the frame that was asked about
//   unreachable:0         the ICMP error of a port, with its IP header and 8 bytes
// and after everything is built:  cut:N the first N bytes;  set:OFFSET=HEX  overwrites
#include "tests/packets/packets.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/probe.h>
#include <weft/wire.h>

struct builder {
	struct frame frame;
	u32 l3, l4;  // offsets, 0: not there yet
	u32 padding; // bytes after the IP packet
	u8 protocol;
	bool ipv6;
	bool done; // lengths and checksums are in
	const struct frame *asked;
};

static void mac_of(char name, u8 mac[6])
{
	static const struct {
		char letter;
		u8 mac[6];
	} named[] = {
		{'G', {0x02, 0x57, 0x65, 0x66, 0x74, 0x01}},
		{'*', {255, 255, 255, 255, 255, 255}},
		{'M', {0x01, 0, 0x5e, 1, 2, 3}},
		{'R', {0x01, 0x80, 0xc2, 0, 0, 0x0e}},
		{'Z', {0}},
		{'S', {0x33, 0x33, 0xff, 0, 0, 0xfe}},
		{'N', {0x33, 0x33, 0, 0, 0, 1}},
		{'U', {0x02, 0, 0, 0, 0x0c, 0x0e}},
	};
	char letter = (char)toupper(name);
	u8 station[6] = {0x02, 0, 0, 0, 0, (u8)letter};
	bool known = letter >= 'A' && letter <= 'F';
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(named) && !known; i++)
		if (named[i].letter == letter) {
			memcpy(station, named[i].mac, 6);
			known = true;
		}
	if (!known)
		errx(1, "no station %c", letter);
	station[0] |= letter != name;
	memcpy(mac, station, 6);
}

static void *append(struct builder *b, const void *bytes, u32 length)
{
	void *at = b->frame.bytes + b->frame.length;
	if (b->frame.length + length > sizeof(b->frame.bytes))
		errx(1, "frame too long");
	if (bytes)
		memcpy(at, bytes, length);
	else
		memset(at, 0, length);
	b->frame.length += length;
	return at;
}

static void append16(struct builder *b, u16 value)
{
	be16 wire = weft_hton16(value);
	append(b, &wire, 2);
}

static void append_address(struct builder *b, int family, const char *text)
{
	u8 address[16];
	if (inet_pton(family, text, address) != 1)
		errx(1, "no address: %s", text);
	append(b, address, family == AF_INET ? 4 : 16);
}

static u32 sum16(const u8 *bytes, u32 length)
{
	u32 sum = 0;
	for (u32 i = 0; i + 1 < length; i += 2)
		sum += (u32)bytes[i] << 8 | bytes[i + 1];
	if (length & 1)
		sum += (u32)bytes[length - 1] << 8;
	return sum;
}

static void store16(u8 *at, u32 value)
{
	at[0] = (u8)(value >> 8);
	at[1] = (u8)value;
}

static void store_checksum(u8 *at, u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	store16(at, ~sum & 0xffff);
}

// Lengths and checksums, by the book and not by the code under test.
static void finish(struct builder *b)
{
	u8 *bytes = b->frame.bytes;
	u32 end = b->frame.length - b->padding;
	if (b->done || !b->l3)
		return;
	b->done = true;
	u8 *ip = bytes + b->l3;
	u32 header = b->ipv6 ? 40 : (ip[0] & 0xfu) * 4;
	if (b->ipv6)
		store16(ip + 4, end - b->l3 - 40);
	else
		store16(ip + 2, end - b->l3);
	if (!b->ipv6)
		store_checksum(ip + 10, sum16(ip, header));
	if (!b->l4)
		return;
	u8 *l4 = bytes + b->l4;
	u32 length = end - b->l4;
	u32 sum = b->ipv6 ? sum16(ip + 8, 32) : sum16(ip + 12, 8);
	sum += length + b->protocol;
	if (b->protocol == WEFT_IP_UDP) {
		store16(l4 + 4, length);
		store_checksum(l4 + 6, sum + sum16(l4, length));
	} else if (b->protocol == WEFT_IP_TCP) {
		store_checksum(l4 + 16, sum + sum16(l4, length));
	} else if (b->protocol == WEFT_IP_ICMP) {
		store_checksum(l4 + 2, sum16(l4, length));
	} else {
		store_checksum(l4 + 2, sum + sum16(l4, length));
	}
}

static void word_arp(struct builder *b, char *a[])
{
	u8 mac[6], head[6] = {0, 1, 8, 0, 6, 4};
	append16(b, WEFT_ETH_ARP);
	append(b, head, 6);
	append16(b, (u16)atoi(a[0]));
	append(b, b->frame.bytes + 6, 6);
	append_address(b, AF_INET, a[1]);
	mac_of(a[3][0], mac);
	append(b, mac, 6);
	append_address(b, AF_INET, a[2]);
}

static void word_ip4(struct builder *b, char *a[])
{
	u8 head[12] = {0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64};
	append16(b, WEFT_ETH_IPV4);
	b->l3 = b->frame.length;
	b->protocol = head[9] = (u8)atoi(a[2]);
	append(b, head, 12);
	append_address(b, AF_INET, a[0]);
	append_address(b, AF_INET, a[1]);
}

static void word_ip6(struct builder *b, char *a[])
{
	u8 head[8] = {0x60, 0, 0, 0, 0, 0, 0, 255};
	append16(b, WEFT_ETH_IPV6);
	b->l3 = b->frame.length;
	b->ipv6 = true;
	b->protocol = head[6] = (u8)atoi(a[2]);
	append(b, head, 8);
	append_address(b, AF_INET6, a[0]);
	append_address(b, AF_INET6, a[1]);
}

static void word_l4(struct builder *b, const char *word, char *a[])
{
	u8 mac[6];
	b->l4 = b->frame.length;
	if (!strcmp(word, "udp") || !strcmp(word, "tcp")) {
		append16(b, (u16)atoi(a[0]));
		append16(b, (u16)atoi(a[1]));
		append(b, NULL, word[0] == 'u' ? 4 : 16);
		if (word[0] == 't')
			b->frame.bytes[b->l4 + 12] = 5 << 4;
	} else if (!strcmp(word, "echo") || !strcmp(word, "icmp6")) {
		append16(b, (u16)(atoi(a[0]) << 8));
		append16(b, 0);
		append16(b, (u16)atoi(a[1]));
		append16(b, 1);
	} else if (!strcmp(word, "ns")) {
		append16(b, WEFT_ND_SOLICIT << 8);
		append(b, NULL, 6);
		append_address(b, AF_INET6, a[0]);
		if (!a[1][0])
			return;
		append16(b, 0x0101);
		mac_of(a[1][0], mac);
		append(b, mac, 6);
	} else { // na
		append16(b, WEFT_ND_ADVERT << 8);
		append16(b, 0);
		append16(b, (u16)strtoul(a[2], NULL, 16));
		append16(b, 0);
		append_address(b, AF_INET6, a[0]);
		append16(b, 0x0201);
		mac_of(a[1][0], mac);
		append(b, mac, 6);
	}
}

static void word_error(struct builder *b, u16 type_code, u32 mtu, u32 bytes)
{
	b->l4 = b->frame.length;
	append16(b, type_code);
	append16(b, 0);
	append16(b, 0);
	append16(b, (u16)mtu);
	append(b, b->asked->bytes + (b->asked->bytes[12] == 0x81 ? 18 : 14), bytes);
}

static void store32(u8 *at, u32 value)
{
	store16(at, value >> 16);
	store16(at + 2, value & 0xffff);
}

// Its first 8 bytes, as they were sent.
static void word_quote(struct builder *b, char *a[], u8 protocol, bool fragment)
{
	u32 at = b->frame.length, header = b->ipv6 ? 40 : 20;
	u8 head[12] = {0x45, 0, 0, 28, 0, 7, 0, 0, 63, protocol};
	u8 head6[8] = {0x60, 0, 0, 0, 0, 8, protocol, 63};
	append(b, b->ipv6 ? head6 : head, b->ipv6 ? sizeof(head6) : sizeof(head));
	append_address(b, b->ipv6 ? AF_INET6 : AF_INET, a[0]);
	append_address(b, b->ipv6 ? AF_INET6 : AF_INET, a[1]);
	if (!b->ipv6)
		store_checksum(b->frame.bytes + at + 10, sum16(b->frame.bytes + at, header));
	if (fragment) {
		b->frame.bytes[at + 5] = 16;
		b->frame.bytes[at + 6] = WEFT_IP_FRAGMENT;
		append(b, (const u8[8]){WEFT_IP_UDP, 0, 0, 1, 0, 0, 0, 9}, 8);
	}
	append16(b, (u16)atoi(a[2]));
	append16(b, (u16)atoi(a[3]));
	append16(b, 8);
	append16(b, 0xbeef); // nobody corrects it
}

static void word_skip(struct builder *b, u32 bytes)
{
	u8 *at = append(b, NULL, bytes);
	at[0] = b->protocol;
	at[1] = (u8)(bytes / 8 - 1);
	at[2] = 0x1e;
	at[3] = (u8)(bytes - 4);
	b->frame.bytes[b->l3 + 6] = WEFT_IP_DSTOPTS;
}

static void word_tos(struct builder *b, u32 tos)
{
	u8 *ip = b->frame.bytes + b->l3;
	if (!b->ipv6) {
		ip[1] = (u8)tos;
		return;
	}
	ip[0] = (u8)(0x60 | tos >> 4);
	ip[1] = (u8)(tos << 4);
}

static void word_probe(struct builder *b, u64 wrong)
{
	u64 words[WEFT_PROBE_WORDS] = {0x1234, [3] = 0x5678, [10] = 0x9abc};
	struct weft_sip sip = weft_sip_begin(world_probe_key);
	for (u32 i = 0; i < WEFT_PROBE_WORDS; i++)
		if (i != WEFT_PROBE_TAG)
			weft_sip_word(&sip, words[i]);
	words[WEFT_PROBE_TAG] = weft_sip_end(&sip, WEFT_PROBE_WORDS - 1) + wrong;
	append(b, words, sizeof(words));
}

static void word_set(struct builder *b, char *text)
{
	char *value = strchr(text, '=') + 1;
	u32 offset = (u32)atoi(text);
	for (; value[0] && value[1]; value += 2, offset++) {
		char digits[3] = {value[0], value[1], 0};
		b->frame.bytes[offset] = (u8)strtoul(digits, NULL, 16);
	}
}

static void word(struct builder *b, char *text)
{
	char *colon = strchr(text, ':'), *a[4] = {"", "", "", ""};
	u8 mac[6], *at;
	if (strlen(text) == 3 && text[1] == '>') {
		mac_of(text[2], mac);
		append(b, mac, 6);
		mac_of(text[0], mac);
		append(b, mac, 6);
		return;
	}
	if (!colon)
		errx(1, "no such word: %s", text);
	*colon = 0;
	if (!strcmp(text, "cut") || !strcmp(text, "set"))
		finish(b);
	if (!strcmp(text, "set")) {
		word_set(b, colon + 1);
		return;
	}
	char *rest = colon + 1;
	for (int i = 0; i < 4 && rest; i++)
		a[i] = strsep(&rest, ",");
	u32 number = (u32)atoi(a[0]);
	if (!strcmp(text, "tag") || !strcmp(text, "tci") || !strcmp(text, "qinq")) {
		append16(b, text[0] == 'q' ? WEFT_ETH_8021AD : WEFT_ETH_8021Q);
		append16(b, (u16)(strcmp(text, "tci") ? number : strtoul(a[0], NULL, 16)));
	} else if (!strcmp(text, "type")) {
		append16(b, (u16)strtoul(a[0], NULL, 16));
	} else if (!strcmp(text, "arp")) {
		word_arp(b, a);
	} else if (!strcmp(text, "ip4")) {
		word_ip4(b, a);
	} else if (!strcmp(text, "ip6")) {
		word_ip6(b, a);
	} else if (!strcmp(text, "frag")) {
		store16(b->frame.bytes + b->l3 + 6, (u32)strtoul(a[0], NULL, 16));
	} else if (!strcmp(text, "opt")) {
		b->frame.bytes[b->l3] = (u8)(0x45 + number);
		memset(append(b, NULL, number * 4), 1, number * 4);
	} else if (!strcmp(text, "id")) {
		store16(b->frame.bytes + b->l3 + 4, number);
	} else if (!strcmp(text, "eol")) {
		b->frame.bytes[b->l3] = (u8)(0x45 + number);
		append(b, NULL, number * 4);
	} else if (!strcmp(text, "fragneeded") || !strcmp(text, "toobig")) {
		word_error(b, text[0] == 't' ? 0x0200 : 0x0304, number, 64);
	} else if (!strcmp(text, "unreachable")) {
		word_error(b, b->ipv6 ? 0x0104 : 0x0303, 0, b->ipv6 ? 48 : 28);
	} else if (!strcmp(text, "error")) {
		b->l4 = b->frame.length;
		append16(b, (u16)(number << 8 | (u32)atoi(a[1])));
		append(b, NULL, 6);
	} else if (!strcmp(text, "quote") || !strcmp(text, "quotefrag")) {
		word_quote(b, a, WEFT_IP_UDP, text[5]);
	} else if (!strcmp(text, "quotetcp")) {
		word_quote(b, a, WEFT_IP_TCP, false);
	} else if (!strcmp(text, "flags")) {
		b->frame.bytes[b->l4 + 13] = (u8)strtoul(a[0], NULL, 16);
	} else if (!strcmp(text, "seq") || !strcmp(text, "ack")) {
		store32(b->frame.bytes + b->l4 + (text[0] == 's' ? 4 : 8),
			(u32)strtoul(a[0], NULL, 10));
	} else if (!strcmp(text, "nocheck")) {
		finish(b);
		store16(b->frame.bytes + b->l4 + 6, 0);
	} else if (!strcmp(text, "skip")) {
		word_skip(b, number);
	} else if (!strcmp(text, "tos")) {
		word_tos(b, (u32)strtoul(a[0], NULL, 16));
	} else if (!strcmp(text, "ext")) {
		at = append(b, NULL, 8);
		at[0] = b->protocol;
		b->frame.bytes[b->l3 + 6] = (u8)number;
		for (int i = 1; i < 4;
			i++) // chains: only the first keeps its place in the IP header
			at[i] = 0;
	} else if (!strcmp(text, "data") || !strcmp(text, "pad")) {
		at = append(b, NULL, number);
		for (u32 i = 0; i < number && text[0] == 'd'; i++)
			at[i] = (u8)(i * 7 + 1);
		b->padding += text[0] == 'p' ? number : 0;
	} else if (!strcmp(text, "probe")) {
		word_probe(b, number);
	} else if (!strcmp(text, "cut")) {
		b->frame.length = number;
	} else {
		word_l4(b, text, a);
	}
}

static void build(struct builder *b, const char *words)
{
	char *copy = strdup(words), *rest = copy, *next;
	while ((next = strsep(&rest, " ")))
		if (*next)
			word(b, next);
	finish(b);
	free(copy);
}

struct frame frame_build_answer(const char *words, const struct frame *asked)
{
	struct builder b = {.asked = asked};
	build(&b, words);
	return b.frame;
}

struct frame frame_build(const char *words)
{
	return frame_build_answer(words, NULL);
}

void frame_change(struct frame *frame, const char *words)
{
	struct builder b = {.frame = *frame, .done = true};
	build(&b, words);
	*frame = b.frame;
}
