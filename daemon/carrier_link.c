// SPDX-License-Identifier: BSD-2-Clause
// The carrier's netdev: find it, look at it, make it.
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>
#include "daemon/carrier.h"
#include "daemon/mark.h"
#include "daemon/netlink.h"

// No port has this name.
#define MARK_NAME "(carrier)"

// RFC 6335: the ports that nobody listens on. The inner flow chooses one of them (RFC 7348).
enum { SOURCE_PORT_MIN = 49152, SOURCE_PORT_MAX = 65535 };

// A superpacket must pass whole; the kernel segments it to what the underlay takes.
static const u32 mtus[] = {65485, 65465, 16384, 9000, 1500};

struct vxlan {
	u32 ifindex;
	u16 udp_port;
	bool external;
	char name[IFNAMSIZ];
};

static void parse_vxlan(struct nlattr *info, struct vxlan *vxlan)
{
	struct nlattr *part[IFLA_INFO_MAX + 1] = {0}, *data[IFLA_VXLAN_MAX + 1] = {0};
	nla_parse_nested(part, IFLA_INFO_MAX, info, NULL);
	if (!part[IFLA_INFO_KIND] || strcmp(nla_get_string(part[IFLA_INFO_KIND]), "vxlan") != 0 ||
		!part[IFLA_INFO_DATA])
		return;
	nla_parse_nested(data, IFLA_VXLAN_MAX, part[IFLA_INFO_DATA], NULL);
	if (data[IFLA_VXLAN_PORT])
		vxlan->udp_port = weft_ntoh16(nla_get_u16(data[IFLA_VXLAN_PORT]));
	vxlan->external =
		data[IFLA_VXLAN_COLLECT_METADATA] && nla_get_u8(data[IFLA_VXLAN_COLLECT_METADATA]);
}

// What is looked for: the device with this ifindex, or (0) any on this port.
struct search {
	u32 ifindex;
	u16 udp_port;
	struct vxlan found; // udp_port 0: none
};

static void take_answer(struct nlmsghdr *message, void *context)
{
	struct search *s = context;
	struct nlattr *part[IFLA_MAX + 1] = {0};
	struct vxlan vxlan = {0};
	if (message->nlmsg_type != RTM_NEWLINK ||
		nlmsg_parse(message, sizeof(struct ifinfomsg), part, IFLA_MAX, NULL) ||
		!part[IFLA_LINKINFO] || !part[IFLA_IFNAME])
		return;
	const struct ifinfomsg *info = nlmsg_data(message);
	parse_vxlan(part[IFLA_LINKINFO], &vxlan);
	vxlan.ifindex = (u32)info->ifi_index;
	nla_strlcpy(vxlan.name, part[IFLA_IFNAME], sizeof(vxlan.name));
	if (s->ifindex ? vxlan.ifindex == s->ifindex
		       : vxlan.udp_port == s->udp_port && strcmp(vxlan.name, CARRIER_NAME) != 0)
		s->found = vxlan;
}

static void search(struct weftd *weftd, struct search *s)
{
	struct ifinfomsg info = {.ifi_index = (int)s->ifindex};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, s->ifindex ? 0 : NLM_F_DUMP);
	if (!msg)
		return;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	netlink_talk(links_socket(weftd->links), msg, take_answer, s, NULL);
}

static bool is_ours(struct weftd *weftd, const struct link *link)
{
	struct mark mark;
	return mark_read(link->alias, &mark) && strcmp(mark.uuid, weftd->uuid) == 0 &&
	       strcmp(mark.port, MARK_NAME) == 0;
}

bool carrier_fits(struct weftd *weftd, const struct link *link, u16 udp_port)
{
	struct search s = {.ifindex = link->ifindex};
	search(weftd, &s);
	return is_ours(weftd, link) && s.found.external && s.found.udp_port == udp_port;
}

struct link *carrier_find(struct weftd *weftd)
{
	struct link *link = link_first(weftd->links);
	while (link && !is_ours(weftd, link))
		link = link->by_index.next;
	if (link)
		return link;
	link = link_refresh(weftd->links, CARRIER_NAME);
	// Killed before it was marked: made by weft, and nobody uses it.
	bool left = link && strcmp(link->kind, "vxlan") == 0 && !link->alias[0] &&
		    !(link->flags & IFF_UP);
	return left ? link : NULL;
}

// Two VXLAN devices can share a UDP port only if they are alike.
static int refuse_other(struct weftd *weftd, u16 udp_port, struct failure *failure)
{
	struct search s = {.udp_port = udp_port};
	search(weftd, &s);
	return s.found.udp_port
		       ? fail(failure, -EADDRINUSE, "in_use",
				 "UDP port %u is the VXLAN device %s's: `ip link del %s`, or "
				 "another port on every host: `host set udp-port P`",
				 udp_port, s.found.name, s.found.name)
		       : 0;
}

static struct nl_msg *make_request(u16 udp_port)
{
	struct ifinfomsg info = {0};
	struct ifla_vxlan_port_range range = {
		weft_hton16(SOURCE_PORT_MIN), weft_hton16(SOURCE_PORT_MAX)};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	if (!msg)
		return NULL;
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, CARRIER_NAME);
	struct nlattr *link = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_KIND, "vxlan");
	struct nlattr *data = nla_nest_start(msg, IFLA_INFO_DATA);
	nla_put_u8(msg, IFLA_VXLAN_COLLECT_METADATA, 1);
	nla_put_u8(msg, IFLA_VXLAN_LEARNING, 0);
	nla_put_u8(msg, IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 0);
	nla_put_u16(msg, IFLA_VXLAN_PORT, weft_hton16(udp_port));
	nla_put(msg, IFLA_VXLAN_PORT_RANGE, sizeof(range), &range);
	nla_nest_end(msg, data);
	nla_nest_end(msg, link);
	return msg;
}

int carrier_mark(struct weftd *weftd, struct link *link, struct failure *failure)
{
	struct mark mark = {.port = MARK_NAME};
	char alias[LINK_ALIAS_BYTES];
	struct link_change change = {.alias = alias, .quiet = true};
	if (is_ours(weftd, link))
		return 0;
	strcpy(mark.uuid, weftd->uuid);
	mark_write(&mark, alias);
	return link_set(weftd->links, link, &change, failure);
}

// The mark last: what has it is whole.
static int dress(struct weftd *weftd, struct link *link, struct failure *failure)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(mtus); i++) {
		struct link_change size = {.mtu = mtus[i]};
		if (link_set(weftd->links, link, &size, NULL) == 0)
			break;
	}
	return carrier_mark(weftd, link, failure);
}

struct link *carrier_make(struct weftd *weftd, u16 udp_port, struct failure *failure)
{
	char why[NETLINK_WHY_BYTES];
	struct link *link = link_find(weftd->links, CARRIER_NAME);
	if (link) {
		fail(failure, -EEXIST, "in_use",
			"there is a device %s already that is not this weftd's: `ip link del %s`",
			CARRIER_NAME, CARRIER_NAME);
		return NULL;
	}
	if (refuse_other(weftd, udp_port, failure))
		return NULL;
	int error =
		netlink_talk(links_socket(weftd->links), make_request(udp_port), NULL, NULL, why);
	link = error ? NULL : link_refresh(weftd->links, CARRIER_NAME);
	if (!link) {
		fail(failure, error ? error : -ENODEV, "device",
			"the kernel refuses the VXLAN device %s: %s", CARRIER_NAME, why);
	} else if (dress(weftd, link, failure)) {
		link_delete(weftd->links, link, NULL);
		link = NULL;
	}
	return link;
}
