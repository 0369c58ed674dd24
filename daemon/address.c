// SPDX-License-Identifier: BSD-2-Clause
// Addresses: text <-> struct weft_ip and struct weft_mac.
#include "daemon/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPED_BYTES = 12 };

static const u8 mapped[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

struct weft_ip address_read(const char *text)
{
	struct weft_ip ip = {0};
	if (strchr(text, ':')) {
		inet_pton(AF_INET6, text, ip.byte);
	} else if (inet_pton(AF_INET, text, ip.byte + MAPPED_BYTES) == 1) {
		memcpy(ip.byte, mapped, MAPPED_BYTES);
	}
	return ip;
}

bool address_v4(const struct weft_ip *ip)
{
	return memcmp(ip->byte, mapped, MAPPED_BYTES) == 0;
}

void address_text(const struct weft_ip *ip, char text[ADDRESS_TEXT_BYTES])
{
	if (address_v4(ip))
		inet_ntop(AF_INET, ip->byte + MAPPED_BYTES, text, ADDRESS_TEXT_BYTES);
	else
		inet_ntop(AF_INET6, ip->byte, text, ADDRESS_TEXT_BYTES);
}

bool address_same(const struct weft_ip *a, const struct weft_ip *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool address_usable(const struct weft_ip *ip)
{
	static const struct weft_ip none, loopback = {.byte = {[15] = 1}};
	u8 first = ip->byte[MAPPED_BYTES];
	if (address_v4(ip))
		return first != 0 && first != 127 && first < 224;
	return ip->byte[0] != 0xff && !address_same(ip, &none) && !address_same(ip, &loopback);
}

bool address_group(const struct weft_ip *ip)
{
	const u8 *last = ip->byte + MAPPED_BYTES;
	bool all = (last[0] & last[1] & last[2] & last[3]) == 0xff;
	return address_v4(ip) ? all || (last[0] & 0xf0) == 0xe0 : ip->byte[0] == 0xff;
}

bool address_link_local(const struct weft_ip *ip)
{
	const u8 *last = ip->byte + MAPPED_BYTES;
	if (address_v4(ip))
		return last[0] == 169 && last[1] == 254;
	return ip->byte[0] == 0xfe && (ip->byte[1] & 0xc0) == 0x80;
}

bool address_in(const struct weft_ip *ip, const struct weft_ip *net, u32 bits)
{
	u32 whole = bits / 8;
	if (memcmp(ip->byte, net->byte, whole) != 0)
		return false;
	u8 mask = (u8)(0xff00 >> bits % 8);
	return bits % 8 == 0 || ((ip->byte[whole] ^ net->byte[whole]) & mask) == 0;
}

// Its length, as address_in counts it.
static bool read_prefix(const char *prefix, struct weft_ip *net, u32 *bits)
{
	char text[64];
	snprintf(text, sizeof(text), "%s", prefix);
	char *slash = strchr(text, '/');
	if (!slash)
		return false;
	*slash = '\0';
	*net = address_read(text);
	*bits = (u32)strtoul(slash + 1, NULL, 10) + (address_v4(net) ? 8 * MAPPED_BYTES : 0);
	return true;
}

bool address_within(const struct weft_ip *ip, const char *prefix)
{
	struct weft_ip net;
	u32 bits;
	return read_prefix(prefix, &net, &bits) && address_v4(&net) == address_v4(ip) &&
	       address_in(ip, &net, bits);
}

void mac_text(const struct weft_mac *mac, char text[MAC_TEXT_BYTES])
{
	const u8 *b = mac->byte;
	snprintf(text, MAC_TEXT_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
		b[4], b[5]);
}

struct weft_mac mac_read(const char *text)
{
	struct weft_mac mac = {0};
	u8 *b = mac.byte;
	sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]);
	return mac;
}

bool address_of_all(const struct weft_ip *ip, const char *subnet)
{
	struct weft_ip net;
	u32 bits;
	if (!address_v4(ip) || !read_prefix(subnet, &net, &bits) || !address_v4(&net) || bits > 126)
		return false;
	u32 all = 0xffffffffu >> (bits - 8 * MAPPED_BYTES), host = weft_ntoh32(ip->word[3]) & all;
	return host == 0 || host == all;
}

bool address_fits(const struct weft_ip *ip, const char *subnet)
{
	return address_v4(ip) != !strchr(subnet, ':') || address_within(ip, subnet);
}
