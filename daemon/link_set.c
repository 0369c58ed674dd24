// SPDX-License-Identifier: BSD-2-Clause
// What weft changes on a link, its counters, and its other end.
#include "daemon/link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include "daemon/link_parse.h"
#include "daemon/netlink.h"

int link_set(struct links *links, struct link *link, const struct link_change *change,
	struct failure *failure)
{
	char why[NETLINK_WHY_BYTES];
	struct ifinfomsg info = {
		.ifi_index = (int)link->ifindex,
		.ifi_flags = change->flags,
		.ifi_change = change->flags_mask,
	};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);
	if (!msg)
		return fail(failure, -ENOMEM, "no_memory", "out of memory");
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	if (change->mtu)
		nla_put_u32(msg, IFLA_MTU, change->mtu);
	if (change->mac)
		nla_put(msg, IFLA_ADDRESS, sizeof(*change->mac), change->mac);
	if (change->alias)
		nla_put(msg, IFLA_IFALIAS, (int)strlen(change->alias), change->alias);
	if (change->quiet) {
		struct nlattr *families = nla_nest_start(msg, IFLA_AF_SPEC);
		struct nlattr *family = nla_nest_start(msg, 10 /* AF_INET6 */);
		nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
		nla_nest_end(msg, family);
		nla_nest_end(msg, families);
	}
	int error = netlink_talk(links_socket(links), msg, NULL, NULL, why);
	if (error == -EAFNOSUPPORT && change->quiet) { // a kernel without IPv6 is quiet by itself
		struct link_change rest = *change;
		rest.quiet = false;
		return link_set(links, link, &rest, failure);
	}
	if (error)
		return fail(failure, error, "device", "the kernel refused to change %s: %s",
			link->name, why);
	return link_refresh(links, link->name) ? 0 : -ENODEV;
}

static void take_stats(struct nlmsghdr *message, void *context)
{
	if (message->nlmsg_type == RTM_NEWLINK)
		link_parse_stats(message, context);
}

int link_stats(struct links *links, const struct link *link, struct rtnl_link_stats64 *stats)
{
	struct ifinfomsg info = {.ifi_index = (int)link->ifindex};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, 0);
	memset(stats, 0, sizeof(*stats));
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	return netlink_talk(links_socket(links), msg, take_stats, stats, NULL);
}

struct link *link_peer(struct links *links, const struct link *link)
{
	return link->peer && link->peer_netns < 0 ? link_at(links, link->peer) : NULL;
}

static void take_peer(struct nlmsghdr *message, void *context)
{
	struct link *peer = context;
	if (message->nlmsg_type == RTM_NEWLINK)
		link_parse(message, peer);
}

int link_ask_peer(struct links *links, const struct link *link, struct link *peer)
{
	struct ifinfomsg info = {.ifi_index = (int)link->peer};
	memset(peer, 0, sizeof(*peer));
	if (!link->peer || link->peer_netns < 0)
		return -ENODEV;
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, 0);
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_s32(msg, IFLA_TARGET_NETNSID, link->peer_netns);
	nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	int error = netlink_talk(links_socket(links), msg, take_peer, peer, NULL);
	return error ? error : peer->ifindex ? 0 : -ENODEV;
}
