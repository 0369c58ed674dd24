// SPDX-License-Identifier: BSD-2-Clause
// ethtool by ioctl; the kernel's "netdev" family (Linux 6.3) by generic netlink.
#include "datapath/netdev.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Newer than the headers weft is built with: linux/netdev.h.
enum { NETDEV_DEV_GET = 1, NETDEV_IFINDEX = 1, NETDEV_XDP_FEATURES = 3, NETDEV_SENDS_XDP = 4 };

int netdev_find(u32 ifindex)
{
	struct ifreq request = {.ifr_ifindex = (int)ifindex};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int error = ioctl(fd, SIOCGIFNAME, &request) ? -errno : 0;
	close(fd);
	return error;
}

static int ethtool(const char *device, void *command)
{
	struct ifreq request = {.ifr_data = command};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	strncpy(request.ifr_name, device, sizeof(request.ifr_name) - 1);
	int error = ioctl(fd, SIOCETHTOOL, &request) ? -errno : 0;
	close(fd);
	return error;
}

bool netdev_takes_tags(const char *device)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	return !ethtool(device, &flags) && flags.data & ETH_FLAG_RXVLAN;
}

void netdev_let_take_tags(const char *device, bool on)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	if (ethtool(device, &flags))
		return;
	flags.cmd = ETHTOOL_SFLAGS;
	flags.data = on ? flags.data | ETH_FLAG_RXVLAN : flags.data & ~(u32)ETH_FLAG_RXVLAN;
	ethtool(device, &flags);
}

static bool is_veth(u32 ifindex)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	char name[IF_NAMESIZE];
	return if_indextoname(ifindex, name) && !ethtool(name, &info) &&
	       strcmp(info.driver, "veth") == 0;
}

struct answer {
	nl_recvmsg_msg_cb_t read;
	u32 wanted; // the attribute
	u64 value;
	bool found;
};

static int read_answer(struct nl_msg *message, void *context)
{
	struct answer *answer = context;
	struct nlattr *attribute =
		nlmsg_find_attr(nlmsg_hdr(message), sizeof(struct genlmsghdr), (int)answer->wanted);
	if (!attribute)
		return NL_OK;
	answer->found = true;
	answer->value =
		nla_len(attribute) == sizeof(u16) ? nla_get_u16(attribute) : nla_get_u64(attribute);
	return NL_OK;
}

// The id of ethtool's group for who watches.
static int read_group(struct nl_msg *message, void *context)
{
	struct answer *answer = context;
	struct nlattr *group, *groups = nlmsg_find_attr(nlmsg_hdr(message),
				      sizeof(struct genlmsghdr), CTRL_ATTR_MCAST_GROUPS);
	int rest;
	if (!groups)
		return NL_OK;
	nla_for_each_nested(group, groups, rest)
	{
		struct nlattr *name =
			nla_find(nla_data(group), nla_len(group), CTRL_ATTR_MCAST_GRP_NAME);
		struct nlattr *id =
			nla_find(nla_data(group), nla_len(group), CTRL_ATTR_MCAST_GRP_ID);
		if (!name || !id || nla_strcmp(name, ETHTOOL_MCGRP_MONITOR_NAME) != 0)
			continue;
		answer->value = nla_get_u32(id);
		answer->found = true;
	}
	return NL_OK;
}

// One question of one attribute, whose answer is another one.
static bool ask(struct nl_sock *socket, int family, u8 command, u8 version, int attribute,
	const void *value, int bytes, struct answer *answer)
{
	struct genlmsghdr header = {.cmd = command, .version = version};
	struct nl_msg *message = nlmsg_alloc_simple(family, 0);
	if (!message)
		return false;
	nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, answer->read, answer);
	int error = nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
	error = error ? error : nla_put(message, attribute, bytes, value);
	error = error ? error : nl_send_auto(socket, message);
	nlmsg_free(message);
	error = error < 0 ? error : nl_recvmsgs_default(socket); // the answer, or an error
	error = error < 0 ? error : nl_wait_for_ack(socket);
	return error >= 0 && answer->found;
}

bool netdev_sends_xdp(u32 ifindex)
{
	struct answer family = {read_answer, CTRL_ATTR_FAMILY_ID};
	struct answer features = {read_answer, NETDEV_XDP_FEATURES};
	struct nl_sock *socket = nl_socket_alloc();
	bool known = socket && !nl_connect(socket, NETLINK_GENERIC) &&
		     ask(socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, CTRL_ATTR_FAMILY_NAME,
			     "netdev", sizeof("netdev"), &family);
	if (known)
		ask(socket, (int)family.value, NETDEV_DEV_GET, 1, NETDEV_IFINDEX, &ifindex,
			sizeof(ifindex), &features);
	nl_socket_free(socket);
	return known ? features.value & NETDEV_SENDS_XDP : !is_veth(ifindex);
}

static int join(u32 group)
{
	struct sockaddr_nl own = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_GENERIC);
	if (fd < 0)
		return -errno;
	if (!bind(fd, (void *)&own, sizeof(own)) &&
		!setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

int netdev_watch_queues(void)
{
	struct answer group = {.read = read_group};
	struct nl_sock *socket = nl_socket_alloc();
	bool known = socket && !nl_connect(socket, NETLINK_GENERIC) &&
		     ask(socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, CTRL_ATTR_FAMILY_NAME,
			     ETHTOOL_GENL_NAME, sizeof(ETHTOOL_GENL_NAME), &group);
	nl_socket_free(socket);
	return known ? join((u32)group.value) : -ENOTSUP;
}

// Which device it is, and whether it is the queues, whoever asks finds out by looking.
bool netdev_queues_changed(int socket)
{
	bool changed = false;
	u8 byte;
	while (recv(socket, &byte, sizeof(byte), 0) >= 0 || errno == ENOBUFS) // some are lost
		changed = true;
	return changed;
}
