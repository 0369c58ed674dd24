// SPDX-License-Identifier: BSD-2-Clause
// Frames of services in the frame language: who has which address in either family.
#include "tests/packets/services_words.h"

#include <stdio.h>
#include <string.h>
#include <weft/wire.h>

const struct flavour *flavour;

static const char *const ends[][2] = {
	[CLIENT] = {"10.1.0.1", "fd00::1"},
	[SERVICE] = {SERVICES_VIP, SERVICES_VIP6},
	[BACKEND] = {"10.1.0.3", "fd00::3"},
	[OUTSIDE] = {"198.51.100.7", "2001:db8::7"},
	[ROUTER] = {"192.0.2.77", "2001:db8::77"},
	[GATEWAY] = {"10.1.0.254", "fd00::fe"},
};

const char *words_address(enum end end)
{
	return ends[end][flavour->v6];
}

// head: words between the IP header and the ports.
static struct words with(
	const char *head, const char *macs, enum end src, enum end dst, u16 sport, u16 dport)
{
	struct words w;
	bool tcp = flavour->protocol == WEFT_IP_TCP;
	snprintf(w.text, sizeof(w.text), "%s %s:%s,%s,%u %s %s:%u,%u data:16", macs,
		flavour->v6 ? "ip6" : "ip4", words_address(src), words_address(dst),
		flavour->protocol, head, tcp ? "tcp" : "udp", sport, dport);
	return w;
}

struct words plain(const char *macs, enum end src, enum end dst, u16 sport, u16 dport)
{
	return with("", macs, src, dst, sport, dport);
}

struct words optioned(const char *macs, enum end src, enum end dst, u16 sport, u16 dport)
{
	return with(flavour->v6 ? "ext:60" : "opt:2", macs, src, dst, sport, dport);
}

struct words first(const char *macs, enum end src, enum end dst, u16 sport, u16 dport)
{
	struct words w =
		with(flavour->v6 ? "ext:44" : "frag:2000 id:9", macs, src, dst, sport, dport);
	if (flavour->v6)
		strcat(w.text, " set:56=000100000009");
	return w;
}

struct words later(const char *macs, enum end src, enum end dst, u16 id)
{
	struct words w;
	const char *format = flavour->v6 ? "%s ip6:%s,%s,%u ext:44 data:16 set:56=00180000%04x"
					 : "%s ip4:%s,%s,%u frag:0003 data:16 id:%u";
	snprintf(w.text, sizeof(w.text), format, macs, words_address(src), words_address(dst),
		flavour->protocol, id);
	return w;
}

struct words error(
	const char *macs, enum end src, enum end dst, enum end to, u16 dst_port, u16 to_port)
{
	struct words w;
	const char *format = flavour->v6 ? "%s ip6:%s,%s,58 error:1,4 %s:%s,%s,%u,%u"
					 : "%s ip4:%s,%s,1 error:3,3 %s:%s,%s,%u,%u";
	snprintf(w.text, sizeof(w.text), format, macs, words_address(src), words_address(dst),
		flavour->protocol == WEFT_IP_TCP ? "quotetcp" : "quote", words_address(dst),
		words_address(to), dst_port, to_port);
	return w;
}
