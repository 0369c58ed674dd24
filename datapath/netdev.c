// SPDX-License-Identifier: BSD-2-Clause
// ethtool by ioctl; the kernel's "netdev" family (Linux 6.3) by generic netlink.
#include "datapath/netdev.h"

#include <errno.h>
#include <linux/ethtool.h>
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

// One question of one attribute, whose answer is another one.
static bool ask(struct nl_sock *socket, int family, u8 command, u8 version, int attribute,
	const void *value, int bytes, struct answer *answer)
{
	struct genlmsghdr header = {.cmd = command, .version = version};
	struct nl_msg *message = nlmsg_alloc_simple(family, 0);
	if (!message)
		return false;
	nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, read_answer, answer);
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
	struct answer family = {.wanted = CTRL_ATTR_FAMILY_ID};
	struct answer features = {.wanted = NETDEV_XDP_FEATURES};
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
