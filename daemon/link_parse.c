// SPDX-License-Identifier: BSD-2-Clause
// RTM_NEWLINK and RTM_NEWADDR messages -> what weft wants to know of them.
#include "daemon/link_parse.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

static void copy_text(char *to, size_t size, struct nlattr *attribute)
{
	to[0] = '\0';
	if (attribute)
		nla_strlcpy(to, attribute, size);
}

static u32 number(struct nlattr *attribute)
{
	return attribute && nla_len(attribute) >= (int)sizeof(u32) ? nla_get_u32(attribute) : 0;
}

static u32 user(struct nlattr *attribute)
{
	return attribute ? number(attribute) : ~0u;
}

static bool flag(struct nlattr *attribute)
{
	return attribute && nla_len(attribute) >= 1 && nla_get_u8(attribute);
}

static void parse_kind(struct nlattr *info, struct link *link)
{
	struct nlattr *part[IFLA_INFO_MAX + 1] = {0};
	struct nlattr *tun[IFLA_TUN_MAX + 1] = {0};
	link->tap = link->multi_queue = link->vnet_hdr = false;
	if (info)
		nla_parse_nested(part, IFLA_INFO_MAX, info, NULL);
	copy_text(link->kind, sizeof(link->kind), part[IFLA_INFO_KIND]);
	if (strcmp(link->kind, "tun") != 0 || !part[IFLA_INFO_DATA])
		return;
	nla_parse_nested(tun, IFLA_TUN_MAX, part[IFLA_INFO_DATA], NULL);
	link->tap = tun[IFLA_TUN_TYPE] && nla_get_u8(tun[IFLA_TUN_TYPE]) == IFF_TAP;
	link->multi_queue = flag(tun[IFLA_TUN_MULTI_QUEUE]);
	link->vnet_hdr = flag(tun[IFLA_TUN_VNET_HDR]);
	link->owner = user(tun[IFLA_TUN_OWNER]);
	link->group = user(tun[IFLA_TUN_GROUP]);
}

static void parse_xdp(struct nlattr *xdp, struct link *link)
{
	struct nlattr *part[IFLA_XDP_MAX + 1] = {0};
	if (xdp)
		nla_parse_nested(part, IFLA_XDP_MAX, xdp, NULL);
	link->xdp =
		part[IFLA_XDP_ATTACHED] ? nla_get_u8(part[IFLA_XDP_ATTACHED]) : XDP_ATTACHED_NONE;
	link->xdp_program = number(part[IFLA_XDP_PROG_ID]);
}

int link_parse(struct nlmsghdr *message, struct link *link)
{
	struct nlattr *part[IFLA_MAX + 1] = {0};
	if (nlmsg_parse(message, sizeof(struct ifinfomsg), part, IFLA_MAX, NULL))
		return -EINVAL;
	const struct ifinfomsg *info = nlmsg_data(message);
	link->ifindex = (u32)info->ifi_index;
	link->flags = info->ifi_flags;
	link->hardware = info->ifi_type;
	copy_text(link->name, sizeof(link->name), part[IFLA_IFNAME]);
	copy_text(link->alias, sizeof(link->alias), part[IFLA_IFALIAS]);
	link->mtu = number(part[IFLA_MTU]);
	link->master = number(part[IFLA_MASTER]);
	memset(&link->mac, 0, sizeof(link->mac));
	if (part[IFLA_ADDRESS] && nla_len(part[IFLA_ADDRESS]) == (int)sizeof(link->mac))
		memcpy(&link->mac, nla_data(part[IFLA_ADDRESS]), sizeof(link->mac));
	parse_xdp(part[IFLA_XDP], link);
	parse_kind(part[IFLA_LINKINFO], link);
	link->peer = strcmp(link->kind, "veth") == 0 ? number(part[IFLA_LINK]) : 0;
	link->peer_netns = part[IFLA_LINK_NETNSID] ? (int)number(part[IFLA_LINK_NETNSID]) : -1;
	return 0;
}

int link_parse_stats(struct nlmsghdr *message, struct rtnl_link_stats64 *stats)
{
	struct nlattr *part[IFLA_MAX + 1] = {0};
	memset(stats, 0, sizeof(*stats));
	if (nlmsg_parse(message, sizeof(struct ifinfomsg), part, IFLA_MAX, NULL) ||
		!part[IFLA_STATS64])
		return -EINVAL;
	size_t length = (size_t)nla_len(part[IFLA_STATS64]); // grows with the kernel
	memcpy(stats, nla_data(part[IFLA_STATS64]),
		length < sizeof(*stats) ? length : sizeof(*stats));
	return 0;
}

u32 link_parse_address(struct nlmsghdr *message)
{
	if (!nlmsg_valid_hdr(message, sizeof(struct ifaddrmsg)))
		return 0;
	const struct ifaddrmsg *address = nlmsg_data(message);
	return address->ifa_scope < RT_SCOPE_LINK ? address->ifa_index : 0;
}
