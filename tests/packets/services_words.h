// SPDX-License-Identifier: BSD-2-Clause
// Frames of services in the frame language, in the family and with the protocol of the test at
// hand.
#pragma once

#include "tests/packets/packets.h"

struct flavour {
	const char *name;
	bool v6;
	u8 protocol;
	u32 dsr, host_dsr; // services: ports 81 and 82
};

extern const struct flavour *flavour; // of the test at hand

enum end { CLIENT, SERVICE, BACKEND, OUTSIDE, ROUTER, GATEWAY }; // the backend is C

const char *words_address(enum end end);

struct words {
	char text[192];
};

struct words plain(const char *macs, enum end src, enum end dst, u16 sport, u16 dport);
// With IPv4 options, or an IPv6 extension header.
struct words optioned(const char *macs, enum end src, enum end dst, u16 sport, u16 dport);
// The first fragment of datagram 9, and the last one of any.
struct words first(const char *macs, enum end src, enum end dst, u16 sport, u16 dport);
struct words later(const char *macs, enum end src, enum end dst, u16 id);
// An ICMP error from src to dst, about a packet that dst has sent to `to`.
struct words error(
	const char *macs, enum end src, enum end dst, enum end to, u16 dst_port, u16 to_port);
