// SPDX-License-Identifier: BSD-2-Clause
// Which way the kernel would go to a peer: the route's next hops.
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/netlink.h"
#include "daemon/underlay_parts.h"

struct route {
	u32 type; // RTN_UNICAST, ...
	u32 mtu;  // of the route; 0: the device's
	u32 count;
	struct way way[UNDERLAY_WAYS];
};

static void take_way(
	struct route *route, u32 ifindex, u32 flags, u32 weight, struct nlattr *part[RTA_MAX + 1])
{
	struct way *way = &route->way[route->count];
	struct nlattr *via = part[RTA_VIA];
	const struct rtvia *other; // a gateway of the other family

	if (!ifindex || route->count == UNDERLAY_WAYS)
		return;
	*way = (struct way){.ifindex = ifindex, .weight = weight, .on_link = true};
	way->down = flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);
	way->plain = !way->down && !part[RTA_ENCAP_TYPE];
	if (part[RTA_GATEWAY])
		way->on_link = !ip_take(
			&way->gateway, nla_data(part[RTA_GATEWAY]), nla_len(part[RTA_GATEWAY]));
	if (via && nla_len(via) > (int)sizeof(*other)) {
		other = nla_data(via);
		way->on_link = !ip_take(
			&way->gateway, other->rtvia_addr, nla_len(via) - (int)sizeof(*other));
	}
	route->count++;
}

static void take_multipath(struct route *route, struct nlattr *multipath)
{
	struct rtnexthop *hop = nla_data(multipath);
	int left = nla_len(multipath);
	while (left >= (int)sizeof(*hop) && RTNH_OK(hop, left)) {
		struct nlattr *part[RTA_MAX + 1] = {0};
		nla_parse(part, RTA_MAX, (struct nlattr *)RTNH_DATA(hop),
			hop->rtnh_len - (int)sizeof(*hop), NULL);
		take_way(route, (u32)hop->rtnh_ifindex, hop->rtnh_flags, hop->rtnh_hops + 1u, part);
		left -= NLMSG_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

static void take_route(struct nlmsghdr *message, void *context)
{
	struct route *route = context;
	struct nlattr *part[RTA_MAX + 1] = {0};
	struct nlattr *metric[RTAX_MAX + 1] = {0};

	if (message->nlmsg_type != RTM_NEWROUTE ||
		nlmsg_parse(message, sizeof(struct rtmsg), part, RTA_MAX, NULL))
		return;
	const struct rtmsg *header = nlmsg_data(message);
	route->type = header->rtm_type;
	if (part[RTA_METRICS])
		nla_parse_nested(metric, RTAX_MAX, part[RTA_METRICS], NULL);
	if (metric[RTAX_MTU])
		route->mtu = nla_get_u32(metric[RTAX_MTU]);
	if (part[RTA_MULTIPATH])
		take_multipath(route, part[RTA_MULTIPATH]);
	else if (part[RTA_OIF])
		take_way(route, nla_get_u32(part[RTA_OIF]), header->rtm_flags, 1, part);
}

static int ask(struct underlay *u, const struct weft_ip *from, const struct weft_ip *to, u32 flags,
	struct route *route)
{
	int family = ip_family(to);
	u8 bits = family == AF_INET ? 32 : 128;
	struct rtmsg header = {.rtm_family = (u8)family,
		.rtm_dst_len = bits,
		.rtm_src_len = from ? bits : 0,
		.rtm_flags = flags};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETROUTE, 0);

	*route = (struct route){0};
	if (!msg)
		return -ENOMEM;
	nlmsg_append(msg, &header, sizeof(header), NLMSG_ALIGNTO);
	ip_put(msg, RTA_DST, to);
	if (from)
		ip_put(msg, RTA_SRC, from);
	return netlink_talk(links_socket(u->weftd->links), msg, take_route, route, NULL);
}

// The table's route with all its next hops; where it does not tell them (nexthop objects without
// net.ipv4.nexthop_compat_mode), the one that the kernel would take.
static int route_ask(struct underlay *u, const struct weft_ip *from, const struct weft_ip *to,
	struct route *route)
{
	int error = ask(u, from, to, RTM_F_FIB_MATCH, route);
	if (!error && !route->count)
		error = ask(u, from, to, 0, route);
	return error;
}

static int by_place(const void *at, const void *bt)
{
	const struct way *a = at, *b = bt;
	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return memcmp(&a->gateway, &b->gateway, sizeof(a->gateway));
}

// What the route leaves open: the peer's address as gateway, the device's part of the MTU.
static void finish_way(struct underlay *u, struct way *way, const struct weft_ip *peer, u32 mtu)
{
	const struct link *link = link_at(u->weftd->links, way->ifindex);
	if (way->on_link)
		way->gateway = *peer;
	way->mtu = link && !(link->flags & IFF_LOOPBACK) ? link->mtu : 0;
	if (mtu && mtu < way->mtu)
		way->mtu = mtu;
	if (!link || link->hardware != ARPHRD_ETHER || (link->flags & IFF_NOARP))
		way->plain = false;
	else
		way->mac = link->mac;
}

static int why(struct underlay *u, const struct underlay_peer *peer, char *text, size_t size)
{
	char own[ADDRESS_TEXT_BYTES], other[ADDRESS_TEXT_BYTES];
	address_text(&peer->address, other);
	if (!u->has_address)
		return snprintf(text, size, "this host has no address");
	address_text(&u->address, own);
	if (ip_family(&u->address) != ip_family(&peer->address))
		return snprintf(text, size,
			"%s and this host's address %s are of different families", other, own);
	if (!u->host_ifindex)
		return snprintf(text, size, "no device of this host has its address %s", own);
	return snprintf(text, size, "no route to %s", other);
}

void underlay_route_read(struct underlay *u, struct underlay_peer *peer)
{
	struct route route = {0};
	bool found = u->host_ifindex && ip_family(&u->address) == ip_family(&peer->address) &&
		     !route_ask(u, &u->address, &peer->address, &route) &&
		     route.type == RTN_UNICAST;

	peer->count = 0;
	peer->why[0] = '\0';
	if (!found || !route.count) {
		why(u, peer, peer->why, sizeof(peer->why));
		return;
	}
	for (u32 i = 0; i < route.count; i++)
		finish_way(u, &route.way[i], &peer->address, route.mtu);
	// The kernel's order may change while the set does not, and flows would move.
	qsort(route.way, route.count, sizeof(route.way[0]), by_place);
	memcpy(peer->way, route.way, sizeof(peer->way));
	peer->count = route.count;
}

u32 underlay_route_host(struct underlay *u)
{
	struct route route;
	if (!u->has_address || ask(u, NULL, &u->address, RTM_F_FIB_MATCH, &route))
		return 0;
	return route.type == RTN_LOCAL && route.count ? route.way[0].ifindex : 0;
}
