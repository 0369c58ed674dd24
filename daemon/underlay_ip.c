// SPDX-License-Identifier: BSD-2-Clause
// IP addresses to netlink attributes and back.
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>
#include "daemon/underlay_parts.h"

enum { V4_BYTES = 4, V6_BYTES = 16 };

int ip_family(const struct weft_ip *ip)
{
	return address_v4(ip) ? AF_INET : AF_INET6;
}

void ip_put(struct nl_msg *msg, int attribute, const struct weft_ip *ip)
{
	int bytes = address_v4(ip) ? V4_BYTES : V6_BYTES;
	nla_put(msg, attribute, bytes, ip->byte + sizeof(*ip) - bytes);
}

bool ip_take(struct weft_ip *ip, const void *bytes, int length)
{
	if (length != V4_BYTES && length != V6_BYTES)
		return false;
	*ip = (struct weft_ip){.byte = {[10] = 0xff, [11] = 0xff}}; // mapped
	memcpy(ip->byte + sizeof(*ip) - length, bytes, (size_t)length);
	return true;
}
