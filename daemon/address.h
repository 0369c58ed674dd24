// SPDX-License-Identifier: BSD-2-Clause
// Addresses: text <-> struct weft_ip (IPv4 mapped into ::ffff:0:0/96) and struct weft_mac.
#pragma once

#include "weft/types.h"

enum { ADDRESS_TEXT_BYTES = 46, MAC_TEXT_BYTES = 18 };

struct weft_ip address_read(const char *text); // as value_parse has accepted it
void address_text(const struct weft_ip *ip, char text[ADDRESS_TEXT_BYTES]);
bool address_v4(const struct weft_ip *ip);
bool address_same(const struct weft_ip *a, const struct weft_ip *b);
// Can it be that of a machine: not multicast, not unspecified, not loopback.
bool address_usable(const struct weft_ip *ip);
bool address_group(const struct weft_ip *ip);      // multicast, or all of the link
bool address_link_local(const struct weft_ip *ip); // says nothing without a device
// Do the first bits agree? At most 128; IPv4 is mapped: 96 more than its prefix says.
bool address_in(const struct weft_ip *ip, const struct weft_ip *net, u32 bits);
bool address_within(const struct weft_ip *ip, const char *prefix); // same family and in it
// Can it be an address of a network with that subnet? Of the other family there is none to be in.
bool address_fits(const struct weft_ip *ip, const char *subnet);
// The first or last of an IPv4 subnet, which stand for all of it (RFC 1122, 3.2.1.3).
bool address_of_all(const struct weft_ip *ip, const char *subnet);

struct weft_mac mac_read(const char *text);
void mac_text(const struct weft_mac *mac, char text[MAC_TEXT_BYTES]);
