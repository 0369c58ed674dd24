// SPDX-License-Identifier: BSD-2-Clause
// device.c - network devices, addresses and routes by libnl
#include "topo/lab/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/link/vxlan.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include "topo/lab/netns.h"

int place_open(struct place *place, struct lab *lab, const struct node *node)
{
	char netns[NAME_MAX];

	*place = (struct place){.lab = lab, .node = node};
	node_netns(lab, node, netns);
	place->home = netns_enter(lab, netns);
	if (place->home < 0)
		return place->home;
	place->sock = nl_socket_alloc();
	if (place->sock && !nl_connect(place->sock, NETLINK_ROUTE))
		return 0;
	place_close(place);
	return lab_fail(lab, EIO, "%s: no netlink socket", node->name);
}

void place_close(struct place *place)
{
	if (place->sock)
		nl_socket_free(place->sock);
	netns_leave(place->home);
}

static int fail_netlink(struct place *place, int error, const char *what, const char *about)
{
	if (error >= 0)
		return 0;
	return lab_fail(place->lab, EIO, "%s: cannot %s %s: %s", place->node->name, what, about,
		nl_geterror(error));
}

static int index_of(struct place *place, const char *dev)
{
	unsigned index = if_nametoindex(dev);

	return index ? (int)index
		     : lab_fail(place->lab, ENODEV, "%s: there is no device %s", place->node->name,
			       dev);
}

// Changes a device that is there. Takes `changes`.
static int change(struct place *place, const char *dev, struct rtnl_link *changes, const char *what)
{
	int index = index_of(place, dev), err = index;
	struct rtnl_link *link = rtnl_link_alloc();

	if (index > 0) {
		rtnl_link_set_ifindex(link, index);
		err = fail_netlink(
			place, rtnl_link_change(place->sock, link, changes, 0), what, dev);
	}
	rtnl_link_put(link);
	rtnl_link_put(changes);
	return err;
}

static int add_veth(
	struct place *place, const char *dev, const char *peer, int peer_netns, unsigned mtu)
{
	struct rtnl_link *link = rtnl_link_veth_alloc();
	struct rtnl_link *other = rtnl_link_veth_get_peer(link);
	int err;

