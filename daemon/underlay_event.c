// SPDX-License-Identifier: BSD-2-Clause
// Events of the kernel: which of them may change a way. They only say that; the kernel is asked.
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include "daemon/netlink.h"
#include "daemon/underlay_parts.h"

enum { EVENT_READS = 64 }; // before other work has its turn

// A host may have a whole Internet of routes: only those that lead to a peer matter.
static bool route_concerns(struct underlay *u, struct nlmsghdr *message)
{
	struct nlattr *part[RTA_MAX + 1] = {0};
	struct underlay_peer *peer, *next;
	struct weft_ip net = {0};

	if (nlmsg_parse(message, sizeof(struct rtmsg), part, RTA_MAX, NULL))
		return true;
	const struct rtmsg *header = nlmsg_data(message);
	u32 bits = header->rtm_dst_len + (header->rtm_family == AF_INET ? 96u : 0u);
	if (header->rtm_flags & RTM_F_CLONED)
		return false;
	if (!part[RTA_DST] || !ip_take(&net, nla_data(part[RTA_DST]), nla_len(part[RTA_DST])))
		return true; // the default route
	HASH_ITER (hh, u->peers, peer, next) {
		if (address_in(&peer->address, &net, bits))
			return true;
	}
	return u->has_address && address_in(&u->address, &net, bits);
}

static bool link_concerns(struct underlay *u, struct nlmsghdr *message)
{
	struct underlay_peer *peer, *next;
	if (!nlmsg_valid_hdr(message, sizeof(struct ifinfomsg)))
		return false;
	u32 ifindex = (u32)((struct ifinfomsg *)nlmsg_data(message))->ifi_index;
	HASH_ITER (hh, u->peers, peer, next) {
		for (u32 i = 0; i < peer->count; i++)
			if (peer->way[i].ifindex == ifindex)
				return true;
	}
	return ifindex == u->host_ifindex;
}

static void neighbour_event(struct underlay *u, struct nlmsghdr *message)
{
	struct nlattr *part[NDA_MAX + 1] = {0};
	struct underlay_neighbour *n;
	struct weft_ip ip;

	if (nlmsg_parse(message, sizeof(struct ndmsg), part, NDA_MAX, NULL) || !part[NDA_DST] ||
		!ip_take(&ip, nla_data(part[NDA_DST]), nla_len(part[NDA_DST])))
		return;
	n = neighbour_find(u, (u32)((struct ndmsg *)nlmsg_data(message))->ndm_ifindex, &ip);
	if (n)
		n->stale = u->neighbours_stale = true;
}

static int on_message(struct nl_msg *msg, void *context)
{
	struct underlay *u = context;
	struct nlmsghdr *message = nlmsg_hdr(msg);
	switch (message->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neighbour_event(u, message);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		u->routes_due = u->routes_due || route_concerns(u, message);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		u->routes_due = u->routes_due || link_concerns(u, message);
		break;
	default: // addresses, rules, nexthop objects
		u->routes_due = true;
	}
	return NL_OK;
}

static void on_events(evutil_socket_t fd, short what, void *context)
{
	struct underlay *u = context;
	int error = 0;
	(void)fd, (void)what;
	for (int i = 0; i < EVENT_READS && error >= 0; i++) {
		error = nl_recvmsgs_default(u->events);
		if (error == -NLE_NOMEM) // ENOBUFS: some were lost
			u->routes_due = true;
	}
	if (u->routes_due)
		underlay_routes_stale(u);
	else if (u->neighbours_stale)
		underlay_schedule(u);
}

int underlay_events_open(struct underlay *u)
{
	static const int groups[] = {RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR,
		RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,
		RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP, 0};
	int error;
	u->events = netlink_open(groups, &error);
	if (!u->events)
		return error;
	nl_socket_modify_cb(u->events, NL_CB_VALID, NL_CB_CUSTOM, on_message, u);
	u->event = event_new(
		u->weftd->base, nl_socket_get_fd(u->events), EV_READ | EV_PERSIST, on_events, u);
	return u->event && event_add(u->event, NULL) == 0 ? 0 : -ENOMEM;
}