	rtnl_link_set_name(link, dev);
	rtnl_link_set_name(other, peer);
	rtnl_link_set_ns_fd(other, peer_netns);
	if (mtu) {
		rtnl_link_set_mtu(link, mtu);
		rtnl_link_set_mtu(other, mtu);
	}
	err = rtnl_link_add(place->sock, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(other);
	rtnl_link_put(link);
	return fail_netlink(place, err, "make veth", dev);
}

static int end_up(struct lab *lab, const struct end *end)
{
	struct place place;
	int err = place_open(&place, lab, end->node);

	if (err)
		return err;
	err = device_up(&place, end->dev);
	place_close(&place);
	return err;
}

int device_veth(struct lab *lab, const struct end *end, const struct end *other, unsigned mtu)
{
	char netns[NAME_MAX];
	struct place place;
	int peer, err;

	node_netns(lab, other->node, netns);
	peer = netns_open(lab, netns);
	if (peer < 0)
		return peer;
	err = place_open(&place, lab, end->node);
	if (!err) {
		err = add_veth(&place, end->dev, other->dev, peer, mtu);
		place_close(&place);
	}
	close(peer);
	if (!err) // only now: veth refuses to be made up
		err = end_up(lab, end);
	return err ? err : end_up(lab, other);
}

int device_bridge(struct place *place, const char *dev)
{
	struct rtnl_link *link = rtnl_link_bridge_alloc();
	int err;

	rtnl_link_set_name(link, dev);
	rtnl_link_set_flags(link, IFF_UP);
	err = rtnl_link_add(place->sock, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(link);
	return fail_netlink(place, err, "make bridge", dev);
}

static struct nl_addr *parse(const char *text)
{
	struct nl_addr *addr = NULL;

	return nl_addr_parse(text, AF_UNSPEC, &addr) ? NULL : addr;
}

// Where frames for unknown addresses go.
static int add_remote(struct place *place, const char *dev, const char *remote)
{
	struct nl_addr *dst = parse(remote), *all = NULL;
	struct rtnl_neigh *row = rtnl_neigh_alloc();
	int err;

	nl_addr_parse("00:00:00:00:00:00", AF_LLC, &all);
	rtnl_neigh_set_ifindex(row, (int)if_nametoindex(dev));
	rtnl_neigh_set_dst(row, dst); // sets the family, which is not what the kernel wants here
	rtnl_neigh_set_family(row, PF_BRIDGE);
	rtnl_neigh_set_lladdr(row, all);
	rtnl_neigh_set_flags(row, NTF_SELF);
	rtnl_neigh_set_state(row, NUD_NOARP | NUD_PERMANENT);
	err = rtnl_neigh_add(place->sock, row, NLM_F_CREATE | NLM_F_APPEND);
	rtnl_neigh_put(row);
	nl_addr_put(all);
	nl_addr_put(dst);
	return fail_netlink(place, err, "add remote", remote);
}

int device_vxlan(struct place *place, const char *dev, const struct vxlan *vxlan)
{
	const struct tree *remote = tree_item(vxlan->remotes, NULL);
	struct nl_addr *local = parse(vxlan->local);
	struct rtnl_link *link = rtnl_link_vxlan_alloc();
	int err;

	rtnl_link_set_name(link, dev);
	rtnl_link_set_flags(link, IFF_UP);
	rtnl_link_vxlan_set_id(link, vxlan->vni);
	rtnl_link_vxlan_set_local(link, local);
	rtnl_link_vxlan_set_port(link, vxlan->port ? vxlan->port : 4789);
	rtnl_link_vxlan_enable_learning(link);
	err = rtnl_link_add(place->sock, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(link);
	nl_addr_put(local);
	err = fail_netlink(place, err, "make VXLAN device", dev);
	for (; remote && !err; remote = tree_item(vxlan->remotes, remote))
		err = add_remote(place, dev, remote->text);
	return err;
}

int device_enslave(struct place *place, const char *dev, const char *bridge)
{
	struct rtnl_link *changes = rtnl_link_alloc();

	rtnl_link_set_master(changes, (int)if_nametoindex(bridge));
	return change(place, dev, changes, "put into the bridge");
}

int device_up(struct place *place, const char *dev)
{
	struct rtnl_link *changes = rtnl_link_alloc();

	rtnl_link_set_flags(changes, IFF_UP);
	return change(place, dev, changes, "set up");
}

int device_rename(struct place *place, const char *dev, const char *name)
{
	struct rtnl_link *down = rtnl_link_alloc(), *changes = rtnl_link_alloc();
	int err;

	rtnl_link_unset_flags(down, IFF_UP);
	err = change(place, dev, down, "set down");
	rtnl_link_set_name(changes, name);
	if (err)
		rtnl_link_put(changes);
	else
		err = change(place, dev, changes, "rename");
	return err ? err : device_up(place, name);
}

int device_no_offload(struct place *place, const char *dev)
{
	struct ethtool_value value = {.cmd = ETHTOOL_STXCSUM, .data = 0};
	struct ifreq request = {.ifr_data = (char *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", dev);
	// A device that cannot offload need not be told.
	if (ioctl(fd, SIOCETHTOOL, &request) && errno != EOPNOTSUPP)
		err = lab_fail(place->lab, errno, "%s: cannot turn off the offloads of %s: %m",
			place->node->name, dev);
	close(fd);
	return err;
}

static int ipv6_on(struct place *place, const char *dev)
{
	char path[128];
	int fd, err = 0;

	// By path: a device's name may hold dots.
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", dev);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		err = lab_fail(place->lab, errno, "%s: cannot turn on IPv6 for %s: %m",
			place->node->name, dev);
	if (fd >= 0)
		close(fd);
	return err;
}

int device_address(struct place *place, const char *dev, const char *address)
{
	int index = index_of(place, dev), err = 0;
	struct nl_addr *local = parse(address);
	struct rtnl_addr *row = rtnl_addr_alloc();

	if (index > 0 && nl_addr_get_family(local) == AF_INET6)
		err = ipv6_on(place, dev);
	if (index > 0 && !err) {
		rtnl_addr_set_ifindex(row, index);
		rtnl_addr_set_local(row, local);
		if (nl_addr_get_family(local) == AF_INET6)
			rtnl_addr_set_flags(row, IFA_F_NODAD);
		err = fail_netlink(
			place, rtnl_addr_add(place->sock, row, 0), "add address", address);
	}
	rtnl_addr_put(row);
	nl_addr_put(local);
	return index > 0 ? err : index;
}

static void add_nexthop(struct rtnl_route *row, const char *via, const char *dev)
{
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct nl_addr *gateway = via ? parse(via) : NULL;

	if (gateway)
		rtnl_route_nh_set_gateway(hop, gateway);
	if (dev)
		rtnl_route_nh_set_ifindex(hop, (int)if_nametoindex(dev));
	rtnl_route_add_nexthop(row, hop); // takes it
	nl_addr_put(gateway);
}

static struct nl_addr *route_target(const struct route *route, const char *via)
{
	bool six = via && strchr(via, ':');

	return parse(strcmp(route->to, "default") ? route->to : six ? "::/0" : "0.0.0.0/0");
}

int device_route(struct place *place, const struct route *route)
{
	const struct tree *via = tree_item(route->via, NULL);
	struct rtnl_route *row = rtnl_route_alloc();
	struct nl_addr *to;
	int err;

	to = route_target(route, via ? via->text : NULL);
	rtnl_route_set_dst(row, to);
	if (!via)
		add_nexthop(row, NULL, route->dev);
	for (; via; via = tree_item(route->via, via))
		add_nexthop(row, via->text, route->dev);
	err = rtnl_route_add(place->sock, row, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_route_put(row);
	nl_addr_put(to);
	return fail_netlink(place, err, "add route to", route->to);
}

int device_sysctl(struct place *place, const char *name, const char *value)
{
	char path[PATH_MAX];
	ssize_t length = (ssize_t)strlen(value);
	int fd, err = 0;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	for (char *c = path + strlen("/proc/sys/"); *c; c++)
		*c = *c == '.' ? '/' : *c;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, (size_t)length) != length)
		err = lab_fail(place->lab, errno, "%s: sysctl %s: %m", place->node->name, name);
	if (fd >= 0)
		close(fd);
	return err;
}
